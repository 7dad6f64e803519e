/** A fleet of sensors, each a process. `POST /api/NAME` kills one, or starts it again. */
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import type { Backend } from '../run.ts';

const ROOMS = ['garden', 'cellar', 'hall', 'workshop', 'kitchen', 'attic']; // Cold to warm.

const backend: Backend = (_line, { mqtt, signal }) => {
  const running = new Map<string, ChildProcess>();
  const start = (name: string): void => {
    const args = [mqtt, name, String(5 + 5 * ROOMS.indexOf(name))];
    const sensor = fork(join(import.meta.dirname, 'sensor.ts'), args, { signal });
    sensor.on('error', () => {}); // The example has ended, and so does it.
    running.set(name, sensor);
  };
  ROOMS.forEach(start);
  return async (request, response) => {
    const [, name = ''] = request.url?.split('/') ?? [];
    if (running.get(name)?.kill('SIGKILL') === false) start(name); // It had ended before.
    response.end();
  };
};
export default backend;

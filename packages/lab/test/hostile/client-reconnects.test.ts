/** The client after a thousand connections: it holds no more than after the first few. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Proxy } from '../../src/proxy.ts';
import type { Mood } from '../../src/proxy.ts';
import { within } from '../../src/queue.ts';
import type { Told } from '../../src/reconnecting-program.ts';
import { startServer } from '../../src/server.ts';

const PROGRAM = join(import.meta.dirname, '../../src/reconnecting-program.ts');

/** Bytes of a thousand connections: anything that is kept of each one is more. */
const GROWTH_MAX = 1_000_000;

/** Over event streams it takes the longest: the server wants a rest before each. */
const MS_MAX = 90_000;

const passes: Mood = ({ pass }) => pass();

test.each(['websocket', 'sse', 'long-poll', 'short-poll'])(
  'over %s it holds no more memory, and its process ends when it is closed',
  async (name) => {
    await using server = await startServer({ dev: true });
    await using proxy = await Proxy.before(server.port);
    const child = fork(PROGRAM, [proxy.url, name], { execArgv: ['--expose-gc'] });
    onTestFinished(() => void child.kill());
    const held: (Told & { kind: 'held' })[] = [];
    let published = 0;
    child.on('message', (told: Told) => {
      if (told.kind === 'held') held.push(told);
      else {
        published += 1;
        void server.publish('a', published).then(() => {
          // Polls have nothing open at times: the next one is cut.
          proxy.mood = ({ socket }) => {
            proxy.mood = passes;
            socket.destroy();
          };
          proxy.cut();
        });
      }
    });
    const [code] = (await within(once(child, 'exit'), 'the end', MS_MAX)) as [number | null];
    expect(code).toBe(0);
    const [{ before, after, received } = { before: 0, after: Infinity, received: 0 }] = held;
    expect(after - before).toBeLessThan(GROWTH_MAX);
    // The last may be on its way.
    expect(published - received).toBeLessThan(2);
  },
  MS_MAX,
);

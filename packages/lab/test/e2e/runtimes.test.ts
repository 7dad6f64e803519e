/**
 * The built client in other runtimes than browsers: it connects, publishes, reads over a restart of
 * the server, and lets its process end.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { NodeProcess } from '../../src/node-process.ts';

const CLIENT = pathToFileURL(join(import.meta.dirname, '../../../client/dist/client.js')).href;
const PROGRAM = join(import.meta.dirname, '../../src/runtime-program.mjs');
const CHANNEL = 'room/1';
/** So long at most it runs: a process that does not end is a failure, not a hung test. */
const RUN_MS_MAX = 40_000;

/** How a program is run; `command` is absent where the runtime could not be had. */
interface Runtime {
  readonly name: string;
  readonly command: string | undefined;
  readonly flags: readonly string[];
}

const RUNTIMES: readonly Runtime[] = [
  { name: 'Node', command: process.execPath, flags: [] },
  { name: 'Bun', command: process.env['TRUNKLINE_BUN'], flags: ['run'] },
  {
    name: 'Deno',
    command: process.env['TRUNKLINE_DENO'],
    flags: ['run', '--no-config', '--no-lock', '--no-remote', '--allow-net', '--allow-read'],
  },
];

/** Starts the program; it is ended with the test. */
function run({ command = '', flags }: Runtime, server: string, transport: string): ChildProcess {
  const home = mkdtempSync(join(tmpdir(), 'trunkline-runtime-'));
  const child = spawn(command, [...flags, PROGRAM, CLIENT, server, transport], {
    env: { PATH: process.env['PATH'], HOME: home, DENO_DIR: home, DENO_NO_UPDATE_CHECK: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: RUN_MS_MAX,
    killSignal: 'SIGKILL',
  });
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    }
    rmSync(home, { recursive: true, force: true });
  });
  return child;
}

for (const runtime of RUNTIMES) {
  for (const transport of ['websocket', 'sse']) {
    test.skipIf(runtime.command === undefined)(
      `[GUA-3] [GUA-4] the client in ${runtime.name} reads over ${transport} and over a restart`,
      async () => {
        await using server = await NodeProcess.start();
        const child = run(runtime, server.url, transport);
        const exited = once(child, 'exit');
        const told: unknown[] = [];
        if (child.stdout === null) throw new Error('expected a pipe');
        for await (const line of createInterface({ input: child.stdout })) {
          const event = JSON.parse(line) as { readonly message?: unknown };
          told.push(event);
          if (event.message === 1) {
            await server.kill();
            await server.start();
          }
          if (event.message === 2) await server.publish(CHANNEL, 3);
        }
        expect(told).toEqual([
          { transport },
          { message: 1 },
          { transport },
          { message: 2 },
          { message: 3 },
          { state: 'disconnected' },
        ]);
        expect(await exited).toEqual([0, null]);
      },
    );
  }
}

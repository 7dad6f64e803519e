import { describe, expect, test } from 'vitest';
import { run } from '../../src/main.ts';
import { fakeIo } from '../support/io.ts';
import type { Io } from '../../src/io.ts';
import type { FakeIo } from '../support/io.ts';

/** Answers the first poll with two messages, and no other. */
function pollServer(): typeof fetch {
  let count = 0;
  const message = (offset: number) => ({ channel: 'a', offset, epoch: 'e', time: 1, data: offset });
  return (_, init) => {
    count += 1;
    if (count === 1) {
      const messages = [message(5), message(6)];
      const body = { messages, positions: { a: 'e:6' }, recovered: { a: true }, gaps: {} };
      return Promise.resolve(new Response(JSON.stringify(body)));
    }
    return new Promise((_resolve, reject) => {
      init?.signal?.addEventListener('abort', () => reject(new Error('aborted')));
    });
  };
}

/** Asks the command to end as soon as it prints this. */
function stopAt(text: string, io: FakeIo): Io {
  const write = (line: string) => {
    io.stdout.write(line);
    if (line.startsWith(text)) io.stops.ask();
  };
  return { ...io, stdout: { ...io.stdout, write } };
}

const ARGS = ['subscribe', 'a', '--transport', 'poll', '--after', 'e:4'];

describe('trunkline subscribe', () => {
  test('prints messages until it is asked to end, and says how to go on', async () => {
    const io = fakeIo({ fetch: pollServer() });
    expect(await run(ARGS, stopAt('e:6', io))).toBe(0);
    expect(io.outText()).toBe('e:5 5\ne:6 6\n');
    expect(io.err.at(-1)).toBe('trunkline: at e:6; go on with --after e:6\n');
    expect(io.exits).toBe(0);
  });

  test('says where the last printed message stands, not the last received', async () => {
    const io = fakeIo({ fetch: pollServer() });
    expect(await run(ARGS, stopAt('e:5', io))).toBe(0);
    expect(io.outText()).toBe('e:5 5\n');
    expect(io.err.at(-1)).toBe('trunkline: at e:5; go on with --after e:5\n');
  });

  test('ends with 1 when refused, and still says where it stood', async () => {
    const io = fakeIo({
      fetch: () => Promise.resolve(new Response('{"code":"forbidden"}', { status: 403 })),
    });
    const args = ['subscribe', 'a', '--transport', 'sse', '--after', 'e:4'];
    expect(await run(args, io)).toBe(1);
    expect(io.errText()).toContain('trunkline: at e:4; go on with --after e:4\n');
    expect(io.err.at(-1)).toMatch(/^trunkline: forbidden: /);
  });
});

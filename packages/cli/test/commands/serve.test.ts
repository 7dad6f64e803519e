import { Command } from 'commander';
import type { ServerConfig, Started } from '@trunkline/server';
import { describe, expect, test } from 'vitest';
import { createCommand } from '../../src/commands/serve.ts';
import { fakeIo } from '../support/io.ts';

/** A server that only remembers what was asked of it. */
function fakeServer(start: () => Promise<Started>) {
  const calls: string[] = [];
  let config: ServerConfig | undefined;
  let finishDrain = () => {};
  const drained = new Promise<void>((resolve) => (finishDrain = resolve));
  const create = (given: ServerConfig) => {
    config = given;
    return {
      start: () => (calls.push('start'), start()),
      drain: () => (calls.push('drain'), drained),
      close: () => (calls.push('close'), Promise.resolve()),
    };
  };
  return { calls, create, finishDrain: () => finishDrain(), config: () => config };
}

const URLS = ['http://127.0.0.1:8080', 'mqtt://127.0.0.1:1883'];
const endOfTurn = () => new Promise((resolve) => setImmediate(resolve));

describe('trunkline serve', () => {
  test('says ready once it listens, drains when asked to, and then closes', async () => {
    const server = fakeServer(() => Promise.resolve({ urls: URLS }));
    const io = fakeIo();
    const command = createCommand(io, server.create);
    const ended = new Command().addCommand(command).parseAsync(['serve', '--port', '81'], {
      from: 'user',
    });
    await endOfTurn();
    expect(io.outText()).toBe('ready http://127.0.0.1:8080 mqtt://127.0.0.1:1883\n');
    expect(server.config()?.port).toBe(81);
    expect(server.calls).toEqual(['start']);
    io.stops.ask();
    await endOfTurn();
    expect(server.calls).toEqual(['start', 'drain']);
    server.finishDrain();
    await ended;
    expect(server.calls).toEqual(['start', 'drain', 'close']);
    expect(io.exits).toBe(0);
  });

  test('says the SHA-256 of a certificate made on the spot, below the line that says ready', async () => {
    const urls = ['https://127.0.0.1:8080'];
    const server = fakeServer(() => Promise.resolve({ urls, certificateSha256: 'ab12' }));
    const io = fakeIo();
    void createCommand(io, server.create).parseAsync(['--tls-dev'], { from: 'user' });
    await endOfTurn();
    expect(io.outText()).toBe('ready https://127.0.0.1:8080\ncertificate sha256 ab12\n');
    expect(server.config()?.tls).toMatchObject({ dev: true });
  });

  test('ends at once at a second signal', async () => {
    const server = fakeServer(() => Promise.resolve({ urls: URLS }));
    const io = fakeIo();
    void createCommand(io, server.create).parseAsync([], { from: 'user' });
    await endOfTurn();
    io.stops.ask();
    io.nowMs = 500;
    io.stops.ask();
    expect(io.exits).toBe(1);
  });

  test('says what development mode relaxes, and nothing when it is off', async () => {
    for (const [args, said] of [
      [[], true],
      [['--api-key', 'k'], false],
    ] as const) {
      const io = fakeIo();
      const server = fakeServer(() => Promise.resolve({ urls: URLS }));
      void createCommand(io, server.create).parseAsync([...args], { from: 'user' });
      await endOfTurn();
      expect(io.errText().includes('development mode')).toBe(said);
    }
  });

  test('says what to do where the port is taken', async () => {
    const taken = Object.assign(new Error('listen EADDRINUSE: in use'), { code: 'EADDRINUSE' });
    const server = fakeServer(() => Promise.reject(taken));
    const started = createCommand(fakeIo(), server.create).parseAsync([], { from: 'user' });
    await expect(started).rejects.toThrow(
      /^listen EADDRINUSE: in use: .*--port takes another port/,
    );
  });

  test('says nothing ready when it can not start', async () => {
    const server = fakeServer(() => Promise.reject(new Error('EADDRINUSE')));
    const io = fakeIo();
    const started = createCommand(io, server.create).parseAsync([], { from: 'user' });
    await expect(started).rejects.toThrow('EADDRINUSE');
    expect(io.outText()).toBe('');
  });
});

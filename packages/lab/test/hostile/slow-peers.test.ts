/** Peers that take their time: every wait of the server has an end. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { UncaughtErrors } from '../../src/faults.ts';
import { expectHealthy } from './expectations.ts';
import { listening, OPEN_AND_LISTED } from '../../src/listening.ts';
import { within } from '../../src/queue.ts';
import { RawSocket } from '../../src/raw-socket.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { SkipClock } from '../../src/skip-clock.ts';
import { handshake, WebSocketPeer } from '../../src/web-socket.ts';

const PEERS = 50;
const HOST = 'Host: localhost\r\n';

let clock: SkipClock;
let server: LabServer;
let errors: UncaughtErrors;

beforeEach(async () => {
  clock = new SkipClock();
  errors = new UncaughtErrors();
  server = await startServer({ ...OPEN_AND_LISTED }, { clock });
});

afterEach(async () => {
  await expectHealthy(server, errors);
  errors[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});

/** Connections that sent this and nothing more; the server has read it. */
async function stuckAt(bytes: string): Promise<RawSocket[]> {
  const raws = await Promise.all(
    Array.from({ length: PEERS }, async () => {
      const raw = await RawSocket.open(server.port, true);
      await raw.write(bytes);
      return raw;
    }),
  );
  await server.get('/healthz');
  return raws;
}

/** Lets time pass in steps, so that deadlines that are set anew count too. */
async function letPass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 1_000) {
    clock.skip(1_000);
    await server.get('/healthz');
  }
}

/** All connections end; those of `raws` that were never answered as well. */
async function expectGone(raws: readonly RawSocket[]): Promise<string[]> {
  const texts: string[] = [];
  for (const raw of raws) {
    texts.push(await raw.takeAll());
    raw.socket.destroy();
  }
  return texts;
}

describe('slow senders', () => {
  test.each([
    ['a head', `GET /healthz HTTP/1.1\r\n${HOST}`],
    ['the first byte of a head', 'G'],
    ['a handshake', handshake(0).slice(0, -2)],
  ])('lose their connection in the middle of %s', async (_, bytes) => {
    const raws = await stuckAt(bytes);
    await letPass(12_000);
    for (const text of await expectGone(raws)) expect(text).toMatch(/^HTTP\/1\.1 408 /);
  });

  test('lose their connection however they drip', async () => {
    const raws = await stuckAt('GET /healthz HTTP/1.1\r\n');
    for (let second = 0; second < 12; second += 1) {
      for (const raw of raws) await raw.write('A: b\r\n');
      await letPass(1_000);
    }
    for (const text of await expectGone(raws)) expect(text).toMatch(/^HTTP\/1\.1 408 /);
  });

  test('lose their connection in the middle of a body', async () => {
    const head = `POST /v1/publish HTTP/1.1\r\n${HOST}Content-Length: 100\r\n\r\n{`;
    const raws = await stuckAt(head);
    await letPass(32_000);
    for (const text of await expectGone(raws)) {
      expect(text).toMatch(/^HTTP\/1\.1 408 .*"stored":false/s);
    }
  });

  test('lose their connection when they open it and say nothing', async () => {
    const raws = await stuckAt('');
    await letPass(12_000);
    expect(new Set(await expectGone(raws))).toEqual(new Set(['']));
  });

  test('lose their connection between two requests', async () => {
    const raws = await stuckAt(`GET /healthz HTTP/1.1\r\n${HOST}\r\n`);
    await letPass(80_000);
    for (const text of await expectGone(raws)) expect(text).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('lose their WebSocket when one message drips for minutes', async () => {
    using peer = await WebSocketPeer.open(server.port);
    await peer.nextOf('welcome');
    peer.answersPings = false;
    // 125 bytes are announced; a mask of zeros leaves them as they are.
    await peer.raw.write(Buffer.from([0x81, 0xfd, 0, 0, 0, 0]));
    for (let passed = 0; passed < 160; passed += 2) {
      await peer.raw.write(' ');
      await letPass(2_000);
    }
    expect((await peer.closed).code).toBe(4508);
  });
});

describe('peers that are half open', () => {
  test('lose their WebSocket when they answer no ping', async () => {
    const peers = await Promise.all(
      Array.from({ length: PEERS }, () => WebSocketPeer.open(server.port)),
    );
    for (const peer of peers) {
      peer.answersPings = false;
      await peer.call({ type: 'subscribe', id: 1, channel: 'half-open' });
    }
    await letPass(40_000);
    await listening(server, 'half-open', 'nobody');
    for (const peer of peers) expect((await peer.closed).code).toBe(4508);
  });

  test('lose their event stream when they take nothing', async () => {
    const raws = await stuckAt(`GET /v1/sse?channel=stuck HTTP/1.1\r\n${HOST}\r\n`);
    await listening(server, 'stuck', PEERS);
    for (const raw of raws) raw.freeze();
    // More than the buffers of both systems hold.
    for (let round = 0; round < 12; round += 1) {
      await server.publish('stuck', ...Array.from({ length: 16 }, () => 'x'.repeat(60_000)));
    }
    await letPass(100_000);
    await listening(server, 'stuck', 'nobody');
    for (const raw of raws) raw.socket.destroy();
  });

  test('give their place in a channel back when they end their side', async () => {
    for (const path of ['/v1/sse?channel=left', '/v1/poll?channel=left&wait=60']) {
      const raws = await stuckAt(`GET ${path} HTTP/1.1\r\n${HOST}\r\n`);
      await listening(server, 'left', PEERS);
      for (const raw of raws) raw.socket.end();
      await listening(server, 'left', 'nobody');
      for (const raw of raws) {
        await raw.takeAll();
        raw.socket.destroy();
        await within(raw.closed, 'the end of a connection');
      }
    }
  });
});

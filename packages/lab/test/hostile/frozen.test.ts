/** Peers that never read, beside others that do: nobody waits for them, and they cost little. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EventStreamPeer } from '../../src/event-stream.ts';
import { UncaughtErrors } from '../../src/faults.ts';
import { expectHealthy } from './expectations.ts';
import { listening, OPEN_AND_LISTED } from '../../src/listening.ts';
import { usedBytes } from '../../src/memory.ts';
import { RawSocket } from '../../src/raw-socket.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { WebSocketPeer } from '../../src/web-socket.ts';

const MB = 1024 * 1024;
const FROZEN = 20;
const ROUNDS = 100;
const A_ROUND = 10;
const PAYLOAD = 'x'.repeat(50_000);

let server: LabServer;
let errors: UncaughtErrors;

beforeEach(async () => {
  errors = new UncaughtErrors();
  // The log keeps 2 MB of the 50 MB that are published.
  const namespaces = { '#': { history: { sizeMax: 2 * MB } } };
  server = await startServer({ ...OPEN_AND_LISTED, namespaces });
});

afterEach(async () => {
  await expectHealthy(server, errors);
  errors[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});

/** Publishes 50 MB while a healthy reader takes everything; returns by how much memory grew. */
async function publishBeside(channel: string, healthy: WebSocketPeer): Promise<number> {
  const before = usedBytes();
  let grown = 0;
  let next = 1;
  for (let round = 0; round < ROUNDS; round += 1) {
    await server.publish(channel, ...Array.from({ length: A_ROUND }, () => PAYLOAD));
    for (let message = 0; message < A_ROUND; message += 1) {
      // No gap, no hole: the next push is the next message.
      expect((await healthy.next())['offset']).toBe(next);
      next += 1;
    }
    if (round % 25 === 24) grown = Math.max(grown, usedBytes() - before);
  }
  return grown;
}

/** A channel of which one page of history has a megabyte. */
async function fillPages(): Promise<void> {
  for (let batch = 0; batch < 3; batch += 1) {
    await server.publish('pages', ...Array.from({ length: 10 }, () => PAYLOAD));
  }
}

async function subscribed(channel: string): Promise<WebSocketPeer> {
  const peer = await WebSocketPeer.open(server.port);
  await peer.nextOf('welcome');
  await peer.call({ type: 'subscribe', id: 1, channel });
  return peer;
}

/** What a frozen peer may cost: its high-water mark, a batch above it, and some room. */
const COST_MAX = FROZEN * MB + 20 * MB;

describe('frozen subscribers', () => {
  test('over WebSocket disturb nobody, stay, and read on when they thaw', async () => {
    using healthy = await subscribed('frozen');
    const frozen = await Promise.all(Array.from({ length: FROZEN }, () => subscribed('frozen')));
    for (const peer of frozen) peer.raw.freeze();
    expect(await publishBeside('frozen', healthy)).toBeLessThan(COST_MAX);
    await listening(server, 'frozen', FROZEN + 1);
    const last = ROUNDS * A_ROUND;
    for (const peer of frozen) {
      peer.raw.thaw();
      let next = 1;
      while (next <= last) {
        const push = await peer.next();
        if (push['type'] === 'gap') {
          const { from, to } = push['gap'] as { from: number; to: number };
          expect(from).toBe(next);
          next = to + 1;
        } else {
          expect(push['offset']).toBe(next);
          next += 1;
        }
      }
      peer[Symbol.dispose]();
    }
  });

  test('over SSE disturb nobody, and cost little', async () => {
    using healthy = await subscribed('frozen');
    const url = `${server.url}/v1/sse?channel=frozen`;
    const frozen = await Promise.all(
      Array.from({ length: FROZEN }, () => EventStreamPeer.open(url)),
    );
    for (const stream of frozen) {
      await stream.expect('open');
      stream.freeze();
    }
    expect(await publishBeside('frozen', healthy)).toBeLessThan(COST_MAX);
    await listening(server, 'frozen', FROZEN + 1);
    for (const stream of frozen) stream[Symbol.dispose]();
  });

  test('with many channels on one link cost no more than with one', async () => {
    using healthy = await subscribed('many/0');
    const frozen = await Promise.all(Array.from({ length: FROZEN }, () => subscribed('many/0')));
    for (const peer of frozen) {
      for (let id = 1; id < 20; id += 1) {
        await peer.call({ type: 'subscribe', id, channel: `many/${id}` });
      }
      peer.raw.freeze();
    }
    const before = usedBytes();
    for (let round = 0; round < 20; round += 1) {
      const batch = Array.from({ length: 20 }, (_, channel) => ({
        channel: `many/${channel}`,
        data: PAYLOAD,
      }));
      await server.publishAll(batch);
      expect((await healthy.next())['offset']).toBe(round + 1);
    }
    // 20 MB of messages are in the log and its tails.
    expect(usedBytes() - before).toBeLessThan(COST_MAX + 60 * MB);
    for (const peer of frozen) peer[Symbol.dispose]();
  });
});

describe('peers that never read their answers', () => {
  test('publish until they are held back, and everything acknowledged is stored', async () => {
    using raw = await RawSocket.open(server.port, true);
    raw.freeze();
    const body = JSON.stringify({ channel: 'unread', data: PAYLOAD });
    const request = `POST /v1/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const before = usedBytes();
    for (let count = 0; count < 200; count += 1) void raw.write(request);
    using healthy = await subscribed('other');
    await server.publish('other', 1);
    await healthy.nextOf('message');
    expect(usedBytes() - before).toBeLessThan(60 * MB);
  });

  test('ask for history by a WebSocket that they never read', async () => {
    await fillPages();
    const before = usedBytes();
    const peers = await Promise.all(Array.from({ length: 5 }, () => subscribed('pages')));
    for (const peer of peers) {
      peer.raw.freeze();
      for (let frame = 0; frame < 2; frame += 1) {
        const commands = Array.from({ length: 200 }, (_, id) =>
          JSON.stringify({ type: 'history', id, channel: 'pages' }),
        );
        peer.sendText(commands.join('\n'));
      }
    }
    await server.get('/healthz');
    expect(usedBytes() - before).toBeLessThan(100 * MB);
    // They are held back, not thrown out: who reads again is answered.
    for (const peer of peers) {
      peer.raw.thaw();
      for (let answer = 0; answer < 400; answer += 1) {
        expect(await peer.next()).toMatchObject({ type: 'history', id: answer % 200 });
      }
      peer[Symbol.dispose]();
    }
  });

  test('ask for pages over a connection that they never read', async () => {
    await fillPages();
    using raw = await RawSocket.open(server.port, true);
    raw.freeze();
    const before = usedBytes();
    const request = 'GET /v1/history?channel=pages HTTP/1.1\r\nHost: localhost\r\n\r\n';
    void raw.write(request.repeat(90));
    for (let round = 0; round < 20; round += 1) await server.get('/healthz');
    expect(usedBytes() - before).toBeLessThan(10 * MB);
  });
});

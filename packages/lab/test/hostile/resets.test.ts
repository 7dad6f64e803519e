/** Connections that are cut in the middle of everything, and a disk that fails under the log. */
import { seededRandom } from '@trunkline/testkit';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { UncaughtErrors } from '../../src/faults.ts';
import { expectHealthy, expectStored } from './expectations.ts';
import { listening, OPEN_AND_LISTED } from '../../src/listening.ts';
import { RawSocket } from '../../src/raw-socket.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { handshake, maskedFrame, OPCODE, WebSocketPeer } from '../../src/web-socket.ts';

let server: LabServer;
let errors: UncaughtErrors;

beforeEach(async () => {
  errors = new UncaughtErrors();
  server = await startServer({ ...OPEN_AND_LISTED });
});

afterEach(async () => {
  await expectHealthy(server, errors);
  errors[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});

const BODY = JSON.stringify({ channel: 'cut', data: 'x'.repeat(500) });
const HOST = 'Host: localhost\r\n';

/** Everything that a connection may carry, to be cut at any byte. */
const CARRIED: readonly [string, () => Buffer][] = [
  ['a poll', () => Buffer.from(`GET /v1/poll?channel=cut&wait=60 HTTP/1.1\r\n${HOST}\r\n`)],
  ['an event stream', () => Buffer.from(`GET /v1/sse?channel=cut HTTP/1.1\r\n${HOST}\r\n`)],
  [
    'a publish',
    () =>
      Buffer.from(
        `POST /v1/publish HTTP/1.1\r\n${HOST}Content-Length: ${BODY.length}\r\n\r\n${BODY}`,
      ),
  ],
  [
    'a session',
    () =>
      Buffer.concat([
        Buffer.from(handshake(server.port)),
        text({ type: 'subscribe', id: 1, channel: 'cut', last: 5 }),
        text({ type: 'publish', id: 2, channel: 'cut', data: 'x'.repeat(300) }),
        text({ type: 'history', id: 3, channel: 'cut' }),
        maskedFrame(OPCODE.ping, Buffer.from('ping')),
      ]),
  ],
];

function text(command: object): Buffer {
  return maskedFrame(OPCODE.text, Buffer.from(JSON.stringify(command)));
}

describe('resets', () => {
  test.each(CARRIED)('in the middle of %s disturb nobody', async (_, bytesOf) => {
    using healthy = await WebSocketPeer.open(server.port);
    await healthy.call({ type: 'subscribe', id: 1, channel: 'healthy' });
    const random = seededRandom(31);
    for (let round = 0; round < 150; round += 1) {
      const bytes = bytesOf();
      const cut = 1 + Math.floor(random.fraction() * bytes.length);
      const raw = await RawSocket.open(server.port);
      void raw.write(bytes.subarray(0, cut));
      // Some before the server has read anything, some in the middle, some after an answer.
      if (random.fraction() < 0.5) await server.get('/healthz');
      if (random.fraction() < 0.5) raw.reset();
      else raw.socket.destroy();
      if (round % 50 === 0) {
        await server.publish('healthy', round);
        expect((await healthy.nextOf('message'))['data']).toBe(round);
      }
    }
    await listening(server, 'cut', 'nobody');
  });

  test('while much is being sent to a peer disturb nobody', async () => {
    using healthy = await WebSocketPeer.open(server.port);
    await healthy.call({ type: 'subscribe', id: 1, channel: 'sent' });
    for (let round = 0; round < 10; round += 1) {
      const peers = await Promise.all(
        Array.from({ length: 10 }, () => WebSocketPeer.open(server.port)),
      );
      for (const peer of peers) {
        await peer.call({ type: 'subscribe', id: 1, channel: 'sent' });
        peer.raw.freeze();
      }
      const publishing = server.publish(
        'sent',
        ...Array.from({ length: 15 }, () => 'x'.repeat(60_000)),
      );
      for (const peer of peers) peer.raw.reset();
      await publishing;
      for (let message = 1; message <= 15; message += 1) {
        expect((await healthy.nextOf('message'))['offset']).toBe(round * 15 + message);
      }
    }
  });

  test('of publishers lose nothing that was acknowledged', async () => {
    const acknowledged = new Map<number, unknown>();
    const random = seededRandom(32);
    await Promise.all(
      Array.from({ length: 10 }, async (_, publisher) => {
        for (let round = 0; round < 5; round += 1) {
          const peer = await WebSocketPeer.open(server.port);
          await peer.nextOf('welcome');
          for (let id = 0; id < 15; id += 1) {
            const data = `${publisher} ${round} ${id}`;
            peer.send({ type: 'publish', id, channel: 'acknowledged', data });
          }
          const wanted = Math.floor(random.fraction() * 15);
          for (let answers = 0; answers < wanted; answers += 1) {
            const { id, offset } = await peer.nextOf('published');
            acknowledged.set(Number(offset), `${publisher} ${round} ${String(id)}`);
          }
          peer.raw.reset();
        }
      }),
    );
    expect(acknowledged.size).toBeGreaterThan(100);
    await expectStored(server, 'acknowledged', acknowledged);
  });
});

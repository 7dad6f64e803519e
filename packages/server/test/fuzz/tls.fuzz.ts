/**
 * Fuzz of TLS. Here's how it works:
 *
 * 1. A round sends the first message of a real client, broken at some places or cut, in random
 *    pieces; or it shakes hands properly and breaks what comes behind.
 * 2. The peer then waits, leaves or is reset, and time passes until all deadlines are over.
 * 3. Nothing is left of the connection, the log has no complaint, and a bystander is served.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectPlain, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { connect } from 'node:tls';
import { readKeyPair } from '@trunkline/server/internal/tls/key-pair.ts';
import { createSelfSigned } from '@trunkline/server/internal/tls/self-signed.ts';
import { seededRandom } from '@trunkline/testkit';
import type { SeededRandom } from '@trunkline/testkit';
import { H2Client } from '../http/h2-client.ts';
import { requestText, settle, startListener, type TestListener, until } from '../http/set-up.ts';

/** Of a record: its type, its version and its length (RFC 8446 §5.1). */
const RECORD_HEAD_SIZE = 5;

/** Longer than all deadlines that may follow each other. */
const MINUTES_MAX = 5;

/** Throws when a connection leads to anything but what the points above say. */
export async function fuzzTls(seed: number, rounds: number): Promise<void> {
  const random = seededRandom(seed);
  const { cert, key } = createSelfSigned(['localhost', '127.0.0.1'], Date.now());
  const tls = { context: readKeyPair(cert, key).context };
  await using server = await startListener({}, {}, { tls });
  const url = `https://127.0.0.1:${server.port}`;
  await using bystander = await H2Client.connect(url, { ca: cert, servername: '' });
  bystander.call('/v1/sse');
  await until(() => server.streams.length === 1, 'the stream of the bystander');
  const hello = await firstMessage();
  for (let round = 0; round < rounds; round += 1) {
    try {
      const one = random.fork();
      const peer = connectPlain({ port: server.port, host: '127.0.0.1' }).on('error', () => {});
      await once(peer, 'connect');
      if (one.chance(0.5)) await sendInPieces(one, peer, broken(one, hello));
      else await breakSession(one, peer, cert);
      await seeEnd(one, peer, server);
      assert.equal((await bystander.call('/calm').done()).text, 'GET /calm');
      assert.deepEqual(
        server.lines.splice(0).filter(({ level }) => level !== 'debug'),
        [],
      );
    } catch (error) {
      throw new Error(`seed ${seed}, round ${round}`, { cause: error });
    }
  }
}

/** What a client says first; it is cut off then. */
async function firstMessage(): Promise<Buffer> {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  connect({ port, host: '127.0.0.1', ALPNProtocols: ['h2'] }).on('error', () => {});
  const [socket] = (await once(listener, 'connection')) as [Socket];
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  listener.close();
  return bytes;
}

function broken(random: SeededRandom, bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  for (let count = random.integer(4); count > 0; count -= 1) {
    // Not the first byte, which says that it is TLS at all.
    copy[1 + random.integer(copy.length - 1)] = random.integer(256);
  }
  const end = random.chance(0.3) ? random.integer(copy.length) : copy.length;
  return Buffer.concat([copy.subarray(0, end), random.bytes(random.integer(20))]);
}

async function sendInPieces(random: SeededRandom, peer: Socket, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const size = 1 + random.integer(random.pick([3, 100, 1000]));
    peer.write(bytes.subarray(at, at + size));
    at += size;
    if (random.chance(0.3)) await settle();
  }
}

/** Shakes hands, asks for something perhaps, and then sends records that nobody can read. */
async function breakSession(random: SeededRandom, peer: Socket, ca: string): Promise<void> {
  const protocol = random.pick(['h2', 'http/1.1']);
  const client = connect({ socket: peer, ca, servername: '', ALPNProtocols: [protocol] });
  client.on('error', () => {}).resume();
  await once(client, 'secureConnect');
  if (random.chance(0.5)) client.write(requestText('GET /a'));
  if (random.chance(0.5)) await settle();
  const payload = random.bytes(random.integer(100));
  const record = Buffer.alloc(RECORD_HEAD_SIZE);
  record.writeUInt8(random.pick([20, 21, 22, 23, 24, 99]), 0);
  record.writeUInt16BE(0x0303, 1);
  record.writeUInt16BE(random.chance(0.8) ? payload.length : random.integer(2 ** 16), 3);
  await sendInPieces(random, peer, Buffer.concat([record, payload]));
}

async function seeEnd(random: SeededRandom, peer: Socket, server: TestListener): Promise<void> {
  await settle();
  const kind = random.integer(3);
  if (kind === 0) peer.end();
  else if (kind === 1) peer.resetAndDestroy();
  const { clock, listener, wheel } = server;
  const isOver = (): boolean => listener.connectionCount === 1;
  for (let minute = 0; minute < MINUTES_MAX && !isOver(); minute += 1) {
    await settle();
    if (!isOver()) clock.advance(60_000);
  }
  await until(isOver, 'the end of the connection');
  await until(() => wheel.armedCount === 0, 'no alarm');
  peer.destroy();
}

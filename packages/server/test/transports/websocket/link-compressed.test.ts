/** A link that agreed on permessage-deflate. What holds without it is in `link.test.ts`. */
import { constants, deflateRawSync } from 'node:zlib';
import type { Frame } from '@trunkline/server/internal/link/link.ts';
import { SharedBatch } from '@trunkline/server/internal/link/shared-batch.ts';
import { silentLog } from '@trunkline/server/internal/observe/log.ts';
import { Compression } from '@trunkline/server/internal/transports/websocket/compression.ts';
import type { LinkCompression } from '@trunkline/server/internal/transports/websocket/compression.ts';
import { WEBSOCKET_DEFAULTS } from '@trunkline/server/internal/transports/websocket/config.ts';
import { OPCODES, toFrame } from '@trunkline/server/internal/transports/websocket/frames.ts';
import { seededRandom } from '@trunkline/testkit';
import { afterEach, describe, expect, test } from 'vitest';
import { Harness, Recorder, TICK_MS } from './harness.ts';
import { MASK, nextTurn } from './peer.ts';

const CONFIG = { context: false, contextBits: 12, payloadBytesMin: 100, level: 6 };

const TEXT = '{"price":17,"name":"κόσμε"},'.repeat(40);

const opened: Harness[] = [];

afterEach(async () => {
  for (const harness of opened.splice(0)) await harness[Symbol.asyncDispose]();
});

function agree(compression: Compression): LinkCompression {
  const answer = compression.negotiate('permessage-deflate');
  if (answer.kind !== 'agreed') throw new Error('expected agreement');
  return answer.compression;
}

async function start(context = false, config = CONFIG) {
  const compression = agree(new Compression({ ...config, context }));
  const harness = await Harness.open(silentLog, compression);
  const handler = new Recorder();
  opened.push(harness);
  harness.link.start(handler);
  return Object.assign(harness, { handler });
}

function shared(text: string): SharedBatch {
  return new SharedBatch(Buffer.from(text), true);
}

/** A compressed message as a client sends it. */
function compressed(payload: Frame, mark = true): Uint8Array {
  const opcode = typeof payload === 'string' ? OPCODES.text : OPCODES.binary;
  const data = deflateRawSync(payload, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
  return toFrame(opcode, data, { compressed: mark, mask: MASK });
}

describe.each([
  ['without context', false],
  ['with context', true],
])('sending %s', (_, context) => {
  test('compresses shared batches, and nothing that is a link’s own [COMP-4]', async () => {
    const { link, peer, until } = await start(context);
    link.sendShared(shared(TEXT));
    await until('the batch', () => peer.frames.length === 1);
    expect(peer.receivedBytes).toBeLessThan(TEXT.length / 10);
    const before = peer.receivedBytes;
    link.send(TEXT);
    await until('the own frame', () => peer.frames.length === 2);
    expect(peer.receivedBytes - before).toBeGreaterThan(TEXT.length);
    expect(peer.frames).toEqual([TEXT, TEXT]);
  });

  test('keeps the order of all that is sent', async () => {
    const { link, peer, until } = await start(context);
    const sent: string[] = [];
    for (let round = 0; round < 20; round += 1) {
      const batch = `${TEXT}${round}`;
      link.sendShared(shared(batch), round % 2 === 0);
      link.send(`own ${round}`);
      link.sendShared(shared(`small ${round}`));
      sent.push(batch, `own ${round}`, `small ${round}`);
    }
    link.close({ code: 'draining' });
    await until('the goodbye', () => peer.closes.length === 1);
    expect(peer.frames).toEqual(sent);
    expect(peer.closes[0]?.code).toBe(1001);
  });

  test('counts what waits for the peer as it is on the wire', async () => {
    const { link, peer, handler, rest, until } = await start(context);
    const random = seededRandom(1);
    peer.setReading(false);
    const batch = (): SharedBatch => new SharedBatch(random.bytes(256 * 1024), false);
    do {
      link.sendShared(batch());
      await rest();
    } while (link.pendingBytes === 0);
    const before = link.pendingBytes;
    link.sendShared(shared('a'.repeat(100_000)));
    expect(link.pendingBytes - before).toBeLessThan(500);
    link.requestDrain();
    peer.setReading(true);
    await until('a drain', () => handler.drains === 1);
    expect(link.pendingBytes).toBe(0);
  });
});

test('deflates a batch once for all links without context', async () => {
  const compression = new Compression(CONFIG);
  const batch = shared(TEXT);
  const links = await Promise.all(
    Array.from({ length: 3 }, () => Harness.open(silentLog, agree(compression))),
  );
  opened.push(...links);
  for (const { link } of links) {
    link.start(new Recorder());
    link.sendShared(batch);
  }
  const { framing } = agree(compression);
  const framed = batch.framed(framing);
  for (const { peer, until } of links) {
    await until('the batch', () => peer.frames.length === 1);
    expect(peer.receivedBytes).toBe(framed.length);
  }
  // The batch remembers the frame: it is not made again.
  expect(batch.framed(framing)).toBe(framed);
});

test('forgets what it sent while nothing more is sent, and goes on without it', async () => {
  const { link, peer, clock, rest, until } = await start(true);
  const sizes: number[] = [];
  const send = async (): Promise<void> => {
    const before = peer.receivedBytes;
    const count = peer.frames.length;
    link.sendShared(shared(TEXT));
    await until('the batch', () => peer.frames.length > count);
    sizes.push(peer.receivedBytes - before);
  };
  await send();
  await send();
  const { pingIntervalMs, pongMs } = WEBSOCKET_DEFAULTS;
  for (const [index, untilPingMs] of [pingIntervalMs, pingIntervalMs - pongMs].entries()) {
    clock.advance(untilPingMs + TICK_MS);
    await until('a ping', () => peer.pings.length === index + 1);
    peer.sendFrame(OPCODES.pong, Buffer.alloc(0));
    await rest();
    clock.advance(pongMs + TICK_MS);
  }
  await send();
  const [first = 0, second = 0, third = 0] = sizes;
  expect(second).toBeLessThan(first / 2);
  expect(third).toBe(first);
  expect(peer.frames).toEqual([TEXT, TEXT, TEXT]);
});

describe('receiving', () => {
  test('hands on what was compressed, text and bytes', async () => {
    const { peer, handler, until } = await start();
    peer.socket.write(compressed(TEXT));
    peer.socket.write(compressed(Buffer.from(TEXT)));
    await until('two frames', () => handler.frames.length === 2);
    expect(handler.frames).toEqual([TEXT, Buffer.from(TEXT)]);
  });

  test('refuses with 1002 what is marked as no message can be [COMP-3]', async () => {
    const { peer, handler, until } = await start();
    peer.socket.write(toFrame(OPCODES.ping, Buffer.alloc(0), { compressed: true, mask: MASK }));
    await until('the end', () => handler.closes.length === 1 || peer.closes.length === 1);
    expect(peer.closes[0]?.code).toBe(1002);
  });

  test('gives others their turn between messages that become much more than they are', async () => {
    const { peer, handler, clock, rest } = await start();
    const message = Buffer.alloc(200_000);
    const frames = Buffer.concat(Array.from({ length: 20 }, () => compressed(message)));
    expect(frames.length).toBeLessThan(16_384);
    await rest();
    peer.socket.write(frames);
    const steps: number[] = [];
    for (let looks = 0; handler.frames.length < 20 && looks < 10_000; looks += 1) {
      const before = handler.frames.length;
      // The end of a turn, then what the sockets have.
      clock.runDeferred();
      await nextTurn();
      steps.push(handler.frames.length - before);
    }
    // 200 KB are within the allowance of a turn, 400 KB are not.
    expect(new Set(steps)).toEqual(new Set([0, 2]));
    expect(handler.frames.every((frame) => frame.length === message.length)).toBe(true);
  });

  test('stays paused when the handler says so meanwhile, and resumes when it says so', async () => {
    const { link, peer, handler, rest, until } = await start();
    const message = Buffer.alloc(300_000);
    const frames = Buffer.concat(Array.from({ length: 4 }, () => compressed(message)));
    let pauses = true;
    handler.onFrame = (frame: Frame): void => {
      handler.frames.push(frame);
      if (pauses) link.setPaused(true);
    };
    peer.socket.write(frames);
    await until('a message', () => handler.frames.length === 1);
    await rest();
    expect(handler.frames).toHaveLength(1);
    link.setPaused(false);
    await until('another', () => handler.frames.length === 2);
    await rest();
    expect(handler.frames).toHaveLength(2);
    pauses = false;
    link.setPaused(false);
    await until('all', () => handler.frames.length === 4);
  });

  test('can be paused and resumed between the end of a read and its next turn', async () => {
    const { link, peer, handler, clock, rest, until } = await start();
    const frames = Buffer.concat(
      Array.from({ length: 4 }, () => compressed(Buffer.alloc(300_000))),
    );
    handler.onFrame = (frame: Frame): void => {
      handler.frames.push(frame);
      // Runs in the turn's end, while reading waits for it.
      if (handler.frames.length === 1) clock.defer(() => link.setPaused(true));
      if (handler.frames.length === 3) {
        clock.defer(() => {
          link.setPaused(true);
          link.setPaused(false);
        });
      }
    };
    peer.socket.write(frames);
    await until('a message', () => handler.frames.length === 1);
    await rest();
    expect(handler.frames).toHaveLength(1);
    link.setPaused(false);
    await until('all', () => handler.frames.length === 4);
  });

  test('inflates nothing after its own goodbye, and finds the peer’s', async () => {
    const { link, peer, handler, until } = await start();
    link.close({ code: 'draining' });
    peer.socket.write(compressed(Buffer.alloc(900_000)));
    // Would be refused if it were looked at.
    peer.socket.write(
      toFrame(OPCODES.text, Buffer.from('ff', 'hex'), { compressed: true, mask: MASK }),
    );
    peer.sendClose(1001);
    await until('the end', () => handler.closes.length === 1);
    expect(handler.closes).toEqual([{ code: 'draining' }]);
    expect(handler.frames).toEqual([]);
    expect(peer.closes).toHaveLength(1);
  });
});

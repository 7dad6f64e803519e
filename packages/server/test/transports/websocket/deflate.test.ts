import { inflateRawSync } from 'node:zlib';
import {
  DeflateContext,
  deflateFraming,
} from '@trunkline/server/internal/transports/websocket/deflate.ts';
import type { DeflateConfig } from '@trunkline/server/internal/transports/websocket/deflate.ts';
import { webSocketFraming } from '@trunkline/server/internal/transports/websocket/frames.ts';
import {
  ContextInflater,
  PlainInflater,
} from '@trunkline/server/internal/transports/websocket/inflate.ts';
import type { Inflater } from '@trunkline/server/internal/transports/websocket/receiver.ts';
import { seededRandom } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';
import { receive, RULES } from './recorder.ts';
import type { Received } from './recorder.ts';

const CONFIG: DeflateConfig = { context: true, contextBits: 12, payloadBytesMin: 100, level: 6 };

const TEXT = Buffer.from('{"price":17,"name":"κόσμε"},'.repeat(40));
const NOISE = Buffer.from(seededRandom(7).bytes(500));

/** Reads frames as a client does. */
function readBack(frames: Iterable<Uint8Array>, inflater: Inflater): Received[] {
  return receive(frames, { ...RULES, peerMasks: false, inflater });
}

/** Where the payload of a server's frame begins. */
function payloadOf(frame: Uint8Array): Uint8Array {
  return frame.subarray((frame[1] ?? 0) < 126 ? 2 : 4);
}

describe('deflateFraming', () => {
  const framing = deflateFraming(CONFIG, 15);

  test('marks a compressed message with RSV1 and takes the tail away', () => {
    const frame = framing.frame(TEXT, true);
    expect(frame[0]).toBe(0x80 | 0x40 | 0x1);
    expect(frame.length).toBeLessThan(TEXT.length / 10);
    const whole = Buffer.concat([payloadOf(frame), Buffer.from('0000ffff010000ffff', 'hex')]);
    expect(inflateRawSync(whole)).toEqual(TEXT);
  });

  test('gives back text and bytes as they were', () => {
    const frames = [framing.frame(TEXT, true), framing.frame(TEXT, false)];
    expect(readBack(frames, new PlainInflater())).toEqual([
      { text: TEXT.toString() },
      { binary: TEXT.toString('hex') },
    ]);
  });

  test('makes the same frame of the same payload, which refers to nothing before it', () => {
    const first = framing.frame(TEXT, true);
    framing.frame(Buffer.from('something else '.repeat(20)), true);
    expect(framing.frame(TEXT, true)).toEqual(first);
  });

  test('leaves alone what is small, and what would not become smaller', () => {
    for (const payload of [Buffer.alloc(0), Buffer.alloc(99, 'a'), NOISE]) {
      expect(framing.frame(payload, false)).toEqual(webSocketFraming.frame(payload, false));
    }
    expect(framing.frame(Buffer.alloc(100, 'a'), false)[0]).toBe(0x80 | 0x40 | 0x2);
  });

  test('refers no further back than the window', () => {
    const payload = Buffer.concat([NOISE, seededRandom(8).bytes(600), NOISE]);
    expect(deflateFraming(CONFIG, 15).frame(payload, false).length).toBeLessThan(1200);
    // Nothing within 2^9 bytes is repeated.
    const frame = deflateFraming(CONFIG, 9).frame(payload, false);
    expect(frame).toEqual(webSocketFraming.frame(payload, false));
  });
});

describe('DeflateContext', () => {
  test('refers to what was sent before', () => {
    const context = new DeflateContext(CONFIG, 12);
    const alone = context.frame(TEXT, true);
    const again = context.frame(TEXT, true);
    expect(again.length).toBeLessThan(alone.length / 2);
    expect(readBack([alone, again], new ContextInflater(12))).toEqual([
      { text: TEXT.toString() },
      { text: TEXT.toString() },
    ]);
  });

  test('does not refer to what the peer did not inflate', () => {
    const context = new DeflateContext(CONFIG, 12);
    const small = Buffer.from('{"price":17,"name":"κόσμε"}');
    const frames = [
      context.frame(small, true),
      context.frame(NOISE, false),
      context.frame(TEXT, true),
      context.frame(small, true),
      context.frame(Buffer.concat([TEXT, small]), true),
    ];
    expect(frames.map((frame) => (frame[0] ?? 0) & 0x40)).toEqual([0, 0, 0x40, 0, 0x40]);
    expect(readBack(frames, new ContextInflater(12))).toEqual([
      { text: small.toString() },
      { binary: NOISE.toString('hex') },
      { text: TEXT.toString() },
      { text: small.toString() },
      { text: `${TEXT.toString()}${small.toString()}` },
    ]);
  });

  test.each([9, 10, 12, 15])('stays within a window of 2^%i bytes', (windowBits) => {
    const random = seededRandom(windowBits);
    const context = new DeflateContext(CONFIG, windowBits);
    const inflater = new ContextInflater(windowBits);
    for (let round = 0; round < 200; round += 1) {
      const scraps = ['alpha ', 'beta ', 'gamma ', String(round)];
      let text = '';
      const size = random.integer(3000);
      while (text.length < size) text += random.pick(scraps);
      expect(readBack([context.frame(Buffer.from(text), true)], inflater)).toEqual([{ text }]);
    }
  });

  test('gives its memory back after a rest, and goes on', () => {
    const context = new DeflateContext(CONFIG, 12);
    const frames = [context.frame(TEXT, true)];
    context.rest();
    frames.push(context.frame(TEXT, true));
    context.rest(); // It was used since the last rest.
    frames.push(context.frame(TEXT, true));
    expect(frames[2]).toEqual(frames[1]);
    context.rest();
    context.rest();
    frames.push(context.frame(TEXT, true));
    expect(frames[3]).toEqual(frames[0]);
    expect(readBack(frames, new ContextInflater(12))).toHaveLength(4);
  });
});

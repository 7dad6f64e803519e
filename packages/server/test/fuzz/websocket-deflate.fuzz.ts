/**
 * Fuzz of the WebSocket receiver that inflates. Here's how it works:
 *
 * 1. A round makes a stream of messages, some of them compressed: with or without context, as one
 *    block, several blocks or blocks with a last one among them, and cut into fragments with
 *    control frames between. Some inflate to far more than the limit.
 * 2. Half of the streams are mutated, before or after the frames are made, so that both broken
 *    frames and broken deflate data inside of whole frames are met.
 * 3. The stream is read whole, byte by byte, in pieces, and with a stop after each message. All
 *    must say the same; nothing but events or a typed error may come out, and no message over the
 *    limit.
 * 4. A valid stream must give back the messages it was made of.
 */
import assert from 'node:assert/strict';
import { constants, deflateRawSync } from 'node:zlib';
import { OPCODES, toFrame } from '@trunkline/server/internal/transports/websocket/frames.ts';
import type { Opcode } from '@trunkline/server/internal/transports/websocket/frames.ts';
import {
  ContextInflater,
  PlainInflater,
} from '@trunkline/server/internal/transports/websocket/inflate.ts';
import type { ReceiverRules } from '@trunkline/server/internal/transports/websocket/receiver.ts';
import { seededRandom } from '@trunkline/testkit';
import type { SeededRandom } from '@trunkline/testkit';
import { bytewise, hex, receive } from '../transports/websocket/recorder.ts';
import type { Received } from '../transports/websocket/recorder.ts';

const MESSAGE_BYTES_MAX = 3000;
const LIMITS = { frameBytesMax: 4096, messageBytesMax: MESSAGE_BYTES_MAX, fragmentsMax: 8 };
const WORDS = ['price', 'name', 'κόσμε', '😀', '{"a":1}', ',', ' '];
const TAIL_SIZE = 4;

/** What is being made. */
interface Stream {
  readonly random: SeededRandom;
  readonly context: boolean;
  /** The sender's window. */
  window: Buffer;
  readonly frames: Uint8Array[];
  readonly expected: Received[];
  valid: boolean;
}

/** Throws when a receiver does anything but what the four points above say. */
export function fuzzWebSocketDeflate(seed: number, rounds: number): void {
  const random = seededRandom(seed);
  for (let round = 0; round < rounds; round += 1) {
    const one = random.fork();
    const stream = makeStream(one);
    const bytes = one.chance(0.75) ? Buffer.concat(stream.frames) : mutated(stream);
    const hint = `seed ${seed}, round ${round}: ${hex(bytes)}`;
    const read = (chunks: Iterable<Uint8Array>, goOn = true): Received[] =>
      receive(chunks, rulesFor(stream), goOn);
    const whole = read([bytes]);
    assert.deepEqual(read(bytewise(bytes)), whole, `byte by byte, ${hint}`);
    assert.deepEqual(read(pieces(one, bytes)), whole, `in pieces, ${hint}`);
    assert.deepEqual(read([bytes], false), whole, `with stops, ${hint}`);
    assert.ok(whole.every(isWithinLimit), `too large, ${hint}`);
    if (stream.valid) assert.deepEqual(whole, stream.expected, hint);
  }
}

function rulesFor({ context }: Stream): ReceiverRules {
  const inflater = context ? new ContextInflater(15) : new PlainInflater();
  return { ...LIMITS, peerMasks: true, inflater };
}

function isWithinLimit(received: Received): boolean {
  if ('text' in received) return Buffer.byteLength(received.text) <= MESSAGE_BYTES_MAX;
  return !('binary' in received) || received.binary.length <= MESSAGE_BYTES_MAX * 2;
}

function makeStream(random: SeededRandom): Stream {
  const stream: Stream = {
    random,
    context: random.chance(0.5),
    window: Buffer.alloc(0),
    frames: [],
    expected: [],
    valid: true,
  };
  for (let count = random.integer(5); count >= 0; count -= 1) addMessage(stream);
  return stream;
}

function addMessage(stream: Stream): void {
  const { random, expected } = stream;
  const text = random.chance(0.6);
  const payload = text ? makeText(random) : Buffer.from(random.bytes(random.integer(1500)));
  if (random.chance(0.2)) {
    addFrames(stream, text ? OPCODES.text : OPCODES.binary, payload, false);
  } else {
    let data = compress(stream, payload);
    if (random.chance(0.2)) {
      data = broken(random, data);
      stream.valid = false;
    }
    addFrames(stream, text ? OPCODES.text : OPCODES.binary, data, true);
  }
  if (payload.length > MESSAGE_BYTES_MAX) stream.valid = false;
  expected.push(text ? { text: payload.toString() } : { binary: hex(payload) });
}

/** The payload of a compressed message (RFC 7692 §7.2.1). */
function compress(stream: Stream, payload: Buffer): Buffer {
  const { random, context } = stream;
  const cut = random.chance(0.3) ? random.integer(payload.length + 1) : payload.length;
  const blocks: Buffer[] = [];
  let before = context ? stream.window : Buffer.alloc(0);
  for (const piece of [payload.subarray(0, cut), payload.subarray(cut)]) {
    const isLastBlock = piece.length !== payload.length && random.chance(0.3);
    blocks.push(
      deflateRawSync(piece, {
        level: random.integer(10),
        finishFlush: isLastBlock ? constants.Z_FINISH : constants.Z_SYNC_FLUSH,
        ...(before.length === 0 ? {} : { dictionary: before }),
      }),
    );
    before = Buffer.concat([before, piece]).subarray(-32_768);
    if (piece.length === payload.length) break;
  }
  stream.window = before;
  const data = Buffer.concat(blocks);
  // RFC 7692 §7.2.1: what does not end with the tail gets an empty block.
  const ends = data.subarray(-TAIL_SIZE).equals(Buffer.from('0000ffff', 'hex'));
  return ends ? data.subarray(0, -TAIL_SIZE) : Buffer.concat([data, Buffer.alloc(1)]);
}

function addFrames(stream: Stream, opcode: Opcode, payload: Buffer, compressed: boolean): void {
  const { random, frames, expected } = stream;
  // A message that does not fit says so in its head.
  if (payload.length > MESSAGE_BYTES_MAX) stream.valid = false;
  let next = opcode;
  let at = 0;
  for (let left = random.chance(0.5) ? 0 : random.integer(6); left > 0; left -= 1) {
    const end = at + random.integer(payload.length - at + 1);
    const isFirst = next === opcode;
    const options = { fin: false, compressed: compressed && isFirst, mask: maskOf(random) };
    frames.push(toFrame(next, payload.subarray(at, end), options));
    next = OPCODES.continuation;
    at = end;
    if (random.chance(0.3)) {
      frames.push(toFrame(OPCODES.ping, Buffer.from('hi'), { mask: maskOf(random) }));
      expected.push({ ping: hex(Buffer.from('hi')) });
    }
  }
  const isFirst = next === opcode;
  const options = { compressed: compressed && isFirst, mask: maskOf(random) };
  frames.push(toFrame(next, payload.subarray(at), options));
}

function makeText(random: SeededRandom): Buffer {
  if (random.chance(0.1)) return Buffer.alloc(2000 + random.integer(200_000), 'a');
  let text = '';
  const size = random.integer(random.chance(0.2) ? 2500 : 200);
  while (text.length < size) text += random.pick(WORDS);
  return Buffer.from(text);
}

function maskOf(random: SeededRandom): number {
  return random.integer(2 ** 32);
}

/** Whole frames of broken data, or broken frames. */
function mutated(stream: Stream): Buffer {
  stream.valid = false;
  return broken(stream.random, Buffer.concat(stream.frames));
}

function broken(random: SeededRandom, bytes: Buffer): Buffer {
  let changed = Buffer.from(bytes);
  for (let count = random.integer(3); count >= 0; count -= 1) {
    const at = random.integer(changed.length + 1);
    const kind = random.integer(4);
    if (kind === 0) changed = Buffer.concat([changed.subarray(0, at), changed.subarray(at + 1)]);
    else if (kind === 1) changed = changed.subarray(0, at);
    else if (kind === 2) changed = Buffer.concat([changed.subarray(0, at), random.bytes(3)]);
    else if (at < changed.length) changed[at] = (changed[at] ?? 0) ^ (1 << random.integer(8));
  }
  return changed;
}

function* pieces(random: SeededRandom, bytes: Uint8Array): Generator<Uint8Array> {
  const sizeMax = random.pick([2, 7, 60, 1000]);
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + 1 + random.integer(sizeMax));
    yield bytes.subarray(at, end);
    at = end;
  }
}

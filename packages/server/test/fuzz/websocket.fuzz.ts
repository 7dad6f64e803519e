/**
 * Fuzz of the WebSocket receiver. Here's how it works:
 *
 * 1. A round makes a stream of frames, most of them valid, cut into fragments and interleaved with
 *    control frames; some rounds are random bytes.
 * 2. Half of the streams are mutated: bytes flipped, removed, doubled, cut off.
 * 3. The stream is read whole, byte by byte, in random pieces, and with a stop after each message.
 *    All four must say the same, and nothing but events or a typed error may come out.
 * 4. A valid stream must give back the messages it was made of.
 */
import assert from 'node:assert/strict';
import {
  closePayload,
  OPCODES,
  toFrame,
} from '@trunkline/server/internal/transports/websocket/frames.ts';
import type { Opcode } from '@trunkline/server/internal/transports/websocket/frames.ts';
import type { ReceiverRules } from '@trunkline/server/internal/transports/websocket/receiver.ts';
import { seededRandom } from '@trunkline/testkit';
import type { SeededRandom } from '@trunkline/testkit';
import { bytewise, hex, receive } from '../transports/websocket/recorder.ts';
import type { Received } from '../transports/websocket/recorder.ts';

/** Small limits, so that streams meet them. */
const LIMITS = { frameBytesMax: 2048, messageBytesMax: 3000, fragmentsMax: 8 };

/** Sizes around the borders of the length forms and of the two ways to unmask. */
const SIZES = [0, 1, 2, 3, 5, 125, 126, 127, 191, 192, 193, 500, 1023, 1024, 1025];

const SCRAPS = ['a', 'ß', '€', '😀', '\u0000', '\uFFFD', '\uFEFF', 'line\n', '\u{10FFFF}'];

interface Stream {
  readonly bytes: Uint8Array;
  /** What must come out; absent when the stream was broken on purpose. */
  readonly expected?: readonly Received[];
}

/** Throws when a receiver does anything but what the four points above say. */
export function fuzzWebSocketReceiver(seed: number, rounds: number): void {
  const random = seededRandom(seed);
  for (let round = 0; round < rounds; round += 1) {
    const one = random.fork();
    const rules: ReceiverRules = { ...LIMITS, peerMasks: one.chance(0.8) };
    const stream = makeStream(one, rules.peerMasks);
    const whole = receive([stream.bytes], rules);
    const hint = `seed ${seed}, round ${round}: ${hex(stream.bytes)}`;
    assert.deepEqual(receive(bytewise(stream.bytes), rules), whole, `byte by byte, ${hint}`);
    assert.deepEqual(receive(pieces(one, stream.bytes), rules), whole, `in pieces, ${hint}`);
    assert.deepEqual(receive([stream.bytes], rules, false), whole, `with stops, ${hint}`);
    if (stream.expected !== undefined) assert.deepEqual(whole, stream.expected, hint);
  }
}

function makeStream(random: SeededRandom, masked: boolean): Stream {
  if (random.chance(0.15)) return { bytes: random.bytes(random.integer(64)) };
  const frames: Uint8Array[] = [];
  const expected: Received[] = [];
  for (let count = random.integer(6); count >= 0; count -= 1) {
    addMessage(random, masked, frames, expected);
  }
  if (random.chance(0.3)) {
    const reason = random.pick(SCRAPS);
    frames.push(toFrame(OPCODES.close, closePayload(1000, reason), maskOf(random, masked)));
    expected.push({ close: 1000, reason });
  }
  const bytes = Buffer.concat(frames);
  return random.chance(0.5) ? { bytes, expected } : { bytes: mutate(random, bytes) };
}

function addMessage(
  random: SeededRandom,
  masked: boolean,
  frames: Uint8Array[],
  expected: Received[],
): void {
  const text = random.chance(0.5);
  const payload = text ? Buffer.from(makeText(random)) : random.bytes(random.pick(SIZES));
  const cuts = random.chance(0.5) ? 0 : random.integer(6);
  let opcode: Opcode = text ? OPCODES.text : OPCODES.binary;
  let at = 0;
  for (let left = cuts; left > 0; left -= 1) {
    const end = at + random.integer(payload.length - at + 1);
    const options = { fin: false, ...maskOf(random, masked) };
    frames.push(toFrame(opcode, payload.subarray(at, end), options));
    opcode = OPCODES.continuation;
    at = end;
    if (random.chance(0.4)) addControl(random, masked, frames, expected);
  }
  frames.push(toFrame(opcode, payload.subarray(at), maskOf(random, masked)));
  expected.push(text ? { text: Buffer.from(payload).toString() } : { binary: hex(payload) });
  if (random.chance(0.2)) addControl(random, masked, frames, expected);
}

function addControl(
  random: SeededRandom,
  masked: boolean,
  frames: Uint8Array[],
  expected: Received[],
): void {
  const payload = random.bytes(random.integer(126));
  const ping = random.chance(0.5);
  frames.push(toFrame(ping ? OPCODES.ping : OPCODES.pong, payload, maskOf(random, masked)));
  expected.push(ping ? { ping: hex(payload) } : { pong: hex(payload) });
}

function makeText(random: SeededRandom): string {
  let text = '';
  const count = random.integer(random.chance(0.2) ? 300 : 20);
  while (text.length < count) text += random.pick(SCRAPS);
  return text;
}

function maskOf(random: SeededRandom, masked: boolean): { mask?: number } {
  return masked ? { mask: random.integer(2 ** 32) } : {};
}

function mutate(random: SeededRandom, bytes: Uint8Array): Uint8Array {
  let mutated = Buffer.from(bytes);
  for (let count = random.integer(4); count >= 0; count -= 1) {
    const at = random.integer(mutated.length + 1);
    const to = Math.min(mutated.length, at + random.integer(8));
    const kind = random.integer(5);
    if (kind === 0 && at < mutated.length) mutated[at] = random.integer(256);
    else if (kind === 1 && at < mutated.length)
      mutated[at] = (mutated[at] ?? 0) ^ (1 << random.integer(8));
    else if (kind === 2) mutated = Buffer.concat([mutated.subarray(0, at), mutated.subarray(to)]);
    else if (kind === 3) mutated = Buffer.concat([mutated.subarray(0, to), mutated.subarray(at)]);
    else mutated = mutated.subarray(0, at);
  }
  return mutated;
}

function* pieces(random: SeededRandom, bytes: Uint8Array): Generator<Uint8Array> {
  const sizeMax = random.pick([2, 7, 60, 1000]);
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + 1 + random.integer(sizeMax));
    yield bytes.subarray(at, end);
    at = end;
  }
}

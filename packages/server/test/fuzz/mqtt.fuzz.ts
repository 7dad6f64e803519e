/**
 * Fuzz of the MQTT codec. Here's how it works:
 *
 * 1. A round makes packets of one version and one sender, behind a CONNECT where it is a client, and
 *    encodes them; some rounds are random bytes.
 * 2. Half of the streams are mutated: bytes flipped, removed, doubled, cut off.
 * 3. The stream is read whole, byte by byte and in random pieces. All three must say the same, nothing
 *    but packets and an `MqttError` may come out, and no more than a packet is ever kept.
 * 4. A valid stream must give back the packets it was made of; what is read from any stream must be
 *    the same after it was written and read again.
 */
import assert from 'node:assert/strict';
import { PacketDecoder } from '@trunkline/server/internal/protocols/mqtt/codec/decoder.ts';
import { encode, packetSize } from '@trunkline/server/internal/protocols/mqtt/codec/encode.ts';
import type {
  Packet,
  Side,
  Version,
} from '@trunkline/server/internal/protocols/mqtt/codec/packets.ts';
import { seededRandom } from '@trunkline/testkit';
import type { SeededRandom } from '@trunkline/testkit';
import { makeConnect, makePacket } from '../protocols/mqtt/codec/random-packets.ts';
import { bytewise, decodeAll, toPlain } from '../protocols/mqtt/codec/vectors.ts';
import type { PlainPacket } from '../protocols/mqtt/codec/vectors.ts';

const PACKET_SIZE_MAX = 4096;

interface Stream {
  readonly version: Version;
  readonly from: Side;
  readonly bytes: Uint8Array;
  /** What must come out; absent when the stream was broken on purpose. */
  readonly expected?: readonly PlainPacket[];
}

interface Outcome {
  readonly packets: readonly PlainPacket[];
  readonly fault?: string;
  readonly version: Version | undefined;
}

/** Throws when the codec does anything but what the four points above say. */
export function fuzzMqtt(seed: number, rounds: number): void {
  const random = seededRandom(seed);
  for (let round = 0; round < rounds; round += 1) {
    const one = random.fork();
    const stream = makeStream(one);
    const hint = `seed ${seed}, round ${round}: ${Buffer.from(stream.bytes).toString('hex')}`;
    const whole = read(stream, [stream.bytes], hint);
    assert.deepEqual(read(stream, bytewise(stream.bytes), hint), whole, `byte by byte, ${hint}`);
    const cut = pieces(one, stream.bytes);
    assert.deepEqual(read(stream, cut, hint), whole, `in pieces, ${hint}`);
    if (stream.expected !== undefined) {
      assert.deepEqual(whole, { packets: stream.expected, version: stream.version }, hint);
    }
  }
}

function read(stream: Stream, chunks: Iterable<Uint8Array>, hint: string): Outcome {
  const { from, version } = stream;
  const decoder = new PacketDecoder(
    from === 'client'
      ? { packetSizeMax: PACKET_SIZE_MAX }
      : { packetSizeMax: PACKET_SIZE_MAX, from, version },
  );
  const { packets, fault } = decodeAll(decoder, watched(decoder, chunks, hint));
  for (const packet of packets) checkMirror(packet, decoder.version ?? version, from, hint);
  const plain = packets.map(toPlain);
  if (fault === undefined) return { packets: plain, version: decoder.version };
  const { reason, clause, message } = fault;
  return { packets: plain, fault: `${reason} ${clause} ${message}`, version: decoder.version };
}

/** Looks at what is kept between chunks. */
function* watched(
  decoder: PacketDecoder,
  chunks: Iterable<Uint8Array>,
  hint: string,
): Generator<Uint8Array> {
  for (const chunk of chunks) {
    yield chunk;
    assert.ok(decoder.bufferedBytes < PACKET_SIZE_MAX, `kept too much, ${hint}`);
    if (decoder.isIdle) assert.equal(decoder.bufferedBytes, 0, `kept without need, ${hint}`);
  }
}

function checkMirror(packet: Packet, version: Version, from: Side, hint: string): void {
  const bytes = encode(packet, version);
  assert.equal(bytes.length, packetSize(packet, version), `size, ${hint}`);
  // A longer form may be read than is written, never the other way round.
  const packetSizeMax = PACKET_SIZE_MAX;
  const decoder =
    packet.kind === 'connect'
      ? new PacketDecoder({ packetSizeMax })
      : new PacketDecoder({ packetSizeMax, from, version });
  const again = decodeAll(decoder, [bytes]);
  assert.deepEqual(again.packets.map(toPlain), [toPlain(packet)], `mirror, ${hint}`);
}

function makeStream(random: SeededRandom): Stream {
  const version = random.pick([4, 5] as const);
  const from = random.pick(['client', 'server'] as const);
  if (random.chance(0.1)) return { version, from, bytes: random.bytes(random.integer(64)) };
  const packets: Packet[] = from === 'client' ? [makeConnect(random, version)] : [];
  for (let left = random.integer(6); left > 0; left -= 1) {
    packets.push(makePacket(random, version, from));
  }
  const frames = packets.map((packet) => encode(packet, version));
  const bytes = Buffer.concat(frames);
  if (random.chance(0.5)) return { version, from, bytes: mutate(random, bytes) };
  if (packets.length === 0) return { version, from, bytes };
  return { version, from, bytes, expected: packets.map(toPlain) };
}

function mutate(random: SeededRandom, bytes: Uint8Array): Uint8Array {
  let mutated = Buffer.from(bytes);
  for (let count = random.integer(3); count >= 0; count -= 1) {
    const at = random.integer(mutated.length + 1);
    const to = Math.min(mutated.length, at + random.integer(6));
    const kind = random.integer(6);
    if (kind === 0 && at < mutated.length) mutated[at] = random.integer(256);
    else if (kind === 1 && at < mutated.length)
      mutated[at] = (mutated[at] ?? 0) ^ (1 << random.integer(8));
    // Small numbers are what sizes and property identifiers are made of.
    else if (kind === 2 && at < mutated.length) mutated[at] = random.integer(0x2c);
    else if (kind === 3) mutated = Buffer.concat([mutated.subarray(0, at), mutated.subarray(to)]);
    else if (kind === 4) mutated = Buffer.concat([mutated.subarray(0, to), mutated.subarray(at)]);
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

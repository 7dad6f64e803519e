/**
 * Head: the fixed header of a packet (3.1.1 and 5.0 §2.1 and §2.2), of which everything that can be
 * refused is refused before the body has come.
 */
import { fail } from './faults.ts';
import type { PacketKind, Side, Version } from './packets.ts';
import { VARINT_SIZE_MAX } from './reader.ts';

/** Bytes of the longest fixed header. */
export const HEAD_SIZE_MAX = 1 + VARINT_SIZE_MAX;

/** What decides which packets may come. */
export interface HeadRules {
  readonly packetSizeMax: number;
  readonly from: Side;
  /** `undefined` until CONNECT has come, which then is the only packet that may. */
  readonly version: Version | undefined;
}

interface PacketType {
  readonly kind: PacketKind;
  readonly from: Side | 'both';
  /** The only flags it may have; `undefined` where they mean something. */
  readonly flags?: number;
  /** The only remaining length it may have in 3.1.1, and in 5.0. */
  readonly length4?: number;
  readonly length5?: number;
}

/** By number, from 1 on. */
const TYPES: readonly PacketType[] = [
  { kind: 'connect', from: 'client', flags: 0 },
  { kind: 'connack', from: 'server', flags: 0, length4: 2 },
  { kind: 'publish', from: 'both' },
  { kind: 'puback', from: 'both', flags: 0, length4: 2 },
  { kind: 'pubrec', from: 'both', flags: 0, length4: 2 },
  { kind: 'pubrel', from: 'both', flags: 2, length4: 2 },
  { kind: 'pubcomp', from: 'both', flags: 0, length4: 2 },
  { kind: 'subscribe', from: 'client', flags: 2 },
  { kind: 'suback', from: 'server', flags: 0 },
  { kind: 'unsubscribe', from: 'client', flags: 2 },
  { kind: 'unsuback', from: 'server', flags: 0, length4: 2 },
  { kind: 'pingreq', from: 'client', flags: 0, length4: 0, length5: 0 },
  { kind: 'pingresp', from: 'server', flags: 0, length4: 0, length5: 0 },
  { kind: 'disconnect', from: 'both', flags: 0, length4: 0 },
  { kind: 'auth', from: 'both', flags: 0 },
];

const BY_KIND = Object.fromEntries(
  TYPES.map((type, index) => [
    type.kind,
    { ...type, first: ((index + 1) << 4) | (type.flags ?? 0) },
  ]),
) as Record<PacketKind, PacketType & { readonly first: number }>;

/** What often comes to a wrong port, by its first byte; HTTP by GET, HEAD, OPTIONS, POST and PUT. */
const STRANGERS: ReadonlyMap<number, string> = new Map([
  [0x16, '; perhaps a TLS handshake, for which there is a port of its own'],
  ...Array.from('GHOP', (letter) => [letter.charCodeAt(0), '; perhaps HTTP'] as const),
]);

/** The first byte of a packet, for PUBLISH without its flags. */
export function firstByte(kind: PacketKind): number {
  return BY_KIND[kind].first;
}

/**
 * Judges the first byte.
 *
 * @throws {MqttError} when no packet that may come now begins with it.
 */
export function readKind(first: number, rules: HeadRules): PacketKind {
  const { version, from } = rules;
  const type = TYPES[(first >> 4) - 1];
  if (type === undefined || (type.kind === 'auth' && version === 4)) {
    return fail(version, 'reservedType', `packet type ${first >> 4} is reserved`);
  }
  const { kind } = type;
  const stranger = version === undefined ? (STRANGERS.get(first) ?? '') : '';
  if (version === undefined && kind !== 'connect') {
    fail(version, 'notConnect', `the first packet must be a CONNECT, got ${kind}${stranger}`);
  }
  if (version !== undefined && kind === 'connect') {
    fail(version, 'secondConnect', 'a connection has one CONNECT');
  }
  // The server's DISCONNECT is new in 5.0.
  const sender = kind === 'disconnect' && version === 4 ? 'client' : type.from;
  if (sender !== 'both' && sender !== from) {
    fail(version, 'wrongSender', `${kind} is not for a ${from} to send`);
  }
  const flags = first & 0x0f;
  if (type.flags === undefined) checkPublishFlags(flags, version);
  else if (flags !== type.flags) {
    fail(version, 'flags', `the flags of ${kind} must be ${type.flags}, got ${flags}${stranger}`);
  }
  return kind;
}

function checkPublishFlags(flags: number, version: Version | undefined): void {
  const qos = (flags >> 1) & 3;
  if (qos === 3) fail(version, 'publishQos', 'a PUBLISH must have QoS 0, 1 or 2, got 3');
  if (qos === 0 && flags >= 8) fail(version, 'dupQos0', 'a PUBLISH of QoS 0 has no duplicates');
}

/** What the fixed header says, its first byte judged. */
export interface Head {
  readonly kind: PacketKind;
  /** Bytes of the header itself. */
  readonly headSize: number;
  /** The remaining length. */
  readonly length: number;
}

/** Judges the remaining length. @throws {MqttError} when this packet, or any, may not have it. */
export function checkLength({ kind, headSize, length }: Head, rules: HeadRules): void {
  const { version, packetSizeMax } = rules;
  const size = headSize + length;
  if (size > packetSizeMax) {
    fail(version, 'tooLarge', `expected packets of at most ${packetSizeMax} bytes, got ${size}`);
  }
  const { length4, length5 } = BY_KIND[kind];
  const expected = version === 4 ? length4 : length5;
  if (expected === undefined || length === expected) return;
  const message = `the remaining length of ${kind} must be ${expected}, got ${length}`;
  fail(version, 'remainingLength', message);
}

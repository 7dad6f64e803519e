/** The vectors of `spec/vectors/mqtt-*.json`, whose format its README describes, as packets. */
import { readFileSync } from 'node:fs';
import { PacketDecoder } from '@trunkline/server/internal/protocols/mqtt/codec/decoder.ts';
import { MqttError } from '@trunkline/server/internal/protocols/mqtt/codec/faults.ts';
import type {
  Packet,
  Side,
  Version,
} from '@trunkline/server/internal/protocols/mqtt/codec/packets.ts';

type Parts = string | (string | { readonly repeat: string; readonly times: number })[];

/** A packet as it stands in a vector: bytes in hexadecimal, and no properties where there are none. */
export type PlainPacket = Readonly<Record<string, unknown>>;

interface Row {
  readonly name: string;
  readonly clause: string;
  readonly sender?: Side;
  /** True for what comes first on a connection. */
  readonly opening?: boolean;
  readonly packetSizeMax?: number;
  readonly bytes: Parts;
}

/** Bytes and the packet they are. */
export interface PacketRow extends Row {
  readonly packet: PlainPacket;
  /** True when writing the packet gives a shorter form, or another order. */
  readonly readOnly?: boolean;
}

/** Bytes that are refused. */
export interface FaultRow extends Row {
  readonly reason: string;
  /** The version to answer in, where a case is about that. */
  readonly answer?: Version;
}

/** One file of vectors. */
export interface MqttVectors {
  readonly packets: readonly PacketRow[];
  readonly faults: readonly FaultRow[];
}

/** Reads the vectors of a version. */
export function readVectors(version: Version): MqttVectors {
  const file = `../../../../../../spec/vectors/mqtt-v${version}.json`;
  return JSON.parse(readFileSync(new URL(file, import.meta.url), 'utf8')) as MqttVectors;
}

/** The bytes of a row. */
export function bytesOf(row: Row): Buffer {
  const parts = typeof row.bytes === 'string' ? [row.bytes] : row.bytes;
  const hex = parts.map((one) => (typeof one === 'string' ? one : one.repeat.repeat(one.times)));
  return Buffer.from(hex.join(''), 'hex');
}

/** A decoder in the place that the row is about. */
export function decoderFor(version: Version, row: Row): PacketDecoder {
  const { packetSizeMax = 1_048_576 } = row;
  if (row.opening === true) return new PacketDecoder({ packetSizeMax });
  return new PacketDecoder({ packetSizeMax, from: row.sender ?? 'client', version });
}

/** What a decoder made of some chunks: packets, and the fault that ended it if there was one. */
export interface Decoded {
  readonly packets: readonly Packet[];
  readonly fault?: MqttError;
}

/** Pushes chunks, each in memory of its own. Throws what is no `MqttError`. */
export function decodeAll(decoder: PacketDecoder, chunks: Iterable<Uint8Array>): Decoded {
  const packets: Packet[] = [];
  try {
    for (const chunk of chunks) {
      for (const packet of decoder.push(Uint8Array.from(chunk))) packets.push(packet);
    }
  } catch (error) {
    if (error instanceof MqttError) return { packets, fault: error };
    throw error;
  }
  return { packets };
}

/** Each byte by itself. */
export function* bytewise(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 1) yield bytes.subarray(at, at + 1);
}

/** A packet as it would stand in a vector. */
export function toPlain(packet: Packet): PlainPacket {
  return plainMembers(packet);
}

function plainMembers(value: object): PlainPacket {
  const members = Object.entries(value).flatMap(([name, member]: [string, unknown]) => {
    if (member instanceof Uint8Array) return [[name, Buffer.from(member).toString('hex')]];
    if (typeof member !== 'object' || member === null || Array.isArray(member)) {
      return [[name, member]];
    }
    const inner = plainMembers(member);
    return name === 'properties' && Object.keys(inner).length === 0 ? [] : [[name, inner]];
  });
  return Object.fromEntries(members) as PlainPacket;
}

const BYTES = new Set(['payload', 'password', 'correlationData', 'authenticationData']);
/** Kinds that have no properties in either version. */
const PINGS = new Set(['pingreq', 'pingresp']);

/** The packet that stands in a vector, as an application would make it. */
export function fromPlain(plain: PlainPacket): Packet {
  const properties = PINGS.has(String(plain['kind'])) ? {} : { properties: {} };
  return { ...properties, ...packetMembers(plain) } as Packet;
}

function packetMembers(plain: PlainPacket): object {
  const members = Object.entries(plain).map(([name, member]) => {
    if (BYTES.has(name)) return [name, Uint8Array.from(Buffer.from(String(member), 'hex'))];
    if (name === 'properties') return [name, packetMembers(member as PlainPacket)];
    if (name === 'will') return [name, { properties: {}, ...packetMembers(member as PlainPacket) }];
    return [name, member];
  });
  return Object.fromEntries(members) as object;
}

/**
 * Encode: packets to bytes, sized before they are written. What a version lacks is left out: reasons
 * and properties in 3.1.1; and in 5.0 where they say nothing.
 */
import { ackSize, authSize, disconnectSize, writeAck, writeAuth, writeDisconnect } from './acks.ts';
import { connackSize, connectSize, writeConnack, writeConnect } from './connect.ts';
import { firstByte } from './head.ts';
import type { Packet, Version } from './packets.ts';
import { publishFlags, publishSize, writePublish } from './publish.ts';
import {
  subackSize,
  subscribeSize,
  unsubackSize,
  unsubscribeSize,
  writeSuback,
  writeSubscribe,
  writeUnsuback,
  writeUnsubscribe,
} from './subscribe.ts';
import { VARINT_MAX, varintSize, Writer } from './writer.ts';

/**
 * The bytes of a packet.
 *
 * @throws {RangeError} when a value does not fit the wire: a text over 65,535 bytes or with U+0000, a
 *   number out of range, a packet identifier 0.
 */
export function encode(packet: Packet, version: Version): Buffer<ArrayBuffer> {
  const size = bodySize(packet, version);
  const writer = new Writer(1 + varintSize(size) + size);
  const flags = packet.kind === 'publish' ? publishFlags(packet) : 0;
  writer.byte(firstByte(packet.kind) | flags);
  writer.varint(size);
  writeBody(writer, packet, version);
  return writer.finish();
}

/** How many bytes `encode` would make, to be held against the peer's `Maximum Packet Size`. */
export function packetSize(packet: Packet, version: Version): number {
  const size = bodySize(packet, version);
  return 1 + varintSize(size) + size;
}

/**
 * The bytes of a packet in at most so many: what only explains is left out where it makes the packet too
 * large ([MQTT-3.1.2-24]). `undefined` for one that is too large without that too.
 */
export function encodeWithin(
  packet: Packet,
  version: Version,
  sizeMax: number,
): Buffer<ArrayBuffer> | undefined {
  const isSmall = sizeMax === Number.POSITIVE_INFINITY || packetSize(packet, version) <= sizeMax;
  if (isSmall) return encode(packet, version);
  const bare = withoutReasons(packet);
  return packetSize(bare, version) > sizeMax ? undefined : encode(bare, version);
}

function withoutReasons(packet: Packet): Packet {
  if (!('properties' in packet)) return packet;
  const properties: Record<string, unknown> = { ...packet.properties };
  delete properties['reasonString'];
  delete properties['userProperties'];
  return { ...packet, properties };
}

function bodySize(packet: Packet, version: Version): number {
  const size = sizeOf(packet, version);
  if (size > VARINT_MAX)
    throw new RangeError(`a packet of ${size} bytes, at most ${VARINT_MAX} fit`);
  return size;
}

function sizeOf(packet: Packet, version: Version): number {
  switch (packet.kind) {
    case 'publish':
      return publishSize(packet, version);
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      return ackSize(packet, version);
    case 'connect':
      return connectSize(packet);
    case 'connack':
      return connackSize(packet, version);
    case 'subscribe':
      return subscribeSize(packet, version);
    case 'suback':
      return subackSize(packet, version);
    case 'unsubscribe':
      return unsubscribeSize(packet, version);
    case 'unsuback':
      return unsubackSize(packet, version);
    case 'disconnect':
      return disconnectSize(packet, version);
    case 'auth':
      return authSize(packet);
    case 'pingreq':
    case 'pingresp':
      return 0;
  }
}

function writeBody(writer: Writer, packet: Packet, version: Version): void {
  switch (packet.kind) {
    case 'publish':
      return writePublish(writer, packet, version);
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      return writeAck(writer, packet, version);
    case 'connect':
      return writeConnect(writer, packet);
    case 'connack':
      return writeConnack(writer, packet, version);
    case 'subscribe':
      return writeSubscribe(writer, packet, version);
    case 'suback':
      return writeSuback(writer, packet, version);
    case 'unsubscribe':
      return writeUnsubscribe(writer, packet, version);
    case 'unsuback':
      return writeUnsuback(writer, packet, version);
    case 'disconnect':
      return writeDisconnect(writer, packet, version);
    case 'auth':
      return writeAuth(writer, packet);
    case 'pingreq':
    case 'pingresp':
      return undefined;
  }
}

/** Decode: the body of a packet, by its kind. Pure; what is left over is the caller's to judge. */
import { readAck, readAuth, readDisconnect } from './acks.ts';
import { readConnack, readConnect } from './connect.ts';
import type { Packet, PacketKind, Side } from './packets.ts';
import { readPublish } from './publish.ts';
import type { Reader } from './reader.ts';
import { readSuback, readSubscribe, readUnsuback, readUnsubscribe } from './subscribe.ts';

/**
 * Reads the body of a packet.
 *
 * @param flags those of the fixed header, checked before.
 * @throws {MqttError} when it is malformed or says what it may not.
 */
export function decodeBody(kind: PacketKind, flags: number, reader: Reader, from: Side): Packet {
  switch (kind) {
    case 'publish':
      return readPublish(reader, flags, from);
    case 'puback':
      return readAck(reader, 'puback');
    case 'pubrec':
      return readAck(reader, 'pubrec');
    case 'pubrel':
      return readAck(reader, 'pubrel');
    case 'pubcomp':
      return readAck(reader, 'pubcomp');
    case 'connect':
      return readConnect(reader);
    case 'connack':
      return readConnack(reader);
    case 'subscribe':
      return readSubscribe(reader);
    case 'suback':
      return readSuback(reader);
    case 'unsubscribe':
      return readUnsubscribe(reader);
    case 'unsuback':
      return readUnsuback(reader);
    case 'disconnect':
      return readDisconnect(reader, from);
    case 'auth':
      return readAuth(reader, from);
    case 'pingreq':
    case 'pingresp':
      return { kind };
  }
}

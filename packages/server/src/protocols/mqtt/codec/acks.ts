/**
 * PUBACK, PUBREC, PUBREL, PUBCOMP (3.1.1 and 5.0 §3.4 to §3.7), DISCONNECT (§3.14) and AUTH (5.0
 * §3.15): a reason and properties, both of which may be left out.
 */
import type { Ack, Auth, Disconnect, Side, Version } from './packets.ts';
import { isEmpty, readProperties, sectionSize, writeSection } from './properties.ts';
import { NO_PROPERTIES } from './property-table.ts';
import type { PropertiesOf } from './property-table.ts';
import type { Reader } from './reader.ts';
import { ALLOWED_REASONS, REASONS } from './reasons.ts';
import type { Writer } from './writer.ts';

/** The kinds that acknowledge by a packet identifier. */
export type AckKind = 'puback' | 'pubrec' | 'pubrel' | 'pubcomp';

/** Reads the body of one of the four. */
export function readAck<Kind extends AckKind>(reader: Reader, kind: Kind): Ack<Kind> {
  const packetId = reader.uint16('the packet identifier');
  if (packetId === 0) reader.fail('ackPacketId', 'a packet identifier must not be 0');
  // 5.0 §3.4.2.1: success may be left out, and the size of the properties where there are none.
  if (reader.version !== 5 || reader.left === 0) {
    return { kind, packetId, reason: REASONS.success, properties: NO_PROPERTIES };
  }
  const reason = reader.reason(ALLOWED_REASONS[kind], kind);
  return { kind, packetId, reason, properties: readLast(reader, kind) };
}

function readLast<Owner extends AckKind | 'disconnect'>(
  reader: Reader,
  owner: Owner,
): PropertiesOf<Owner> {
  return reader.left === 0 ? NO_PROPERTIES : readProperties(reader, owner);
}

/** Bytes of the body. */
export function ackSize(packet: Ack<AckKind>, version: Version): number {
  return 2 + endSize(packet.kind, packet, version);
}

/** Writes the body as sized by `ackSize`. */
export function writeAck(writer: Writer, packet: Ack<AckKind>, version: Version): void {
  writer.packetId(packet.packetId);
  writeEnd(writer, packet.kind, packet, version);
}

/** Reads the body of a DISCONNECT. */
export function readDisconnect(reader: Reader, from: Side): Disconnect {
  if (reader.version !== 5 || reader.left === 0) {
    return { kind: 'disconnect', reason: REASONS.success, properties: NO_PROPERTIES };
  }
  const { clientDisconnect, serverDisconnect } = ALLOWED_REASONS;
  const allowed = from === 'client' ? clientDisconnect : serverDisconnect;
  const reason = reader.reason(allowed, 'disconnect');
  const properties = readLast(reader, 'disconnect');
  if (from === 'server' && properties.sessionExpiryInterval !== undefined) {
    reader.fail('sessionExpiry', 'a server must not change the session expiry');
  }
  return { kind: 'disconnect', reason, properties };
}

/** Bytes of the body. */
export function disconnectSize(packet: Disconnect, version: Version): number {
  return endSize('disconnect', packet, version);
}

/** Writes the body as sized by `disconnectSize`. */
export function writeDisconnect(writer: Writer, packet: Disconnect, version: Version): void {
  writeEnd(writer, 'disconnect', packet, version);
}

/** Reads the body of an AUTH. */
export function readAuth(reader: Reader, from: Side): Auth {
  // 5.0 §3.15.2.1 gives success a form without anything, though a method has to be there.
  if (from === 'server' && reader.left === 0) {
    return { kind: 'auth', reason: REASONS.success, properties: NO_PROPERTIES };
  }
  const { clientAuth, serverAuth } = ALLOWED_REASONS;
  const reason = reader.reason(from === 'client' ? clientAuth : serverAuth, 'auth');
  const properties = readProperties(reader, 'auth');
  if (properties.authenticationMethod === undefined) {
    reader.fail('authenticationMethod', 'an AUTH must name its authentication method');
  }
  return { kind: 'auth', reason, properties };
}

/** Bytes of the body. */
export function authSize({ reason, properties }: Auth): number {
  const bare = reason === REASONS.success && isEmpty(properties);
  return bare ? 0 : 1 + sectionSize('auth', properties);
}

/** Writes the body as sized by `authSize`. */
export function writeAuth(writer: Writer, { reason, properties }: Auth): void {
  if (reason === REASONS.success && isEmpty(properties)) return;
  writer.byte(reason);
  writeSection(writer, 'auth', properties);
}

interface End<Owner extends AckKind | 'disconnect'> {
  readonly reason: number;
  readonly properties: PropertiesOf<Owner>;
}

function endSize<Owner extends AckKind | 'disconnect'>(
  owner: Owner,
  { reason, properties }: End<Owner>,
  version: Version,
): number {
  if (version !== 5) return 0;
  if (isEmpty(properties)) return reason === REASONS.success ? 0 : 1;
  return 1 + sectionSize(owner, properties);
}

function writeEnd<Owner extends AckKind | 'disconnect'>(
  writer: Writer,
  owner: Owner,
  { reason, properties }: End<Owner>,
  version: Version,
): void {
  if (version !== 5) return;
  const bare = isEmpty(properties);
  if (bare && reason === REASONS.success) return;
  writer.byte(reason);
  if (!bare) writeSection(writer, owner, properties);
}

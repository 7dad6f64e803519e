/** CONNECT and CONNACK (3.1.1 and 5.0 §3.1 and §3.2). */
import type { Connack, Connect, Qos, Version, Will } from './packets.ts';
import { readProperties, sectionSize, writeSection } from './properties.ts';
import { NO_PROPERTIES } from './property-table.ts';
import type { PropertiesOf } from './property-table.ts';
import { checkResponseTopic } from './publish.ts';
import type { Reader } from './reader.ts';
import { ALLOWED_REASONS, ALLOWED_RETURN_CODES } from './reasons.ts';
import { hasWildcard } from './topics.ts';
import { binarySize, textSize } from './writer.ts';
import type { Writer } from './writer.ts';

const PROTOCOL_NAME = 'MQTT';
/** MQTT 3.1, which is another protocol with the same CONNACK. */
const OLD_PROTOCOL_NAME = 'MQIsdp';

/** Bits of the connect flags. */
const RESERVED = 0x01;
const CLEAN_START = 0x02;
const WILL = 0x04;
const WILL_QOS_SHIFT = 3;
const WILL_QOS = 0x18;
const WILL_RETAIN = 0x20;
const PASSWORD = 0x40;
const USER_NAME = 0x80;

/** A bridge of mosquitto sets it in the level, and comes again without when it is refused. */
const BRIDGE = 0x80;

const SESSION_PRESENT = 0x01;

/**
 * Reads the body of a CONNECT, and tells the reader the version as soon as it is known, so that even a
 * bad CONNECT gets an answer in the client's words.
 */
export function readConnect(reader: Reader): Connect {
  const version = readVersion(reader);
  const flags = reader.byte('the connect flags');
  checkFlags(reader, flags, version);
  const keepAlive = reader.uint16('the keep alive');
  const properties = version === 5 ? readProperties(reader, 'connect') : NO_PROPERTIES;
  checkAuthentication(reader, properties);
  const clientId = reader.text('the client identifier');
  const cleanStart = (flags & CLEAN_START) !== 0;
  if (version === 4 && clientId === '' && !cleanStart) {
    reader.fail('emptyClientId', 'a client without an identifier must begin a clean session');
  }
  const will = (flags & WILL) === 0 ? undefined : readWill(reader, flags, version);
  const userName = (flags & USER_NAME) === 0 ? undefined : reader.text('the user name');
  const password = (flags & PASSWORD) === 0 ? undefined : reader.binary('the password');
  return {
    kind: 'connect',
    version,
    clientId,
    cleanStart,
    keepAlive,
    ...(will === undefined ? {} : { will }),
    ...(userName === undefined ? {} : { userName }),
    ...(password === undefined ? {} : { password }),
    properties,
  };
}

function readVersion(reader: Reader): Version {
  const name = reader.text('the protocol name');
  if (name !== PROTOCOL_NAME && name !== OLD_PROTOCOL_NAME) {
    reader.fail('protocolName', `the protocol name must be ${PROTOCOL_NAME}`);
  }
  const level = reader.byte('the protocol level');
  // The answer to a level that is not served takes the form that the client understands.
  reader.version = name === PROTOCOL_NAME && (level & ~BRIDGE) >= 5 ? 5 : 4;
  if (name === PROTOCOL_NAME && (level === 4 || level === 5)) return level;
  return reader.fail('protocolLevel', `the protocol level must be 4 or 5, got ${level} (${name})`);
}

function checkFlags(reader: Reader, flags: number, version: Version): void {
  if ((flags & RESERVED) !== 0) {
    reader.fail('connectFlags', 'the reserved bit of the connect flags must be 0');
  }
  const qos = (flags & WILL_QOS) >> WILL_QOS_SHIFT;
  if (qos === 3) reader.fail('willQos', 'the QoS of a will must be 0, 1 or 2, got 3');
  if ((flags & WILL) === 0) {
    if (qos !== 0) reader.fail('absentWillQos', 'without a will its QoS must be 0');
    if ((flags & WILL_RETAIN) !== 0) {
      reader.fail('absentWillRetain', 'without a will its retain flag must be 0');
    }
  }
  // 5.0 allows it, for tokens.
  if (version === 4 && (flags & USER_NAME) === 0 && (flags & PASSWORD) !== 0) {
    reader.fail('passwordAlone', 'a password must come with a user name');
  }
}

function checkAuthentication(reader: Reader, properties: PropertiesOf<'connect'>): void {
  const { authenticationData, authenticationMethod } = properties;
  if (authenticationData === undefined || authenticationMethod !== undefined) return;
  reader.fail('authenticationData', 'authentication data must come with a method');
}

function readWill(reader: Reader, flags: number, version: Version): Will {
  const properties = version === 5 ? readProperties(reader, 'will') : NO_PROPERTIES;
  checkResponseTopic(reader, properties.responseTopic);
  const topic = reader.text('the will topic');
  if (topic === '') reader.fail('emptyName', 'the will topic must have at least one character');
  if (hasWildcard(topic)) reader.fail('wildcardInWill', 'the will topic must hold no wildcard');
  return {
    topic,
    payload: reader.binary('the will message'),
    qos: ((flags & WILL_QOS) >> WILL_QOS_SHIFT) as Qos,
    retain: (flags & WILL_RETAIN) !== 0,
    properties,
  };
}

/** Bytes of the body; the packet's own version counts. */
export function connectSize(packet: Connect): number {
  const { version, will, userName, password } = packet;
  // The name, the level, the flags and the keep alive.
  let size = textSize(PROTOCOL_NAME) + 4;
  if (version === 5) size += sectionSize('connect', packet.properties);
  size += textSize(packet.clientId);
  if (will !== undefined) {
    if (version === 5) size += sectionSize('will', will.properties);
    size += textSize(will.topic) + binarySize(will.payload);
  }
  if (userName !== undefined) size += textSize(userName);
  if (password !== undefined) size += binarySize(password);
  return size;
}

/** Writes the body as sized by `connectSize`. */
export function writeConnect(writer: Writer, packet: Connect): void {
  const { version, will, userName, password } = packet;
  writer.text(PROTOCOL_NAME);
  writer.byte(version);
  writer.byte(connectFlags(packet));
  writer.uint16(packet.keepAlive);
  if (version === 5) writeSection(writer, 'connect', packet.properties);
  writer.text(packet.clientId);
  if (will !== undefined) {
    if (version === 5) writeSection(writer, 'will', will.properties);
    writer.text(will.topic);
    writer.binary(will.payload);
  }
  if (userName !== undefined) writer.text(userName);
  if (password !== undefined) writer.binary(password);
}

function connectFlags({ cleanStart, will, userName, password }: Connect): number {
  let flags = cleanStart ? CLEAN_START : 0;
  if (will !== undefined) {
    flags |= WILL | (will.qos << WILL_QOS_SHIFT) | (will.retain ? WILL_RETAIN : 0);
  }
  if (password !== undefined) flags |= PASSWORD;
  if (userName !== undefined) flags |= USER_NAME;
  return flags;
}

/** Reads the body of a CONNACK. */
export function readConnack(reader: Reader): Connack {
  const flags = reader.byte('the connect acknowledge flags');
  if ((flags & ~SESSION_PRESENT) !== 0) {
    reader.fail('connackFlags', 'the reserved bits of the acknowledge flags must be 0');
  }
  const sessionPresent = flags === SESSION_PRESENT;
  const allowed = reader.version === 5 ? ALLOWED_REASONS.connack : ALLOWED_RETURN_CODES.connack;
  const reason = reader.reason(allowed, 'connack');
  if (sessionPresent && reason !== 0) {
    reader.fail('refusedSession', 'a refusal must not say that a session is present');
  }
  const properties = reader.version === 5 ? readProperties(reader, 'connack') : NO_PROPERTIES;
  return { kind: 'connack', sessionPresent, reason, properties };
}

/** Bytes of the body. */
export function connackSize(packet: Connack, version: Version): number {
  return version === 5 ? 2 + sectionSize('connack', packet.properties) : 2;
}

/** Writes the body as sized by `connackSize`. */
export function writeConnack(writer: Writer, packet: Connack, version: Version): void {
  writer.byte(packet.sessionPresent ? SESSION_PRESENT : 0);
  writer.byte(packet.reason);
  if (version === 5) writeSection(writer, 'connack', packet.properties);
}

/** PUBLISH (3.1.1 and 5.0 §3.3). Frames that many receivers share are made in `publish-frame.ts`. */
import { isUtf8 } from 'node:buffer';
import type { Publish, Qos, Side, Version, Will } from './packets.ts';
import { readProperties, sectionSize, writeSection } from './properties.ts';
import { NO_PROPERTIES } from './property-table.ts';
import type { Reader } from './reader.ts';
import { hasWildcard } from './topics.ts';
import { textSize } from './writer.ts';
import type { Writer } from './writer.ts';

const RETAIN = 0x01;
const QOS_SHIFT = 1;
const QOS = 0x06;
const DUP = 0x08;

/** Reads the body of a PUBLISH. `flags` are those of the fixed header, checked before. */
export function readPublish(reader: Reader, flags: number, from: Side): Publish {
  const topic = reader.text('the topic name');
  if (hasWildcard(topic)) reader.fail('wildcardInName', 'a topic name must hold no wildcard');
  const qos = ((flags & QOS) >> QOS_SHIFT) as Qos;
  const packetId = qos === 0 ? 0 : readPacketId(reader, from);
  const properties = reader.version === 5 ? readProperties(reader, 'publish') : NO_PROPERTIES;
  if (properties !== NO_PROPERTIES) {
    checkResponseTopic(reader, properties.responseTopic);
    if (from === 'client' && properties.subscriptionIdentifiers !== undefined) {
      reader.fail('clientSubscriptionId', 'a client must not send subscription identifiers');
    }
  }
  if (topic === '' && properties.topicAlias === undefined) failWithoutTopic(reader);
  return {
    kind: 'publish',
    topic,
    payload: reader.rest(),
    qos,
    retain: (flags & RETAIN) !== 0,
    dup: (flags & DUP) !== 0,
    packetId,
    properties,
  };
}

function failWithoutTopic(reader: Reader): never {
  if (reader.version === 5) return reader.fail('noTopic', 'expected a topic name or an alias');
  return reader.fail('emptyName', 'a topic name must have at least one character');
}

function readPacketId(reader: Reader, from: Side): number {
  const packetId = reader.uint16('the packet identifier');
  if (packetId === 0) {
    const fault = from === 'client' ? 'packetId' : 'sentPacketId';
    reader.fail(fault, 'a packet identifier must not be 0');
  }
  return packetId;
}

/** Refuses what can't be the topic of an answer. */
export function checkResponseTopic(reader: Reader, topic: string | undefined): void {
  if (topic === undefined || (topic !== '' && !hasWildcard(topic))) return;
  reader.fail('responseTopic', 'a response topic must be a topic name without wildcards');
}

/**
 * True unless the payload, or that of a will, claims to be UTF-8 and is not. A receiver may look
 * (5.0 §3.3.2.3.2), and answers with the reason 0x99 then.
 */
export function hasValidPayload({ payload, properties }: Publish | Will): boolean {
  return properties.payloadFormatIndicator !== 1 || isUtf8(payload);
}

/** The flags of a PUBLISH in the fixed header. */
export function publishFlags(packet: {
  readonly qos: Qos;
  readonly retain: boolean;
  readonly dup: boolean;
}): number {
  const { qos, retain, dup } = packet;
  // [MQTT-3.3.1-2]: with QoS 0 nothing is a duplicate.
  return (dup && qos !== 0 ? DUP : 0) | (qos << QOS_SHIFT) | (retain ? RETAIN : 0);
}

/** Bytes of the body. */
export function publishSize(packet: Publish, version: Version): number {
  const { topic, qos, payload, properties } = packet;
  const idSize = qos === 0 ? 0 : 2;
  const section = version === 5 ? sectionSize('publish', properties) : 0;
  return textSize(topic) + idSize + section + payload.length;
}

/** Writes the body as sized by `publishSize`. */
export function writePublish(writer: Writer, packet: Publish, version: Version): void {
  writer.text(packet.topic);
  if (packet.qos !== 0) writer.packetId(packet.packetId);
  if (version === 5) writeSection(writer, 'publish', packet.properties);
  writer.bytes(packet.payload);
}

/** SUBSCRIBE, SUBACK, UNSUBSCRIBE and UNSUBACK (3.1.1 and 5.0 §3.8 to §3.11). */
import type {
  Qos,
  Suback,
  Subscribe,
  Subscription,
  Unsuback,
  Unsubscribe,
  Version,
} from './packets.ts';
import { readProperties, sectionSize, writeSection } from './properties.ts';
import { NO_PROPERTIES } from './property-table.ts';
import type { Reader } from './reader.ts';
import { ALLOWED_REASONS, ALLOWED_RETURN_CODES } from './reasons.ts';
import type { AllowedReasons } from './reasons.ts';
import { filterFault, isShared, sharedFilterFault } from './topics.ts';
import { textSize } from './writer.ts';
import type { Writer } from './writer.ts';

/** Filters, or reasons, that one packet may have; a client with more asks in several packets. */
export const FILTERS_MAX = 1000;

/** Bits of the subscription options. All but the QoS are new in 5.0. */
const QOS = 0x03;
const NO_LOCAL = 0x04;
const RETAIN_AS_PUBLISHED = 0x08;
const RETAIN_HANDLING_SHIFT = 4;
const RETAIN_HANDLING = 0x30;
const RESERVED_4 = 0xfc;
const RESERVED_5 = 0xc0;

/** Reads the body of a SUBSCRIBE. */
export function readSubscribe(reader: Reader): Subscribe {
  const packetId = readPacketId(reader);
  const properties = reader.version === 5 ? readProperties(reader, 'subscribe') : NO_PROPERTIES;
  const subscriptions: Subscription[] = [];
  while (reader.left > 0) {
    checkCount(reader, subscriptions.length);
    subscriptions.push(readSubscription(reader));
  }
  if (subscriptions.length === 0) {
    reader.fail('noSubscriptions', 'a SUBSCRIBE must have at least one topic filter');
  }
  return { kind: 'subscribe', packetId, subscriptions, properties };
}

function readSubscription(reader: Reader): Subscription {
  const filter = readFilter(reader);
  const options = reader.byte('the subscription options');
  const reserved = reader.version === 5 ? RESERVED_5 : RESERVED_4;
  if ((options & reserved) !== 0) {
    reader.fail('subscriptionOptions', 'the reserved bits of subscription options must be 0');
  }
  const qos = options & QOS;
  if (qos === 3) reader.fail('subscriptionQos', 'a subscription must have QoS 0, 1 or 2, got 3');
  const retainHandling = (options & RETAIN_HANDLING) >> RETAIN_HANDLING_SHIFT;
  if (retainHandling === 3) {
    reader.fail('retainHandling', 'the retain handling must be 0, 1 or 2, got 3');
  }
  const noLocal = (options & NO_LOCAL) !== 0;
  if (noLocal && isShared(filter)) {
    reader.fail('sharedNoLocal', 'a shared subscription must not be "no local"');
  }
  return {
    filter,
    qos: qos as Qos,
    noLocal,
    retainAsPublished: (options & RETAIN_AS_PUBLISHED) !== 0,
    retainHandling: retainHandling as Subscription['retainHandling'],
  };
}

/** In 3.1.1 `$share/` has no meaning, and what follows it is read like any filter. */
function readFilter(reader: Reader): string {
  const filter = reader.text('a topic filter');
  const found = reader.version === 5 ? sharedFilterFault(filter) : filterFault(filter);
  if (found !== undefined) reader.fail(found.fault, found.message);
  return filter;
}

/** Bytes of the body. */
export function subscribeSize(packet: Subscribe, version: Version): number {
  let size = 2 + (version === 5 ? sectionSize('subscribe', packet.properties) : 0);
  for (const { filter } of packet.subscriptions) size += textSize(filter) + 1;
  return size;
}

/** Writes the body as sized by `subscribeSize`. */
export function writeSubscribe(writer: Writer, packet: Subscribe, version: Version): void {
  writer.packetId(packet.packetId);
  if (version === 5) writeSection(writer, 'subscribe', packet.properties);
  for (const one of packet.subscriptions) {
    writer.text(one.filter);
    writer.byte(version === 5 ? optionsOf(one) : one.qos);
  }
}

function optionsOf(one: Subscription): number {
  const local = one.noLocal ? NO_LOCAL : 0;
  const retain = one.retainAsPublished ? RETAIN_AS_PUBLISHED : 0;
  return one.qos | local | retain | (one.retainHandling << RETAIN_HANDLING_SHIFT);
}

/** Reads the body of an UNSUBSCRIBE. */
export function readUnsubscribe(reader: Reader): Unsubscribe {
  const packetId = readPacketId(reader);
  const properties = reader.version === 5 ? readProperties(reader, 'unsubscribe') : NO_PROPERTIES;
  const filters: string[] = [];
  while (reader.left > 0) {
    checkCount(reader, filters.length);
    filters.push(readFilter(reader));
  }
  if (filters.length === 0) {
    reader.fail('noFilters', 'an UNSUBSCRIBE must have at least one topic filter');
  }
  return { kind: 'unsubscribe', packetId, filters, properties };
}

/** Bytes of the body. */
export function unsubscribeSize(packet: Unsubscribe, version: Version): number {
  let size = 2 + (version === 5 ? sectionSize('unsubscribe', packet.properties) : 0);
  for (const filter of packet.filters) size += textSize(filter);
  return size;
}

/** Writes the body as sized by `unsubscribeSize`. */
export function writeUnsubscribe(writer: Writer, packet: Unsubscribe, version: Version): void {
  writer.packetId(packet.packetId);
  if (version === 5) writeSection(writer, 'unsubscribe', packet.properties);
  for (const filter of packet.filters) writer.text(filter);
}

/** Reads the body of a SUBACK. */
export function readSuback(reader: Reader): Suback {
  const packetId = readAckedId(reader);
  const is5 = reader.version === 5;
  const properties = is5 ? readProperties(reader, 'suback') : NO_PROPERTIES;
  const allowed = is5 ? ALLOWED_REASONS.suback : ALLOWED_RETURN_CODES.suback;
  return { kind: 'suback', packetId, reasons: readReasons(reader, allowed, 'suback'), properties };
}

/** Bytes of the body. */
export function subackSize(packet: Suback, version: Version): number {
  const section = version === 5 ? sectionSize('suback', packet.properties) : 0;
  return 2 + section + packet.reasons.length;
}

/** Writes the body as sized by `subackSize`. */
export function writeSuback(writer: Writer, packet: Suback, version: Version): void {
  writer.packetId(packet.packetId);
  if (version === 5) writeSection(writer, 'suback', packet.properties);
  for (const reason of packet.reasons) writer.byte(reason);
}

/** Reads the body of an UNSUBACK. */
export function readUnsuback(reader: Reader): Unsuback {
  const packetId = readAckedId(reader);
  if (reader.version !== 5) {
    return { kind: 'unsuback', packetId, reasons: [], properties: NO_PROPERTIES };
  }
  const properties = readProperties(reader, 'unsuback');
  const reasons = readReasons(reader, ALLOWED_REASONS.unsuback, 'unsuback');
  return { kind: 'unsuback', packetId, reasons, properties };
}

/** Bytes of the body. */
export function unsubackSize(packet: Unsuback, version: Version): number {
  if (version !== 5) return 2;
  return 2 + sectionSize('unsuback', packet.properties) + packet.reasons.length;
}

/** Writes the body as sized by `unsubackSize`. */
export function writeUnsuback(writer: Writer, packet: Unsuback, version: Version): void {
  writer.packetId(packet.packetId);
  if (version !== 5) return;
  writeSection(writer, 'unsuback', packet.properties);
  for (const reason of packet.reasons) writer.byte(reason);
}

function readPacketId(reader: Reader): number {
  const packetId = reader.uint16('the packet identifier');
  if (packetId === 0) reader.fail('packetId', 'a packet identifier must not be 0');
  return packetId;
}

function readAckedId(reader: Reader): number {
  const packetId = reader.uint16('the packet identifier');
  if (packetId === 0) reader.fail('subackPacketId', 'a packet identifier must not be 0');
  return packetId;
}

function readReasons(reader: Reader, allowed: AllowedReasons, packet: string): number[] {
  const reasons: number[] = [];
  do {
    checkCount(reader, reasons.length);
    reasons.push(reader.reason(allowed, packet));
  } while (reader.left > 0);
  return reasons;
}

function checkCount(reader: Reader, count: number): void {
  if (count < FILTERS_MAX) return;
  reader.fail('tooMany', `expected at most ${FILTERS_MAX} topic filters in a packet`);
}

/**
 * PublishFrame: a PUBLISH that many receivers share. Its bytes are made once for each version, QoS and
 * set of properties; what differs between receivers is put into copies of them.
 *
 * 1. The packet identifier has a fixed place, so that a copy is patched there.
 * 2. What one receiver alone is told, as subscription identifiers, changes sizes in front of it: such
 *    a receiver gets a head of its own, then the shared tail.
 */
import { firstByte } from './head.ts';
import type { Qos, Version } from './packets.ts';
import { isEmpty, propertiesSize, writeProperties } from './properties.ts';
import type { PropertiesOf } from './property-table.ts';
import { publishFlags } from './publish.ts';
import { textSize, VARINT_MAX, varintSize, Writer } from './writer.ts';

/** What all receivers of a frame are told. */
export interface SharedPublish {
  readonly version: Version;
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: Qos;
  readonly retain: boolean;
  /** From `publishProperties`; left out in 3.1.1. */
  readonly properties?: Uint8Array;
}

/** The shared bytes of a PUBLISH. Nobody changes them: who patches does it in a copy. */
export interface PublishFrame {
  readonly shared: SharedPublish;
  readonly bytes: Uint8Array;
  /** Where the packet identifier stands, two bytes of 0 here; -1 with QoS 0, which has none. */
  readonly idAt: number;
  /** Where the properties begin, behind their size, with the payload after them. */
  readonly tailAt: number;
}

/** Frames one after the other, to be copied as one. */
export interface PublishRun {
  readonly bytes: Uint8Array;
  /** Where each packet identifier stands; frames with QoS 0 have none. */
  readonly idsAt: readonly number[];
}

const NO_BYTES = new Uint8Array(0);

/** The bytes of properties, to be shared by frames of each QoS. */
export function publishProperties(properties: PropertiesOf<'publish'>): Uint8Array {
  if (isEmpty(properties)) return NO_BYTES;
  const writer = new Writer(propertiesSize('publish', properties));
  writeProperties(writer, 'publish', properties);
  return writer.finish();
}

/** Makes the shared bytes. @throws {RangeError} when a value does not fit the wire. */
export function publishFrame(shared: SharedPublish): PublishFrame {
  const { topic, payload } = shared;
  const layout = layOut(shared, topic, NO_BYTES);
  const writer = new Writer(layout.headSize + layout.tailSize);
  const idAt = writeHead(writer, shared, layout, { topic, dup: false, packetId: 0, own: NO_BYTES });
  const tailAt = writer.at;
  writer.bytes(propertiesOf(shared));
  writer.bytes(payload);
  return { shared, bytes: writer.finish(), idAt, tailAt };
}

/** What one receiver alone is told. */
export interface OwnPublish {
  readonly dup?: boolean;
  /** 0 with QoS 0. */
  readonly packetId: number;
  /** From `publishProperties`, of other kinds than the frame's: alias, subscription identifiers. */
  readonly properties?: Uint8Array;
  /** True when an alias among the properties names the topic, which is left out then. */
  readonly aliased?: boolean;
}

/** A head for one receiver alone; what follows it are the frame's `bytes` from `tailAt` on. */
export function ownHead(frame: PublishFrame, own: OwnPublish): Uint8Array {
  const { shared } = frame;
  const { dup = false, packetId, properties = NO_BYTES, aliased = false } = own;
  if ((packetId === 0) !== (shared.qos === 0)) {
    throw new RangeError(`QoS ${shared.qos} does not go with the packet identifier ${packetId}`);
  }
  if (shared.version === 4 && (aliased || properties.length > 0)) {
    throw new RangeError('MQTT 3.1.1 has neither properties nor aliases');
  }
  const topic = aliased ? '' : shared.topic;
  const layout = layOut(shared, topic, properties);
  const writer = new Writer(layout.headSize);
  writeHead(writer, shared, layout, { topic, dup, packetId, own: properties });
  return writer.finish();
}

/** Puts frames one after the other, for receivers who get all of them. */
export function joinFrames(frames: readonly PublishFrame[]): PublishRun {
  const [first] = frames;
  if (first !== undefined && frames.length === 1) {
    return { bytes: first.bytes, idsAt: first.idAt < 0 ? [] : [first.idAt] };
  }
  const bytes = Buffer.allocUnsafe(frames.reduce((size, frame) => size + frame.bytes.length, 0));
  const idsAt: number[] = [];
  let at = 0;
  for (const frame of frames) {
    bytes.set(frame.bytes, at);
    if (frame.idAt >= 0) idsAt.push(at + frame.idAt);
    at += frame.bytes.length;
  }
  return { bytes, idsAt };
}

/**
 * Copies a run for one receiver, with its packet identifiers in the order of the frames that have one.
 *
 * @param into memory with room for the whole run at `at`.
 * @returns where the copy ends.
 */
export function copyRun(
  run: PublishRun,
  into: Uint8Array,
  at: number,
  packetIds: readonly number[],
): number {
  if (packetIds.length !== run.idsAt.length) {
    throw new RangeError(
      `expected ${run.idsAt.length} packet identifiers, got ${packetIds.length}`,
    );
  }
  into.set(run.bytes, at);
  for (let index = 0; index < packetIds.length; index += 1) {
    patchPacketId(into, at + (run.idsAt[index] ?? 0), packetIds[index] ?? 0);
  }
  return at + run.bytes.length;
}

/** Puts a packet identifier into a copy. Two writes, nothing is encoded. */
export function patchPacketId(bytes: Uint8Array, at: number, packetId: number): void {
  if (!(packetId >= 1 && packetId <= 0xffff && Number.isInteger(packetId))) {
    throw new RangeError(`a packet identifier is from 1 to 65,535, got ${packetId}`);
  }
  bytes[at] = packetId >>> 8;
  bytes[at + 1] = packetId;
}

interface Layout {
  /** Bytes in front of the shared tail. */
  readonly headSize: number;
  readonly tailSize: number;
  readonly bodySize: number;
  /** Bytes of all properties, own and shared. */
  readonly propertiesSize: number;
}

function layOut(shared: SharedPublish, topic: string, own: Uint8Array): Layout {
  const { version, qos, payload } = shared;
  const common = propertiesOf(shared).length;
  const size = own.length + common;
  const section = version === 5 ? varintSize(size) + own.length : 0;
  const variableSize = textSize(topic) + (qos === 0 ? 0 : 2) + section;
  const tailSize = common + payload.length;
  const bodySize = variableSize + tailSize;
  if (bodySize > VARINT_MAX) {
    throw new RangeError(`a packet of ${bodySize} bytes, at most ${VARINT_MAX} fit`);
  }
  const headSize = 1 + varintSize(bodySize) + variableSize;
  return { headSize, tailSize, bodySize, propertiesSize: size };
}

interface Head {
  readonly topic: string;
  readonly dup: boolean;
  /** 0 is left to be patched. */
  readonly packetId: number;
  readonly own: Uint8Array;
}

/** @returns where the packet identifier stands, or -1. */
function writeHead(writer: Writer, shared: SharedPublish, layout: Layout, head: Head): number {
  const { version, qos, retain } = shared;
  writer.byte(firstByte('publish') | publishFlags({ qos, retain, dup: head.dup }));
  writer.varint(layout.bodySize);
  writer.text(head.topic);
  const idAt = qos === 0 ? -1 : writer.at;
  if (qos !== 0) writer.uint16(head.packetId);
  if (version === 5) {
    writer.varint(layout.propertiesSize);
    writer.bytes(head.own);
  }
  return idAt;
}

function propertiesOf({ version, properties }: SharedPublish): Uint8Array {
  return version === 5 && properties !== undefined ? properties : NO_BYTES;
}

/**
 * KeptValue: one payload and what is said of it, as the value of a state record.
 *
 *     byte 0      version of this format, 1 or 2
 *     4 bytes     size of the header, big endian
 *     4 bytes     size of the attributes, big endian; only in version 2
 *     header      JSON: everything but the attributes and the payload
 *     attributes  only in version 2
 *     the rest    the payload, as it was published
 *
 * Version 2 is written only where there are attributes, so that nodes of an earlier version read
 * everything else. A value that can't be read was written by another version of the server: it is as
 * if there were none.
 */
import type { Position, Sender } from '@trunkline/wire';

/** What a state store takes (`broker/state.ts`). */
const STATE_VALUE_SIZE_MAX = 1024 * 1024;

const FORMAT = 1;
const PREFIX_SIZE = 5;

/** The same with attributes. */
const FORMAT_ATTRIBUTES = 2;
const PREFIX_ATTRIBUTES_SIZE = 9;

/** What is said of a payload that is kept. */
export interface KeptHeader {
  /** Absent where the channel has no log. */
  readonly position?: Position;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly contentType?: string;
  readonly event?: string;
  readonly from?: Sender;
  /** Milliseconds since 1970 from which on it is not given any more. */
  readonly expiresAt?: number;
  /** There is nothing any more: only the place is kept, to know what is later. */
  readonly cleared?: true;
}

/** A payload and what is said of it. */
export interface KeptValue extends KeptHeader {
  readonly payload: Uint8Array;
  readonly attributes?: Uint8Array;
}

/** All of a value but what depends on the moment, and the payload. */
export type KeptContent = Omit<KeptValue, 'position' | 'time' | 'expiresAt' | 'payload'>;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Writes a value. @throws {RangeError} when it is larger than a state record may be. */
export function encodeKept({ payload, attributes, ...header }: KeptValue): Uint8Array {
  const json = encoder.encode(JSON.stringify(header));
  const size = besideSize(json, attributes) + payload.length;
  if (size > STATE_VALUE_SIZE_MAX) {
    throw new RangeError(`a kept value has at most ${STATE_VALUE_SIZE_MAX} bytes, got ${size}`);
  }
  const value = new Uint8Array(size);
  const view = new DataView(value.buffer);
  view.setUint8(0, attributes === undefined ? FORMAT : FORMAT_ATTRIBUTES);
  view.setUint32(1, json.length);
  if (attributes === undefined) {
    value.set(json, PREFIX_SIZE);
  } else {
    view.setUint32(PREFIX_SIZE, attributes.length);
    value.set(json, PREFIX_ATTRIBUTES_SIZE);
    value.set(attributes, PREFIX_ATTRIBUTES_SIZE + json.length);
  }
  value.set(payload, size - payload.length);
  return value;
}

/** Payload bytes that fit beside the rest, whatever place and time it will have. */
export function payloadSizeMax({ attributes, ...header }: KeptContent): number {
  const largest: KeptHeader = {
    ...header,
    position: { epoch: 'x'.repeat(32), offset: Number.MAX_SAFE_INTEGER },
    time: Number.MAX_SAFE_INTEGER,
    expiresAt: Number.MAX_SAFE_INTEGER,
  };
  const json = encoder.encode(JSON.stringify(largest));
  return STATE_VALUE_SIZE_MAX - besideSize(json, attributes);
}

/** Bytes of a value beside its payload. */
function besideSize(json: Uint8Array, attributes: Uint8Array | undefined): number {
  if (attributes === undefined) return PREFIX_SIZE + json.length;
  return PREFIX_ATTRIBUTES_SIZE + json.length + attributes.length;
}

/** Reads a value; `undefined` when it is of another format. What it holds shares its memory. */
export function decodeKept(value: Uint8Array): KeptValue | undefined {
  const isPlain = value[0] === FORMAT;
  if (!isPlain && value[0] !== FORMAT_ATTRIBUTES) return undefined;
  const start = isPlain ? PREFIX_SIZE : PREFIX_ATTRIBUTES_SIZE;
  if (value.length < start) return undefined;
  const view = new DataView(value.buffer, value.byteOffset);
  const headerEnd = start + view.getUint32(1);
  const end = isPlain ? headerEnd : headerEnd + view.getUint32(PREFIX_SIZE);
  if (end > value.length) return undefined;
  try {
    const header = JSON.parse(decoder.decode(value.subarray(start, headerEnd))) as KeptHeader;
    const kept = { ...header, payload: value.subarray(end) };
    return isPlain ? kept : { ...kept, attributes: value.subarray(headerEnd, end) };
  } catch {
    return undefined;
  }
}

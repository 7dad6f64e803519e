/**
 * KeptValue: one payload and what is said of it, as the value of a state record.
 *
 *     byte 0      version of this format, 1
 *     bytes 1–4   size of the header, big endian
 *     header      JSON: everything but the payload
 *     the rest    the payload, as it was published
 *
 * A value that can't be read was written by another version of the server: it is as if there were
 * none.
 */
import type { Position, Sender } from '@trunkline/wire';

/** What a state store takes (`broker/state.ts`). */
const STATE_VALUE_SIZE_MAX = 1024 * 1024;

const FORMAT = 1;
const PREFIX_SIZE = 5;

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
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Writes a value. @throws {RangeError} when it is larger than a state record may be. */
export function encodeKept({ payload, ...header }: KeptValue): Uint8Array {
  const json = encoder.encode(JSON.stringify(header));
  const size = PREFIX_SIZE + json.length + payload.length;
  if (size > STATE_VALUE_SIZE_MAX) {
    throw new RangeError(`a kept value has at most ${STATE_VALUE_SIZE_MAX} bytes, got ${size}`);
  }
  const value = new Uint8Array(size);
  value[0] = FORMAT;
  new DataView(value.buffer).setUint32(1, json.length);
  value.set(json, PREFIX_SIZE);
  value.set(payload, PREFIX_SIZE + json.length);
  return value;
}

/** Payload bytes that fit beside a header, whatever place and time it will have. */
export function payloadSizeMax(
  header: Omit<KeptHeader, 'position' | 'time' | 'expiresAt'>,
): number {
  const largest: KeptHeader = {
    ...header,
    position: { epoch: 'x'.repeat(32), offset: Number.MAX_SAFE_INTEGER },
    time: Number.MAX_SAFE_INTEGER,
    expiresAt: Number.MAX_SAFE_INTEGER,
  };
  return STATE_VALUE_SIZE_MAX - PREFIX_SIZE - encoder.encode(JSON.stringify(largest)).length;
}

/** Reads a value; `undefined` when it is of another format. The payload shares its memory. */
export function decodeKept(value: Uint8Array): KeptValue | undefined {
  if (value[0] !== FORMAT || value.length < PREFIX_SIZE) return undefined;
  const headerSize = new DataView(value.buffer, value.byteOffset).getUint32(1);
  const end = PREFIX_SIZE + headerSize;
  if (end > value.length) return undefined;
  try {
    const header = JSON.parse(decoder.decode(value.subarray(PREFIX_SIZE, end))) as KeptHeader;
    return { ...header, payload: value.subarray(end) };
  } catch {
    return undefined;
  }
}

/**
 * Writer: the primitive fields of a packet, into memory that was sized before.
 *
 * What does not fit the wire is a fault of ours and throws a `RangeError`: a strict peer would end the
 * connection over it, which must not be in the hands of those whose texts are handed on.
 */

/** Bytes of a text or of binary data, whose size takes two bytes. */
export const FIELD_SIZE_MAX = 0xffff;

/** The largest variable byte integer. */
export const VARINT_MAX = 0x0fff_ffff;

/** True when MQTT can carry this text: UTF-8 of at most 65,535 bytes without U+0000. */
export function isMqttText(text: string): boolean {
  return (
    text.isWellFormed() && !text.includes('\0') && Buffer.byteLength(text, 'utf8') <= FIELD_SIZE_MAX
  );
}

/** Bytes of this number as a variable byte integer. */
export function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  return value < 0x20_0000 ? 3 : 4;
}

/** Bytes of this text and its size. @throws {RangeError} when MQTT can't carry it. */
export function textSize(text: string): number {
  const size = Buffer.byteLength(text, 'utf8');
  if (size > FIELD_SIZE_MAX) throw new RangeError(`a text of ${size} bytes, at most 65,535 fit`);
  if (text.includes('\0')) throw new RangeError('MQTT carries no text with U+0000');
  if (size > text.length && !text.isWellFormed()) {
    throw new RangeError('MQTT carries no text with a lone surrogate');
  }
  return 2 + size;
}

/** Bytes of this binary data and its size. @throws {RangeError} over 65,535. */
export function binarySize(bytes: Uint8Array): number {
  if (bytes.length > FIELD_SIZE_MAX) {
    throw new RangeError(`binary data of ${bytes.length} bytes, at most 65,535 fit`);
  }
  return 2 + bytes.length;
}

export class Writer {
  readonly #bytes: Buffer<ArrayBuffer>;
  #at = 0;

  /** Makes memory for exactly `size` bytes. */
  constructor(size: number) {
    this.#bytes = Buffer.allocUnsafe(size);
  }

  /** How many bytes were written. */
  get at(): number {
    return this.#at;
  }

  byte(value: number): void {
    this.#check(value, 0xff);
    this.#bytes[this.#at] = value;
    this.#at += 1;
  }

  uint16(value: number): void {
    this.#check(value, 0xffff);
    this.#bytes[this.#at] = value >>> 8;
    this.#bytes[this.#at + 1] = value;
    this.#at += 2;
  }

  uint32(value: number): void {
    this.#check(value, 0xffff_ffff);
    this.#at = this.#bytes.writeUInt32BE(value, this.#at);
  }

  varint(value: number): void {
    this.#check(value, VARINT_MAX);
    let rest = value;
    for (; rest >= 0x80; rest >>>= 7) {
      this.#bytes[this.#at] = rest | 0x80;
      this.#at += 1;
    }
    this.#bytes[this.#at] = rest;
    this.#at += 1;
  }

  /** UTF-8 behind its size, checked by `textSize` before. */
  text(text: string): void {
    const size = this.#bytes.write(text, this.#at + 2, 'utf8');
    this.uint16(size);
    this.#at += size;
  }

  /** Bytes behind their number. */
  binary(bytes: Uint8Array): void {
    this.uint16(bytes.length);
    this.bytes(bytes);
  }

  bytes(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** A packet identifier, which is never 0. */
  packetId(value: number): void {
    if (value === 0) throw new RangeError('a packet identifier is from 1 to 65,535, got 0');
    this.uint16(value);
  }

  /** All that was written. @throws {Error} when it is not what was sized. */
  finish(): Buffer<ArrayBuffer> {
    if (this.#at !== this.#bytes.length) {
      throw new Error(`sized ${this.#bytes.length} bytes, wrote ${this.#at}`);
    }
    return this.#bytes;
  }

  #check(value: number, max: number): void {
    if (value >= 0 && value <= max && Number.isInteger(value)) return;
    throw new RangeError(`expected a whole number from 0 to ${max}, got ${value}`);
  }
}

/**
 * Bytes: reading and writing the parts of which binary records are made (spec/binary.md §2).
 *
 * A varint is a whole number from 0 to 2^53 − 1 in groups of 7 bits, the lowest first, each byte but
 * the last with its top bit set, and no byte more than needed. So a number has one form.
 */
import { bad } from './fields.ts';
import { decodeUtf8 } from './message.ts';

/** Bytes of the longest varint: 2^53 − 1 has 53 bits. */
const VARINT_SIZE_MAX = 8;

/** Up to so many bytes a loop beats the platform's decoder, whose call is dear. */
const SHORT_TEXT_SIZE = 32;

const encoder = new TextEncoder();

/**
 * Reads untrusted bytes from front to back.
 *
 * Every method throws a `CodedError` with `bad_request` where the bytes do not hold what was asked
 * for; `what` names it in the error.
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #at: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  /** True when everything was read. */
  get isDone(): boolean {
    return this.#at === this.#end;
  }

  byte(what: string): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined || this.#at >= this.#end) throw cutOff(what);
    this.#at += 1;
    return byte;
  }

  varint(what: string): number {
    const first = this.byte(what);
    if (first < 0x80) return first;
    let value = first - 0x80;
    let factor = 0x80;
    for (let size = 2; size <= VARINT_SIZE_MAX; size += 1) {
      const byte = this.byte(what);
      // A last group of zeros is a longer form of the same number.
      if (byte === 0) break;
      value += (byte % 0x80) * factor;
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) break;
        return value;
      }
      factor *= 0x80;
    }
    throw bad(`${what} must be a varint in its shortest form, at most 2^53 − 1`);
  }

  /** A number that may be negative: 0, −1, 1, −2 … stand as 0, 1, 2, 3 …. */
  signed(what: string): number {
    const folded = this.varint(what);
    return folded % 2 === 0 ? folded / 2 : -(folded - 1) / 2 - 1;
  }

  /** UTF-8 behind its size in bytes. */
  text(what: string): string {
    const start = this.#take(this.varint(what), what);
    return this.#textFrom(start, what);
  }

  /** A view of the next bytes, behind their number. */
  sized(what: string): Uint8Array {
    const start = this.#take(this.varint(what), what);
    return this.#bytes.subarray(start, this.#at);
  }

  /** All that is left, as text. */
  restText(what: string): string {
    const start = this.#take(this.#end - this.#at, what);
    return this.#textFrom(start, what);
  }

  /** A view of all that is left. */
  rest(): Uint8Array {
    return this.#bytes.subarray(this.#take(this.#end - this.#at, 'rest'), this.#end);
  }

  /** A reader of the next bytes, behind their number; this one goes on after them. */
  part(what: string): ByteReader {
    const start = this.#take(this.varint(what), what);
    return new ByteReader(this.#bytes, start, this.#at);
  }

  /** Goes on behind the next `size` bytes. @returns where they begin. */
  #take(size: number, what: string): number {
    const start = this.#at;
    if (size > this.#end - start) throw cutOff(what);
    this.#at = start + size;
    return start;
  }

  #textFrom(start: number, what: string): string {
    const end = this.#at;
    if (end - start <= SHORT_TEXT_SIZE) {
      let text = '';
      let at = start;
      for (; at < end; at += 1) {
        const byte = this.#bytes[at] ?? 0x80;
        if (byte >= 0x80) break;
        text += String.fromCharCode(byte);
      }
      if (at === end) return text;
    }
    const text = decodeUtf8(this.#bytes.subarray(start, end));
    if (text === undefined) throw bad(`${what} must be UTF-8`);
    return text;
  }
}

/** Writes bytes from front to back into memory that grows as needed. */
export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #start: number;
  #at: number;

  /** @param bytes memory to write to, from `start` on, as long as there is room. */
  constructor(bytes: Uint8Array<ArrayBuffer>, start = 0) {
    this.#bytes = bytes;
    this.#start = start;
    this.#at = start;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#at] = value;
    this.#at += 1;
  }

  /** @throws {RangeError} when the value is no whole number from 0 to 2^53 − 1. */
  varint(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new RangeError(`a varint must be a whole number from 0 to 2^53 - 1, got ${value}`);
    }
    this.#reserve(VARINT_SIZE_MAX);
    this.#at = putVarint(this.#bytes, this.#at, value);
  }

  /** A number that may be negative. @throws {RangeError} beyond ± 2^52. */
  signed(value: number): void {
    this.varint(value >= 0 ? value * 2 : -(value + 1) * 2 + 1);
  }

  /** Text in UTF-8 behind its size in bytes. */
  text(text: string): void {
    const { length } = text;
    this.#reserve(VARINT_SIZE_MAX + length);
    const start = this.#at;
    this.varint(length);
    for (let index = 0; index < length; index += 1) {
      const unit = text.charCodeAt(index);
      if (unit >= 0x80) {
        this.#at = start;
        this.sized(encoder.encode(text));
        return;
      }
      this.#bytes[this.#at] = unit;
      this.#at += 1;
    }
  }

  /** Bytes behind their number. */
  sized(bytes: Uint8Array): void {
    this.varint(bytes.length);
    this.bytes(bytes);
  }

  bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** Writes what `write` writes behind its size in bytes. */
  part(write: () => void): void {
    // The memory may move while the part is written: places are counted from its start.
    const before = this.#at - this.#start;
    this.#reserve(VARINT_SIZE_MAX);
    this.#at += PART_SIZE_GUESS;
    write();
    const size = this.#at - this.#start - before - PART_SIZE_GUESS;
    const shift = varintSize(size) - PART_SIZE_GUESS;
    if (shift > 0) this.#reserve(shift);
    const place = this.#start + before;
    const body = place + PART_SIZE_GUESS;
    // Most parts have from 128 bytes to 16 KiB; the bytes of others are moved.
    if (shift !== 0) this.#bytes.copyWithin(body + shift, body, this.#at);
    putVarint(this.#bytes, place, size);
    this.#at += shift;
  }

  /** A view of what was written. */
  written(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(this.#start, this.#at);
  }

  #reserve(size: number): void {
    if (this.#at + size <= this.#bytes.length) return;
    const written = this.written();
    this.#bytes = new Uint8Array(Math.max(written.length * 2, written.length + size));
    this.#bytes.set(written);
    this.#start = 0;
    this.#at = written.length;
  }
}

/** Bytes that the size of a part is taken to need, until it is known. */
const PART_SIZE_GUESS = 2;

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size += 1;
  return size;
}

/** @returns where it goes on. */
function putVarint(bytes: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) {
    bytes[at] = (rest % 0x80) + 0x80;
    at += 1;
  }
  bytes[at] = rest;
  return at + 1;
}

function cutOff(what: string): Error {
  return bad(`expected ${what}, got the end of the bytes`);
}

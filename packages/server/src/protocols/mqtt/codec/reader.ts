/**
 * Reader: the primitive fields of a packet, from untrusted bytes (3.1.1 §1.5, 5.0 §1.5).
 *
 * Every method throws an `MqttError` where the bytes do not hold what was asked for; `what` names it
 * in the message. Nothing is copied but text.
 */
import { decodeUtf8 } from '@trunkline/wire';
import { fail, MqttError } from './faults.ts';
import type { FaultName } from './faults.ts';
import type { Version } from './packets.ts';
import { REASONS } from './reasons.ts';
import type { AllowedReasons } from './reasons.ts';

/** Bytes of the longest variable byte integer, which holds 2^28 − 1. */
export const VARINT_SIZE_MAX = 4;

const NOTHING = Buffer.alloc(0);

export class Reader {
  /** Decides which clauses are cited; `undefined` until CONNECT or the owner tells it. */
  version: Version | undefined;
  #bytes: Buffer = NOTHING;
  #at = 0;
  #end = 0;

  constructor(version?: Version) {
    this.version = version;
  }

  /** Reads these bytes next, from `at` to before `end`. */
  open(bytes: Buffer, at: number, end: number): void {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
  }

  /** Lets go of the bytes. */
  release(): void {
    this.open(NOTHING, 0, 0);
  }

  /** How many bytes are left. */
  get left(): number {
    return this.#end - this.#at;
  }

  byte(what: string): number {
    const at = this.#take(1, what);
    return this.#bytes[at] ?? 0;
  }

  uint16(what: string): number {
    const at = this.#take(2, what);
    return ((this.#bytes[at] ?? 0) << 8) | (this.#bytes[at + 1] ?? 0);
  }

  uint32(what: string): number {
    return this.#bytes.readUInt32BE(this.#take(4, what));
  }

  /** A variable byte integer in its only form, the shortest ([MQTT-1.5.5-1]). */
  varint(what: string): number {
    let value = 0;
    for (let size = 1; size <= VARINT_SIZE_MAX; size += 1) {
      const byte = this.byte(what);
      value += (byte & 0x7f) << (7 * (size - 1));
      if (byte >= 0x80) continue;
      if (byte === 0 && size > 1) this.fail('paddedVarint', `${what} must take no byte too many`);
      return value;
    }
    return this.fail('longVarint', `${what} must take at most ${VARINT_SIZE_MAX} bytes`);
  }

  /** UTF-8 behind its size, without U+0000; U+FEFF is a character like others ([MQTT-1.5.4-3]). */
  text(what: string): string {
    const size = this.uint16(what);
    const start = this.#take(size, what);
    const end = this.#at;
    const bytes = this.#bytes;
    for (let at = start; at < end; at += 1) {
      const byte = bytes[at] ?? 0;
      if (byte >= 0x80) return this.#wideText(start, end, what);
      if (byte === 0) this.fail('nul', `${what} must hold no U+0000`);
    }
    return bytes.toString('latin1', start, end);
  }

  /** A reason code that this packet may carry; `packet` names it. */
  reason({ codes, clause }: AllowedReasons, packet: string): number {
    const code = this.byte('a reason code');
    if (codes.has(code)) return code;
    const message = `a ${packet} can't carry the reason code ${code}`;
    throw new MqttError(REASONS.protocolError, clause, message);
  }

  /** A view of the bytes behind their number. */
  binary(what: string): Uint8Array {
    const size = this.uint16(what);
    const start = this.#take(size, what);
    return this.#bytes.subarray(start, this.#at);
  }

  /** A view of all that is left. */
  rest(): Uint8Array {
    const start = this.#at;
    this.#at = this.#end;
    return this.#bytes.subarray(start, this.#end);
  }

  /**
   * Makes the next `size` bytes all there is, until `leave`.
   *
   * @returns what to give to `leave`.
   */
  enter(size: number, what: string): number {
    if (size > this.left) this.#cutOff(what);
    const outer = this.#end;
    this.#end = this.#at + size;
    return outer;
  }

  /** Ends what `enter` began, when all of it was read. */
  leave(outer: number): void {
    this.#end = outer;
  }

  fail(name: FaultName, message: string): never {
    return fail(this.version, name, message);
  }

  #wideText(start: number, end: number, what: string): string {
    // Surrogates and overlong forms are no UTF-8 ([MQTT-1.5.4-1]).
    const text = decodeUtf8(this.#bytes.subarray(start, end));
    if (text === undefined) return this.fail('utf8', `${what} must be UTF-8`);
    if (text.includes('\0')) this.fail('nul', `${what} must hold no U+0000`);
    return text;
  }

  #take(size: number, what: string): number {
    const start = this.#at;
    if (size > this.#end - start) this.#cutOff(what);
    this.#at = start + size;
    return start;
  }

  #cutOff(what: string): never {
    return this.fail('truncated', `expected ${what}, got the end of the packet`);
  }
}

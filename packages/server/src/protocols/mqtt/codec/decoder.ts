/**
 * PacketDecoder: bytes in any cut, packets out. Strict in all that both specifications ask for,
 * without clock or sockets.
 *
 * What comes out depends on the bytes alone, never on how they were cut into chunks. A header is
 * judged as its bytes come: a packet that may not come, or is too large, is refused before its body.
 */
import { decodeBody } from './decode.ts';
import { fail } from './faults.ts';
import { checkLength, HEAD_SIZE_MAX, readKind } from './head.ts';
import type { HeadRules } from './head.ts';
import type { Packet, PacketKind, Side, Version } from './packets.ts';
import { Reader, VARINT_SIZE_MAX } from './reader.ts';

/** What a decoder lets through. */
export type DecoderOptions = {
  /** Bytes that a packet may have, its header included: the `Maximum Packet Size` of 5.0. */
  readonly packetSizeMax: number;
} & (
  | {
      /** Who sends: the client, unless told otherwise. */
      readonly from?: 'client';
      /** Given when CONNECT was read elsewhere; none may come then. */
      readonly version?: Version;
    }
  | { readonly from: 'server'; readonly version: Version }
);

/** The smallest buffer for the body of a packet that comes in pieces, unless the packet is smaller. */
const KEPT_SIZE_MIN = 256;

const NOTHING = Buffer.alloc(0);

/** One for all: a body is read at once. */
const reader = new Reader();

/** The receiving half of one MQTT connection. Thousands of these are idle at any time: only fields. */
export class PacketDecoder implements HeadRules {
  readonly packetSizeMax: number;
  readonly from: Side;
  #version: Version | undefined;
  #isOver = false;
  /** How far the chunk is read; 0 between chunks. */
  #at = 0;
  // The head under way, byte by byte; the body follows once its length is known.
  #headSize = 0;
  #kind: PacketKind = 'connect';
  #flags = 0;
  #length = 0;
  #inBody = false;
  /** What has come of a body that does not lie in one chunk. */
  #kept = NOTHING;
  #keptSize = 0;

  /** @throws {RangeError} when not even a header fits `packetSizeMax`. */
  constructor(options: DecoderOptions) {
    const { packetSizeMax, from = 'client', version } = options;
    if (!(packetSizeMax >= HEAD_SIZE_MAX)) {
      throw new RangeError(`packetSizeMax must be at least ${HEAD_SIZE_MAX}, got ${packetSizeMax}`);
    }
    this.packetSizeMax = packetSizeMax;
    this.from = from;
    this.#version = version;
  }

  /**
   * The version to answer in, known from the level in CONNECT on, however that CONNECT ends: one of
   * a level that is not served, too. `undefined` before, and when it is no MQTT at all.
   */
  get version(): Version | undefined {
    return this.#version;
  }

  /** Bytes of memory held for a packet that has begun and is not complete. */
  get bufferedBytes(): number {
    return this.#kept.length;
  }

  /** True between packets: nothing has begun that is not complete. */
  get isIdle(): boolean {
    return this.#headSize === 0;
  }

  /**
   * Reads the next packet of a chunk; to be called with the same one until it has no more. A packet
   * that lies in the chunk is not copied: its payload and other bytes are views of it.
   *
   * @returns `undefined` when the chunk has no more.
   * @throws {MqttError} in place of a packet that breaks the protocol; then the decoder is over, and
   *   whatever comes is dropped.
   */
  next(chunk: Buffer): Packet | undefined {
    if (this.#isOver) return undefined;
    try {
      const packet = this.#read(chunk);
      if (packet === undefined) this.#at = 0;
      return packet;
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  /** The packets of a chunk, each read when it is asked for. Who breaks off has ended the decoder. */
  *push(bytes: Uint8Array): Generator<Packet, void, undefined> {
    if (this.#at > 0) throw new Error('the packets of the last chunk are not all taken');
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let isWhole = false;
    try {
      for (let one = this.next(chunk); one !== undefined; one = this.next(chunk)) yield one;
      isWhole = true;
    } finally {
      if (!isWhole) this.#end();
    }
  }

  #read(chunk: Buffer): Packet | undefined {
    while (!this.#inBody) {
      if (this.#at === chunk.length) return undefined;
      this.#at += 1;
      this.#readHead(chunk[this.#at - 1] ?? 0);
    }
    const at = this.#at;
    const take = Math.min(this.#length - this.#keptSize, chunk.length - at);
    this.#at = at + take;
    if (take === this.#length) return this.#readBody(chunk, at);
    this.#keep(chunk, at, take);
    return this.#keptSize < this.#length ? undefined : this.#readBody(this.#kept, 0);
  }

  #readHead(byte: number): void {
    if (this.#headSize === 0) {
      this.#kind = readKind(byte, this);
      this.#flags = byte & 0x0f;
      this.#headSize = 1;
      return;
    }
    this.#length += (byte & 0x7f) << (7 * (this.#headSize - 1));
    this.#headSize += 1;
    if (byte >= 0x80) {
      if (this.#headSize < HEAD_SIZE_MAX) return;
      const message = `the remaining length must take at most ${VARINT_SIZE_MAX} bytes`;
      fail(this.version, 'longVarint', message);
    }
    if (byte === 0 && this.#headSize > 2) {
      fail(this.version, 'paddedVarint', 'the remaining length must take no byte too many');
    }
    const head = { kind: this.#kind, headSize: this.#headSize, length: this.#length };
    checkLength(head, this);
    this.#inBody = true;
  }

  #readBody(bytes: Buffer, at: number): Packet {
    reader.version = this.#version;
    reader.open(bytes, at, at + this.#length);
    try {
      const packet = decodeBody(this.#kind, this.#flags, reader, this.from);
      if (reader.left > 0) {
        reader.fail('trailing', `expected the end of the ${packet.kind}, got ${reader.left} bytes`);
      }
      this.#drop();
      return packet;
    } finally {
      this.#version = reader.version;
      reader.release();
    }
  }

  /** Grows with what has come, not with what was announced. */
  #keep(chunk: Buffer, at: number, size: number): void {
    if (size === 0) return;
    const needed = this.#keptSize + size;
    if (needed > this.#kept.length) {
      const room = Math.max(KEPT_SIZE_MIN, needed, this.#kept.length * 2);
      // Not from the shared pool, which a slow peer would keep alive.
      const grown = Buffer.allocUnsafeSlow(Math.min(this.#length, room));
      grown.set(this.#kept.subarray(0, this.#keptSize));
      this.#kept = grown;
    }
    chunk.copy(this.#kept, this.#keptSize, at, at + size);
    this.#keptSize = needed;
  }

  #end(): void {
    this.#isOver = true;
    this.#at = 0;
    this.#drop();
  }

  /** Makes ready for the next packet. What was kept may live on in the packet it held. */
  #drop(): void {
    this.#headSize = 0;
    this.#length = 0;
    this.#inBody = false;
    this.#kept = NOTHING;
    this.#keptSize = 0;
  }
}

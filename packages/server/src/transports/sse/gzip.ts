/**
 * Gzip: an endless gzip stream (RFC 1952) of which many readers share nearly all bytes.
 *
 * A gzip stream is a head, DEFLATE blocks and a trailer with the CRC and the length of all that was
 * compressed. Blocks that refer to nothing before them are the same for every stream, so a batch
 * is compressed once; only the trailer is a stream's own, and its CRC comes from those of the
 * batches. Measured for a batch of 800 bytes: 0.13 µs a stream, where a compressor of its own takes
 * 48 µs and keeps 200 KB; for that, it sends 137 bytes where these blocks are 232.
 */
import { crc32 } from 'node:zlib';
import type { Framing, SharedBatch } from '../../link/shared-batch.ts';
import { deflate } from '../deflate.ts';
import type { DeflateCounts } from '../deflate.ts';

/** How event streams are compressed. */
export interface EventGzipConfig {
  /** Smaller batches are sent as they are, in blocks that are not compressed. */
  readonly payloadBytesMin: number;
  /** 1, fastest, to 9, smallest. */
  readonly level: number;
  /** Where it is counted, for the metrics. */
  readonly counts?: DeflateCounts;
}

/** RFC 1952 §2.3: deflate, no name, no time, of any system. */
export const GZIP_HEAD: Uint8Array = Buffer.from('1f8b08000000000000ff', 'hex');

/** A last block with nothing in it (RFC 1951 §3.2.4). */
const LAST_BLOCK = Buffer.from('010000ffff', 'hex');

const WINDOW_BITS = 15;
const STORED_SIZE_MAX = 0xffff;
const STORED_HEAD_SIZE = 5;

/** The polynomial of RFC 1952 §8, with x^0 in the highest bit, and other powers of x. */
const POLYNOMIAL = 0xedb88320;
const X_0 = 0x80000000;
const X_8 = 0x00800000;

/** What a stream has to know of bytes that were compressed. */
interface Sum {
  readonly crc: number;
  readonly size: number;
  /** What a CRC is multiplied by when so many bytes come behind it: x^(8 · size). */
  readonly shift: number;
}

/** Batches as blocks, in a framing of the body. Shared by all streams of a kind. */
export class GzipFraming implements Framing {
  readonly name: string;
  readonly #config: EventGzipConfig;
  readonly #body: Framing;
  readonly #sums = new WeakMap<SharedBatch, Sum>();

  /** @param body how the bytes of the body stand on the stream. */
  constructor(config: EventGzipConfig, body: Framing) {
    this.name = `gzip-${body.name}`;
    this.#config = config;
    this.#body = body;
  }

  frame(payload: Uint8Array): Uint8Array {
    const { level, payloadBytesMin, counts } = this.#config;
    if (payload.length < payloadBytesMin) return this.#body.frame(storedBlocks(payload), false);
    return this.#body.frame(deflate(payload, { level, windowBits: WINDOW_BITS, counts }), false);
  }

  /** The sum of a batch, made at the first call. */
  sumOf(batch: SharedBatch): Sum {
    let sum = this.#sums.get(batch);
    if (sum === undefined) {
      const { payload } = batch;
      sum = { crc: crc32(payload), size: payload.length, shift: shiftOf(payload.length) };
      this.#sums.set(batch, sum);
    }
    return sum;
  }
}

/**
 * One stream's own part: what it says alone, which is not compressed, and what its trailer tells.
 * As a framing it makes the stream's own frames; each must be sent, in the order they were made.
 */
export class GzipStream implements Framing {
  readonly name = 'gzip-own';
  readonly #body: Framing;
  readonly #shared: GzipFraming;
  #crc = 0;
  #size = 0;

  constructor(shared: GzipFraming, body: Framing) {
    this.#shared = shared;
    this.#body = body;
  }

  frame(payload: Uint8Array): Uint8Array {
    this.#crc = crc32(payload, this.#crc);
    this.#size = (this.#size + payload.length) >>> 0;
    return this.#body.frame(storedBlocks(payload), false);
  }

  /** The bytes of a batch; they must be sent, in the order of the calls. */
  frameShared(batch: SharedBatch): Uint8Array {
    const { crc, size, shift } = this.#shared.sumOf(batch);
    this.#crc = (multiply(shift, this.#crc) ^ crc) >>> 0;
    this.#size = (this.#size + size) >>> 0;
    return batch.framed(this.#shared);
  }

  /** How the bytes of the body stand on the stream. */
  get body(): Framing {
    return this.#body;
  }

  /** What comes before everything. */
  head(): Uint8Array {
    return this.#body.frame(GZIP_HEAD, false);
  }

  /** What comes after everything (RFC 1952 §2.3.1). */
  trailer(): Uint8Array {
    const trailer = Buffer.alloc(LAST_BLOCK.length + 8);
    trailer.set(LAST_BLOCK);
    trailer.writeUInt32LE(this.#crc, LAST_BLOCK.length);
    trailer.writeUInt32LE(this.#size, LAST_BLOCK.length + 4);
    return this.#body.frame(trailer, false);
  }
}

/** Bytes as they are, in blocks (RFC 1951 §3.2.4). */
function storedBlocks(payload: Uint8Array): Uint8Array {
  const count = Math.ceil(payload.length / STORED_SIZE_MAX);
  const blocks = Buffer.allocUnsafe(payload.length + count * STORED_HEAD_SIZE);
  let at = 0;
  for (let from = 0; from < payload.length; from += STORED_SIZE_MAX) {
    const piece = payload.subarray(from, from + STORED_SIZE_MAX);
    blocks[at] = 0;
    blocks.writeUInt16LE(piece.length, at + 1);
    blocks.writeUInt16LE(~piece.length & 0xffff, at + 3);
    blocks.set(piece, at + STORED_HEAD_SIZE);
    at += STORED_HEAD_SIZE + piece.length;
  }
  return blocks;
}

/** x^(8 · size) modulo the polynomial. */
function shiftOf(size: number): number {
  let shift = X_0;
  let square = X_8;
  for (let left = size; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) shift = multiply(shift, square);
    square = multiply(square, square);
  }
  return shift;
}

/** The product of two polynomials over GF(2), modulo that of the CRC. */
function multiply(a: number, b: number): number {
  let product = 0;
  let shifted = b;
  for (let bits = a | 0; bits !== 0; bits <<= 1) {
    if (bits < 0) product ^= shifted; // The highest bit is set.
    shifted = (shifted >>> 1) ^ ((shifted & 1) === 0 ? 0 : POLYNOMIAL);
  }
  return product >>> 0;
}

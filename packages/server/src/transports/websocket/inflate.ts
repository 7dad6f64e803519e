/**
 * Inflate: what a peer compressed, back as it was (RFC 7692 §7.2.2), within a limit that is watched
 * while it grows.
 *
 * It is done at once and not on another thread. Measured: 1 MB of zeros, the worst there is for its
 * 1 KB, takes 0.25 ms and 1 MB of JSON 0.6 ms, a tenth of what parsing that JSON takes. So order
 * holds by itself; how much one link may inflate before others have their turn is the link's to say.
 */
import { inflateRawSync } from 'node:zlib';
import { ProtocolError } from './receiver.ts';
import type { Inflater } from './receiver.ts';
import { SlidingWindow } from './sliding-window.ts';

/** An inflater that counts what comes out. */
export interface CountingInflater extends Inflater {
  /** Falls by what comes out; set and looked at by the owner alone. */
  allowanceBytes: number;
}

/**
 * What a sender takes away (RFC 7692 §7.2.1), and an empty last block: data that ends anywhere but
 * between two blocks does not come to that, and so is found out.
 */
const TAIL = Buffer.from('0000ffff010000ffff', 'hex');

/**
 * Parts of a message that end with a last block, each of which costs a new start. A sender needs
 * one at most (RFC 7692 §7.2.3.4).
 */
const PARTS_MAX = 8;

const WINDOW_BITS_MAX = 15;

/** Bytes that a message takes beyond its limit before it is found out. */
const CHUNK_SIZE_MAX = 16 * 1024;
const CHUNK_SIZE_MIN = 1024;
/** What JSON commonly comes to: with room for that, most messages come out in one piece. */
const GROWTH = 5;

/** zlib as its types have it not: with `info` the engine tells how much it has read. */
interface Inflated {
  readonly buffer: Buffer;
  readonly engine: { readonly bytesWritten: number };
}

/** For messages that refer to nothing but themselves; one serves all links. */
export class PlainInflater implements CountingInflater {
  allowanceBytes = 0;

  inflate(payload: Uint8Array, sizeMax: number): Buffer {
    const inflated = inflate(payload, { sizeMax, windowBits: WINDOW_BITS_MAX, dictionary: EMPTY });
    this.allowanceBytes -= inflated.length;
    return inflated;
  }
}

/** For messages that may refer to earlier ones of the same link, the last bytes of which it keeps. */
export class ContextInflater implements CountingInflater {
  allowanceBytes = 0;
  readonly #windowBits: number;
  readonly #window: SlidingWindow;

  /** @param windowBits how far back the peer refers, as a power of two: 8 to 15. */
  constructor(windowBits: number) {
    this.#windowBits = windowBits;
    this.#window = new SlidingWindow(2 ** windowBits);
  }

  inflate(payload: Uint8Array, sizeMax: number): Buffer {
    const dictionary = this.#window.bytes;
    const inflated = inflate(payload, { sizeMax, windowBits: this.#windowBits, dictionary });
    this.#window.push(inflated);
    this.allowanceBytes -= inflated.length;
    return inflated;
  }
}

const EMPTY = new Uint8Array(0);

interface InflateOptions {
  readonly sizeMax: number;
  readonly windowBits: number;
  /** What came out before. */
  readonly dictionary: Uint8Array;
}

function inflate(payload: Uint8Array, options: InflateOptions): Buffer {
  const { sizeMax, windowBits } = options;
  let { dictionary } = options;
  let input = Buffer.concat([payload, TAIL]);
  const pieces: Buffer[] = [];
  let size = 0;
  for (let part = 1; ; part += 1) {
    const { buffer, engine } = inflatePart(input, {
      dictionary,
      windowBits,
      sizeMax: sizeMax - size,
    });
    size += buffer.length;
    pieces.push(buffer);
    input = input.subarray(engine.bytesWritten);
    // The payload may have ended with a last block of its own, and nothing after it.
    if (input.length === 0 || input.equals(TAIL)) {
      return pieces.length === 1 ? buffer : Buffer.concat(pieces, size);
    }
    if (part === PARTS_MAX) throw new ProtocolError(1007, 'deflated data of too many parts');
    dictionary = Buffer.concat([dictionary, buffer]).subarray(-(2 ** windowBits));
  }
}

/** Inflates up to and with the first last block. */
function inflatePart(input: Buffer, options: InflateOptions): Inflated {
  const { dictionary, windowBits, sizeMax } = options;
  try {
    const inflated = inflateRawSync(input, {
      windowBits,
      // An empty dictionary is none.
      ...(dictionary.length === 0 ? {} : { dictionary }),
      // zlib looks after every chunk, and knows no limit of 0.
      maxOutputLength: Math.max(1, sizeMax),
      chunkSize: Math.min(CHUNK_SIZE_MAX, Math.max(CHUNK_SIZE_MIN, input.length * GROWTH)),
      info: true,
    }) as Buffer | Inflated;
    if (!('engine' in inflated)) throw new Error('expected zlib to tell what it has read');
    if (inflated.buffer.length > sizeMax) throw tooLarge();
    return inflated;
  } catch (error) {
    throw faultOf(error);
  }
}

/** What a failure of zlib means for the peer; all others are ours. */
function faultOf(error: unknown): unknown {
  switch ((error as { code?: unknown }).code) {
    case 'ERR_BUFFER_TOO_LARGE':
      return tooLarge();
    case 'Z_DATA_ERROR':
    case 'Z_BUF_ERROR':
      return new ProtocolError(1007, 'message is not deflated data');
    default:
      return error;
  }
}

function tooLarge(): ProtocolError {
  return new ProtocolError(1009, 'message over the size limit');
}

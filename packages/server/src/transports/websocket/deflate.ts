/**
 * Deflate: messages as compressed frames (RFC 7692 §7.2.1).
 *
 * Without context a message refers to nothing but itself, so its frame is the same for every link
 * and is made once for all of them. With context it refers to what this one link was sent before.
 */
import type { Framing } from '../../link/shared-batch.ts';
import { deflate, FLUSH_TAIL_SIZE } from '../deflate.ts';
import type { DeflateCounts } from '../deflate.ts';
import { OPCODES, toFrame, webSocketFraming } from './frames.ts';
import { SlidingWindow } from './sliding-window.ts';

/** How messages are compressed. */
export interface DeflateConfig {
  /** True to let messages refer to earlier ones of the same link. */
  readonly context: boolean;
  /** How far back they refer then, as a power of two: 9 to 15. */
  readonly contextBits: number;
  /** Smaller payloads are sent as they are. */
  readonly payloadBytesMin: number;
  /** 1, fastest, to 9, smallest. */
  readonly level: number;
  /** Where it is counted, for the metrics. */
  readonly counts?: DeflateCounts;
}

/** Frames without context: pure, and shared by all links whose peers know this window. */
export function deflateFraming(config: DeflateConfig, windowBits: number): Framing {
  const options = { level: config.level, windowBits, counts: config.counts };
  return {
    name: `websocket-deflate-${windowBits}`,
    frame(payload, text) {
      if (payload.length < config.payloadBytesMin) return webSocketFraming.frame(payload, text);
      const deflated = deflate(payload, options);
      return compressedFrame(deflated, payload, text) ?? webSocketFraming.frame(payload, text);
    },
  };
}

/**
 * The sending half of a link with context. What zlib would keep in a quarter of a megabyte for each
 * link is only the last bytes sent: given to a fresh deflater as its dictionary, they do the same.
 */
export class DeflateContext {
  readonly #config: DeflateConfig;
  readonly #windowBits: number;
  readonly #window: SlidingWindow;
  #wasUsed = false;

  constructor(config: DeflateConfig, windowBits: number) {
    this.#config = config;
    this.#windowBits = windowBits;
    this.#window = new SlidingWindow(2 ** windowBits);
  }

  /** The frame of a payload. Frames must be sent in the order in which they were made. */
  frame(payload: Uint8Array, text: boolean): Uint8Array {
    const { level, payloadBytesMin, counts } = this.#config;
    if (payload.length < payloadBytesMin) return webSocketFraming.frame(payload, text);
    const dictionary = this.#window.bytes;
    const windowBits = this.#windowBits;
    const deflated = deflate(payload, { level, windowBits, dictionary, counts });
    const frame = compressedFrame(deflated, payload, text);
    // What goes as it is never passes the peer's inflater.
    if (frame === undefined) return webSocketFraming.frame(payload, text);
    this.#window.push(payload);
    this.#wasUsed = true;
    return frame;
  }

  /**
   * Gives the memory back if nothing was compressed since the last call: a message that refers to
   * nothing is right at any time.
   */
  rest(): void {
    if (!this.#wasUsed) this.#window.clear();
    this.#wasUsed = false;
  }
}

/** `undefined` when the frame would not be smaller for it. */
function compressedFrame(
  deflated: Uint8Array,
  payload: Uint8Array,
  text: boolean,
): Uint8Array | undefined {
  const size = deflated.length - FLUSH_TAIL_SIZE;
  if (size >= payload.length) return undefined;
  const opcode = text ? OPCODES.text : OPCODES.binary;
  return toFrame(opcode, deflated.subarray(0, size), { compressed: true });
}

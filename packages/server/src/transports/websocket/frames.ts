/**
 * Frames: how WebSocket frames are written (RFC 6455 §5.2). Pure; reading is in `receiver.ts`.
 *
 * A server's frames are not masked, so the same bytes go to every link (§5.1).
 */
import type { Framing } from '../../link/shared-batch.ts';

/** What a frame is (RFC 6455 §5.2). */
export const OPCODES = {
  continuation: 0x0,
  text: 0x1,
  binary: 0x2,
  close: 0x8,
  ping: 0x9,
  pong: 0xa,
} as const;

/** One of the six opcodes; all others are reserved. */
export type Opcode = (typeof OPCODES)[keyof typeof OPCODES];

/** What frames of pings, pongs and closes carry at most (RFC 6455 §5.5). */
export const CONTROL_PAYLOAD_SIZE_MAX = 125;

/** What is left of it for a close reason beside the code. */
export const REASON_SIZE_MAX = CONTROL_PAYLOAD_SIZE_MAX - 2;

const FIN = 0x80;
const COMPRESSED = 0x40;
const MASKED = 0x80;
const LENGTH_16 = 126;
const LENGTH_64 = 127;
const MASK_SIZE = 4;

/** What is not as in a server's plain, unfragmented frame. */
export interface FrameOptions {
  /** False for all but the last fragment of a message. Default: true. */
  readonly fin?: boolean;
  /** True for the first frame of a message that is compressed: RSV1 (RFC 7692 §6). */
  readonly compressed?: boolean;
  /** The masking key, four bytes in network order; clients must mask (RFC 6455 §5.3). */
  readonly mask?: number;
}

/** The bytes of one frame. */
export function toFrame(
  opcode: Opcode,
  payload: Uint8Array,
  { fin = true, compressed = false, mask }: FrameOptions = {},
): Uint8Array {
  const { length } = payload;
  const lengthSize = length < LENGTH_16 ? 0 : length < 0x10000 ? 2 : 8;
  const headSize = 2 + lengthSize + (mask === undefined ? 0 : MASK_SIZE);
  const frame = Buffer.allocUnsafe(headSize + length);
  const maskBit = mask === undefined ? 0 : MASKED;
  frame[0] = (fin ? FIN : 0) | (compressed ? COMPRESSED : 0) | opcode;
  if (lengthSize === 0) {
    frame[1] = maskBit | length;
  } else if (lengthSize === 2) {
    frame[1] = maskBit | LENGTH_16;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = maskBit | LENGTH_64;
    frame.writeUInt32BE(Math.floor(length / 2 ** 32), 2);
    frame.writeUInt32BE(length % 2 ** 32, 6);
  }
  frame.set(payload, headSize);
  if (mask !== undefined) {
    frame.writeUInt32BE(mask >>> 0, headSize - MASK_SIZE);
    applyMask(frame, { start: headSize, end: frame.length, mask, phase: 0 });
  }
  return frame;
}

/** Each payload is one unfragmented text or binary message. */
export const webSocketFraming: Framing = {
  name: 'websocket',
  frame: (payload, text) => toFrame(text ? OPCODES.text : OPCODES.binary, payload),
};

/** A ping without payload: who answers it is alive. */
export const PING_FRAME: Uint8Array = toFrame(OPCODES.ping, new Uint8Array(0));

/** The payload of a close frame: a code and a reason, which is cut to what fits. */
export function closePayload(code: number, reason = ''): Uint8Array {
  const text = Buffer.from(fittingReason(reason), 'utf8');
  const payload = Buffer.allocUnsafe(2 + text.length);
  payload.writeUInt16BE(code, 0);
  payload.set(text, 2);
  return payload;
}

/** As much of a text as fits into a close frame, cut between characters. */
export function fittingReason(text: string): string {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length <= REASON_SIZE_MAX) return text;
  let end = REASON_SIZE_MAX;
  // Continuation bytes are 10xxxxxx: step back to the beginning of the character that is cut.
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}

/** A stretch of masked bytes. */
export interface MaskedRange {
  readonly start: number;
  readonly end: number;
  /** The masking key in network order, as a 32-bit number of any sign. */
  readonly mask: number;
  /** How many bytes of the payload came before `start`. */
  readonly phase: number;
}

/** From this size on, four bytes at a time beat the price of the view they need. */
const WORDS_SIZE_MIN = 192;

const keyBytes = new Uint8Array(4);
const keyWord = new Int32Array(keyBytes.buffer);

/** Masks, or unmasks, bytes in place (RFC 6455 §5.3). */
export function applyMask(bytes: Uint8Array, { start, end, mask, phase }: MaskedRange): void {
  if (end - start < WORDS_SIZE_MIN) {
    maskBytes(bytes, start, end, mask, phase);
    return;
  }
  // Words must begin at a multiple of four in the memory below; the rest is done byte by byte.
  const first = start + ((4 - ((bytes.byteOffset + start) & 3)) & 3);
  maskBytes(bytes, start, first, mask, phase);
  const phaseOfWords = phase + first - start;
  // The key as it stands in memory, so that the order of bytes in a word does not matter.
  for (let index = 0; index < 4; index += 1) keyBytes[index] = keyByte(mask, phaseOfWords + index);
  const word = keyWord[0] ?? 0;
  const count = (end - first) >>> 2;
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + first, count);
  for (let index = 0; index < count; index += 1) words[index] = (words[index] ?? 0) ^ word;
  maskBytes(bytes, first + count * 4, end, mask, phaseOfWords);
}

function maskBytes(
  bytes: Uint8Array,
  start: number,
  end: number,
  mask: number,
  phase: number,
): void {
  for (let at = start, index = phase; at < end; at += 1, index += 1) {
    bytes[at] = (bytes[at] ?? 0) ^ keyByte(mask, index);
  }
}

/** The key's byte for the payload's byte at `index`. */
function keyByte(mask: number, index: number): number {
  return (mask >>> (24 - 8 * (index & 3))) & 0xff;
}

/**
 * Chunked: how the body of an endless HTTP/1.1 answer stands on the wire (RFC 9112 §7.1).
 *
 * Chunks let the reader tell an answer that ended, which has a last chunk, from one that was cut.
 */
import type { Framing } from '../link/shared-batch.ts';
import type { RequestHead } from './request.ts';

const CR = 0x0d;
const LF = 0x0a;

/** One frame, one chunk. An empty frame is no bytes: a chunk of size 0 would end the body. */
export const chunkedFraming: Framing = {
  name: 'http-chunk',
  frame(payload) {
    const size = payload.length;
    if (size === 0) return payload;
    const digits = size.toString(16);
    const framed = Buffer.allocUnsafe(digits.length + size + 4);
    const start = framed.write(digits, 'latin1');
    framed[start] = CR;
    framed[start + 1] = LF;
    framed.set(payload, start + 2);
    framed[start + 2 + size] = CR;
    framed[start + 3 + size] = LF;
    return framed;
  },
};

/** Ends a chunked body. */
export const LAST_CHUNK: Uint8Array = Buffer.from('0\r\n\r\n', 'latin1');

/** Bytes as they are: HTTP/2 and 3 frame bodies themselves, HTTP/1.0 has no chunks. */
export const plainFraming: Framing = {
  name: 'http-plain',
  frame: (payload) => payload,
};

/** How a streamed body stands on the stream that `accept` gives for a request of `version`. */
export function bodyFraming(version: RequestHead['version']): Framing {
  return version === '1.1' ? chunkedFraming : plainFraming;
}

/** What requests and streams of HTTP/2 have in common: their fields, and who owns the stream. */
import { constants } from 'node:http2';
import type { OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { checkField, isBodiless, OWN_FIELDS } from './answer.ts';
import type { HttpAnswer } from './request.ts';

const { NGHTTP2_NO_ERROR } = constants;

/** The exchange that a stream belongs to; shared listeners find it by this key. */
export const EXCHANGE = Symbol('exchange');

/** Who is told of the end of a stream. */
export interface StreamOwner {
  finished(): void;
  closed(): void;
}

/** A stream of a request that is answered as a whole. */
export interface OwnedStream extends ServerHttp2Stream {
  [EXCHANGE]?: StreamOwner;
}

/** The fields of a whole answer. @throws {TypeError} for one that can't stand in a head. */
export function answerFields(answer: HttpAnswer, date: string): OutgoingHttpHeaders {
  const { status, headers, body } = answer;
  const fields = headFields(status, headers ?? {}, date);
  if (!isBodiless(status)) fields['content-length'] = Buffer.byteLength(body ?? '');
  return fields;
}

/** The fields of an answer. @throws {TypeError} for one that can't stand in a head. */
export function headFields(
  status: number,
  headers: Readonly<Record<string, string>>,
  date: string,
): OutgoingHttpHeaders {
  const fields: OutgoingHttpHeaders = { ':status': status, date };
  for (const name of Object.keys(headers)) {
    // RFC 9113 §8.2.2: those of the connection have no place here.
    if (OWN_FIELDS.has(name)) continue;
    const value = headers[name] ?? '';
    checkField(name, value);
    fields[name] = value;
  }
  return fields;
}

/**
 * Tells the peer, once all was answered, that nobody wants what is still to come of its request
 * (RFC 9113 §8.1). What came is dropped, or a stream that was paused in the middle of its body
 * would never end. Called when the answer is finished.
 *
 * @param defer runs a task when the turn is over: a reset would overtake the answer before that.
 */
export function endRequest(stream: ServerHttp2Stream, defer: (task: () => void) => void): void {
  if (stream.endAfterHeaders || stream.readableEnded) return;
  stream.resume();
  defer(() => {
    if (!stream.closed && !stream.destroyed) resetStream(stream, NGHTTP2_NO_ERROR);
  });
}

/**
 * Resets a stream; the others of the session go on. It is closed at once: where the connection
 * takes nothing the reset would wait for ever, and so would a session that waits for its last stream.
 */
export function resetStream(stream: ServerHttp2Stream, code: number): void {
  stream.close(code);
  stream.destroy();
}

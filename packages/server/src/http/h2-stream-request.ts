/** StreamRequest over one stream of an HTTP/2 session. */
import { constants } from 'node:http2';
import type { ServerHttp2Stream } from 'node:http2';
import { Duplex } from 'node:stream';
import type { Alarm, AlarmMarks } from '../wheel.ts';
import { isBodiless } from './answer.ts';
import type { ConnectionHost } from './connection.ts';
import { answerFields, endRequest, headFields, resetStream } from './h2-stream.ts';
import type { HeaderFields } from './head.ts';
import type { HttpAnswer, RequestHead, StreamRequest } from './request.ts';
import { closedStream } from './stream-request.ts';

const { NGHTTP2_CANCEL } = constants;

/**
 * A request for a stream; until it is decided its stream is not read. What the peer sends
 * meanwhile waits within the window of the stream.
 */
export class Http2StreamRequest implements StreamRequest, Alarm {
  alarmTick = 0;
  alarmBefore: AlarmMarks | undefined = undefined;
  alarmAfter: AlarmMarks | undefined = undefined;

  readonly method: string;
  readonly path: string;
  readonly search: string;
  readonly headers: Readonly<HeaderFields>;
  readonly remoteAddress: string;
  readonly secure: boolean;
  readonly version = '2';
  readonly #host: ConnectionHost;
  /** Gone once the request is decided. */
  #stream: ServerHttp2Stream | undefined;
  /** Set while the peer has not taken why it was refused. */
  #refused: ServerHttp2Stream | undefined;

  constructor(head: RequestHead, stream: ServerHttp2Stream, host: ConnectionHost) {
    this.method = head.method;
    this.path = head.path;
    this.search = head.search;
    this.headers = head.headers;
    this.remoteAddress = head.remoteAddress;
    this.secure = head.secure;
    this.#stream = stream;
    this.#host = host;
  }

  /** False once it was accepted or refused. */
  get isOpen(): boolean {
    return this.#stream !== undefined;
  }

  accept(_status: 101 | 200, headers: Readonly<Record<string, string>>): Duplex {
    // RFC 8441 §5: what HTTP/1.1 answers with 101 is a 200 here.
    const fields = headFields(200, headers, this.#host.date.text());
    const stream = this.#decide();
    if (stream.closed || stream.destroyed) return closedStream();
    stream.respond(fields);
    stream.destroy = destroyCancelled;
    stream.resume();
    return stream;
  }

  refuse(answer: HttpAnswer): void {
    const fields = answerFields(answer, this.#host.date.text());
    const stream = this.#decide();
    if (stream.closed || stream.destroyed) return;
    const body = isBodiless(answer.status) ? '' : (answer.body ?? '');
    stream.respond(fields, { endStream: body.length === 0 });
    stream.once('finish', () => endRequest(stream, (task) => this.#host.defer(task)));
    if (body.length > 0) this.#sayWhy(stream, body);
  }

  /** For the wheel: the peer did not take it in time. */
  onAlarm(): void {
    if (this.#refused !== undefined) resetStream(this.#refused, NGHTTP2_CANCEL);
  }

  #sayWhy(stream: ServerHttp2Stream, body: string | Uint8Array): void {
    const { wheel, limits } = this.#host;
    this.#refused = stream;
    wheel.arm(this, limits.answerMs);
    stream.once('close', () => wheel.cancel(this));
    stream.end(body);
  }

  #decide(): ServerHttp2Stream {
    const stream = this.#stream;
    if (stream === undefined) {
      throw new Error('a stream request is accepted or refused once; it was decided before');
    }
    this.#stream = undefined;
    return stream;
  }
}

/**
 * A stream that is cut is reset with CANCEL (RFC 8441 §5): node:http2 would say NO_ERROR, which
 * clients take for a proper end.
 */
function destroyCancelled(this: ServerHttp2Stream, error?: Error): ServerHttp2Stream {
  if (!this.closed && !this.writableFinished) this.close(NGHTTP2_CANCEL);
  Duplex.prototype.destroy.call(this, error);
  return this;
}

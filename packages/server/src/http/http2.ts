/**
 * Http2: HTTP/2 sessions and their requests, over TLS (ALPN `h2`) or, for proxies, by prior
 * knowledge on a plain connection (RFC 9113 §3.3).
 */
import { performServerHandshake } from 'node:http2';
import type { ServerHttp2Stream, ServerSessionOptions } from 'node:http2';
import type { Clock } from '../clock.ts';
import type { Log } from '../observe/log.ts';
import type { Connection } from './connection.ts';
import type { Branch } from './door.ts';
import { Http2Exchange } from './h2-exchange.ts';
import { readHttp2Head } from './h2-head.ts';
import { sessionOptions } from './h2-limits.ts';
import type { Http2Limits } from './h2-limits.ts';
import { Http2Session } from './h2-session.ts';
import type { SessionHost } from './h2-session.ts';
import { Http2StreamRequest } from './h2-stream-request.ts';
import type { HttpLimits } from './limits.ts';
import { announcesBody } from './node-head.ts';
import { INTERNAL_PROBLEM, problemAnswer } from './problem.ts';
import type { HttpAnswer, HttpHandlers, RequestHead } from './request.ts';
import type { StreamBranch } from './stream-branch.ts';
import { Tally } from './tally.ts';

/** RFC 9113 §3.4. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/** What serving HTTP/2 needs. */
export interface Http2Parts {
  readonly handlers: HttpHandlers;
  /** Who hands on the requests for streams. */
  readonly streams: StreamBranch;
  readonly limits: HttpLimits;
  readonly http2Limits: Http2Limits;
  readonly clock: Clock;
  readonly log: Log;
}

/** The branch for HTTP/2 without TLS, and who begins sessions for all branches. */
export class Http2 implements Branch, SessionHost {
  readonly name = 'http/2';
  readonly limits: Http2Limits;
  sessionCount = 0;
  #streamCount = 0;
  readonly #ofAddress = new Tally();
  readonly #parts: Http2Parts;
  readonly #options: ServerSessionOptions;

  constructor(parts: Http2Parts) {
    this.#parts = parts;
    this.limits = parts.http2Limits;
    this.#options = sessionOptions(parts.http2Limits, parts.limits);
  }

  offer(connection: Connection, seen: Buffer): 'no' | 'more' | 'taken' {
    const size = Math.min(seen.length, PREFACE.length);
    if (PREFACE.compare(seen, 0, size, 0, size) !== 0) return 'no';
    if (size < PREFACE.length) return 'more';
    this.begin(connection, seen);
    return 'taken';
  }

  /** Serves a connection, whose first bytes are the preface; `seen` were read of it already. */
  begin(connection: Connection, seen?: Buffer): void {
    const { socket } = connection;
    if (socket.destroyed) return;
    // node:http2 takes what was put back before it reads from the handle.
    if (seen !== undefined) socket.unshift(seen);
    const session = performServerHandshake(socket, this.#options);
    this.sessionCount += 1;
    session.once('close', this.#onSessionClose);
    new Http2Session(session, connection, this).start();
  }

  readonly #onSessionClose = (): void => {
    this.sessionCount -= 1;
  };

  /** Open streams of all sessions. */
  get streamCount(): number {
    return this.#streamCount;
  }

  streamBegan({ remoteAddress }: Connection): boolean {
    this.#streamCount += 1;
    const ofAddress = this.#ofAddress.add(remoteAddress);
    const { streamsMax, streamsPerAddressMax } = this.limits;
    return this.#streamCount <= streamsMax && ofAddress <= streamsPerAddressMax;
  }

  streamEnded({ remoteAddress }: Connection): void {
    this.#streamCount -= 1;
    this.#ofAddress.remove(remoteAddress);
  }

  nowMs(): number {
    return this.#parts.clock.monotonicMs();
  }

  onFlood(connection: Connection, what: string): void {
    const { remoteAddress: address } = connection;
    this.#parts.log.debug({ address }, `an HTTP/2 session was ended: too many ${what}`);
  }

  serve(stream: ServerHttp2Stream, rawHeaders: readonly string[], session: Http2Session): void {
    const { connection } = session;
    const { handlers, limits } = this.#parts;
    const { head, asksForWebSocket, refusal } = readHttp2Head(rawHeaders, connection, limits);
    const isEventStream =
      refusal === undefined && head.method === 'GET' && handlers.isEventStream(head.path);
    if (asksForWebSocket || isEventStream) {
      this.#stream(stream, head, connection, asksForWebSocket, refusal);
      return;
    }
    const exchange = new Http2Exchange(head, stream, session);
    const wrong = refusal ?? expectationOf(head);
    if (wrong !== undefined) exchange.answer(wrong);
    else void this.#answer(exchange); // Never rejects.
  }

  #stream(
    stream: ServerHttp2Stream,
    head: RequestHead,
    connection: Connection,
    asksForWebSocket: boolean,
    refusal: HttpAnswer | undefined,
  ): void {
    const request = new Http2StreamRequest(head, stream, connection.host);
    if (refusal !== undefined) request.refuse(refusal);
    else if (!asksForWebSocket && announcesBody(head.headers)) {
      request.refuse(problemAnswer('bad_request', 'A request for a stream has no body.'));
    } else this.#parts.streams.serve(request, asksForWebSocket);
  }

  async #answer(exchange: Http2Exchange): Promise<void> {
    try {
      exchange.answer(await this.#parts.handlers.onRequest(exchange));
    } catch (error) {
      const { method, path } = exchange;
      this.#parts.log.error({ error, method, path }, 'a request could not be answered');
      exchange.answer(INTERNAL_PROBLEM);
    }
  }
}

/** RFC 9110 §10.1.1: an expectation other than `100-continue` can't be met. */
function expectationOf(head: RequestHead): HttpAnswer | undefined {
  const expectation = head.headers['expect']?.toLowerCase();
  if (expectation === undefined || expectation === '100-continue') return undefined;
  const detail = 'The only expectation that can be met is 100-continue.';
  return problemAnswer('bad_request', detail, { status: 417 });
}

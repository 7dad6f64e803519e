/**
 * Requests and answers, the same for HTTP/1.1, 2 and 3: the API, polling and event streams are
 * written once against these and never see a socket or a version.
 */
import type { Duplex } from 'node:stream';

/** What a request says before its body. */
export interface RequestHead {
  readonly method: string;
  /** The path as sent, without the query; percent-encoding untouched. */
  readonly path: string;
  /** The query as sent, without the question mark. */
  readonly search: string;
  /** By lower-case name; repeated ones joined by `, ` (`; ` for cookies), as RFC 9110 §5.3 allows. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** The peer's IP address. */
  readonly remoteAddress: string;
  /** True when TLS protects the connection. */
  readonly secure: boolean;
  readonly version: '1.0' | '1.1' | '2' | '3';
}

/** A request that is answered as a whole. */
export interface HttpRequest extends RequestHead {
  /**
   * Reads the body, once.
   *
   * @throws {CodedError} `too_large` as soon as more than `sizeMax` bytes are declared or came;
   *   `timeout` when it does not come in time; `bad_request` when it is cut off or badly framed.
   */
  body(sizeMax: number): Promise<Uint8Array>;
  /**
   * Calls `task` once if the peer goes away before it was answered; at once if it is gone already.
   * Whatever is answered after that is dropped.
   */
  onAbort(task: () => void): void;
}

/** An answer as a whole. */
export interface HttpAnswer {
  readonly status: number;
  /** By lower-case name. Those of the framing, `connection` and `date` are the listener's. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/**
 * A request that becomes a stream of bytes: a WebSocket handshake or an event stream. Exactly one
 * of `accept` and `refuse` is called, at once or later; until then the stream is not read.
 */
export interface StreamRequest extends RequestHead {
  /**
   * Writes the head of the answer; from now on the stream belongs to the caller, who attaches
   * listeners before it yields: the stream flows, and what no listener takes is dropped. What the
   * client sent after its request comes first. A stream whose peer is gone closes in a later tick.
   *
   * A body on HTTP/1.1 is chunked, and the caller writes the chunks: see `bodyFraming`.
   *
   * @param status 101 for an HTTP/1.1 upgrade, 200 else.
   * @param headers without `connection`, `upgrade`, `date` and those of the framing.
   */
  accept(status: 101 | 200, headers: Readonly<Record<string, string>>): Duplex;
  /** Answers and ends the connection. */
  refuse(answer: HttpAnswer): void;
}

/** Who serves what an HTTP listener takes in. */
export interface HttpHandlers {
  /** Never rejects: every failure is an answer. */
  onRequest(request: HttpRequest): Promise<HttpAnswer>;
  /** `GET` with `Upgrade: websocket` on HTTP/1.1, extended CONNECT on later versions. */
  onUpgrade(request: StreamRequest): void;
  /** `GET` on a path that `isEventStream` accepts. */
  onEventStream(request: StreamRequest): void;
  /** True for paths that answer with an event stream. */
  isEventStream(path: string): boolean;
}

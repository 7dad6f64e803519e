/**
 * The requests that become streams, taken before node:http makes its objects for them: WebSocket
 * handshakes and GETs of event streams. Such a connection costs little more than its socket.
 */
import type { Log } from '../observe/log.ts';
import type { Connection } from './connection.ts';
import type { Branch } from './door.ts';
import { asksForWebSocket, parseHead } from './head.ts';
import type { HttpLimits } from './limits.ts';
import { INTERNAL_PROBLEM } from './problem.ts';
import type { HttpHandlers, StreamRequest } from './request.ts';
import { SocketStreamRequest } from './stream-request.ts';

/** A request for a stream that knows whether it was decided. */
export interface UndecidedRequest extends StreamRequest {
  readonly isOpen: boolean;
}

/** The branch for streams, and the one place that hands requests for streams to their handlers. */
export class StreamBranch implements Branch {
  readonly name = 'http/1.1 stream';
  readonly #handlers: HttpHandlers;
  readonly #limits: HttpLimits;
  readonly #log: Log;

  constructor(handlers: HttpHandlers, limits: HttpLimits, log: Log) {
    this.#handlers = handlers;
    this.#limits = limits;
    this.#log = log;
  }

  offer(connection: Connection, seen: Buffer): 'no' | 'more' | 'taken' {
    const head = parseHead(seen, this.#limits);
    if (head === 'partial') return 'more';
    if (head === 'foreign') return 'no';
    const upgrade = asksForWebSocket(head.headers);
    if (!upgrade && !this.#handlers.isEventStream(head.path)) return 'no';

    connection.holdForStream();
    if (seen.length > head.size) connection.socket.unshift(seen.subarray(head.size));
    this.serve(new SocketStreamRequest(head, '1.1', connection), upgrade);
    return 'taken';
  }

  /** Hands a request for a stream to its handler; also those that node:http parsed. */
  serve(request: UndecidedRequest, upgrade: boolean): void {
    try {
      this.#hand(request, upgrade);
    } catch (error) {
      this.#log.error({ error, path: request.path }, 'a handler of stream requests failed');
      if (request.isOpen) request.refuse(INTERNAL_PROBLEM);
    }
  }

  #hand(request: StreamRequest, upgrade: boolean): void {
    if (upgrade) this.#handlers.onUpgrade(request);
    else this.#handlers.onEventStream(request);
  }
}

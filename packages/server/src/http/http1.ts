/**
 * Http1: node:http's requests and answers as ours, for all that the door does not take itself.
 *
 * node:http parses and frames; time, limits and error answers are ours. Its own timeouts are off:
 * they need a server that listens, and one that cuts long requests would cut long polls.
 */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { CodeName } from '@trunkline/wire';
import type { Clock } from '../clock.ts';
import type { Log } from '../observe/log.ts';
import type { Connection } from './connection.ts';
import type { Connections } from './connections.ts';
import type { LastBranch } from './door.ts';
import { Exchange, ExchangeResponse } from './exchange.ts';
import { asksForWebSocket } from './head.ts';
import { announcesBody, type Http1Head, readHead } from './node-head.ts';
import { INTERNAL_PROBLEM, problemAnswer } from './problem.ts';
import type { HttpAnswer, HttpHandlers } from './request.ts';
import type { StreamBranch } from './stream-branch.ts';
import { SocketStreamRequest } from './stream-request.ts';

type NodeServer = Server<typeof IncomingMessage, typeof ExchangeResponse>;
type NodeResponse = InstanceType<typeof ExchangeResponse> & { req: IncomingMessage };

/** Errors of node:http's parser that have a status of their own. */
const PARSE_ERRORS: Readonly<Record<string, { status: number; code: CodeName; detail: string }>> = {
  HPE_HEADER_OVERFLOW: { status: 431, code: 'too_large', detail: 'The head is over the limit.' },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: {
    status: 413,
    code: 'too_large',
    detail: 'The chunk extensions are over the limit.',
  },
};

/** A stream's bytes would stand before the answers that are still due. */
const STREAM_BEHIND: HttpAnswer = problemAnswer(
  'bad_request',
  'A stream can not begin behind a request that waits for its answer: use another connection.',
);

/** What serving with node:http needs. */
export interface Http1Parts {
  readonly connections: Connections;
  readonly handlers: HttpHandlers;
  /** Who hands on the requests for streams that node:http parsed. */
  readonly streams: StreamBranch;
  readonly clock: Clock;
  readonly log: Log;
}

/** Serves connections with node:http. */
export class Http1 implements LastBranch {
  readonly #connections: Connections;
  readonly #handlers: HttpHandlers;
  readonly #streams: StreamBranch;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #server: NodeServer;
  readonly #destroySoon: (this: Socket) => void;

  constructor(parts: Http1Parts) {
    const { connections } = parts;
    this.#connections = connections;
    this.#handlers = parts.handlers;
    this.#streams = parts.streams;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#destroySoon = function destroySoon() {
      connections.of(this)?.close();
    };
    this.#server = this.#createServer();
  }

  /** Gives a connection and what was read of it to node:http. */
  take(connection: Connection, seen: Buffer): void {
    const { socket } = connection;
    // After its last answer node:http destroys a socket; ours waits for the peer first.
    socket.destroySoon = this.#destroySoon;
    this.#server.emit('connection', socket);
    // node:http reads from the handle from now on; what was read already comes before that.
    socket.unshift(seen);
    socket.resume();
  }

  #createServer(): NodeServer {
    const server = createServer({
      ServerResponse: ExchangeResponse,
      maxHeaderSize: this.#connections.limits.headSizeMax,
      // Requests without a body, waiting polls above all, need no stream for one.
      optimizeEmptyRequests: true,
      // Its answer would be no problem document; `readHead` looks for the field.
      requireHostHeader: false,
      shouldUpgradeCallback: (request) => this.#mayUpgrade(request),
      keepAliveTimeout: 0,
      headersTimeout: 0,
      requestTimeout: 0,
      insecureHTTPParser: false,
    });
    // It would drop the fields over its limit in silence; the size of the head bounds them.
    server.maxHeadersCount = 0;
    server.on('request', (request, response) => this.#begin(request, response, false));
    server.on('checkContinue', (request, response) => this.#begin(request, response, true));
    server.on('checkExpectation', (request, response) => this.#begin(request, response, false));
    server.on('upgrade', (request, stream, rest) => this.#upgrade(request, stream, rest));
    server.on('connect', (_request, stream) => this.#refuseConnect(stream));
    server.on('clientError', (error, stream) => this.#clientError(error, stream));
    return server;
  }

  #begin(request: IncomingMessage, response: NodeResponse, asksToContinue: boolean): void {
    const connection = this.#connectionOf(request.socket);
    // What stands behind the last request that is answered is not.
    if (connection === undefined || connection.isDeaf) return;
    const { limits } = connection.host;
    const { head, refusal } = readHead(request, connection, limits);
    const isStream =
      refusal === undefined && head.method === 'GET' && this.#handlers.isEventStream(head.path);
    if (isStream && connection.unanswered === 0) {
      this.#stream(connection, head);
      return;
    }
    const exchange = new Exchange(head, request, response, connection, asksToContinue);
    connection.requestBegan(exchange);
    const wrong =
      refusal ??
      (isStream ? STREAM_BEHIND : undefined) ??
      this.#limitOf(connection) ??
      expectationOf(head, asksToContinue);
    if (wrong !== undefined) connection.stopReading();
    // RFC 9112 §9.3.2: only safe requests may be served at one time, and their answers would have
    // to be kept for each other. One at a time keeps the order of what is published, and no more
    // than one answer for a peer that does not read.
    if (connection.unanswered === 1) this.#start(exchange, wrong);
    else connection.whenAnswered(() => this.#start(exchange, wrong));
  }

  #start(exchange: Exchange, wrong: HttpAnswer | undefined): void {
    if (wrong !== undefined) exchange.answer(wrong);
    else void this.#serve(exchange); // Never rejects.
  }

  async #serve(exchange: Exchange): Promise<void> {
    try {
      const answer = await this.#handlers.onRequest(exchange);
      // A body that nobody read may have come with the head and only not be parsed yet. At the end
      // of the turn that is known, and the connection need not be closed for it.
      if (exchange.isIncomplete) await this.#endOfTurn();
      exchange.answer(answer);
    } catch (error) {
      const { method, path } = exchange;
      this.#log.error({ error, method, path }, 'a request could not be answered');
      exchange.answer(INTERNAL_PROBLEM);
    }
  }

  #endOfTurn(): Promise<void> {
    return new Promise((resolve) => this.#clock.defer(resolve));
  }

  /** An event stream on a connection that node:http has, e.g. because it had a request before. */
  #stream(connection: Connection, head: Http1Head): void {
    // The parser is let go: the stream's bytes are written to the socket itself, because
    // a response's `write` would cost every message another framing and a third of the rate.
    connection.stopReading();
    connection.holdForStream();
    const request = new SocketStreamRequest(head, head.version, connection);
    if (announcesBody(head.headers)) {
      request.refuse(problemAnswer('bad_request', 'A request for a stream has no body.'));
      return;
    }
    this.#streams.serve(request, false);
  }

  /**
   * Any other `Upgrade` is ignored, as RFC 9110 §7.8 allows, and the request answered as it is; so
   * is one behind a request that waits, whose answer has to come first.
   */
  #mayUpgrade(request: IncomingMessage): boolean {
    const { method, httpVersion, headers } = request;
    const { connection, upgrade } = headers;
    return (
      method === 'GET' &&
      httpVersion === '1.1' &&
      !announcesBody({
        'content-length': headers['content-length'],
        'transfer-encoding': headers['transfer-encoding'],
      }) &&
      asksForWebSocket({ connection, upgrade }) &&
      this.#connectionOf(request.socket)?.unanswered === 0
    );
  }

  #upgrade(request: IncomingMessage, stream: Duplex, rest: Buffer): void {
    const connection = this.#connectionOf(stream);
    if (connection === undefined || connection.unanswered > 0) {
      stream.destroy();
      return;
    }
    connection.holdForStream();
    if (rest.length > 0) connection.socket.unshift(rest);
    const { limits } = connection.host;
    const { head, refusal } = readHead(request, connection, limits);
    const streamRequest = new SocketStreamRequest(head, head.version, connection);
    if (refusal === undefined) this.#streams.serve(streamRequest, true);
    else streamRequest.refuse(refusal);
  }

  #refuseConnect(stream: Duplex): void {
    const connection = this.#connectionOf(stream);
    if (connection === undefined || connection.unanswered > 0) {
      stream.destroy();
      return;
    }
    const detail = 'This server is no proxy.';
    connection.answerAndClose(problemAnswer('bad_request', detail, { status: 501 }));
  }

  /** The parser gave up, or the socket failed. */
  #clientError(error: Error & { code?: string }, stream: Duplex): void {
    const connection = this.#connectionOf(stream);
    if (connection === undefined || connection.isDeaf || stream.destroyed) return;
    const { code = '' } = error;
    if (!code.startsWith('HPE_')) {
      stream.destroy();
      return;
    }
    connection.stopReading();
    if (connection.unanswered > 0) {
      // The answers that are due come first, then the connection ends.
      connection.newest?.breakBody();
      return;
    }
    const known = PARSE_ERRORS[code];
    connection.answerAndClose(
      problemAnswer(
        known?.code ?? 'bad_request',
        known?.detail ?? 'The request is not HTTP/1.1 as RFC 9112 says.',
        { status: known?.status ?? 400 },
      ),
    );
  }

  /** One request too many: the connection ends after the answers that are due. */
  #limitOf(connection: Connection): HttpAnswer | undefined {
    const { pipelinedMax } = connection.host.limits;
    if (connection.unanswered <= pipelinedMax) return undefined;
    const detail = `At most ${pipelinedMax} requests of a connection may wait for their answers.`;
    return problemAnswer('rate_limited', detail);
  }

  /** The connection of a socket that is served here, unless it is closing or a stream's. */
  #connectionOf(stream: Duplex): Connection | undefined {
    if (!(stream instanceof Socket)) return undefined;
    const connection = this.#connections.of(stream);
    const phase = connection?.phase;
    return phase === 'closing' || phase === 'stream' ? undefined : connection;
  }
}

/** RFC 9110 §10.1.1: an expectation other than `100-continue` can't be met. */
function expectationOf(head: Http1Head, asksToContinue: boolean): HttpAnswer | undefined {
  if (asksToContinue || head.version === '1.0') return undefined;
  if (head.headers['expect'] === undefined) return undefined;
  const detail = 'The only expectation that can be met is 100-continue.';
  return problemAnswer('bad_request', detail, { status: 417 });
}

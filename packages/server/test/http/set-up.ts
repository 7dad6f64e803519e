/** A listener on a free port whose time the test moves, and clients that speak bytes. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect } from 'vitest';
import { CodedError } from '@trunkline/wire';
import { ManualClock } from '@trunkline/testkit';
import {
  createHttpListener,
  type HttpListener,
  type HttpListenerOptions,
} from '@trunkline/server/internal/http/listener.ts';
import type { HttpLimits } from '@trunkline/server/internal/http/limits.ts';
import type {
  HttpAnswer,
  HttpHandlers,
  HttpRequest,
  StreamRequest,
} from '@trunkline/server/internal/http/request.ts';
import { problemAnswer } from '@trunkline/server/internal/http/problem.ts';
import type { Log } from '@trunkline/server/internal/observe/log.ts';
import { Wheel } from '@trunkline/server/internal/wheel.ts';

/** Turns in which bytes on loopback have reached the other side for certain. */
const TURNS = 20;
/** Turns after which something that was to happen will not. */
const TURNS_MAX = 1_000_000;

const endOfTurn = setImmediate;

/** Lets what was written arrive and be handled. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn += 1) await new Promise((resolve) => endOfTurn(resolve));
}

/** Waits until `condition` holds. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  for (let turn = 0; turn < TURNS_MAX; turn += 1) {
    if (condition()) return;
    await new Promise((resolve) => endOfTurn(resolve));
  }
  throw new Error(`expected within ${TURNS_MAX} turns: ${what}`);
}

/** A client that writes bytes and keeps what it got. */
export class RawClient implements AsyncDisposable {
  readonly socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #ended = false;
  #closed = false;

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    this.socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
    });
    this.socket.on('end', () => {
      this.#ended = true;
    });
    this.socket.on('close', () => {
      this.#closed = true;
    });
    this.socket.on('error', () => {});
  }

  get text(): string {
    return this.#received.toString('latin1');
  }

  /** The server has said that nothing more comes. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The connection is gone, orderly or not. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Writes the pieces one after the other, each in a segment of its own. */
  async send(...pieces: readonly string[]): Promise<void> {
    for (const piece of pieces) {
      await new Promise<void>((resolve) => {
        this.socket.write(Buffer.from(piece, 'latin1'), () => resolve());
      });
      await settle();
    }
  }

  /** Waits until `part` was received, `count` times. */
  async sees(part: string, count = 1): Promise<void> {
    const missing = (): string =>
      `${JSON.stringify(part)} ×${count} in ${JSON.stringify(this.text)}`;
    try {
      await until(() => this.text.split(part).length > count, 'bytes');
    } catch {
      throw new Error(`expected ${missing()}`);
    }
  }

  /** Waits for the server's end of the stream, and ends ours. */
  async seesEnd(): Promise<void> {
    await until(() => this.#ended || this.#closed, 'the end of the connection');
    this.socket.end();
    await until(() => this.#closed, 'the close of the connection');
  }

  /** Resets the connection. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
    if (!this.#closed) await once(this.socket, 'close');
  }
}

/** One line of the log. */
export interface LogLine {
  readonly level: string;
  readonly message: string;
}

/** Handlers a test sets; the others answer 200 with the method and path. */
export type TestHandlers = Partial<HttpHandlers>;

/** What else a listener may be given. */
export type ListenerMore = Pick<HttpListenerOptions, 'tls' | 'http2Limits'>;

/** Time by hand, but real turns: the sockets are real as well. */
class SocketClock extends ManualClock {
  override defer(task: () => void): void {
    endOfTurn(task);
  }
}

export class TestListener implements AsyncDisposable {
  readonly clock = new SocketClock();
  readonly wheel = new Wheel(this.clock);
  readonly listener: HttpListener;
  readonly lines: LogLine[] = [];
  readonly requests: HttpRequest[] = [];
  /** Requests for streams, in the order they came. */
  readonly streams: StreamRequest[] = [];
  port = 0;
  readonly #clients: RawClient[] = [];

  constructor(
    handlers: TestHandlers = {},
    limits: Partial<HttpLimits> = {},
    more: ListenerMore = {},
  ) {
    const write = (level: string) => (_fields: object, message: string) => {
      this.lines.push({ level, message });
    };
    const log: Log = {
      debug: write('debug'),
      info: write('info'),
      warn: write('warn'),
      error: write('error'),
    };
    this.listener = createHttpListener({
      host: '127.0.0.1',
      port: 0,
      clock: this.clock,
      wheel: this.wheel,
      log,
      limits,
      ...more,
      handlers: {
        onRequest: (request) => {
          this.requests.push(request);
          return (handlers.onRequest ?? answerPlainly)(request);
        },
        onUpgrade: (request) => this.#onStream(request, handlers.onUpgrade),
        onEventStream: (request) => this.#onStream(request, handlers.onEventStream),
        isEventStream: handlers.isEventStream ?? ((path) => path === '/v1/sse'),
      },
    });
  }

  async start(): Promise<this> {
    this.port = (await this.listener.start()).port;
    return this;
  }

  /** A connected client. */
  async connect(): Promise<RawClient> {
    const client = new RawClient(this.port);
    this.#clients.push(client);
    await once(client.socket, 'connect');
    await settle();
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) await client[Symbol.asyncDispose]();
    await this.listener.stop();
    this.listener.destroyAll();
    await until(() => this.listener.connectionCount === 0, 'no connection');
    this.wheel.close();
  }

  #onStream(request: StreamRequest, handler?: (request: StreamRequest) => void): void {
    this.streams.push(request);
    handler?.(request);
  }
}

/** Starts a listener; `await using` stops it. */
export function startListener(
  handlers: TestHandlers = {},
  limits: Partial<HttpLimits> = {},
  more: ListenerMore = {},
): Promise<TestListener> {
  return new TestListener(handlers, limits, more).start();
}

async function answerPlainly(request: HttpRequest): Promise<HttpAnswer> {
  return { status: 200, body: `${request.method} ${request.path}` };
}

/** A request with a Host field and the given ones. */
export function requestText(line: string, ...fields: readonly string[]): string {
  return [`${line} HTTP/1.1`, 'Host: a.example', ...fields, '', ''].join('\r\n');
}

/** A WebSocket handshake. */
export const HANDSHAKE: string = requestText(
  'GET /v1/ws',
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
);

/** The one problem document that the client got. */
export function problemIn(client: RawClient): unknown {
  expect(client.text).toContain('content-type: application/problem+json');
  return JSON.parse(client.text.slice(client.text.indexOf('{')));
}

/** What a handler answers when `body` failed. */
export function answerTo(error: unknown): HttpAnswer {
  if (!(error instanceof CodedError)) throw error;
  return problemAnswer(error.code, error.message);
}

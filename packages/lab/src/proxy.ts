/**
 * Proxy: stands between a client and a server, over real sockets, and is as good or as bad as a test
 * says. Everything that comes is noted, so that a test can count it.
 */
import { createServer, request as openRequest } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { tap } from './frame-tap.ts';
import type { OnText } from './frame-tap.ts';

/** Headers that are said anew by each hop (RFC 9110 §7.6.1). */
const OF_ONE_HOP = ['connection', 'transfer-encoding', 'keep-alive'];

/** What is done with something that was asked. */
export type Mood = (exchange: Exchange) => void | Promise<void>;

/** A request, or a handshake of a WebSocket. */
export interface Exchange {
  readonly isUpgrade: boolean;
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly body: Buffer;
  /** Of the client, for every byte that is no HTTP. */
  readonly socket: Socket;
  /** Answers in place of the server. */
  answer(status: number, body?: string | Uint8Array, headers?: Record<string, string>): void;
  /** Hands it on to the server, and the answer back. */
  pass(how?: Passing): void;
}

/** How an answer is handed back. */
export interface Passing {
  /** True keeps the body until its end, as proxies do that buffer. */
  readonly isBuffered?: boolean;
  /** Takes what the server says over a WebSocket, which is not compressed then. */
  readonly onText?: OnText;
}

/** A server of its own before another one. */
export class Proxy implements AsyncDisposable {
  /** How it is now: it hands everything on. */
  mood: Mood = ({ pass }) => pass();
  /** All that was asked: `GET /v1/poll`, `UPGRADE /v1/ws`. */
  readonly asked: string[] = [];
  readonly #server: Server;
  readonly #target: number;
  readonly #sockets = new Set<Socket>();

  private constructor(target: number) {
    this.#target = target;
    this.#server = createServer({ keepAliveTimeout: 0 });
    this.#server.on('request', (request, response) => void this.#onRequest(request, response));
    this.#server.on('upgrade', (request, socket: Socket, head: Buffer) =>
      this.#onUpgrade(request, socket, head),
    );
    this.#server.on('clientError', (_, socket) => socket.destroy());
    this.#server.on('connection', (socket) => this.#keep(socket));
  }

  /** @param target the port of the server. */
  static async before(target: number): Promise<Proxy> {
    const proxy = new Proxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Connections that are open, on both sides. */
  get openCount(): number {
    return this.#sockets.size;
  }

  /** Cuts all that is open, as a proxy does that restarts. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Hands nothing on any more of what is open, and closes nothing, as when a peer vanishes. */
  mute(): void {
    for (const socket of this.#sockets) {
      socket.unpipe();
      socket.removeAllListeners('data');
      socket.removeAllListeners('end');
      socket.resume();
      socket.write = () => true;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => {}); // 'close' follows.
    socket.on('close', () => this.#sockets.delete(socket));
  }

  async #onRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await buffer(request).catch(() => undefined);
    if (body === undefined) return; // The client has gone.
    const answer: Exchange['answer'] = (status, text = '', headers = {}) => {
      response.writeHead(status, headers);
      response.end(text);
    };
    const pass = (how: Passing = {}) => this.#pass(request, body, response, how);
    await this.#meet(request, { isUpgrade: false, body, socket: request.socket, answer, pass });
  }

  #onUpgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const answer: Exchange['answer'] = (status, text = '', headers = {}) => {
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.write(`HTTP/1.1 ${status} no\r\nconnection: close\r\n${lines.join('')}\r\n`);
      socket.end(text);
    };
    const pass = ({ onText }: Passing = {}) => {
      const server = connect({ host: '127.0.0.1', port: this.#target });
      this.#keep(server);
      server.write(headOf(request, onText !== undefined));
      server.write(head);
      if (onText === undefined) server.pipe(socket).pipe(server);
      else tap(server, socket, onText);
      socket.on('close', () => server.destroy());
      server.on('close', () => socket.destroy());
    };
    void this.#meet(request, { isUpgrade: true, body: head, socket, answer, pass });
  }

  async #meet(
    { method = '', url = '' }: IncomingMessage,
    rest: Omit<Exchange, 'method' | 'path'>,
  ): Promise<void> {
    const [path = ''] = url.split('?');
    this.asked.push(`${rest.isUpgrade ? 'UPGRADE' : method} ${path}`);
    await this.mood({ method, path, ...rest });
  }

  #pass(
    { method, url, headers }: IncomingMessage,
    body: Buffer,
    response: ServerResponse,
    { isBuffered = false }: Passing,
  ): void {
    const target = { host: '127.0.0.1', port: this.#target, method, path: url };
    const asking = openRequest({ ...target, headers: endToEnd(headers), agent: false });
    asking.on('socket', (socket) => this.#keep(socket));
    asking.on('error', () => response.destroy());
    asking.on('response', (answer) => {
      answer.on('error', () => response.destroy());
      if (!isBuffered) {
        response.writeHead(answer.statusCode ?? 502, endToEnd(answer.headers));
        response.flushHeaders();
        answer.pipe(response);
        return;
      }
      buffer(answer).then(
        (bytes) => {
          response.writeHead(answer.statusCode ?? 502, endToEnd(answer.headers));
          response.end(bytes);
        },
        () => response.destroy(),
      );
    });
    response.on('close', () => asking.destroy());
    asking.end(body);
  }
}

function endToEnd(headers: IncomingMessage['headers']): IncomingMessage['headers'] {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !OF_ONE_HOP.includes(name)),
  ) as IncomingMessage['headers'];
}

/** The head as it came, or without an offer to compress. */
function headOf({ method, url, rawHeaders }: IncomingMessage, isPlain: boolean): string {
  const lines: string[] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (isPlain && /^sec-websocket-extensions$/i.test(rawHeaders[index] ?? '')) continue;
    lines.push(`${rawHeaders[index]}: ${rawHeaders[index + 1]}\r\n`);
  }
  return `${method} ${url} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

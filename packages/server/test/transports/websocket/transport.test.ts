import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { systemClock } from '@trunkline/server/internal/clock.ts';
import type { Clock } from '@trunkline/server/internal/clock.ts';
import type { HttpAnswer, StreamRequest } from '@trunkline/server/internal/http/request.ts';
import type { Close, Frame, Link, LinkHandler } from '@trunkline/server/internal/link/link.ts';
import { SharedBatch } from '@trunkline/server/internal/link/shared-batch.ts';
import { Turn } from '@trunkline/server/internal/link/turn.ts';
import { silentLog } from '@trunkline/server/internal/observe/log.ts';
import type { Log } from '@trunkline/server/internal/observe/log.ts';
import type { Admission, Admit } from '@trunkline/server/internal/transports/transport.ts';
import { WEBSOCKET_DEFAULTS } from '@trunkline/server/internal/transports/websocket/config.ts';
import type { DeflateConfig } from '@trunkline/server/internal/transports/websocket/deflate.ts';
import { openEcho } from '@trunkline/server/internal/transports/websocket/echo.ts';
import { createWebSocketTransport } from '@trunkline/server/internal/transports/websocket/transport.ts';
import type { WebSocketTransport } from '@trunkline/server/internal/transports/websocket/transport.ts';
import { Wheel } from '@trunkline/server/internal/wheel.ts';
import { ManualClock } from '@trunkline/testkit';
import { afterEach, describe, expect, test } from 'vitest';
import { nextTurn, RawPeer, until } from './peer.ts';

const ECHO: Admit = () => ({ kind: 'welcome', open: openEcho });

const KEY_HEADERS = [
  'Host: localhost',
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
];

/** As much of an HTTP server as a handshake needs. */
class Listener implements AsyncDisposable {
  readonly transport: WebSocketTransport;
  readonly wheel: Wheel;
  readonly #server: Server;

  private constructor(admit: Admit, clock: Clock, log: Log, compression?: DeflateConfig) {
    const turn = new Turn(systemClock);
    this.wheel = new Wheel(clock, 10);
    const config = { ...WEBSOCKET_DEFAULTS, closeMs: 100 };
    this.transport = createWebSocketTransport({
      turn,
      clock,
      wheel: this.wheel,
      config,
      log,
      admit,
      ...(compression === undefined ? {} : { compression }),
    });
    this.#server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', (head: Buffer) => this.transport.onUpgrade(toRequest(socket, head)));
    });
  }

  static async open(
    admit: Admit,
    clock: Clock = systemClock,
    log: Log = silentLog,
    compression?: DeflateConfig,
  ): Promise<Listener> {
    const listener = new Listener(admit, clock, log, compression);
    listener.#server.listen(0, '127.0.0.1');
    await once(listener.#server, 'listening');
    opened.push(listener);
    return listener;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}/v1/ws`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    await this.transport.close({ code: 'draining' });
    this.wheel.close();
  }
}

function toRequest(socket: Socket, bytes: Buffer): StreamRequest {
  const size = bytes.indexOf('\r\n\r\n') + 4;
  const [line = '', ...fields] = bytes.toString('latin1', 0, size - 4).split('\r\n');
  socket.pause();
  if (size < bytes.length) socket.unshift(bytes.subarray(size));
  return {
    method: line.split(' ')[0] ?? '',
    path: line.split(' ')[1] ?? '',
    search: '',
    headers: Object.fromEntries(
      fields.map((field) => {
        const colon = field.indexOf(':');
        return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()];
      }),
    ),
    remoteAddress: '127.0.0.1',
    secure: false,
    version: '1.1',
    accept(status, headers) {
      if (socket.writable) socket.write(headOf(status, headers));
      return socket.resume();
    },
    refuse({ status, headers = {}, body = '' }: HttpAnswer) {
      socket.end(`${headOf(status, headers)}${String(body)}`);
    },
  };
}

function headOf(status: number, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} X\r\n${lines.join('')}\r\n`;
}

const opened: AsyncDisposable[] = [];

afterEach(async () => {
  for (const one of opened.splice(0)) await one[Symbol.asyncDispose]();
});

/** Node's own client, with what it was told. */
class Client implements AsyncDisposable {
  readonly socket: WebSocket;
  readonly messages: unknown[] = [];
  readonly closes: { readonly code: number; readonly reason: string }[] = [];
  isOpen = false;

  constructor(url: string, subprotocols: string[] = []) {
    this.socket = new WebSocket(url, subprotocols);
    this.socket.binaryType = 'arraybuffer';
    this.socket.addEventListener('open', () => (this.isOpen = true));
    this.socket.addEventListener('message', ({ data }) => this.messages.push(data));
    this.socket.addEventListener('close', ({ code, reason }) => this.closes.push({ code, reason }));
    opened.unshift(this);
  }

  async open(): Promise<void> {
    await until('an open WebSocket', () => this.isOpen);
  }

  async closed(): Promise<{ readonly code: number; readonly reason: string } | undefined> {
    await until('a closed WebSocket', () => this.closes.length > 0);
    return this.closes[0];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.close();
    await this.closed();
  }
}

/** Sends a handshake by hand and gives back all that came until the server ended. */
async function answerTo(listener: Listener, lines = KEY_HEADERS, method = 'GET'): Promise<string> {
  const socket = connect(listener.port, '127.0.0.1');
  socket.write([`${method} /v1/ws HTTP/1.1`, ...lines, '', ''].join('\r\n'));
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  await once(socket, 'end');
  socket.destroy();
  return text;
}

function refusing(refusal: Partial<Extract<Admission, { kind: 'refused' }>>): Admit {
  return () => ({
    kind: 'refused',
    close: { code: 'unauthenticated' },
    message: 'the token ended',
    tellInside: false,
    ...refusal,
  });
}

describe('a WebSocket of Node’s own client', () => {
  test('carries text and bytes of every length form, both ways', async () => {
    const listener = await Listener.open(ECHO);
    const client = new Client(listener.url);
    await client.open();
    const sizes = [0, 1, 125, 126, 65_535, 65_536, 1_000_000];
    for (const size of sizes) client.socket.send('ü'.repeat(size / 2));
    for (const size of sizes) client.socket.send(new Uint8Array(size).fill(size));
    await until('all of it', () => client.messages.length === 2 * sizes.length);
    expect(client.messages.slice(0, sizes.length)).toEqual(
      sizes.map((size) => 'ü'.repeat(size / 2)),
    );
    for (const [index, size] of sizes.entries()) {
      const bytes = new Uint8Array(client.messages[sizes.length + index] as ArrayBuffer);
      expect(bytes).toEqual(new Uint8Array(size).fill(size));
    }
    expect(listener.transport.links.size).toBe(1);
    client.socket.close(1000, 'bye');
    // RFC 6455 §5.5.1: the answer has the code that came.
    expect(await client.closed()).toMatchObject({ code: 1000 });
    await until('no link', () => listener.transport.links.size === 0);
  });

  test.each([
    ['as they are', undefined],
    ['compressed', { context: false, contextBits: 15, payloadBytesMin: 0, level: 6 }],
  ])('may speak bytes alone, %s, and is told so [MQTT-6.0.0-1]', async (_how, compression) => {
    const admit: Admit = () => ({ kind: 'welcome', binaryOnly: true, open: openEcho });
    const listener = await Listener.open(admit, systemClock, silentLog, compression);
    const client = new Client(listener.url);
    await client.open();
    client.socket.send(Uint8Array.of(1, 2, 3));
    await until('an echo', () => client.messages.length === 1);
    expect(new Uint8Array(client.messages[0] as ArrayBuffer)).toEqual(Uint8Array.of(1, 2, 3));
    client.socket.send('text');
    expect(await client.closed()).toMatchObject({ code: 1003 });
  });

  test('gets the subprotocol that was chosen', async () => {
    const listener = await Listener.open(() => ({
      kind: 'welcome',
      subprotocol: 'trunkline.v1.json',
      open: openEcho,
    }));
    const client = new Client(listener.url, ['mqtt', 'trunkline.v1.json']);
    await client.open();
    expect(client.socket.protocol).toBe('trunkline.v1.json');
  });

  test('is told inside why it is refused, also when it offered subprotocols', async () => {
    const listener = await Listener.open(refusing({ tellInside: true, message: 'ü'.repeat(100) }));
    const client = new Client(listener.url, ['trunkline.v1.json']);
    expect(await client.closed()).toEqual({ code: 4401, reason: 'ü'.repeat(61) });
    expect(client.isOpen).toBe(true);
    await until('no link', () => listener.transport.links.size === 0);
  });

  test('is closed with the number of the code when the transport closes', async () => {
    const listener = await Listener.open(ECHO);
    const clients = [new Client(listener.url), new Client(listener.url)];
    for (const client of clients) await client.open();
    await listener.transport.close({ code: 'draining' });
    expect(listener.transport.links.size).toBe(0);
    for (const client of clients) expect((await client.closed())?.code).toBe(1001);
    const late = new Client(listener.url);
    expect((await late.closed())?.code).toBe(1006);
    expect(late.isOpen).toBe(false);
  });
});

describe('a handshake', () => {
  test('is answered as RFC 6455 §1.3 shows, with headers of the admission', async () => {
    const listener = await Listener.open(() => ({
      kind: 'welcome',
      open: (link) => {
        link.close({ code: 'normal' });
        return { onFrame() {}, onDrain() {}, onClose() {} };
      },
      headers: { 'x-own': 'yes' },
    }));
    const text = await answerTo(listener);
    expect(text).toContain('HTTP/1.1 101 ');
    expect(text).toContain('upgrade: websocket\r\nconnection: Upgrade\r\n');
    expect(text).toContain('sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n');
    expect(text).toContain('x-own: yes\r\n');
    expect(text).not.toContain('sec-websocket-protocol');
  });

  test('may be followed at once by frames', async () => {
    const listener = await Listener.open(ECHO);
    const socket = connect(listener.port, '127.0.0.1');
    const head = [`GET /v1/ws HTTP/1.1`, ...KEY_HEADERS, '', ''].join('\r\n');
    // "Hello", as in RFC 6455 §5.7.
    const frame = Buffer.from('818537fa213d7f9f4d5158', 'hex');
    socket.write(Buffer.concat([Buffer.from(head), frame]));
    let bytes = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => (bytes = Buffer.concat([bytes, chunk])));
    await until('the echo', () => bytes.includes(Buffer.from('810548656c6c6f', 'hex')));
    socket.destroy();
  });

  test.each([
    { what: 'no key', lines: KEY_HEADERS.filter((line) => !line.includes('Key')), status: 400 },
    { what: 'another version', lines: KEY_HEADERS.map((l) => l.replace('13', '7')), status: 426 },
    { what: 'no upgrade', lines: KEY_HEADERS.filter((l) => !l.startsWith('Upgrade')), status: 426 },
  ])('with $what is refused with $status and a problem', async ({ lines, status }) => {
    const listener = await Listener.open(ECHO);
    const text = await answerTo(listener, lines);
    expect(text).toContain(`HTTP/1.1 ${status} `);
    expect(text).toContain('content-type: application/problem+json\r\n');
    expect(text.includes('sec-websocket-version: 13\r\n')).toBe(
      lines.length === 5 && status === 426,
    );
    expect(problemOf(text)).toMatchObject({ type: 'about:blank', status, code: 'bad_request' });
  });

  test('that is not admitted is refused with the status of its code', async () => {
    const listener = await Listener.open(
      refusing({ close: { code: 'rate_limited', retryAfter: 1500 }, headers: { 'x-own': 'yes' } }),
    );
    const text = await answerTo(listener);
    expect(text).toContain('HTTP/1.1 429 ');
    expect(text).toContain('retry-after: 2\r\n');
    expect(text).toContain('x-own: yes\r\n');
    expect(problemOf(text)).toMatchObject({
      status: 429,
      code: 'rate_limited',
      detail: 'the token ended',
    });
  });

  test.each([
    { how: 'throws', admit: (): never => fail() },
    { how: 'rejects', admit: async (): Promise<never> => fail() },
  ])('whose admission $how is refused as internal and logged', async ({ admit }) => {
    const errors: unknown[] = [];
    const log: Log = { ...silentLog, error: (fields) => errors.push(fields['error']) };
    const listener = await Listener.open(admit, systemClock, log);
    const text = await answerTo(listener);
    expect(problemOf(text)).toMatchObject({ status: 500, code: 'internal' });
    expect(text).not.toContain('planted');
    expect(errors).toMatchObject([{ message: 'planted' }]);
  });

  test('whose protocol fails to open is closed as internal', async () => {
    const listener = await Listener.open(() => ({ kind: 'welcome', open: () => fail() }));
    const client = new Client(listener.url);
    expect((await client.closed())?.code).toBe(1011);
  });

  test('is decided within its time', async () => {
    const clock = new ManualClock();
    const late = Promise.withResolvers<Admission>();
    const opens: Link[] = [];
    const listener = await Listener.open(() => late.promise, clock);
    const answer = answerTo(listener);
    await until('a wait', () => listener.wheel.armedCount === 1);
    clock.advance(WEBSOCKET_DEFAULTS.admitMs + 10);
    expect(problemOf(await answer)).toMatchObject({ status: 503, code: 'unavailable' });
    late.resolve({ kind: 'welcome', open: (link) => (opens.push(link), openEcho(link)) });
    await nextTurn();
    expect(opens).toEqual([]);
    expect(listener.wheel.armedCount).toBe(0);
  });

  test('that is decided after the transport closed is refused', async () => {
    const late = Promise.withResolvers<Admission>();
    const listener = await Listener.open(() => late.promise);
    const answer = answerTo(listener);
    await until('a wait', () => listener.wheel.armedCount === 1);
    await listener.transport.close({ code: 'draining' });
    late.resolve({ kind: 'welcome', open: openEcho });
    expect(problemOf(await answer)).toMatchObject({ status: 503, code: 'draining' });
  });

  test('whose client goes away while it is decided ends like any link', async () => {
    const late = Promise.withResolvers<Admission>();
    const listener = await Listener.open(() => late.promise);
    const socket = connect(listener.port, '127.0.0.1');
    socket.write([`GET /v1/ws HTTP/1.1`, ...KEY_HEADERS, '', ''].join('\r\n'));
    await until('a wait', () => listener.wheel.armedCount === 1);
    socket.resetAndDestroy();
    for (let round = 0; round < 100; round += 1) await nextTurn();
    const handler = new Recorder();
    late.resolve({
      kind: 'welcome',
      open: (link) => {
        link.send('welcome');
        return handler;
      },
    });
    await until('onClose', () => handler.closes.length === 1);
    expect(handler.closes).toEqual([{ code: 'normal' }]);
    expect(listener.transport.links.size).toBe(0);
    expect(listener.wheel.armedCount).toBe(0);
  });
});

describe('closing the transport', () => {
  test('cuts clients that do not answer, within its time', async () => {
    const listener = await Listener.open(ECHO);
    const socket = connect({ port: listener.port, host: '127.0.0.1', allowHalfOpen: true });
    socket.write([`GET /v1/ws HTTP/1.1`, ...KEY_HEADERS, '', ''].join('\r\n'));
    const peer = new RawPeer(socket);
    socket.removeAllListeners('data');
    await until('a link', () => listener.transport.links.size === 1);
    await Promise.all([
      listener.transport.close({ code: 'draining' }),
      listener.transport.close({ code: 'draining' }),
    ]);
    expect(listener.transport.links.size).toBe(0);
    peer.drop();
  });
});

class Recorder implements LinkHandler {
  readonly frames: Frame[] = [];
  readonly closes: Close[] = [];
  onFrame(frame: Frame): void {
    this.frames.push(frame);
  }
  onDrain(): void {}
  onClose(close: Close): void {
    this.closes.push(close);
  }
}

function fail(): never {
  throw new Error('planted');
}

function problemOf(text: string): unknown {
  return JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4));
}

describe('permessage-deflate', () => {
  const COMPRESSION = { context: true, contextBits: 12, payloadBytesMin: 10, level: 6 };
  const TEXT = 'as long as it takes '.repeat(20);

  /** Sends one shared batch to each that comes. */
  const shares: Admit = () => ({
    kind: 'welcome',
    open(link) {
      link.sendShared(new SharedBatch(Buffer.from(TEXT), true));
      return { onFrame() {}, onDrain() {}, onClose() {} };
    },
  });

  const offering = (offer: string): string[] => [
    ...KEY_HEADERS,
    `Sec-WebSocket-Extensions: ${offer}`,
  ];

  /** The head of the answer to a handshake. */
  async function headOfAnswer(listener: Listener, lines: string[]): Promise<string> {
    const socket = connect(listener.port, '127.0.0.1');
    socket.write(['GET /v1/ws HTTP/1.1', ...lines, '', ''].join('\r\n'));
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    return chunk.toString('latin1').split('\r\n\r\n')[0] ?? '';
  }

  const open = (compression?: DeflateConfig): Promise<Listener> =>
    Listener.open(shares, systemClock, silentLog, compression);

  test.each([
    [
      'permessage-deflate; client_max_window_bits',
      'permessage-deflate; server_max_window_bits=12; client_max_window_bits=12',
    ],
    [
      'permessage-deflate; client_max_window_bits=10; server_no_context_takeover',
      'permessage-deflate; server_no_context_takeover; server_max_window_bits=12; client_max_window_bits=10',
    ],
  ])('answers the offer %j [COMP-2]', async (offer, answer) => {
    const head = await headOfAnswer(await open(COMPRESSION), offering(offer));
    expect(head).toContain(`sec-websocket-extensions: ${answer}`);
  });

  test('names none where it is off [COMP-1], nothing was offered, or no offer can be met', async () => {
    const off = await headOfAnswer(await open(), offering('permessage-deflate'));
    const listener = await open(COMPRESSION);
    const silent = await headOfAnswer(listener, KEY_HEADERS);
    const unmet = await headOfAnswer(listener, offering('permessage-deflate; unknown'));
    for (const head of [off, silent, unmet]) {
      expect(head).toContain('101');
      expect(head).not.toContain('sec-websocket-extensions');
    }
  });

  test('refuses a header that is no list of extensions [COMP-2]', async () => {
    const answer = await answerTo(await open(COMPRESSION), offering('permessage-deflate;'));
    expect(answer).toContain('HTTP/1.1 400');
    expect(answer).toContain('expected Sec-WebSocket-Extensions');
    // Who has no use for the header does not read it.
    const head = await headOfAnswer(await open(), offering('permessage-deflate;'));
    expect(head).toContain('101');
  });

  test.each([true, false])('is read by Node’s own client, context %s', async (context) => {
    const listener = await open({ ...COMPRESSION, context });
    for (let count = 0; count < 2; count += 1) {
      const client = new Client(listener.url);
      await client.open();
      expect(client.socket.extensions).toContain('permessage-deflate');
      await until('the message', () => client.messages.length === 1);
      expect(client.messages).toEqual([TEXT]);
    }
  });
});

/** Links over streams of one HTTP/2 session, through the listener and the transports. */
import { once } from 'node:events';
import { connect } from 'node:http2';
import type { ClientHttp2Session, ClientHttp2Stream, Settings } from 'node:http2';
import type { StreamRequest } from '@trunkline/server/internal/http/request.ts';
import type { Frame, Link, LinkHandler } from '@trunkline/server/internal/link/link.ts';
import { Turn } from '@trunkline/server/internal/link/turn.ts';
import { silentLog } from '@trunkline/server/internal/observe/log.ts';
import { SSE_DEFAULTS } from '@trunkline/server/internal/transports/sse/config.ts';
import { SseTransport } from '@trunkline/server/internal/transports/sse/transport.ts';
import type { Admit } from '@trunkline/server/internal/transports/transport.ts';
import { WEBSOCKET_DEFAULTS } from '@trunkline/server/internal/transports/websocket/config.ts';
import {
  closePayload,
  OPCODES,
  toFrame,
} from '@trunkline/server/internal/transports/websocket/frames.ts';
import { Receiver } from '@trunkline/server/internal/transports/websocket/receiver.ts';
import { createWebSocketTransport } from '@trunkline/server/internal/transports/websocket/transport.ts';
import { readKeyPair } from '@trunkline/server/internal/tls/key-pair.ts';
import { createSelfSigned } from '@trunkline/server/internal/tls/self-signed.ts';
import { TestListener, type TestHandlers, until } from '../http/set-up.ts';
import { MASK } from './websocket/peer.ts';
import { RULES } from './websocket/recorder.ts';

const { cert, key } = createSelfSigned(['127.0.0.1'], Date.UTC(2026, 0, 1));
const PAIR = readKeyPair(cert, key);

/** The client's end of a stream. */
abstract class StreamPeer {
  readonly stream: ClientHttp2Stream;
  readonly frames: Frame[] = [];
  ended = false;

  constructor(stream: ClientHttp2Stream) {
    this.stream = stream;
    stream.on('data', (chunk: Buffer) => this.read(chunk));
    stream.on('end', () => (this.ended = true));
    stream.on('close', () => (this.ended = true));
    stream.on('error', () => {});
  }

  abstract read(chunk: Buffer): void;

  setReading(reading: boolean): void {
    if (reading) this.stream.resume();
    else this.stream.pause();
  }

  drop(): void {
    this.stream.close(8); // CANCEL
  }
}

/** Speaks RFC 6455, and answers a close frame as any real client does. */
export class Http2WebSocketPeer extends StreamPeer {
  readonly closes: (number | undefined)[] = [];
  readonly pings: string[] = [];
  readonly #receiver = new Receiver({
    ...RULES,
    peerMasks: false,
    frameBytesMax: 2 ** 26,
    messageBytesMax: 2 ** 26,
  });

  send(frame: Frame): void {
    const text = typeof frame === 'string';
    const payload = text ? Buffer.from(frame) : frame;
    this.stream.write(toFrame(text ? OPCODES.text : OPCODES.binary, payload, { mask: MASK }));
  }

  read(chunk: Buffer): void {
    this.#receiver.push(chunk, {
      isDeaf: false,
      onMessage: (message) => {
        this.frames.push(typeof message === 'string' ? message : Uint8Array.from(message));
        return true;
      },
      onPing: (payload) => this.pings.push(Buffer.from(payload).toString()),
      onPong: () => {},
      onClose: (code) => {
        this.closes.push(code);
        const payload = code === undefined ? Buffer.alloc(0) : closePayload(code);
        if (this.stream.writable) this.stream.end(toFrame(OPCODES.close, payload, { mask: MASK }));
      },
    });
  }
}

/** Reads events, each of them a frame without the empty line at its end. */
export class Http2EventPeer extends StreamPeer {
  #rest = '';

  send(): void {
    throw new Error('the peer of an event stream can only listen');
  }

  read(chunk: Buffer): void {
    const events = (this.#rest + chunk.toString()).split('\n\n');
    this.#rest = events.pop() ?? '';
    this.frames.push(...events);
  }
}

/** A server whose links are the test's, and one session with it. */
export class Http2Links implements AsyncDisposable {
  readonly server: TestListener;
  session!: ClientHttp2Session;
  /** Links that were opened, in order. */
  readonly links: Link[] = [];
  readonly #handlers: LinkHandler[] = [];
  #sessionClosed = false;

  private constructor(tls: boolean) {
    const log = silentLog;
    const admit: Admit = () => ({
      kind: 'welcome',
      open: (link) => {
        this.links.push(link);
        return this.#handlers.shift() ?? SILENT;
      },
    });
    const parts = () => {
      const { clock, wheel } = this.server;
      return { turn, clock, wheel, log, admit };
    };
    let onUpgrade = (_request: StreamRequest): void => {};
    let onEventStream = (_request: StreamRequest): void => {};
    const handlers: TestHandlers = {
      onUpgrade: (request) => onUpgrade(request),
      onEventStream: (request) => onEventStream(request),
    };
    this.server = new TestListener(handlers, {}, tls ? { tls: PAIR } : {});
    const turn = new Turn(this.server.clock);
    const webSockets = createWebSocketTransport({ ...parts(), config: WEBSOCKET_DEFAULTS });
    const eventStreams = new SseTransport({ ...parts(), config: SSE_DEFAULTS });
    onUpgrade = (request) => webSockets.onUpgrade(request);
    onEventStream = (request) => eventStreams.onEventStream(request);
  }

  static async open(settings: Settings = {}, tls = false): Promise<Http2Links> {
    const links = new Http2Links(tls);
    await links.server.start();
    const url = `${tls ? 'https' : 'http'}://127.0.0.1:${links.server.port}`;
    const session = connect(url, { settings, rejectUnauthorized: false });
    session.on('error', () => {});
    session.on('close', () => (links.#sessionClosed = true));
    links.session = session;
    await once(session, 'remoteSettings');
    return links;
  }

  /** Opens a WebSocket whose link speaks to `handler`. */
  async webSocket(handler: LinkHandler = SILENT) {
    const stream = this.session.request(
      {
        ':method': 'CONNECT',
        ':protocol': 'websocket',
        ':path': '/v1/ws',
        'sec-websocket-version': '13',
      },
      { endStream: false },
    );
    return { link: await this.#link(stream, handler), peer: new Http2WebSocketPeer(stream) };
  }

  /** Opens an event stream. */
  async eventStream(handler: LinkHandler = SILENT) {
    const stream = this.session.request({ ':path': '/v1/sse' });
    return { link: await this.#link(stream, handler), peer: new Http2EventPeer(stream) };
  }

  readonly settle = async (): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
  };

  async [Symbol.asyncDispose](): Promise<void> {
    this.session.destroy();
    await until(() => this.#sessionClosed, 'the session to close');
    await this.server[Symbol.asyncDispose]();
  }

  async #link(stream: ClientHttp2Stream, handler: LinkHandler): Promise<Link> {
    const count = this.links.length;
    this.#handlers.push(handler);
    await once(stream, 'response');
    const link = this.links[count];
    if (link === undefined) throw new Error('expected a link');
    return link;
  }
}

const SILENT: LinkHandler = { onFrame() {}, onDrain() {}, onClose() {} };

/** Http2Peer: a proper client of HTTP/2, with several streams of one session. */
import { once } from 'node:events';
import { connect } from 'node:http2';
import type {
  ClientHttp2Session,
  ClientHttp2Stream,
  IncomingHttpHeaders,
  OutgoingHttpHeaders,
  SecureClientSessionOptions,
} from 'node:http2';
import type { Fields } from './http.ts';
import { Queue, within } from './queue.ts';
import { maskedFrame, OPCODE } from './web-socket.ts';

/** A whole answer. */
export interface Http2Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** One session. */
export class Http2Peer implements Disposable {
  readonly session: ClientHttp2Session;
  /** Codes of the GOAWAY frames that came. */
  readonly goaways: number[] = [];
  /** Resolves when the session is gone. */
  readonly ended: Promise<void>;

  private constructor(session: ClientHttp2Session) {
    this.session = session;
    session.on('goaway', (code: number) => this.goaways.push(code));
    session.on('error', () => {}); // 'close' follows.
    this.ended = new Promise((resolve) => session.on('close', resolve));
  }

  /** Connects, and waits for the server's SETTINGS. */
  static async open(url: string, options: SecureClientSessionOptions = {}): Promise<Http2Peer> {
    const peer = new Http2Peer(connect(url, options));
    await within(once(peer.session, 'remoteSettings'), 'the settings of the server');
    return peer;
  }

  /** Asks and waits for the whole answer. */
  ask(path: string, headers: OutgoingHttpHeaders = {}, body?: string): Promise<Http2Answer> {
    const all = { ':path': path, ...headers };
    const stream = this.session.request(all, { endStream: body === undefined });
    if (body !== undefined) stream.end(body);
    return answerOf(stream);
  }

  /** The answer to a request that stays open on our side. */
  answerTo(headers: OutgoingHttpHeaders): Promise<Http2Answer> {
    return answerOf(this.session.request(headers, { endStream: false }));
  }

  /** Asks for a stream, such as one of events. */
  stream(path: string): TextStream {
    return new TextStream(this.session.request({ ':path': path }));
  }

  /** Opens a WebSocket by an extended CONNECT. */
  async webSocket(path: string, headers: OutgoingHttpHeaders = {}): Promise<Http2WebSocket> {
    const stream = this.session.request(extended(path, headers), { endStream: false });
    const [answer] = (await within(once(stream, 'response'), 'a handshake')) as [
      IncomingHttpHeaders,
    ];
    return new Http2WebSocket(stream, answer);
  }

  /** The answer to a handshake that is refused. */
  refused(path: string, headers: OutgoingHttpHeaders = {}): Promise<Http2Answer> {
    return this.answerTo(extended(path, headers));
  }

  [Symbol.dispose](): void {
    this.session.destroy();
  }
}

function extended(path: string, headers: OutgoingHttpHeaders): OutgoingHttpHeaders {
  return {
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':path': path,
    'sec-websocket-version': '13',
    ...headers,
  };
}

function answerOf(stream: ClientHttp2Stream): Promise<Http2Answer> {
  let headers: IncomingHttpHeaders = {};
  let text = '';
  stream.on('response', (fields) => (headers = fields));
  stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
  stream.on('error', () => {}); // 'close' follows.
  const closed = new Promise<Http2Answer>((resolve) => {
    stream.on('close', () => resolve({ status: Number(headers[':status'] ?? 0), headers, text }));
  });
  return within(closed, 'an answer over HTTP/2');
}

/** An endless answer of text. */
export class TextStream {
  readonly #stream: ClientHttp2Stream;
  headers: IncomingHttpHeaders = {};
  text = '';
  #onText: (() => void)[] = [];

  constructor(stream: ClientHttp2Stream) {
    this.#stream = stream;
    stream.on('response', (headers) => (this.headers = headers));
    stream.on('error', () => {});
    stream.on('data', (chunk: Buffer) => {
      this.text += chunk.toString();
      for (const resolve of this.#onText.splice(0)) resolve();
    });
  }

  /** Resolves as soon as the text has this part. */
  sees(part: string): Promise<void> {
    return this.seesTimes(part, 1);
  }

  /** Resolves as soon as the text has this part so often. */
  async seesTimes(part: string, times: number): Promise<void> {
    while (this.text.split(part).length <= times) {
      await within(new Promise<void>((resolve) => this.#onText.push(resolve)), part);
    }
  }

  /** Reads nothing any more; the window of the stream fills up. */
  pause(): void {
    this.#stream.pause();
  }

  /** Reads on. */
  resume(): void {
    this.#stream.resume();
  }
}

/** A WebSocket that a stream of HTTP/2 carries. */
export class Http2WebSocket {
  readonly headers: IncomingHttpHeaders;
  /** The code of the server's close frame; 1006 when there was none. */
  readonly closed: Promise<number>;
  readonly #stream: ClientHttp2Stream;
  readonly #objects = new Queue<Fields>('a frame of the server');
  /** Takes the frames of bytes. */
  onBytes: (bytes: Uint8Array) => void = () => {};
  #bytes = Buffer.alloc(0);
  #code = 1006;

  constructor(stream: ClientHttp2Stream, headers: IncomingHttpHeaders) {
    this.headers = headers;
    this.#stream = stream;
    stream.on('data', (chunk: Buffer) => this.#read(chunk));
    stream.on('error', () => {});
    this.closed = new Promise((resolve) => {
      stream.on('close', () => {
        this.#objects.end(new Error(`the server closed: ${this.#code}`));
        resolve(this.#code);
      });
    });
  }

  /** Sends one JSON object. */
  send(object: object): void {
    this.#stream.write(maskedFrame(OPCODE.text, Buffer.from(JSON.stringify(object))));
  }

  /** Sends one frame of bytes. */
  sendBytes(bytes: Uint8Array): void {
    this.#stream.write(maskedFrame(OPCODE.binary, bytes));
  }

  /** The next object of this type; others are passed over. */
  async nextOf(type: string): Promise<Fields> {
    for (;;) {
      const fields = await this.#objects.next();
      if (fields['type'] === type) return fields;
    }
  }

  #read(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    for (;;) {
      const size = this.#sizeOfFirst();
      if (size === undefined || this.#bytes.length < size.head + size.payload) return;
      const opcode = (this.#bytes[0] ?? 0) & 0x0f;
      const payload = this.#bytes.subarray(size.head, size.head + size.payload);
      this.#bytes = this.#bytes.subarray(size.head + size.payload);
      this.#take(opcode, payload);
    }
  }

  /** Lengths of the first frame's head and payload, once they are known. */
  #sizeOfFirst(): { readonly head: number; readonly payload: number } | undefined {
    if (this.#bytes.length < 2) return undefined;
    const short = (this.#bytes[1] ?? 0) & 0x7f;
    if (short < 126) return { head: 2, payload: short };
    if (this.#bytes.length < 10) return undefined;
    if (short === 126) return { head: 4, payload: this.#bytes.readUInt16BE(2) };
    return { head: 10, payload: Number(this.#bytes.readBigUInt64BE(2)) };
  }

  #take(opcode: number, payload: Buffer): void {
    if (opcode === OPCODE.text) {
      for (const line of payload.toString().split('\n')) {
        this.#objects.push(JSON.parse(line) as Fields);
      }
    } else if (opcode === OPCODE.binary) {
      this.onBytes(payload);
    } else if (opcode === OPCODE.ping) {
      this.#stream.write(maskedFrame(OPCODE.pong, payload));
    } else if (opcode === OPCODE.close) {
      this.#code = payload.length >= 2 ? payload.readUInt16BE() : 1005;
      if (this.#stream.writable) {
        this.#stream.end(maskedFrame(OPCODE.close, payload.subarray(0, 2)));
      }
    }
  }
}

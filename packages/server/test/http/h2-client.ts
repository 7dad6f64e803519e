/** A client of HTTP/2 for tests of the listener: Node's own, with what it got kept. */
import { once } from 'node:events';
import { connect } from 'node:http2';
import type {
  ClientHttp2Session,
  ClientHttp2Stream,
  IncomingHttpHeaders,
  OutgoingHttpHeaders,
  SecureClientSessionOptions,
} from 'node:http2';
import { settle, until } from './set-up.ts';

/** One request and what came back. */
export class H2Call {
  readonly stream: ClientHttp2Stream;
  headers: IncomingHttpHeaders = {};
  text = '';
  ended = false;
  closed = false;

  constructor(stream: ClientHttp2Stream) {
    this.stream = stream;
    stream.on('response', (headers) => (this.headers = headers));
    stream.on('data', (chunk: Buffer) => (this.text += chunk.toString('latin1')));
    stream.on('end', () => (this.ended = true));
    stream.on('close', () => (this.closed = true));
    stream.on('error', () => {});
  }

  get status(): number | undefined {
    const status = this.headers[':status'];
    return status === undefined ? undefined : Number(status);
  }

  /** Waits until the stream is closed. */
  async done(): Promise<this> {
    await until(() => this.closed, 'the stream to close');
    return this;
  }

  /** Waits for the head of the answer. */
  async answered(): Promise<this> {
    await until(() => this.status !== undefined || this.closed, 'an answer');
    return this;
  }

  async sees(part: string): Promise<void> {
    await until(() => this.text.includes(part), `${part} in ${this.text}`);
  }
}

/** One session. */
export class H2Client implements AsyncDisposable {
  readonly session: ClientHttp2Session;
  /** Codes of the GOAWAY frames that came. */
  readonly goaways: number[] = [];
  closed = false;

  private constructor(session: ClientHttp2Session) {
    this.session = session;
    session.on('goaway', (code: number) => this.goaways.push(code));
    session.on('close', () => (this.closed = true));
    session.on('error', () => {});
  }

  /** Connects and waits for the server's settings. */
  static async connect(url: string, options: SecureClientSessionOptions = {}): Promise<H2Client> {
    const client = new H2Client(connect(url, options));
    await once(client.session, 'remoteSettings');
    return client;
  }

  /** A request without a body, unless `body` says otherwise. */
  call(path: string, headers: OutgoingHttpHeaders = {}, body?: string): H2Call {
    const stream = this.session.request(
      { ':path': path, ':authority': 'a.example', ...headers },
      { endStream: body === undefined },
    );
    if (body !== undefined) stream.end(body);
    return new H2Call(stream);
  }

  /** A request whose body the test sends. */
  open(headers: OutgoingHttpHeaders): H2Call {
    const all = { ':authority': 'a.example', ...headers };
    return new H2Call(this.session.request(all, { endStream: false }));
  }

  /** An extended CONNECT for a WebSocket. */
  upgrade(path: string, headers: OutgoingHttpHeaders = {}): H2Call {
    return this.open({
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':path': path,
      'sec-websocket-version': '13',
      ...headers,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.session.destroy();
    await until(() => this.closed, 'the session to close');
    await settle();
  }
}

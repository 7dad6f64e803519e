/**
 * WebSocketPeer: a client of which a test says every header and every frame (RFC 6455), because
 * the platform's own neither sends an `Origin` of choice nor a broken frame.
 */
import { BINARY_CODEC, binaryFrame, fieldsOf } from './codec.ts';
import { RawSocket } from './raw-socket.ts';
import { Queue } from './queue.ts';
import type { Fields } from './http.ts';

/** Frame types by number (RFC 6455 §5.2). */
export const OPCODE = { more: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** How a WebSocket ended; 1006 when without a close frame (RFC 6455 §7.4.1). */
export interface Closed {
  readonly code: number;
  readonly reason: string;
}

/** What a handshake says beside what it must. */
export interface Dialing {
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** False sends no `Sec-WebSocket-Protocol`; another text replaces it. */
  readonly subprotocol?: string | false;
}

/** An answer to a handshake. */
export interface HandshakeAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** A connection that was upgraded. */
export class WebSocketPeer implements Disposable {
  readonly raw: RawSocket;
  readonly answer: HandshakeAnswer;
  /** Resolves when the connection is gone. */
  readonly closed: Promise<Closed>;
  readonly pings: Buffer[] = [];
  readonly pongs = new Queue<Buffer>('a pong');
  /** False lets pings of the server go by without an answer. */
  answersPings = true;
  readonly #frames = new Queue<Fields>('a frame of the server');
  #closed: Closed = { code: 1006, reason: '' };

  private constructor(raw: RawSocket, answer: HandshakeAnswer) {
    this.raw = raw;
    this.answer = answer;
    this.closed = this.#read();
  }

  /** Dials and expects to be upgraded. */
  static async open(port: number, dialing: Dialing = {}): Promise<WebSocketPeer> {
    const raw = await RawSocket.open(port);
    const answer = await shake(raw, port, dialing);
    if (answer.status !== 101) {
      const rest = await raw.takeAll();
      throw new Error(`expected an upgrade, got ${answer.status}: ${rest}`);
    }
    return new WebSocketPeer(raw, answer);
  }

  /** Dials and expects to be refused: the answer and its problem. */
  static async refused(
    port: number,
    dialing: Dialing = {},
  ): Promise<HandshakeAnswer & { readonly problem: Fields }> {
    using raw = await RawSocket.open(port);
    const answer = await shake(raw, port, dialing);
    if (answer.status === 101) throw new Error('expected a refusal, got an upgrade');
    return { ...answer, problem: JSON.parse(await raw.takeAll()) as Fields };
  }

  /** Sends JSON objects, one frame each. */
  send(...commands: readonly object[]): void {
    for (const command of commands) this.sendJson(JSON.stringify(command));
  }

  /** Sends texts that should be JSON in one frame, as the subprotocol has them. */
  sendJson(...texts: readonly string[]): void {
    if (this.#isBinary) this.sendFrame(OPCODE.binary, binaryFrame(texts));
    else this.sendText(texts.join('\n'));
  }

  /** Sends one text frame. */
  sendText(text: string): void {
    this.sendFrame(OPCODE.text, Buffer.from(text, 'utf8'));
  }

  /** Sends one masked frame. */
  sendFrame(opcode: number, payload: Uint8Array, fin = true): void {
    void this.raw.write(maskedFrame(opcode, payload, fin));
  }

  /** The next object from the server. */
  next(): Promise<Fields> {
    return this.#frames.next();
  }

  /** The next object of this type; others are passed over. */
  async nextOf(type: string): Promise<Fields> {
    for (;;) {
      const fields = await this.next();
      if (fields['type'] === type) return fields;
    }
  }

  /** Sends a command and returns what has its `id`. */
  async call(command: Fields & { readonly id: number }): Promise<Fields> {
    this.send(command);
    for (;;) {
      const fields = await this.next();
      if (fields['id'] === command.id) return fields;
    }
  }

  [Symbol.dispose](): void {
    this.raw[Symbol.dispose]();
  }

  get #isBinary(): boolean {
    return this.answer.headers['sec-websocket-protocol'] === BINARY_CODEC.subprotocol;
  }

  async #read(): Promise<Closed> {
    try {
      while (await this.#readFrame());
    } catch {
      // The connection ended; what was said before tells how.
    }
    this.#frames.end(new Error(`the server closed: ${this.#closed.code} ${this.#closed.reason}`));
    await this.raw.closed;
    return this.#closed;
  }

  /** Reads one frame; false after the close frame. */
  async #readFrame(): Promise<boolean> {
    const head = await this.raw.takeBytes(2);
    const opcode = (head[0] ?? 0) & 0x0f;
    let size = (head[1] ?? 0) & 0x7f;
    if (size === 126) size = (await this.raw.takeBytes(2)).readUInt16BE();
    else if (size === 127) size = Number((await this.raw.takeBytes(8)).readBigUInt64BE());
    const payload = await this.raw.takeBytes(size);
    if (opcode === OPCODE.ping) {
      this.pings.push(payload);
      if (this.answersPings) this.sendFrame(OPCODE.pong, payload);
    } else if (opcode === OPCODE.pong) {
      this.pongs.push(payload);
    } else if (opcode === OPCODE.close) {
      const code = payload.length >= 2 ? payload.readUInt16BE() : 1005;
      this.#closed = { code, reason: payload.subarray(2).toString('utf8') };
      this.sendFrame(OPCODE.close, payload.subarray(0, 2));
      return false;
    } else if (opcode === OPCODE.text) {
      for (const line of payload.toString('utf8').split('\n')) {
        this.#frames.push({ ...(JSON.parse(line) as Fields), source: line });
      }
    } else if (this.#isBinary) {
      for (const fields of fieldsOf(payload)) this.#frames.push(fields);
    } else this.#frames.push({ type: 'binary', payload });
    return true;
  }
}

/** One frame as a client must send it: masked. */
export function maskedFrame(opcode: number, payload: Uint8Array, fin = true): Buffer {
  const { length } = payload;
  const first = (fin ? 0x80 : 0) | opcode;
  let head: Buffer;
  if (length < 126) head = Buffer.from([first, 0x80 | length]);
  else if (length < 65_536) {
    head = Buffer.from([first, 0x80 | 126, 0, 0]);
    head.writeUInt16BE(length, 2);
  } else {
    head = Buffer.from([first, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0, 0]);
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  const mask = Buffer.from([0x1a, 0x2b, 0x3c, 0x4d]);
  const masked = Buffer.from(payload);
  for (let at = 0; at < masked.length; at += 1)
    masked[at] = (masked[at] ?? 0) ^ (mask[at & 3] ?? 0);
  return Buffer.concat([head, mask, masked]);
}

/** The head of a handshake. */
export function handshake(port: number, dialing: Dialing = {}): string {
  const { path = '/v1/ws', headers = {}, subprotocol = 'trunkline.v1.json' } = dialing;
  const fields: Record<string, string> = {
    Host: `127.0.0.1:${port}`,
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    ...(subprotocol === false ? {} : { 'Sec-WebSocket-Protocol': subprotocol }),
    ...headers,
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

async function shake(raw: RawSocket, port: number, dialing: Dialing): Promise<HandshakeAnswer> {
  await raw.write(handshake(port, dialing));
  const [first = '', ...lines] = (await raw.takeUntil('\r\n\r\n')).trimEnd().split('\r\n');
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  return { status: Number(first.split(' ')[1]), headers };
}

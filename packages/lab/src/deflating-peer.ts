/**
 * DeflatingPeer: a WebSocket client that compresses (RFC 7692), with zlib's own streams at its end,
 * which keep their context from message to message as the RFC has it.
 */
import { constants, createDeflateRaw, createInflateRaw } from 'node:zlib';
import type { DeflateRaw, InflateRaw } from 'node:zlib';
import type { Fields } from './http.ts';
import { Queue } from './queue.ts';
import { RawSocket } from './raw-socket.ts';
import { handshake, maskedFrame, OPCODE } from './web-socket.ts';

/** RSV1. */
const COMPRESSED = 0x40;
/** As browsers offer it. */
const OFFER = 'permessage-deflate; client_max_window_bits';
const TAIL = Buffer.from('0000ffff', 'hex');

/** A text message as it came. */
export interface Received {
  readonly compressed: boolean;
  /** Bytes of its payload on the wire. */
  readonly size: number;
  readonly text: string;
  /** Its JSON objects. */
  readonly frames: readonly Fields[];
}

/** A connection that was upgraded. */
export class DeflatingPeer implements Disposable {
  readonly raw: RawSocket;
  /** The head of the answer. */
  readonly head: string;
  /** What the server answered to the offer; empty when it declined. */
  readonly agreed: string;
  /** Resolves with the code of the server's close frame; 1006 when there was none. */
  readonly closed: Promise<number>;
  readonly #received = new Queue<Received>('a message');
  readonly #inflater: Inflating;
  readonly #deflater: Deflating;
  #code = 1006;

  private constructor(raw: RawSocket, head: string) {
    this.raw = raw;
    this.head = head;
    this.agreed = /^sec-websocket-extensions: (.+)$/im.exec(head)?.[1]?.trim() ?? '';
    this.#inflater = new Inflating(!this.agreed.includes('server_no_context_takeover'));
    this.#deflater = new Deflating(
      !this.agreed.includes('client_no_context_takeover'),
      bitsOf(this.agreed),
    );
    this.closed = this.#read();
  }

  /** Dials with this offer, and expects to be upgraded. */
  static async open(port: number, offer = OFFER): Promise<DeflatingPeer> {
    const raw = await RawSocket.open(port);
    await raw.write(handshake(port, { headers: { 'Sec-WebSocket-Extensions': offer } }));
    const head = await raw.takeUntil('\r\n\r\n');
    if (!head.startsWith('HTTP/1.1 101')) throw new Error(`expected an upgrade, got ${head}`);
    return new DeflatingPeer(raw, head);
  }

  /** The next message. */
  next(): Promise<Received> {
    return this.#received.next();
  }

  /** The next message with an object of this type; others are passed over. */
  async nextOf(type: string): Promise<Received> {
    for (;;) {
      const received = await this.next();
      if (received.frames.some((fields) => fields['type'] === type)) return received;
    }
  }

  /** What a client sends as a compressed message's payload. */
  deflate(text: string | Uint8Array): Promise<Buffer> {
    return this.#deflater.deflate(Buffer.from(text));
  }

  /** Sends a command, compressed where that was agreed on. */
  async send(command: object): Promise<void> {
    const text = JSON.stringify(command);
    if (this.agreed === '') this.sendFrame(OPCODE.text, Buffer.from(text), 0);
    else this.sendFrame(OPCODE.text, await this.deflate(text));
  }

  /** Sends one frame; `bits` are those of its first byte beside FIN and the opcode. */
  sendFrame(opcode: number, payload: Uint8Array, bits = COMPRESSED, fin = true): void {
    const frame = maskedFrame(opcode, payload, fin);
    frame[0] = (frame[0] ?? 0) | bits;
    void this.raw.write(frame);
  }

  [Symbol.dispose](): void {
    this.raw[Symbol.dispose]();
    this.#inflater.end();
    this.#deflater.end();
  }

  async #read(): Promise<number> {
    try {
      while (await this.#readFrame());
    } catch {
      // The connection ended; the code tells how.
    }
    this.#received.end(new Error(`the server closed: ${this.#code}`));
    await this.raw.closed;
    return this.#code;
  }

  /** Reads one frame; false after the close frame. The server does not fragment. */
  async #readFrame(): Promise<boolean> {
    const head = await this.raw.takeBytes(2);
    const first = head[0] ?? 0;
    let size = head[1] ?? 0;
    if (size === 126) size = (await this.raw.takeBytes(2)).readUInt16BE();
    else if (size === 127) size = Number((await this.raw.takeBytes(8)).readBigUInt64BE());
    const payload = Buffer.from(await this.raw.takeBytes(size));
    const opcode = first & 0x0f;
    const compressed = (first & COMPRESSED) !== 0;
    if (opcode === OPCODE.text) {
      const bytes = compressed ? await this.#inflater.inflate(payload) : payload;
      const text = bytes.toString('utf8');
      const frames = text.split('\n').map((line) => JSON.parse(line) as Fields);
      this.#received.push({ compressed, size, text, frames });
    } else if (compressed) {
      throw new Error(`expected no RSV1 on a frame of type ${opcode}`);
    } else if (opcode === OPCODE.close) {
      this.#code = payload.length >= 2 ? payload.readUInt16BE() : 1005;
      this.sendFrame(OPCODE.close, payload.subarray(0, 2), 0);
      return false;
    } else if (opcode === OPCODE.ping) this.sendFrame(OPCODE.pong, payload, 0);
    return true;
  }
}

function bitsOf(agreed: string): number {
  return Number(/client_max_window_bits=(\d+)/.exec(agreed)?.[1] ?? 15);
}

/** One zlib stream for all messages, or one for each. */
class Inflating {
  readonly #context: boolean;
  #stream: InflateRaw | undefined;

  constructor(context: boolean) {
    this.#context = context;
  }

  async inflate(payload: Buffer): Promise<Buffer> {
    if (!this.#context) this.end();
    this.#stream ??= createInflateRaw();
    return flushed(this.#stream, Buffer.concat([payload, TAIL]));
  }

  end(): void {
    this.#stream?.destroy();
    this.#stream = undefined;
  }
}

class Deflating {
  readonly #context: boolean;
  readonly #windowBits: number;
  #stream: DeflateRaw | undefined;

  constructor(context: boolean, windowBits: number) {
    this.#context = context;
    this.#windowBits = windowBits;
  }

  async deflate(payload: Buffer): Promise<Buffer> {
    if (!this.#context) this.end();
    this.#stream ??= createDeflateRaw({ windowBits: this.#windowBits });
    return (await flushed(this.#stream, payload)).subarray(0, -TAIL.length);
  }

  end(): void {
    this.#stream?.destroy();
    this.#stream = undefined;
  }
}

/** All that comes out for what goes in. */
function flushed(stream: InflateRaw | DeflateRaw, bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    const onData = (piece: Buffer): void => void pieces.push(piece);
    stream.on('data', onData);
    stream.once('error', reject);
    stream.write(bytes);
    stream.flush(constants.Z_SYNC_FLUSH, () => {
      stream.off('data', onData);
      stream.off('error', reject);
      resolve(Buffer.concat(pieces));
    });
  });
}

/**
 * RawHttp2: an HTTP/2 connection of which a test says every frame (RFC 9113 §4), because a proper
 * client sends none that are wrong.
 */
import { within } from './queue.ts';
import { RawSocket } from './raw-socket.ts';

/** Frame types by number (RFC 9113 §6). */
export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

/** Flags by number. */
export const FLAG = { ack: 1, endStream: 1, endHeaders: 4, padded: 8 } as const;

/** Settings by number (RFC 9113 §6.5.2, RFC 8441 §3). */
export const SETTING = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
  enableConnectProtocol: 8,
} as const;

/** Error codes by name (RFC 9113 §7). */
export const ERROR = {
  none: 0,
  protocol: 1,
  internal: 2,
  flowControl: 3,
  streamClosed: 5,
  frameSize: 6,
  refusedStream: 7,
  cancel: 8,
  compression: 9,
  enhanceYourCalm: 11,
} as const;

/** What every HTTP/2 connection begins with. */
export const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

/** One frame as it came. */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** How a session ended: the error code of its GOAWAY, or that there was none. */
export type SessionEnd = number | 'no goaway';

/** Fields of a request, names in lower case. */
export type Header = readonly (readonly [name: string, value: string])[];

/** One frame's bytes. */
export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** The payload of a SETTINGS frame. */
export function settings(...entries: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(entries.length * 6);
  for (const [index, [id, value]] of entries.entries()) {
    payload.writeUInt16BE(id, index * 6);
    payload.writeUInt32BE(value, index * 6 + 2);
  }
  return payload;
}

/** Four bytes: an error code, or the increment of a window. */
export function number32(value: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(value);
  return payload;
}

/** A block of fields, each of them a literal that no table remembers (RFC 7541 §6.2.2). */
export function literals(header: Header): Buffer {
  return Buffer.concat(
    header.flatMap(([name, value]) => [Buffer.of(0), literal(name), literal(value)]),
  );
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  return Buffer.concat([prefixed(bytes.length, 7), bytes]);
}

/** An integer with a prefix of so many bits (RFC 7541 §5.1). */
function prefixed(value: number, prefixBits: number): Buffer {
  const limit = 2 ** prefixBits - 1;
  if (value < limit) return Buffer.of(value);
  const bytes = [limit];
  let rest = value - limit;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return Buffer.from([...bytes, rest]);
}

/** The fields of a GET. */
export function get(path: string, ...more: Header): Header {
  return [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':authority', '127.0.0.1'],
    [':path', path],
    ...more,
  ];
}

/** The fields of an extended CONNECT. */
export function connectTo(path: string, protocol = 'websocket', ...more: Header): Header {
  return [
    [':method', 'CONNECT'],
    [':protocol', protocol],
    [':scheme', 'http'],
    [':authority', '127.0.0.1'],
    [':path', path],
    ['sec-websocket-version', '13'],
    ...more,
  ];
}

/** A connection after its preface; what comes is read all the time. */
export class RawHttp2 implements Disposable {
  readonly raw: RawSocket;
  /** What came, in order; data and acknowledgements included. */
  readonly frames: Frame[] = [];
  /** Resolves when the connection is gone. */
  readonly ended: Promise<SessionEnd>;
  /** True once nothing more comes. */
  over = false;
  #end: SessionEnd = 'no goaway';
  #onFrame: (() => void)[] = [];

  private constructor(raw: RawSocket) {
    this.raw = raw;
    this.ended = this.#read();
  }

  /** Connects, and says what a client must say first. */
  static async open(
    port: number,
    ...entries: readonly (readonly [id: number, value: number])[]
  ): Promise<RawHttp2> {
    const raw = await RawSocket.open(port);
    const peer = new RawHttp2(raw);
    await raw.write(PREFACE);
    await peer.send(frame(FRAME.settings, 0, 0, settings(...entries)));
    return peer;
  }

  /** Sends frames in one write. */
  send(...frames: readonly Uint8Array[]): Promise<void> {
    return this.raw.write(Buffer.concat(frames));
  }

  /** Sends the head of a request. */
  request(stream: number, header: Header, flags: number = FLAG.endStream): Promise<void> {
    return this.send(frame(FRAME.headers, flags | FLAG.endHeaders, stream, literals(header)));
  }

  /** Waits for frames until something holds. @throws when the connection ends before. */
  async until(condition: () => boolean, what = 'something else'): Promise<void> {
    while (!condition()) {
      if (this.over) throw new Error(`expected ${what}, the session ended: ${this.seen}`);
      const news = new Promise<void>((resolve) => this.#onFrame.push(resolve));
      await within(news, `${what}, got ${this.seen}`);
    }
  }

  /** Waits for a frame. @throws when the connection ends before. */
  async next(type: number, stream = 0): Promise<Frame> {
    const find = (): Frame | undefined =>
      this.frames.find((one) => one.type === type && one.stream === stream);
    await this.until(() => find() !== undefined, `frame ${type} of stream ${stream}`);
    return find() as Frame;
  }

  /** The error code with which the server resets a stream. */
  async resetOf(stream: number): Promise<number> {
    return (await this.next(FRAME.reset, stream)).payload.readUInt32BE();
  }

  /** Waits until the server has handled what was sent so far. */
  async settled(): Promise<void> {
    const payload = Buffer.from(String(this.frames.length).padStart(8, '0'));
    await this.send(frame(FRAME.ping, 0, 0, payload));
    const isAnswer = (one: Frame): boolean =>
      one.type === FRAME.ping && one.flags === FLAG.ack && one.payload.equals(payload);
    await this.until(() => this.frames.some(isAnswer), 'the answer to a ping');
  }

  /** How the session ended, when it does. */
  end(): Promise<SessionEnd> {
    return within(this.ended, `the end of a session, got ${this.seen}`);
  }

  /** The data of a stream so far. */
  dataOf(stream: number): Buffer {
    const own = this.frames.filter((one) => one.type === FRAME.data && one.stream === stream);
    return Buffer.concat(own.map(({ payload }) => payload));
  }

  /** What came, in short. */
  get seen(): string {
    const last = this.frames.slice(-20);
    return last.map(({ type, flags, stream }) => `${type}/${flags}/${stream}`).join(' ');
  }

  [Symbol.dispose](): void {
    this.raw[Symbol.dispose]();
  }

  async #read(): Promise<SessionEnd> {
    try {
      for (;;) await this.#readFrame();
    } catch {
      // The connection ended; what was said before tells how.
    }
    this.over = true;
    this.#wake();
    await this.raw.closed;
    return this.#end;
  }

  async #readFrame(): Promise<void> {
    const head = await this.raw.takeBytes(9);
    const payload = await this.raw.takeBytes(head.readUIntBE(0, 3));
    const [type, flags, stream] = [head.readUInt8(3), head.readUInt8(4), head.readUInt32BE(5)];
    this.frames.push({ type, flags, stream, payload });
    if (type === FRAME.goaway) this.#end = payload.readUInt32BE(4);
    if (type === FRAME.settings && flags !== FLAG.ack) {
      await this.send(frame(FRAME.settings, FLAG.ack, 0));
    }
    this.#wake();
  }

  #wake(): void {
    for (const resolve of this.#onFrame.splice(0)) resolve();
  }
}

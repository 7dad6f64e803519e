/** RawSocket: a TCP connection of which a test says every byte. */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { within } from './queue.ts';

/** Bytes that are kept of what a peer sends; a test that reads more has lost its way. */
const KEPT_SIZE_MAX = 64 * 1024 * 1024;

/** A connection; what comes is kept until it is asked for. */
export class RawSocket implements Disposable {
  readonly socket: Socket;
  /** Resolves when the connection is gone, whoever ended it. */
  readonly closed: Promise<void>;
  /** What came and was not taken yet, in the pieces it came in. */
  #pieces: Buffer[] = [];
  #size = 0;
  #onData: (() => void)[] = [];
  #ended = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => {}); // 'close' follows.
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('end', () => this.#wake(true));
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.#wake(true);
        resolve();
      });
    });
  }

  /** @param allowHalfOpen true for a peer that does not end when the server does. */
  static async open(port: number, allowHalfOpen = false): Promise<RawSocket> {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen, noDelay: true });
    const raw = new RawSocket(socket);
    await within(
      new Promise<void>((resolve, reject) => {
        socket.once('connect', resolve);
        socket.once('close', () => reject(new Error('the connection was refused')));
      }),
      'a connection',
    );
    return raw;
  }

  /** What came and was not taken yet. */
  get received(): Buffer {
    if (this.#pieces.length !== 1) this.#pieces = [Buffer.concat(this.#pieces)];
    return this.#pieces[0] ?? Buffer.alloc(0);
  }

  /** True when nothing more comes. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Sends; resolves when the system has taken it. */
  write(bytes: string | Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      if (!this.socket.writable) resolve();
      else this.socket.write(bytes, () => resolve());
    });
  }

  /** Takes all that came up to and with `end`. @throws when the connection ends before. */
  async takeUntil(end: string): Promise<string> {
    const wanted = Buffer.from(end, 'latin1');
    for (;;) {
      const at = this.received.indexOf(wanted);
      if (at >= 0) return this.#cut(at + wanted.length).toString('utf8');
      this.#demandMore(JSON.stringify(end));
      await within(this.#news(), JSON.stringify(end));
    }
  }

  /**
   * Takes so many bytes, however long they take to come.
   *
   * @throws when the connection ends before.
   */
  async takeBytes(size: number): Promise<Buffer> {
    while (this.#size < size) {
      this.#demandMore(`${size} bytes`);
      await this.#news();
    }
    return this.#cut(size);
  }

  /** All that comes until the server ends the connection. */
  async takeAll(): Promise<string> {
    while (!this.#ended) await within(this.#news(), 'the end');
    return this.#cut(this.#size).toString('utf8');
  }

  /** Reads nothing any more; the system's buffers fill up. */
  freeze(): void {
    this.socket.pause();
  }

  /** Reads on. */
  thaw(): void {
    this.socket.resume();
  }

  /** Ends as a cable that is pulled does for the one who still sends: with a reset. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }

  #cut(size: number): Buffer {
    const { received } = this;
    this.#pieces = [received.subarray(size)];
    this.#size -= size;
    return received.subarray(0, size);
  }

  #demandMore(what: string): void {
    if (!this.#ended) return;
    const got = this.received.toString('utf8', 0, 200);
    throw new Error(`expected ${what}, the connection ended after ${JSON.stringify(got)}`);
  }

  #news(): Promise<void> {
    return new Promise((resolve) => this.#onData.push(resolve));
  }

  #take(chunk: Buffer): void {
    this.#pieces.push(chunk);
    this.#size += chunk.length;
    if (this.#size > KEPT_SIZE_MAX) this.socket.destroy();
    this.#wake(false);
  }

  #wake(ended: boolean): void {
    this.#ended ||= ended;
    for (const resolve of this.#onData.splice(0)) resolve();
  }
}

/**
 * StreamLink: what every link over a byte stream has in common. It queues the frames of a turn,
 * writes them once, and knows when the peer has taken them.
 *
 * Thousands of these are idle at any time: fields instead of closures, one set of listeners for
 * all, and nothing allocated before it is needed.
 */
import type { Duplex } from 'node:stream';
import type { Close, Frame, Link, LinkHandler, LinkInfo, LinkTraits } from '../link/link.ts';
import type { Framing, SharedBatch } from '../link/shared-batch.ts';
import type { Flushable, Turn } from '../link/turn.ts';

/**
 * Up to here the pieces of a turn are joined into one buffer and written once; above, copying
 * costs more than the system calls that a corked write saves.
 */
const JOIN_SIZE_MAX = 48 * 1024;

/** Bytes of a link's own frames (replies, joins, gaps) that may wait for a peer that does not read. */
export const CONTROL_BYTES_MAX = 256 * 1024;

const EMPTY = new Uint8Array(0);
const encoder = new TextEncoder();

/** The link that a stream belongs to; shared listeners find it by this key. */
const LINK = Symbol('link');

interface LinkedStream extends Duplex {
  [LINK]?: StreamLink | undefined;
}

export abstract class StreamLink implements Link, Flushable {
  abstract readonly info: LinkInfo;
  abstract readonly traits: LinkTraits;
  /** How frames stand on this stream. */
  protected abstract readonly framing: Framing;

  protected readonly stream: Duplex;
  protected handler: LinkHandler | undefined;
  readonly #turn: Turn;
  // The pieces to write at the end of the turn: nearly always one, else an array.
  #first: Uint8Array | undefined;
  #rest: Uint8Array[] | undefined;
  #queuedBytes = 0;
  #controlBytes = 0;
  #wantsDrain = false;
  #flushing = false;
  #closed: Close | undefined;

  constructor(stream: Duplex, turn: Turn) {
    this.stream = stream;
    this.#turn = turn;
  }

  /** Begins: from now on the handler is told what happens. */
  protected attach(handler: LinkHandler): void {
    this.handler = handler;
    const stream: LinkedStream = this.stream;
    stream[LINK] = this;
    stream.on('drain', onDrain);
    stream.on('close', onClose);
    stream.on('error', onError);
  }

  get pendingBytes(): number {
    return this.#queuedBytes + this.stream.writableLength;
  }

  /** True once `close` was called or the peer is gone. */
  protected get isClosed(): boolean {
    return this.#closed !== undefined;
  }

  send(frame: Frame): void {
    if (this.#closed !== undefined) return;
    const text = typeof frame === 'string';
    const framed = this.framing.frame(text ? encoder.encode(frame) : frame, text);
    this.queueControl(framed);
  }

  sendShared(batch: SharedBatch): void {
    if (this.#closed !== undefined) return;
    this.#queue(batch.framed(this.framing));
  }

  requestDrain(): void {
    if (this.#wantsDrain || this.#closed !== undefined) return;
    this.#wantsDrain = true;
    this.#askToFlush();
  }

  setPaused(paused: boolean): void {
    if (paused === this.stream.isPaused()) return;
    if (paused) this.stream.pause();
    else this.stream.resume();
  }

  close(close: Close): void {
    if (this.#closed !== undefined) return;
    this.sayGoodbye(close);
    this.#closed = close;
    this.flush();
    this.endStream();
  }

  /** Queues the transport's own goodbye for `close`, if it has one. */
  protected abstract sayGoodbye(close: Close): void;

  /** Ends the stream after the goodbye; a transport may wait for the peer's answer first. */
  protected abstract endStream(): void;

  /** Queues bytes that are framed already and belong to this link alone. */
  protected queueControl(framed: Uint8Array): void {
    this.#controlBytes += framed.length;
    if (this.#controlBytes > CONTROL_BYTES_MAX && this.stream.writableLength > 0) {
      // What is not read from a log can't be read again later, so it can't wait without bound.
      this.abort({ code: 'slow' });
      return;
    }
    this.#queue(framed);
  }

  /** Ends at once, without a goodbye: the peer is gone, or does not read. */
  protected abort(close: Close): void {
    this.#closed ??= close;
    this.stream.destroy();
  }

  /** Called once by the turn; also when the goodbye is to leave at once. */
  flush(): void {
    this.#flushing = false;
    const first = this.#first;
    if (first !== undefined) {
      const rest = this.#rest;
      this.#first = undefined;
      this.#rest = undefined;
      const size = this.#queuedBytes;
      this.#queuedBytes = 0;
      if (rest === undefined) this.stream.write(first);
      else this.#writeSeveral(first, rest, size);
    }
    if (this.stream.writableLength === 0) this.#controlBytes = 0;
    if (this.#wantsDrain) this.#awaitDrain();
  }

  #writeSeveral(first: Uint8Array, rest: readonly Uint8Array[], size: number): void {
    if (size <= JOIN_SIZE_MAX) {
      const joined = Buffer.allocUnsafe(size);
      joined.set(first, 0);
      let at = first.length;
      for (const piece of rest) {
        joined.set(piece, at);
        at += piece.length;
      }
      this.stream.write(joined);
      return;
    }
    this.stream.cork();
    this.stream.write(first);
    for (const piece of rest) this.stream.write(piece);
    this.stream.uncork();
  }

  #awaitDrain(): void {
    // 'drain' comes only after a write that was told to wait; a smaller rest is followed by an
    // empty write, whose callback comes after everything before it.
    if (this.stream.writableLength > 0 && this.stream.writableNeedDrain) return;
    if (this.stream.writableLength === 0) this.#turn.prepare(() => this.#drained());
    else this.stream.write(EMPTY, () => this.#drained());
  }

  #queue(framed: Uint8Array): void {
    this.#queuedBytes += framed.length;
    if (this.#first === undefined) {
      this.#first = framed;
      this.#askToFlush();
    } else if (this.#rest === undefined) {
      this.#rest = [framed];
    } else {
      this.#rest.push(framed);
    }
  }

  #askToFlush(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.#turn.write(this);
  }

  #drained(): void {
    if (this.#closed !== undefined) return;
    this.#controlBytes = 0;
    if (!this.#wantsDrain) return;
    this.#wantsDrain = false;
    this.handler?.onDrain();
  }

  /** For the shared listeners only. */
  static drained(stream: LinkedStream): void {
    const link = stream[LINK];
    if (link !== undefined) link.#drained();
  }

  /** For the shared listeners only. */
  static gone(stream: LinkedStream): void {
    const link = stream[LINK];
    if (link === undefined) return;
    stream[LINK] = undefined;
    link.#closed ??= { code: 'normal' };
    link.#first = undefined;
    link.#rest = undefined;
    link.onGone();
    link.handler?.onClose(link.#closed);
    link.handler = undefined;
  }

  /** The stream is gone: release timers and buffers. */
  protected onGone(): void {}
}

/** Finds the link of a stream, for the shared listeners of a transport. */
export function linkOf(stream: Duplex): StreamLink | undefined {
  return (stream as LinkedStream)[LINK];
}

function onDrain(this: Duplex): void {
  StreamLink.drained(this);
}

function onClose(this: Duplex): void {
  StreamLink.gone(this);
}

function onError(): void {
  // 'close' follows and tells the handler; the peer's resets are no news to anyone else.
}

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
  #writtenBytes = 0;
  /** Bytes of own frames that may still be pending, or more; see `queueControl`. */
  #controlBytes = 0;
  /** The turn will call `flush`. */
  #flushing = false;
  #wantsDrain = false;
  /** Something other than 'drain' and `flush` will see whether all is drained. */
  #awaitsDrain = false;
  /** The goodbye is being queued. */
  #parting = false;
  #closed: Close | undefined;

  constructor(stream: Duplex, turn: Turn) {
    this.stream = stream;
    this.#turn = turn;
  }

  /** Begins: from now on the handler is told what happens, also when the stream is gone already. */
  protected attach(handler: LinkHandler): void {
    this.handler = handler;
    const stream: LinkedStream = this.stream;
    stream[LINK] = this;
    stream.on('drain', onDrain);
    stream.on('close', onClose);
    stream.on('error', onError);
    // Who left during the handshake will not be heard of again.
    if (stream.closed) this.#turn.prepare(() => StreamLink.gone(stream));
  }

  get pendingBytes(): number {
    // A broken stream will hand nothing on; what it still counts waits for nobody.
    const { writableLength } = this.stream;
    if (writableLength === 0) return this.#queuedBytes;
    return this.stream.destroyed ? 0 : this.#queuedBytes + writableLength;
  }

  /**
   * Bytes that the network has taken so far. It counts whole writes, so it stands still while a
   * large one is under way.
   */
  protected get takenBytes(): number {
    return this.#writtenBytes - this.stream.writableLength;
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

  sendShared(batch: SharedBatch, isLast = false): void {
    if (this.#closed !== undefined) return;
    const framed = this.frameShared(batch);
    if (isLast && this.#first === undefined && this.stream.writable) {
      // Written while the link is in the processor's cache: it need not be looked up again.
      this.#writtenBytes += framed.length;
      this.stream.write(framed);
      return;
    }
    this.#forgetTaken();
    this.#queue(framed);
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
    this.#part(close);
    this.endStream();
  }

  /** The bytes of a shared batch on this stream; called once for each that is sent, in order. */
  protected frameShared(batch: SharedBatch): Uint8Array {
    return batch.framed(this.framing);
  }

  /** Queues the transport's own goodbye for `close`, if it has one. */
  protected abstract sayGoodbye(close: Close): void;

  /**
   * Ends the stream after the goodbye. A transport may wait for the peer's answer first, and must
   * bound the time until the peer has taken what is pending.
   */
  protected abstract endStream(): void;

  /**
   * Queues bytes that are framed already and belong to this link alone. What is not read from a
   * log can't be read again later, so it can't wait without bound: when more than
   * `CONTROL_BYTES_MAX` of it waits for the peer already, the link ends as `slow`. A goodbye is
   * queued in any case.
   */
  protected queueControl(framed: Uint8Array): void {
    this.#forgetTaken();
    if (this.#controlBytes > CONTROL_BYTES_MAX && !this.#parting) {
      // What this turn queued was not offered to the peer yet; perhaps it takes it.
      this.#writeQueued();
      this.#forgetTaken();
      if (this.#controlBytes > CONTROL_BYTES_MAX) {
        this.abort({ code: 'slow' });
        return;
      }
    }
    this.#queue(framed);
    this.#controlBytes += framed.length;
  }

  /** Ends at once, without a goodbye: the peer is gone, or does not read. */
  protected abort(close: Close): void {
    this.#closed ??= close;
    this.stream.destroy();
  }

  /** Ends at once; the goodbye reaches only a peer whose network takes it without waiting. */
  protected drop(close: Close): void {
    if (this.#closed === undefined) this.#part(close);
    this.stream.destroy();
  }

  /** Writes what is queued and the goodbye; after it nothing is queued. */
  #part(close: Close): void {
    this.#parting = true;
    this.sayGoodbye(close);
    this.#closed = close;
    this.#writeQueued();
  }

  /** Called once by the turn. */
  flush(): void {
    this.#flushing = false;
    this.#writeQueued();
    if (this.#wantsDrain) this.#awaitDrain();
  }

  #writeQueued(): void {
    const first = this.#first;
    if (first === undefined) return;
    const rest = this.#rest;
    const size = this.#queuedBytes;
    this.#first = undefined;
    this.#rest = undefined;
    this.#queuedBytes = 0;
    // Not after the peer's end, which may have ended our side as well.
    if (!this.stream.writable) return;
    this.#writtenBytes += size;
    if (rest === undefined) this.stream.write(first);
    else this.#writeSeveral(first, rest, size);
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
    if (this.#closed !== undefined || this.#awaitsDrain) return;
    // After a write that was told to wait, 'drain' comes by itself.
    if (this.stream.writableNeedDrain) return;
    this.#awaitsDrain = true;
    const onDrained = (): void => {
      this.#awaitsDrain = false;
      this.#drained();
    };
    // The callback of an empty write comes after everything before it.
    if (this.stream.writableLength > 0) this.stream.write(EMPTY, onDrained);
    else this.#turn.prepare(onDrained);
  }

  /** Of the own frames queued so far, no more can wait than is pending altogether. */
  #forgetTaken(): void {
    if (this.#controlBytes === 0) return;
    this.#controlBytes = Math.min(this.#controlBytes, this.pendingBytes);
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
    if (!this.#wantsDrain || this.#closed !== undefined || this.stream.destroyed) return;
    if (this.pendingBytes > 0) {
      // More came meanwhile; what is only queued is seen to by its flush.
      if (!this.#flushing) this.#awaitDrain();
      return;
    }
    this.#wantsDrain = false;
    try {
      this.handler?.onDrain();
    } catch (error) {
      this.onFault(error);
    }
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
    link.#queuedBytes = 0;
    link.onGone(link.#closed);
    const { handler } = link;
    link.handler = undefined;
    try {
      handler?.onClose(link.#closed);
    } catch (error) {
      link.onFault(error);
    }
  }

  /** The stream is gone: release timers and buffers. @param _close how the link ended. */
  protected onGone(_close: Close): void {}

  /** The handler threw, which it must not. By default that goes up, as any bug of ours. */
  protected onFault(error: unknown): void {
    throw error;
  }
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

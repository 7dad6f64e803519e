/**
 * TcpLink: one connection that carries bytes as they are, with TLS or without.
 *
 * TCP keeps no boundaries: a frame is whatever came at once, and the protocol finds its packets in
 * the run of bytes. Pings and deadlines are the protocol's as well; the transport bounds only how
 * long a goodbye may take.
 */
import type { Duplex } from 'node:stream';
import type { Close, LinkHandler, LinkInfo, LinkTraits } from '../../link/link.ts';
import type { Framing } from '../../link/shared-batch.ts';
import type { Turn } from '../../link/turn.ts';
import type { Log } from '../../observe/log.ts';
import type { Alarm, AlarmMarks, Wheel } from '../../wheel.ts';
import { linkOf, StreamLink } from '../stream-link.ts';
import type { TcpConfig } from './config.ts';

/** What all links of a transport share. */
export interface TcpLinkParts {
  /** For logs and counters. */
  readonly name: string;
  readonly turn: Turn;
  readonly wheel: Wheel;
  readonly config: TcpConfig;
  readonly log: Log;
  /** The link's stream is gone; comes before the handler's `onClose`. */
  onGone(link: TcpLink, close: Close): void;
}

const TRAITS: LinkTraits = { duplex: true, binary: true, reliable: true, framed: false };

/** Bytes as they are: all links share the buffer of a batch without a copy. */
const tcpFraming: Framing = { name: 'tcp', frame: (payload) => payload };

/** A {@link StreamLink} without a framing of its own. */
export class TcpLink extends StreamLink implements Alarm {
  readonly info: LinkInfo;
  // The wheel's.
  alarmTick = 0;
  alarmBefore: AlarmMarks | undefined = undefined;
  alarmAfter: AlarmMarks | undefined = undefined;

  readonly #parts: TcpLinkParts;
  /** Bytes of the peer's that were dropped since the link was closed. */
  #droppedBytes = 0;
  /** The peer sends nothing more; said while the protocol did not read. */
  #hasEnded = false;

  constructor(stream: Duplex, remoteAddress: string, parts: TcpLinkParts) {
    super(stream, parts.turn);
    this.info = { transport: parts.name, remoteAddress };
    this.#parts = parts;
  }

  get traits(): LinkTraits {
    return TRAITS;
  }

  protected get framing(): Framing {
    return tcpFraming;
  }

  /** Begins to read, and to tell the handler; called once, after the handler was made. */
  start(handler: LinkHandler): void {
    this.attach(handler);
    // Or the stream would end by itself while the protocol still has to begin what came before.
    this.stream.allowHalfOpen = true;
    this.stream.on('data', onData);
    this.stream.on('end', onEnd);
  }

  override setPaused(paused: boolean): void {
    // A closed link goes on reading, to find the peer's end.
    if (this.isClosed) return;
    super.setPaused(paused);
    if (!paused && this.#hasEnded) this.readEnd();
  }

  /** For the shared listeners only. */
  read(chunk: Buffer): void {
    if (this.isClosed) {
      this.#droppedBytes += chunk.length;
      if (this.#droppedBytes > this.#parts.config.closeSizeMax) this.cut();
      return;
    }
    try {
      this.handler?.onFrame(chunk);
    } catch (error) {
      this.onFault(error);
    }
  }

  /** For the shared listeners only: the peer sends nothing more, and may not read either. */
  readEnd(): void {
    if (this.isClosed) return;
    // The end comes with the last bytes, and those may pause the link.
    this.#hasEnded = true;
    // What the protocol answered in this turn is still written; who does not take it has lost it.
    if (!this.stream.isPaused()) this.drop({ code: 'normal' });
  }

  /** Ends at once, without a goodbye. */
  cut(): void {
    this.stream.destroy();
  }

  /** For the wheel only: the time for the goodbye is over. */
  onAlarm(): void {
    this.cut();
  }

  /** TCP has no word for it; what the protocol has to say was sent before. */
  protected override sayGoodbye(): void {}

  /**
   * Ends our side and waits for the peer's end. Closing at once while bytes of the peer are on their
   * way would reset the connection and could take the goodbye from the peer before it was read.
   */
  protected override endStream(): void {
    const { wheel, config } = this.#parts;
    wheel.arm(this, config.closeMs);
    this.stream.resume();
    this.stream.end();
  }

  protected override onGone(close: Close): void {
    this.#parts.wheel.cancel(this);
    this.#parts.onGone(this, close);
  }

  protected override onFault(error: unknown): void {
    this.#parts.log.error({ error, remoteAddress: this.info.remoteAddress }, 'link handler threw');
    this.close({ code: 'internal' });
  }
}

function onData(this: Duplex, chunk: Buffer): void {
  const link = linkOf(this);
  if (link instanceof TcpLink) link.read(chunk);
}

function onEnd(this: Duplex): void {
  const link = linkOf(this);
  if (link instanceof TcpLink) link.readEnd();
}

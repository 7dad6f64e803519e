/**
 * WebSocketLink: one WebSocket over any stream of bytes, on the server's side.
 *
 * It answers pings, asks silent peers for a sign of life and closes as RFC 6455 §7 has it. Every
 * wait has a deadline on the shared wheel; an idle link holds no buffer and no timer of its own.
 */
import type { Duplex } from 'node:stream';
import { CODES } from '@trunkline/wire';
import type { Clock } from '../../clock.ts';
import type { Close, Frame, LinkHandler, LinkInfo, LinkTraits } from '../../link/link.ts';
import type { Framing, SharedBatch } from '../../link/shared-batch.ts';
import type { Turn } from '../../link/turn.ts';
import type { Log } from '../../observe/log.ts';
import type { Alarm, AlarmMarks, Wheel } from '../../wheel.ts';
import { linkOf, StreamLink } from '../stream-link.ts';
import type { LinkCompression } from './compression.ts';
import type { WebSocketConfig } from './config.ts';
import { closePayload, OPCODES, PING_FRAME, toFrame, webSocketFraming } from './frames.ts';
import { ProtocolError, Receiver } from './receiver.ts';
import type { FrameSink, ReceiverRules } from './receiver.ts';

/** What all links of a transport share; the compression those that agreed on the same. */
export interface LinkParts {
  readonly turn: Turn;
  readonly clock: Clock;
  readonly wheel: Wheel;
  readonly config: WebSocketConfig;
  readonly rules: ReceiverRules;
  readonly log: Log;
  /** Set where the handshake agreed on it; `rules` have its inflater then. */
  readonly compression?: LinkCompression;
  /** The link's stream is gone; comes before the handler's `onClose`. */
  onGone(link: WebSocketLink, close: Close): void;
}

/** The close number of a registry code; `normal` is 1000 (RFC 6455 §7.4.1). */
export function closeNumber(code: Close['code']): number {
  return code === 'normal' ? 1000 : CODES[code].close;
}

const TRAITS: LinkTraits = { duplex: true, binary: true, reliable: true, framed: true };

const EMPTY = new Uint8Array(0);

/**
 * Inflated bytes after which a link reads on in a later turn: some bytes of a peer's may become a
 * thousand times as many, and others have their turn between them. One message may be more.
 */
const INFLATED_BYTES_PER_TURN = 256 * 1024;

/** No bytes were waiting for the peer. */
const NOTHING_STUCK = -1;

/** What the next alarm is about: to ping, to look for a sign of life, or to cut the stream. */
type Phase = 'resting' | 'asking' | 'closing';

/** Whether reading waits for the next turn, and what is to be done then. */
type Recess = 'none' | 'resume' | 'stay-paused';

/** A {@link StreamLink} that speaks RFC 6455 to a client. */
export class WebSocketLink extends StreamLink implements Alarm, FrameSink {
  readonly info: LinkInfo;
  // The wheel's.
  alarmTick = 0;
  alarmBefore: AlarmMarks | undefined = undefined;
  alarmAfter: AlarmMarks | undefined = undefined;

  readonly #parts: LinkParts;
  readonly #receiver: Receiver;
  #phase: Phase = 'resting';
  #recess: Recess = 'none';
  /** Something came from the peer since it was asked. */
  #heard = false;
  /** What the network had taken when bytes were waiting for the peer, or `NOTHING_STUCK`. */
  #stuckAtBytes = NOTHING_STUCK;
  /** When the message under way began; 0 when there is none. */
  #messageSinceMs = 0;
  /** The close frame after which there is nothing to wait for from the peer. */
  #lastWord: Uint8Array | undefined;

  constructor(stream: Duplex, remoteAddress: string, parts: LinkParts) {
    super(stream, parts.turn);
    this.info = { transport: 'websocket', remoteAddress };
    this.#parts = parts;
    this.#receiver = new Receiver(parts.rules);
  }

  get traits(): LinkTraits {
    return TRAITS;
  }

  /** For the receiver only. After `close` nothing is delivered. */
  get isDeaf(): boolean {
    return this.isClosed;
  }

  protected get framing(): Framing {
    return webSocketFraming;
  }

  /**
   * Only shared batches are compressed [COMP-4]: what a link alone is sent may hold secrets, as a
   * ticket, beside text of a peer's choice.
   */
  protected override frameShared(batch: SharedBatch): Uint8Array {
    const { compression } = this.#parts;
    if (compression === undefined) return batch.framed(webSocketFraming);
    const { framing, deflater } = compression;
    return deflater === undefined
      ? batch.framed(framing)
      : deflater.frame(batch.payload, batch.text);
  }

  /** Begins to read, and to tell the handler; called once, after the handler was made. */
  start(handler: LinkHandler): void {
    this.attach(handler);
    this.stream.on('data', onData);
    this.stream.on('end', onEnd);
    // The handler may have closed the link while it was being made.
    if (!this.isClosed) this.#arm(this.#parts.config.pingIntervalMs);
  }

  override setPaused(paused: boolean): void {
    // A closed link goes on reading, to find the peer's close frame.
    if (this.isClosed) return;
    if (!paused) {
      // What the peer sent meanwhile was not read: its time begins anew.
      this.#heard = true;
      if (this.#messageSinceMs > 0) this.#messageSinceMs = this.#parts.clock.monotonicMs();
    }
    if (this.#recess === 'none') super.setPaused(paused);
    else this.#recess = paused ? 'stay-paused' : 'resume';
  }

  /** For the shared listeners only. */
  read(chunk: Buffer): void {
    this.#heard = true;
    const { compression } = this.#parts;
    if (compression !== undefined) compression.inflater.allowanceBytes = INFLATED_BYTES_PER_TURN;
    try {
      const read = this.#receiver.push(chunk, this);
      // The link was paused between two frames of the chunk.
      if (read < chunk.length) this.stream.unshift(chunk.subarray(read));
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#fail(error);
    }
    if (this.#receiver.isIdle) this.#messageSinceMs = 0;
    else if (this.#messageSinceMs === 0) this.#messageSinceMs = this.#parts.clock.monotonicMs();
  }

  /** For the shared listeners only: the peer sends nothing more. */
  readEnd(): void {
    // RFC 6455 §7.1.5: an end without a close frame is a lost connection.
    if (this.isClosed) this.#end();
    else this.abort({ code: 'normal' });
  }

  /** For the receiver only. */
  onMessage(message: Frame): boolean {
    // After `close` nothing is delivered, but the peer's close frame is still looked for.
    if (this.isClosed) return true;
    this.#messageSinceMs = 0;
    try {
      this.handler?.onFrame(message);
    } catch (error) {
      this.onFault(error);
    }
    if (this.isClosed) return true;
    const { compression } = this.#parts;
    if (compression !== undefined && compression.inflater.allowanceBytes <= 0) this.#adjourn();
    return !this.stream.isPaused();
  }

  /** For the receiver only. RFC 6455 §5.5.2: a pong as soon as possible, with the same payload. */
  onPing(payload: Uint8Array): void {
    if (!this.isClosed) this.queueControl(toFrame(OPCODES.pong, payload));
  }

  /** For the receiver only. Any byte is a sign of life, so a pong says nothing more. */
  onPong(): void {}

  /** For the receiver only. RFC 6455 §5.5.1: a close frame is answered with the same code. */
  onClose(code: number | undefined): void {
    this.#lastWord = toFrame(OPCODES.close, code === undefined ? EMPTY : closePayload(code));
    if (this.isClosed) this.#end();
    else this.close({ code: 'normal' });
  }

  /** For the wheel only. */
  onAlarm(): void {
    if (this.#phase === 'closing') {
      this.stream.destroy();
    } else if (this.#isMessageLate()) {
      this.drop({ code: 'timeout' });
    } else if (this.#phase === 'resting') {
      this.#ask();
    } else {
      this.#judge();
    }
  }

  protected override sayGoodbye({ code, reason }: Close): void {
    const number = closeNumber(code);
    const phrase = reason ?? (code === 'normal' ? '' : CODES[code].reason);
    this.queueControl(this.#lastWord ?? toFrame(OPCODES.close, closePayload(number, phrase)));
  }

  protected override endStream(): void {
    this.#phase = 'closing';
    this.#arm(this.#parts.config.closeMs);
    this.stream.resume();
    // RFC 6455 §7.1.1: the server ends the stream first, after both close frames.
    if (this.#lastWord !== undefined) this.#end();
  }

  protected override onGone(close: Close): void {
    this.#parts.wheel.cancel(this);
    this.#parts.onGone(this, close);
  }

  protected override onFault(error: unknown): void {
    this.#parts.log.error({ error, remoteAddress: this.info.remoteAddress }, 'link handler threw');
    this.close({ code: 'internal' });
  }

  #arm(delayMs: number): void {
    this.#parts.wheel.arm(this, delayMs);
  }

  #end(): void {
    if (!this.stream.writableEnded) this.stream.end();
  }

  /** RFC 6455 §7.1.7: says what was wrong and reads nothing more. */
  #fail(error: ProtocolError): void {
    const { closeCode, message } = error;
    this.#lastWord = toFrame(OPCODES.close, closePayload(closeCode, message));
    if (this.isClosed) this.#end();
    else this.close({ code: closeCode === 1009 ? 'too_large' : 'bad_request', reason: message });
  }

  /** A peer may take long for a message, but not for ever: it holds memory. */
  #isMessageLate(): boolean {
    const { clock, config } = this.#parts;
    if (this.#messageSinceMs === 0 || this.stream.isPaused()) return false;
    return clock.monotonicMs() - this.#messageSinceMs > config.messageMs;
  }

  /** Reads on in a later turn, unless the handler does not want to. */
  #adjourn(): void {
    if (this.#recess !== 'none') return;
    this.#recess = this.stream.isPaused() ? 'stay-paused' : 'resume';
    this.stream.pause();
    this.#parts.turn.prepare(() => {
      const resumes = this.#recess === 'resume' || this.isClosed;
      this.#recess = 'none';
      if (resumes) this.stream.resume();
    });
  }

  #ask(): void {
    this.#phase = 'asking';
    this.#parts.compression?.deflater?.rest();
    this.#heard = false;
    this.#stuckAtBytes = this.#stuckBytes();
    this.queueControl(PING_FRAME);
    this.#arm(this.#parts.config.pongMs);
  }

  /** The time for a sign of life is over. */
  #judge(): void {
    const { pingIntervalMs, pongMs } = this.#parts.config;
    if (this.#heard) {
      this.#phase = 'resting';
      this.#arm(Math.max(0, pingIntervalMs - pongMs));
      return;
    }
    // A ping that waits behind data can't be answered yet. Who takes that data is alive.
    const stuckBefore = this.#stuckAtBytes;
    this.#stuckAtBytes = this.#stuckBytes();
    const progressed = stuckBefore !== NOTHING_STUCK && this.takenBytes > stuckBefore;
    const newlyStuck = stuckBefore === NOTHING_STUCK && this.#stuckAtBytes !== NOTHING_STUCK;
    // While the handler holds the link the answer may be there, unread.
    const unread = stuckBefore === NOTHING_STUCK && this.stream.isPaused();
    if (progressed || newlyStuck || unread) this.#arm(pongMs);
    else this.drop({ code: 'timeout' });
  }

  #stuckBytes(): number {
    return this.stream.writableLength > 0 ? this.takenBytes : NOTHING_STUCK;
  }
}

function onData(this: Duplex, chunk: Buffer): void {
  const link = linkOf(this);
  if (link instanceof WebSocketLink) link.read(chunk);
}

function onEnd(this: Duplex): void {
  const link = linkOf(this);
  if (link instanceof WebSocketLink) link.readEnd();
}

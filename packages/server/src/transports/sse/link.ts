/**
 * SseLink: an endless answer to a request as a one-way link.
 *
 * A frame is a piece of `text/event-stream`. The link adds only what belongs to the transport:
 * keep-alive comments and the goodbye.
 */
import type { Duplex } from 'node:stream';
import { bodyFraming, chunkedFraming, LAST_CHUNK } from '../../http/chunked.ts';
import type { RequestHead } from '../../http/request.ts';
import type { Close, LinkHandler, LinkInfo, LinkTraits } from '../../link/link.ts';
import { SharedBatch } from '../../link/shared-batch.ts';
import type { Framing } from '../../link/shared-batch.ts';
import type { Turn } from '../../link/turn.ts';
import type { Alarm, AlarmMarks, Wheel } from '../../wheel.ts';
import { StreamLink } from '../stream-link.ts';
import type { SseConfig } from './config.ts';
import { goodbyeEvent } from './goodbye.ts';
import type { GzipStream } from './gzip.ts';

const TRAITS: LinkTraits = { duplex: false, binary: false, reliable: true, framed: true };

/** Shared by all links: framed once, written many times. */
const COMMENT = new SharedBatch(Buffer.from(':\n\n'), true);

/** What all links of the transport share. */
export interface SseLinkParts {
  readonly turn: Turn;
  readonly wheel: Wheel;
  readonly config: SseConfig;
  /** Called once for each link, when its stream is gone. */
  readonly onGone: (link: SseLink, close: Close) => void;
}

/** One event stream. Nothing of what its peer sends is ever delivered. */
export class SseLink extends StreamLink implements Alarm {
  readonly info: LinkInfo;
  readonly traits = TRAITS;
  alarmTick = 0;
  alarmBefore: AlarmMarks | undefined;
  alarmAfter: AlarmMarks | undefined;
  protected readonly framing: Framing;
  readonly #parts: SseLinkParts;
  /** What the network had taken at the last look: whoever takes something is slow, not gone. */
  #takenBefore = 0;
  #stalledForMs = 0;

  /** @param framing how the link's own frames stand on the stream. */
  constructor(
    stream: Duplex,
    head: RequestHead,
    parts: SseLinkParts,
    framing = bodyFraming(head.version),
  ) {
    super(stream, parts.turn);
    this.info = { transport: 'sse', remoteAddress: head.remoteAddress };
    this.framing = framing;
    this.#parts = parts;
  }

  /** How the bytes of the body stand on the stream. */
  protected get body(): Framing {
    return this.framing;
  }

  /** Begins to serve. */
  open(handler: LinkHandler): void {
    this.attach(handler);
    // What the peer sends after its request is read and dropped, so that its end is seen.
    this.stream.resume();
    this.#armNext();
  }

  /** For the wheel only: keeps a quiet stream open [SSE-7], and notices a peer that is gone. */
  onAlarm(): void {
    if (this.isClosed) {
      this.stream.destroy(); // It did not take its goodbye in time.
      return;
    }
    const { keepAliveMs, stalledMs } = this.#parts.config;
    const taken = this.takenBytes;
    const isStuck = this.pendingBytes > 0 && taken === this.#takenBefore;
    this.#stalledForMs = isStuck ? this.#stalledForMs + keepAliveMs : 0;
    this.#takenBefore = taken;
    if (this.#stalledForMs >= stalledMs) {
      this.abort({ code: 'timeout' });
      return;
    }
    if (this.pendingBytes === 0) this.sendShared(COMMENT);
    this.#armNext();
  }

  protected sayGoodbye(close: Close): void {
    this.send(goodbyeEvent(close, this.#parts.config.retryMs));
  }

  protected endStream(): void {
    this.#armNext(); // A peer that does not read would keep the socket for ever.
    if (!this.stream.writable) return;
    if (this.body === chunkedFraming) this.stream.write(LAST_CHUNK);
    this.stream.end();
  }

  protected override onGone(close: Close): void {
    this.#parts.wheel.cancel(this);
    this.#parts.onGone(this, close);
  }

  #armNext(): void {
    this.#parts.wheel.arm(this, this.#parts.config.keepAliveMs);
  }
}

/** An event stream that is compressed: one gzip stream from its first byte to its end [COMP-6]. */
export class GzipSseLink extends SseLink {
  readonly #gzip: GzipStream;

  constructor(stream: Duplex, head: RequestHead, parts: SseLinkParts, gzip: GzipStream) {
    super(stream, head, parts, gzip);
    this.#gzip = gzip;
    this.queueControl(gzip.head());
  }

  protected override get body(): Framing {
    return this.#gzip.body;
  }

  protected override frameShared(batch: SharedBatch): Uint8Array {
    return this.#gzip.frameShared(batch);
  }

  protected override sayGoodbye(close: Close): void {
    super.sayGoodbye(close);
    this.queueControl(this.#gzip.trailer());
  }
}

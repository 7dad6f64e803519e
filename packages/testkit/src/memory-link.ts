/**
 * MemoryLink: a link whose network is the test.
 *
 * What the server sends waits in the link until the network has taken its bytes, and the test says
 * how many it takes and when. A frame reaches the peer when its last byte was taken. Everything
 * else is as the contract in `link.ts` has it: events come one at a time, each in a later turn
 * than the call that caused it.
 */
import type { Clock, Timer } from '@trunkline/server/internal/clock.ts';
import type {
  Close,
  Frame,
  Link,
  LinkHandler,
  LinkInfo,
  LinkTraits,
} from '@trunkline/server/internal/link/link.ts';
import type { Framing, SharedBatch } from '@trunkline/server/internal/link/shared-batch.ts';
import { Turn } from '@trunkline/server/internal/link/turn.ts';
import type { Flushable } from '@trunkline/server/internal/link/turn.ts';
import { CONTROL_BYTES_MAX } from '@trunkline/server/internal/transports/stream-link.ts';
import type { MemoryConnection } from './memory-connection.ts';
import { Pipe } from './pipe.ts';

/** How long a closed link waits for a peer that does not take the rest. */
const LINGER_MS = 5_000;

/** Frames stand on this link as they are. */
const PLAIN: Framing = { name: 'plain', frame: (payload) => payload };

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The other end of a memory link. Each call comes in a task of its own. */
export interface MemoryPeer {
  /** @param sentMs when the server let go of it, in Unix milliseconds. */
  onFrame(frame: Frame, sentMs: number): void;
  /** The server has so many bytes unsent now. Called at once, and must not call the link. */
  onPending?(bytes: number): void;
  /** Last call. Absent `goodbye`: the connection broke. */
  onClose(goodbye: Close | undefined): void;
}

/** What can be wrong with a network. All of it ends with the next call of {@link faulty}. */
export interface Faults {
  /** Nothing moves in either direction, and nobody is told. */
  readonly freeze?: boolean;
  /** Frames take so long in either direction. They never overtake each other. */
  readonly delayMs?: number;
  /** The connection breaks, without a goodbye, when so many more frames have reached the peer. */
  readonly dropAfter?: number;
}

/** How a memory link begins. */
export interface MemoryLinkOptions {
  readonly clock: Clock;
  /** Shared with what else writes at the end of a turn; absent: one of its own. */
  readonly turn?: Turn;
  readonly info?: Partial<LinkInfo>;
  readonly traits?: Partial<LinkTraits>;
  /** Bytes the network takes until the test allows more; absent: as many as come. */
  readonly allowance?: number;
  /** Absent: what reaches the peer is recorded in `frames`. */
  readonly peer?: MemoryPeer;
  /** What carries it, and others beside it; absent: it has a connection of its own. */
  readonly connection?: MemoryConnection;
}

/** A frame that waits for the network. */
interface Outgoing {
  readonly frame: Frame;
  readonly size: number;
  readonly sentMs: number;
}

/** What travels in either direction. */
type Travelling =
  | { readonly kind: 'frame'; readonly frame: Frame; readonly sentMs: number }
  | { readonly kind: 'close'; readonly close: Close }
  /** The connection broke; only the peer learns it this way. */
  | { readonly kind: 'broken' };

/** A {@link Link} in memory, and the controls of the network and the peer behind it. */
export class MemoryLink implements Link, Flushable {
  readonly info: LinkInfo;
  readonly traits: LinkTraits;
  readonly #clock: Clock;
  readonly #turn: Turn;
  readonly #peer: MemoryPeer | undefined;
  readonly #connection: MemoryConnection | undefined;
  readonly #toPeer: Pipe<Travelling>;
  readonly #fromPeer: Pipe<Travelling>;
  #handler: LinkHandler | undefined;
  #faults: Faults = {};
  #allowance: number;

  // What this turn queued, and what was written and waits for the network.
  #queued: Outgoing[] = [];
  readonly #written: Outgoing[] = [];
  #pendingBytes = 0;
  /** Bytes of the first written frame that the network has taken. */
  #takenBytes = 0;
  #controlBytes = 0;
  #willFlush = false;
  #wantsDrain = false;
  #willDrain = false;
  #paused = false;

  #frames: Frame[] = [];
  #goodbye: Close | undefined;
  /** Why the link ends; from here on the server can't send. */
  #closed: Close | undefined;
  #isGone = false;
  #peerTold = false;
  #linger: Timer | undefined;

  constructor(options: MemoryLinkOptions) {
    const { clock } = options;
    this.#clock = clock;
    this.#turn = options.turn ?? new Turn(clock);
    this.#peer = options.peer;
    this.#connection = options.connection;
    this.#connection?.add(this);
    this.#allowance = options.allowance ?? Number.POSITIVE_INFINITY;
    this.#toPeer = new Pipe(clock, (item) => this.#reachPeer(item));
    this.#fromPeer = new Pipe(clock, (item) => this.#reachServer(item));
    this.#fromPeer.setBlocked(true);
    this.info = { transport: 'memory', remoteAddress: '127.0.0.1', ...options.info };
    this.traits = { duplex: true, binary: true, reliable: true, framed: true, ...options.traits };
  }

  // The server's side.

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  send(frame: Frame): void {
    if (this.#closed !== undefined) return;
    const size = typeof frame === 'string' ? encoder.encode(frame).length : frame.length;
    this.#controlBytes += size;
    if (this.#controlBytes > CONTROL_BYTES_MAX && this.#written.length > 0) {
      this.#break({ code: 'slow' });
      return;
    }
    this.#queue({ frame, size, sentMs: this.#clock.unixMs() });
  }

  sendShared(batch: SharedBatch): void {
    if (this.#closed !== undefined) return;
    const bytes = batch.framed(PLAIN);
    const frame = batch.text ? decoder.decode(bytes) : bytes;
    this.#queue({ frame, size: bytes.length, sentMs: this.#clock.unixMs() });
  }

  requestDrain(): void {
    if (this.#closed !== undefined) return;
    this.#wantsDrain = true;
    this.#announceDrain();
  }

  setPaused(paused: boolean): void {
    this.#paused = paused;
    this.#blockServer();
  }

  close(close: Close): void {
    if (this.#closed !== undefined) return;
    this.#closed = close;
    this.#fromPeer.clear();
    this.#linger = this.#clock.after(LINGER_MS, () => this.#break(close));
    this.flush();
  }

  /** Called by the turn: what it queued is written. */
  flush(): void {
    this.#willFlush = false;
    this.#written.push(...this.#queued);
    this.#queued = [];
    this.#take();
  }

  // The test's side.

  /** Gives the link what its protocol answered; what the peer sent before comes now. */
  attach(handler: LinkHandler): void {
    this.#handler = handler;
    this.#blockServer();
    if (this.#isGone) this.#tellServer();
  }

  /** What has reached the peer and was not taken out; empty when a peer was given. */
  get frames(): readonly Frame[] {
    return this.#frames;
  }

  /** Takes out what has reached the peer. */
  takeFrames(): Frame[] {
    const frames = this.#frames;
    this.#frames = [];
    return frames;
  }

  /** How the server said goodbye, once that has reached the peer. */
  get goodbye(): Close | undefined {
    return this.#goodbye;
  }

  /** True while the server has the link paused. */
  get isPaused(): boolean {
    return this.#paused;
  }

  /** True when the handler got, or is about to get, its last call. */
  get isGone(): boolean {
    return this.#isGone;
  }

  /** The network takes so many bytes more. */
  allow(bytes: number): void {
    this.#allowance += bytes;
    this.#take();
  }

  /** From now on the network takes only bytes that are allowed anew. */
  hold(): void {
    this.#allowance = 0;
  }

  /** From now on the network takes all there is. */
  release(): void {
    this.allow(Number.POSITIVE_INFINITY);
  }

  /** The peer sends a frame. */
  receive(frame: Frame): void {
    this.#comeIn({ kind: 'frame', frame, sentMs: this.#clock.unixMs() });
  }

  /** The peer closes, after what it has sent. */
  leave(close: Close = { code: 'normal' }): void {
    this.#comeIn({ kind: 'close', close });
  }

  /** The connection breaks at once; what was under way is lost. */
  drop(): void {
    this.#break({ code: 'normal' });
  }

  /** Replaces the network's faults; see {@link faulty}. */
  setFaults(faults: Faults): void {
    this.#faults = faults;
    this.#toPeer.setBlocked(faults.freeze === true);
    this.#blockServer();
    this.#take();
  }

  #queue(outgoing: Outgoing): void {
    this.#pendingBytes += outgoing.size;
    this.#queued.push(outgoing);
    this.#peer?.onPending?.(this.#pendingBytes);
    if (this.#willFlush) return;
    this.#willFlush = true;
    this.#turn.write(this);
  }

  /** The network takes what it is allowed to. */
  #take(): void {
    if (this.#faults.freeze === true || this.#isGone) return;
    for (let first = this.#written[0]; first !== undefined; first = this.#written[0]) {
      const wanted = Math.min(first.size - this.#takenBytes, this.#allowance);
      const bytes = this.#connection?.take(wanted) ?? wanted;
      this.#takenBytes += bytes;
      this.#allowance -= bytes;
      this.#pendingBytes -= bytes;
      if (this.#takenBytes < first.size) return;
      this.#takenBytes = 0;
      this.#written.shift();
      const { frame, sentMs } = first;
      this.#toPeer.put({ kind: 'frame', frame, sentMs }, this.#faults.delayMs ?? 0);
      if (this.#isGone) return;
    }
    this.#controlBytes = 0;
    this.#announceDrain();
    if (this.#closed === undefined) return;
    this.#toPeer.put({ kind: 'close', close: this.#closed }, this.#faults.delayMs ?? 0);
    this.#end();
  }

  #announceDrain(): void {
    if (!this.#wantsDrain || this.#willDrain || this.#pendingBytes > 0) return;
    this.#willDrain = true;
    this.#clock.defer(() => {
      this.#willDrain = false;
      // Something may have been queued since; when that is taken the drain is announced again.
      if (this.#pendingBytes > 0 || this.#closed !== undefined) return;
      this.#wantsDrain = false;
      this.#handler?.onDrain();
    });
  }

  #reachPeer(item: Travelling): void {
    if (item.kind === 'frame') this.#frameReachesPeer(item.frame, item.sentMs);
    else this.#tellPeer(item.kind === 'close' ? item.close : undefined);
  }

  #frameReachesPeer(frame: Frame, sentMs: number): void {
    const peer = this.#peer;
    if (peer === undefined) this.#frames.push(frame);
    else this.#clock.defer(() => peer.onFrame(frame, sentMs));
    const { dropAfter } = this.#faults;
    if (dropAfter === undefined) return;
    this.#faults = { ...this.#faults, dropAfter: dropAfter - 1 };
    if (dropAfter <= 1) this.drop();
  }

  #tellPeer(goodbye: Close | undefined): void {
    if (this.#peerTold) return;
    this.#peerTold = true;
    this.#goodbye = goodbye;
    const peer = this.#peer;
    if (peer !== undefined) this.#clock.defer(() => peer.onClose(goodbye));
  }

  #comeIn(item: Travelling): void {
    if (this.#closed !== undefined) return;
    this.#fromPeer.put(item, this.#faults.delayMs ?? 0);
  }

  #reachServer(item: Travelling): void {
    if (item.kind === 'frame') this.#handler?.onFrame(item.frame);
    else if (item.kind === 'close') this.#break(item.close);
  }

  /** Frames of the peer wait while there is nobody to take them. */
  #blockServer(): void {
    const frozen = this.#faults.freeze === true;
    this.#fromPeer.setBlocked(frozen || this.#paused || this.#handler === undefined);
  }

  /** Ends without a goodbye; both sides learn it in a later turn, a frozen peer when it thaws. */
  #break(close: Close): void {
    this.#toPeer.clear();
    this.#toPeer.put({ kind: 'broken' }, 0);
    if (this.#isGone) return;
    this.#closed ??= close;
    this.#end();
  }

  #end(): void {
    this.#isGone = true;
    this.#connection?.remove(this);
    this.#linger?.cancel();
    this.#fromPeer.clear();
    this.#queued = [];
    this.#written.length = 0;
    this.#pendingBytes = 0;
    this.#tellServer();
  }

  #tellServer(): void {
    const handler = this.#handler;
    const close = this.#closed;
    if (handler === undefined || close === undefined) return;
    this.#clock.defer(() => handler.onClose(close));
  }
}

/** Gives the link's network these faults, and no others; `{}` heals it. */
export function faulty(link: MemoryLink, faults: Faults): MemoryLink {
  link.setFaults(faults);
  return link;
}

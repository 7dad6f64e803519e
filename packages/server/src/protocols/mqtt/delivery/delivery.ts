/**
 * Delivery: the messages of one session on their way to its client.
 *
 * Packets of QoS 0 are written as they are, shared with all other sessions. Those of QoS 1 and 2 are
 * copied as one and get their packet identifiers; the window knows them until they are acknowledged.
 * When it has no room the rest of a batch waits here, and the hub gives nothing more: what comes then
 * is read from the log later. So what waits is about one batch, and shared. It leaves in the order in
 * which it came, and a subscription has a place only up to what has left. What has QoS 0 alone waits
 * for no acknowledgements.
 *
 * A session that outlives its connection stores the identifier of QoS 2 before the packet leaves, and
 * that PUBREC came before PUBREL leaves (5.0 §4.3.3); until that is done all that
 * comes behind is held, since order counts ([MQTT-4.6.0-5]).
 */
import type { Link } from '../../../link/link.ts';
import { SharedBatch } from '../../../link/shared-batch.ts';
import type { AliasTable } from '../codec/aliases.ts';
import { ownHead, patchPacketId } from '../codec/publish-frame.ts';
import type { PublishFrame } from '../codec/publish-frame.ts';
import type { MqttCounts } from '../counts.ts';
import type { Publication, PublishBatch } from '../messages/encoding.ts';
import type { BatchEnd } from '../messages/place.ts';
import type { Losses } from '../session/losses.ts';
import type { Outlet } from './outlet.ts';
import type { Window } from './window.ts';

/** What a delivery is built from. */
export interface DeliveryParts {
  readonly link: Link;
  readonly window: Window;
  /** Bytes of the largest packet that the client takes. */
  readonly packetSizeMax: number;
  /** Topic aliases, where the client takes any. */
  readonly aliases: AliasTable | undefined;
  /** Resolves when all that the session keeps by now is stored; absent where it keeps nothing. */
  readonly store: (() => Promise<void>) | undefined;
  /** What the session has lost, where the client can be told: 5.0 has no packet of its own for that. */
  readonly losses: Losses | undefined;
  /** The node's. */
  readonly counts: MqttCounts;
}

/** What leaves before all that is new. */
export interface First {
  /** More may leave than before. */
  onRoom(): void;
}

/** What is left of a batch, or a place that was reached after it. */
interface Waiting {
  readonly outlet: Outlet;
  readonly publications: readonly Publication[];
  readonly end: BatchEnd;
  next: number;
}

/** Bytes that are held until what they depend on is stored. */
interface Held {
  readonly batch: SharedBatch;
  isReady: boolean;
}

/** Bytes by which what is put into a packet may lengthen the sizes in front of it. */
const SIZES_GROWTH = 6;

const NO_BYTES = new Uint8Array(0);

// What nearly all deliveries have at any time: one array for all of them, and nobody writes to it.
const NONE_WAIT: Waiting[] = [];
const NONE_HELD: Held[] = [];

export class Delivery {
  readonly link: Link;
  readonly window: Window;
  readonly counts: MqttCounts;
  /** Messages of QoS 0 that were stored before this, in Unix milliseconds, are not sent. */
  quietBefore = 0;
  readonly #packetSizeMax: number;
  readonly #aliases: AliasTable | undefined;
  readonly #store: (() => Promise<void>) | undefined;
  readonly #losses: Losses | undefined;
  #isBegun = false;
  #first: First | undefined;
  #waiting = NONE_WAIT;
  #held = NONE_HELD;
  #heldBytes = 0;
  /** Those who need no room, and asked to be told when they may go on; made with the first. */
  #wantStart: Set<Outlet> | undefined;
  /** The window had no room when somebody asked to be told of room. */
  #wantsRoom = false;

  constructor(parts: DeliveryParts) {
    this.link = parts.link;
    this.window = parts.window;
    this.counts = parts.counts;
    this.#packetSizeMax = parts.packetSizeMax;
    this.#aliases = parts.aliases;
    this.#store = parts.store;
    this.#losses = parts.losses;
  }

  /** Unsent bytes, as this subscription sees them; no end of them while nothing of it may leave. */
  pendingBytes(outlet: Outlet): number {
    if (this.#isShut(outlet)) return Number.POSITIVE_INFINITY;
    return this.link.pendingBytes + this.#heldBytes;
  }

  /** Asks for the link's `onDrain` when more may leave. */
  requestDrain(outlet: Outlet): void {
    if (!this.#isShut(outlet) && this.#held.length === 0) this.link.requestDrain();
    else if (outlet.qos === 0) (this.#wantStart ??= new Set()).add(outlet);
    else this.#wantsRoom = true;
  }

  /** Writes that wait until what they say is stored. */
  get heldCount(): number {
    return this.#held.length;
  }

  /** This leaves first, until `endFirst`. To be called before `open`. */
  putFirst(first: First): void {
    this.#first = first;
  }

  /** All of it has left. */
  endFirst(first: First): void {
    if (this.#first !== first) return;
    this.#first = undefined;
    this.onRoom();
  }

  /** From here on messages leave: the client has its CONNACK. */
  open(): void {
    this.#isBegun = true;
    this.onRoom();
  }

  /** Sends a batch, as much of it as may leave now. */
  deliver(outlet: Outlet, batch: PublishBatch, isLast: boolean): void {
    const { publications, end, idCount } = batch;
    const mayLeave = this.#isOpen && (this.#waiting.length === 0 || this.#isFree(outlet));
    if (!mayLeave || !this.#isShared(batch) || idCount > this.window.free) {
      const waiting: Waiting = { outlet, publications, end, next: 0 };
      if (mayLeave && this.#sendSome(waiting)) return;
      this.#waiting = withOne(this.#waiting, waiting);
      if (this.#isOpen) this.counts.windowsFull += 1;
      return;
    }
    this.counts.sent.publish += publications.length;
    if (idCount > 0) {
      this.#copy(outlet, batch, isLast);
      return;
    }
    outlet.place?.reach(end);
    this.#emit(batch, false, isLast);
  }

  /** The subscription stands here now, after all that it was given. */
  reach(outlet: Outlet, end: BatchEnd): void {
    if (this.#waiting.length === 0 || this.#isFree(outlet)) outlet.place?.reach(end);
    else this.#waiting = withOne(this.#waiting, { outlet, publications: [], end, next: 0 });
  }

  /** The subscription has ended: what waits for it is not sent. */
  drop(outlet: Outlet): void {
    this.#waiting = this.#waiting.filter((waiting) => waiting.outlet !== outlet);
    this.onRoom();
  }

  /** The window has more room than before, or the link. */
  onRoom(): void {
    this.#first?.onRoom();
    this.#proceed();
    this.#tellRoom();
  }

  /**
   * Sends bytes in order with all others.
   *
   * @param needsStored true where the session has to keep what they say, before they leave.
   */
  send(bytes: Uint8Array, needsStored: boolean): void {
    this.#emit(new SharedBatch(bytes, false), needsStored, false);
  }

  /** One packet of this session alone. */
  packet(frame: PublishFrame, packetId: number, dup: boolean): Uint8Array {
    return Buffer.concat(this.#pieces(frame, packetId, dup));
  }

  /** True when the client does not take packets of this size: it is as if it was sent [MQTT-3.1.2-25]. */
  isTooLarge(frame: PublishFrame): boolean {
    return frame.bytes.length > this.#packetSizeMax;
  }

  /** True while what is new may leave. */
  get #isOpen(): boolean {
    return this.#isBegun && this.#first === undefined;
  }

  /** True when the bytes of a batch need nothing but packet identifiers. */
  #isShared({ sizeMax, timeMin }: PublishBatch): boolean {
    if (sizeMax > this.#packetSizeMax || timeMin < this.quietBefore) return false;
    return this.#aliases === undefined && this.#losses?.isDue !== true;
  }

  /** True for a subscription of QoS 0: it waits for no acknowledgements, but all of it keeps its order. */
  #isFree(outlet: Outlet): boolean {
    if (outlet.qos > 0) return false;
    return this.#waiting.length === 0 || !this.#waiting.some(isStuckOf(outlet));
  }

  /** True when nothing of this subscription may leave now. */
  #isShut(outlet: Outlet): boolean {
    if (!this.#isOpen) return true;
    return (this.#waiting.length > 0 || this.window.free === 0) && !this.#isFree(outlet);
  }

  /** One copy of all, with packet identifiers; nothing is allocated for each message. */
  #copy(outlet: Outlet, { run, publications, end }: PublishBatch, isLast: boolean): void {
    const bytes = Buffer.allocUnsafe(run.bytes.length);
    bytes.set(run.bytes);
    let next = 0;
    let hasQos2 = false;
    for (const { frame, place } of publications) {
      const { qos } = frame.shared;
      if (qos === 0) continue;
      if (qos === 2) hasQos2 = true;
      patchPacketId(bytes, run.idsAt[next] ?? 0, this.window.add(place, qos));
      next += 1;
    }
    outlet.place?.reach(end);
    this.#emit(new SharedBatch(bytes, false), hasQos2, isLast, outlet.store);
  }

  /** Sends what waits, as far as the window has room. */
  #proceed(): void {
    if (!this.#isOpen || this.#waiting.length === 0) return;
    const left: Waiting[] = [];
    for (const waiting of this.#waiting) {
      const isNext =
        left.length === 0 || (waiting.outlet.qos === 0 && !left.some(isStuckOf(waiting.outlet)));
      if (!isNext || !this.#sendSome(waiting)) left.push(waiting);
    }
    this.#waiting = left;
  }

  /** @returns true when all of it has left. */
  #sendSome(waiting: Waiting): boolean {
    const { outlet, publications, end } = waiting;
    const pieces: Uint8Array[] = [];
    let hasQos2 = false;
    for (; waiting.next < publications.length; waiting.next += 1) {
      const publication = publications[waiting.next];
      if (publication === undefined) break;
      const { frame, place, time } = publication;
      const { qos } = frame.shared;
      if (qos > 0 && this.window.free === 0) break;
      if (qos === 0 && time < this.quietBefore) {
        // It may have been sent: at most once is what QoS 0 promises ([MQTT-4.3.1-1]).
      } else if (this.isTooLarge(frame)) {
        this.counts.dropped.too_large += 1;
      } else {
        if (qos === 2) hasQos2 = true;
        const packetId = qos === 0 ? 0 : this.window.add(place, qos);
        pieces.push(...this.#pieces(frame, packetId, false));
      }
      outlet.place?.reachPlace(place);
    }
    const isDone = waiting.next === publications.length;
    if (isDone) outlet.place?.reach(end);
    if (pieces.length > 0) {
      this.#emit(new SharedBatch(Buffer.concat(pieces), false), hasQos2, false, outlet.store);
    }
    return isDone;
  }

  #pieces(frame: PublishFrame, packetId: number, dup: boolean): readonly Uint8Array[] {
    this.counts.sent.publish += 1;
    const packetSizeMax = this.#packetSizeMax;
    const { properties = NO_BYTES, aliased = false } =
      this.#aliases?.use(frame, packetSizeMax) ?? {};
    const room = packetSizeMax - frame.bytes.length - properties.length - SIZES_GROWTH;
    const told = this.#losses?.tellBy(packetId, room) ?? NO_BYTES;
    const own = told.length === 0 ? properties : Buffer.concat([properties, told]);
    const head = ownHead(frame, { packetId, dup, properties: own, aliased });
    return [head, frame.bytes.subarray(frame.tailAt)];
  }

  #emit(batch: SharedBatch, needsStored: boolean, isLast: boolean, store = this.#store): void {
    this.counts.sentSize += batch.payload.length;
    const waits = needsStored && store !== undefined;
    if (!waits && this.#held.length === 0) {
      this.link.sendShared(batch, isLast);
      return;
    }
    const held: Held = { batch, isReady: !waits };
    this.#held = withOne(this.#held, held);
    this.#heldBytes += batch.payload.length;
    if (!waits) return;
    const onStored = (): void => {
      held.isReady = true;
      this.#release();
    };
    // What can't be stored is tried again by the session; it never leaves unless it is.
    void store().then(onStored, () => {});
  }

  #release(): void {
    let count = 0;
    for (const { batch, isReady } of this.#held) {
      if (!isReady) break;
      this.#heldBytes -= batch.payload.length;
      this.link.sendShared(batch);
      count += 1;
    }
    this.#held = this.#held.slice(count);
    this.#tellRoom();
  }

  /** Whoever asked reads on; who needs room once that is worth a read. */
  #tellRoom(): void {
    if (!this.#isOpen || this.#held.length > 0) return;
    // While something waits the window has no room.
    const hasRoom = this.#wantsRoom && this.window.isRoomy;
    if (!hasRoom && !this.#mayStart()) return;
    this.#wantStart = undefined;
    if (hasRoom) this.#wantsRoom = false;
    this.link.requestDrain();
  }

  /** False for those alone who would only ask again: what they had with more than QoS 0 waits for room. */
  #mayStart(): boolean {
    for (const outlet of this.#wantStart ?? []) if (!this.#isShut(outlet)) return true;
    return false;
  }
}

/** True for what waits of one subscription. */
function isStuckOf(outlet: Outlet): (waiting: Waiting) => boolean {
  return (waiting) => waiting.outlet === outlet;
}

/** The list with one more; an empty one may be everybody's. */
function withOne<T>(list: T[], one: T): T[] {
  if (list.length === 0) return [one];
  list.push(one);
  return list;
}

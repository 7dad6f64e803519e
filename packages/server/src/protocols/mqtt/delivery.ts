/**
 * Delivery: the messages of one session on their way to its client.
 *
 * Packets of QoS 0 are written as they are, shared with all other sessions. Those of QoS 1 and 2 are
 * copied as one and get their packet identifiers; the window knows them until they are acknowledged.
 * When it has no room the rest of a batch waits here, and the hub gives nothing more: what comes then
 * is read from the log later. So what waits is one batch for each subscription at most, and shared.
 *
 * A session that outlives its connection stores the identifier of QoS 2 before the packet leaves, and
 * that PUBREC came before PUBREL leaves ([MQTT-4.3.3-1], [MQTT-4.3.3-8]); until that is done all that
 * comes behind is held, since order counts ([MQTT-4.6.0-5]).
 */
import type { Link } from '../../link/link.ts';
import { SharedBatch } from '../../link/shared-batch.ts';
import type { AliasTable } from './aliases.ts';
import { ownHead, patchPacketId, publishProperties } from './codec/publish-frame.ts';
import type { PublishFrame } from './codec/publish-frame.ts';
import type { Qos } from './codec/packets.ts';
import type { BatchEnd, Publication, PublishBatch } from './encoding.ts';
import type { Outlet } from './outlet.ts';
import { lossProperties } from './subscription.ts';
import type { Loss } from './subscription.ts';
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

/** Losses that one packet tells of. */
const LOSSES_MAX = 8;

export class Delivery {
  readonly link: Link;
  readonly window: Window;
  readonly #parts: DeliveryParts;
  #isOpen = false;
  #waiting: Waiting[] = [];
  #held: Held[] = [];
  #heldBytes = 0;
  /** The window had no room when somebody asked to be told of room. */
  #wantsRoom = false;
  #losses: Loss[] = [];
  /** Messages that were too large for the client; for the metrics. */
  droppedCount = 0;

  constructor(parts: DeliveryParts) {
    this.link = parts.link;
    this.window = parts.window;
    this.#parts = parts;
  }

  /** Unsent bytes, as the subscriptions of this QoS see them; no end of them while nothing may leave. */
  pendingBytes(qos: Qos): number {
    const pending = this.link.pendingBytes + this.#heldBytes;
    return this.#isShut(qos) ? Number.POSITIVE_INFINITY : pending;
  }

  /** Asks for the link's `onDrain` when more may leave. */
  requestDrain(qos: Qos): void {
    if (this.#isShut(qos) || this.#held.length > 0) this.#wantsRoom = true;
    else this.link.requestDrain();
  }

  /** From here on messages leave: the client has its CONNACK, and what it was sent before. */
  open(): void {
    this.#isOpen = true;
    this.onRoom();
  }

  /** Sends a batch, as much of it as may leave now. */
  deliver(outlet: Outlet, batch: PublishBatch, isLast: boolean): void {
    const { publications, end, idCount } = batch;
    const isWhole = batch.sizeMax <= this.#parts.packetSizeMax && this.#parts.aliases === undefined;
    // What is of QoS 0 need not wait for acknowledgements, but of one subscription all keeps its order.
    const isFree =
      this.#isOpen && this.#losses.length === 0 && (outlet.qos === 0 || this.#waiting.length === 0);
    if (isWhole && isFree && idCount === 0) {
      outlet.place?.reach(end);
      this.#emit(batch, false, isLast);
    } else if (isWhole && isFree && idCount <= this.window.free) {
      this.#copy(outlet, batch, isLast);
    } else {
      this.#waiting.push({ outlet, publications, end, next: 0 });
      this.#proceed();
    }
  }

  /** The subscription stands here now, after all that it was given. */
  reach(outlet: Outlet, end: BatchEnd): void {
    if (this.#waiting.length === 0) outlet.place?.reach(end);
    else this.#waiting.push({ outlet, publications: [], end, next: 0 });
  }

  /** The subscription has ended: what was to be sent for it is not. */
  drop(outlet: Outlet): void {
    this.#waiting = this.#waiting.filter((waiting) => waiting.outlet !== outlet);
    this.#proceed();
  }

  /** Messages are lost: the next packet says so, since 5.0 has no packet for that. */
  tellLoss(loss: Loss): void {
    // Of many the first ones are enough to know that the state is to be loaded anew.
    if (this.#losses.length < LOSSES_MAX) this.#losses.push(loss);
  }

  /** The window has more room than before. */
  onRoom(): void {
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
    return frame.bytes.length > this.#parts.packetSizeMax;
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
    this.#emit(new SharedBatch(bytes, false), hasQos2, isLast);
  }

  /** True when nothing of this QoS may leave now. */
  #isShut(qos: Qos): boolean {
    return !this.#isOpen || (qos > 0 && (this.#waiting.length > 0 || this.window.free === 0));
  }

  /** Sends what waits, as far as the window has room. */
  #proceed(): void {
    if (!this.#isOpen) return;
    let done = 0;
    for (const waiting of this.#waiting) {
      this.#sendSome(waiting);
      if (waiting.next < waiting.publications.length) break;
      waiting.outlet.place?.reach(waiting.end);
      done += 1;
    }
    if (done > 0) this.#waiting = this.#waiting.slice(done);
  }

  #sendSome(waiting: Waiting): void {
    const { outlet, publications } = waiting;
    const pieces: Uint8Array[] = [];
    let hasQos2 = false;
    for (; waiting.next < publications.length; waiting.next += 1) {
      const publication = publications[waiting.next];
      if (publication === undefined) break;
      const { frame, place } = publication;
      const { qos } = frame.shared;
      if (this.isTooLarge(frame)) {
        this.droppedCount += 1;
      } else if (qos === 0) {
        pieces.push(...this.#pieces(frame, 0, false));
      } else {
        if (this.window.free === 0) break;
        if (qos === 2) hasQos2 = true;
        pieces.push(...this.#pieces(frame, this.window.add(place, qos), false));
      }
      outlet.place?.reachPlace(place);
    }
    if (pieces.length > 0) this.send(Buffer.concat(pieces), hasQos2);
  }

  #pieces(frame: PublishFrame, packetId: number, dup: boolean): readonly Uint8Array[] {
    const { properties, aliased } =
      this.#parts.aliases?.use(frame, this.#parts.packetSizeMax) ?? {};
    const told = publishProperties(lossProperties(this.#losses));
    this.#losses = [];
    const head = ownHead(frame, {
      ...{ packetId, dup },
      properties: properties === undefined ? told : Buffer.concat([properties, told]),
      ...(aliased === undefined ? {} : { aliased }),
    });
    return [head, frame.bytes.subarray(frame.tailAt)];
  }

  #emit(batch: SharedBatch, needsStored: boolean, isLast: boolean): void {
    const { store } = this.#parts;
    const waits = needsStored && store !== undefined;
    if (!waits && this.#held.length === 0) {
      this.link.sendShared(batch, isLast);
      return;
    }
    const held: Held = { batch, isReady: !waits };
    this.#held.push(held);
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

  /** Whoever asked reads on, once that is worth a read. */
  #tellRoom(): void {
    if (!this.#wantsRoom || this.#held.length > 0 || this.#waiting.length > 0) return;
    if (!this.window.isRoomy) return;
    this.#wantsRoom = false;
    this.link.requestDrain();
  }
}

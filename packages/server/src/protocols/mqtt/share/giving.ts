/**
 * Giving: the messages of a group on their way to its members. What was given before, to members who
 * went, comes first; then what the hub has. While no member takes what is next, the hub waits.
 */
import type { Identity } from '../../../auth/identity.ts';
import type { Clock } from '../../../clock.ts';
import type { Hub } from '../../../hub/hub.ts';
import type { Log } from '../../../observe/log.ts';
import type { SentPlace } from '../delivery/sent-place.ts';
import type { Loss } from '../session/losses.ts';
import { Backlog } from './backlog.ts';
import { Circle } from './circle.ts';
import type { Outcome } from './circle.ts';
import type { Item } from './seat.ts';
import type { Portion } from './share-reader.ts';
import { placeKey } from './shared-place.ts';
import { Waiting } from './waiting.ts';

/** What giving needs of its group. */
export interface GivingParts {
  readonly share: string;
  readonly hub: Pick<Hub, 'messagesAt'>;
  readonly clock: Clock;
  readonly log: Log;
  /** True while no more may be lent than is. */
  isOwing(): boolean;
  /** Something was given. */
  onGiven(): void;
  /** The hub may go on. */
  advance(): void;
  onLoss(loss: Loss): void;
}

/** After so long what could not be read is tried again. */
const RETRY_MS = 1_000;

/** Who reads again what was given to members: each of them is granted all that the group reads. */
const READER: Identity = { kind: 'server', grants: new Map() };

export class Giving {
  readonly circle = new Circle();
  readonly backlog = new Backlog();
  /** Everything that the hub gave up to here was given to members. */
  place: SentPlace | undefined;
  /** Messages of QoS 2 that windows of members may have from before a crash: nobody else gets them. */
  taken: ReadonlySet<string> = new Set();
  readonly #parts: GivingParts;
  /** What the hub has given and no member has yet. */
  #waiting = new Waiting();
  /** The hub, or what waits here, is to go on as soon as somebody has room. */
  #wantsRoom = false;
  #isScheduled = false;

  constructor(parts: GivingParts) {
    this.#parts = parts;
  }

  /** True while the hub has to wait. */
  get isFull(): boolean {
    const isBusy = !this.#waiting.isEmpty || this.backlog.size > 0;
    return isBusy || this.#parts.isOwing() || !this.circle.hasRoom;
  }

  /** The hub has something. */
  take(portion: Portion): void {
    this.#waiting.add(portion);
    this.#give();
  }

  /** The hub has more, or will. */
  onWanted(): void {
    this.#wantsRoom = true;
    if (this.isFull) this.circle.requestRoom();
    else this.goOnSoon();
  }

  /** A member has room that had none, or is done with what it was lent. */
  onRoom(): void {
    if (this.#wantsRoom) this.goOnSoon();
  }

  /** At the end of this turn. */
  goOnSoon(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#parts.clock.defer(this.#goOn);
  }

  /** What no member has yet is the hub's again, and what was read again is left in the log. */
  stop(): void {
    this.#waiting = new Waiting();
    this.backlog.unload();
  }

  /** Gives what there is, and lets the hub go on if that is all. */
  readonly #goOn = (): void => {
    this.#isScheduled = false;
    this.#give();
    if (!this.#wantsRoom) return;
    if (this.isFull) {
      this.circle.requestRoom();
      return;
    }
    this.#wantsRoom = false;
    this.#parts.advance();
  };

  #give(): void {
    if (this.circle.count === 0) return;
    const nowMs = this.#parts.clock.unixMs();
    let given = 0;
    for (let item = this.backlog.next; item !== undefined; item = this.backlog.next) {
      if (this.#giveOne(item, nowMs) === 'full') break;
      this.backlog.shift();
      given += 1;
    }
    if (this.backlog.isUnread) void this.#readBacklog(); // It never rejects.
    if (this.backlog.size === 0) {
      given += this.#waiting.give(this.place, (item) => {
        return this.#parts.isOwing() ? 'full' : this.#giveOne(item, nowMs);
      });
    }
    if (given > 0) this.#parts.onGiven();
    if (this.backlog.next === undefined && this.#waiting.isEmpty) return;
    this.#wantsRoom = true;
    this.circle.requestRoom();
  }

  #giveOne(item: Item, nowMs: number): Outcome {
    // [MQTT-3.3.2-5]
    if ((item.message.expiresAt ?? Number.POSITIVE_INFINITY) <= nowMs) return 'dropped';
    if (this.taken.size > 0 && this.#isTaken(item)) return 'dropped';
    return this.circle.give(item, nowMs);
  }

  #isTaken({ run, message }: Item): boolean {
    const { channel, epoch } = run;
    return this.taken.has(placeKey({ channel, epoch, offset: message.offset }));
  }

  async #readBacklog(): Promise<void> {
    const { hub, clock, log, share, onLoss } = this.#parts;
    try {
      const gone = await this.backlog.read((places) => hub.messagesAt(READER, places));
      for (const { channel, offset } of gone) {
        onLoss({ channel, gap: { reason: 'trimmed', from: offset, to: offset } });
      }
      this.#wantsRoom = true;
      this.goOnSoon();
    } catch (error) {
      log.warn({ share, error }, 'messages of an MQTT share group can not be read');
      clock.after(RETRY_MS, () => this.goOnSoon());
    }
  }
}

/**
 * VolatileChannel: a channel without offsets and log. What is published reaches who listens now;
 * who is too slow gets the newest message of each slot.
 */
import type { Message } from '@trunkline/wire';
import type { Subscriber } from '../hub-types.ts';
import { Slots } from './slots.ts';
import type { SlotEntry } from './slots.ts';

/**
 * A subscription to a volatile channel.
 *
 * - `live`: it gets each turn's messages.
 * - `behind`: its link had too much unsent; it gets the newest of each slot when that has drained.
 * - `ended`: nothing is delivered any more.
 */
export class VolatileCursor {
  readonly subscriber: Subscriber;
  readonly channel: VolatileChannel;
  /** The session whose own messages are left out. */
  mutedSession: string | undefined;
  state: 'waiting' | 'live' | 'behind' | 'ended' = 'waiting';
  /** How far in the slots it has come while it is behind. */
  sequence = 0;

  constructor(subscriber: Subscriber, channel: VolatileChannel, mutedSession?: string) {
    this.subscriber = subscriber;
    this.channel = channel;
    this.mutedSession = mutedSession;
  }
}

/** What this node knows of one volatile channel. */
export class VolatileChannel {
  readonly name: string;
  /** Subscriptions, and selections that name it. At 0 the channel is forgotten. */
  users = 0;
  opening: Promise<void> | undefined;
  /** What this turn brought. */
  pending: Message[] = [];
  readonly live = new Set<VolatileCursor>();
  readonly behind = new Set<VolatileCursor>();
  #slots: Slots | undefined;

  constructor(name: string) {
    this.name = name;
  }

  /** The cursor's link has too much unsent. */
  fallBehind(cursor: VolatileCursor): void {
    this.#slots ??= new Slots();
    cursor.sequence = this.#slots.sequence;
    cursor.state = 'behind';
    this.live.delete(cursor);
    this.behind.add(cursor);
  }

  /** Keeps messages for those who are behind. */
  keep(messages: readonly Message[]): void {
    for (const message of messages) this.#slots?.put(this.name, message);
  }

  /** What a cursor that is behind missed and is still of use, in the order published. */
  missedBy(cursor: VolatileCursor): readonly SlotEntry[] {
    return this.#slots?.after(cursor.sequence) ?? [];
  }

  /** The cursor was given what it missed: it is live from here on. */
  catchUp(cursor: VolatileCursor): void {
    this.remove(cursor);
    cursor.state = 'live';
    this.live.add(cursor);
  }

  /** The cursor gets nothing more. */
  remove(cursor: VolatileCursor): void {
    this.live.delete(cursor);
    this.behind.delete(cursor);
    if (this.behind.size === 0) this.#slots = undefined;
  }
}

/**
 * Slots: the newest message of each slot of volatile channels, for readers who could not take every
 * one [VOL-3].
 *
 * It is kept only while someone is too slow, and serves all of them: each remembers how far it had
 * come and gets what is newer.
 */
import type { Message } from '@trunkline/wire';

/** Slots that are kept; over it the one written longest ago is forgotten. */
export const SLOT_COUNT_MAX = 1_000;

/** A message that is still the newest of its slot. */
export interface SlotEntry {
  readonly channel: string;
  readonly message: Message;
  /** Rises with every message. */
  readonly sequence: number;
}

/** The newest of every slot. */
export class Slots {
  // In the order in which they were written: an entry that is replaced goes to the end.
  readonly #entries = new Map<string, SlotEntry>();
  #sequence = 0;

  /** How far a reader has come that has everything up to now. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Slots that are kept. */
  get size(): number {
    return this.#entries.size;
  }

  /** A message that takes the place of the one before in its slot. */
  put(channel: string, message: Message): void {
    // No channel has a line feed in its name [CH-1].
    const key = `${channel}\n${slotOf(message)}`;
    this.#sequence += 1;
    this.#entries.delete(key);
    this.#entries.set(key, { channel, message, sequence: this.#sequence });
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > SLOT_COUNT_MAX && oldest !== undefined) this.#entries.delete(oldest);
  }

  /** What is newer than a reader is, in the order in which it was published. */
  after(sequence: number): readonly SlotEntry[] {
    return [...this.#entries.values()].filter((entry) => entry.sequence > sequence);
  }
}

/** The slot a publisher named; else the publisher is the slot. */
function slotOf({ slot, from }: Message): string {
  if (slot !== undefined) return `s${slot}`;
  return from === undefined ? '' : `f${from.session}`;
}

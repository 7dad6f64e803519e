/**
 * Slots: the newest message of each slot of volatile channels, for readers who could not take every
 * one [VOL-3].
 *
 * It is kept only while someone is too slow, and serves all of them: each remembers how far it had
 * come and gets what is newer.
 */
import type { Message } from '@trunkline/wire';
import { messageSize } from '../message-batch.ts';

/** Slots that are kept; over it the one written longest ago is forgotten. */
export const SLOT_COUNT_MAX = 1_000;

/** Bytes of the messages in them, roughly; likewise, but for the newest one. */
export const SLOTS_SIZE_MAX = 2 * 1024 * 1024;

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
  #keptSize = 0;

  /** How far a reader has come that has everything up to now. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Slots that are kept. */
  get size(): number {
    return this.#entries.size;
  }

  /** Bytes of the messages that are kept, roughly. */
  get keptSize(): number {
    return this.#keptSize;
  }

  /** A message that takes the place of the one before in its slot. */
  put(channel: string, message: Message): void {
    // No channel has a line feed in its name [CH-1].
    const key = `${channel}\n${slotOf(message)}`;
    this.#sequence += 1;
    this.#forget(key);
    this.#entries.set(key, { channel, message, sequence: this.#sequence });
    this.#keptSize += messageSize(message);
    for (const oldest of this.#entries.keys()) {
      const isFull = this.#entries.size > SLOT_COUNT_MAX || this.#keptSize > SLOTS_SIZE_MAX;
      if (!isFull || oldest === key) return;
      this.#forget(oldest);
    }
  }

  /** What is newer than a reader is, in the order in which it was published. */
  after(sequence: number): readonly SlotEntry[] {
    return [...this.#entries.values()].filter((entry) => entry.sequence > sequence);
  }

  #forget(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#keptSize -= messageSize(entry.message);
  }
}

/** The slot a publisher named; else the publisher is the slot. */
function slotOf({ slot, from }: Message): string {
  if (slot !== undefined) return `s${slot}`;
  return from === undefined ? '' : `f${from.session}`;
}

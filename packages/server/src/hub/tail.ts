/**
 * Tail: the newest messages of a channel in memory, with the encodings already made, so that a
 * storm of resumes does not reach the log.
 *
 * It never tells more than the log would: what retention has removed by count or age is not
 * covered any more, even while it is still in memory.
 */
import type { Retention } from '../broker/broker.ts';
import { MessageBatch } from './message-batch.ts';

/** Stands where a batch was until the array is cut, so that its memory is free at once. */
const GONE = new MessageBatch('', '', []);

export class Tail {
  readonly #retention: Retention;
  readonly #sizeMax: number;
  // In offset order without holes; the first `#dropped` entries are gone already.
  #batches: MessageBatch[] = [];
  #dropped = 0;
  #size = 0;

  constructor(retention: Retention, sizeMax: number) {
    this.#retention = retention;
    this.#sizeMax = Math.min(sizeMax, retention.sizeMax);
  }

  /** Bytes in memory, roughly. */
  get size(): number {
    return this.#size;
  }

  /** Adds what was just published; what no longer fits goes. */
  push(batch: MessageBatch): void {
    this.#batches.push(batch);
    this.#size += batch.size;
    while (this.#size > this.#sizeMax && this.#dropped < this.#batches.length) {
      this.#size -= this.#batches[this.#dropped]?.size ?? 0;
      this.#batches[this.#dropped] = GONE;
      this.#dropped += 1;
    }
    // Dropping from the front of an array costs its length: done when half of it is gone.
    if (this.#dropped > 32 && this.#dropped * 2 > this.#batches.length) {
      this.#batches = this.#batches.slice(this.#dropped);
      this.#dropped = 0;
    }
  }

  /** Forgets everything: the stream began anew, or memory is short. */
  clear(): void {
    this.#batches = [];
    this.#dropped = 0;
    this.#size = 0;
  }

  /** Lets go of the encodings that were made for readers who came back. */
  forgetEncoded(): void {
    for (const batch of this.#batches) batch.forgetEncoded();
  }

  /** Lowest offset in memory, `undefined` when there is none. */
  get first(): number | undefined {
    return this.#batches[this.#dropped]?.first;
  }

  /**
   * True when everything after `offset` up to the newest message is here and still retained, so
   * that no one need ask the log.
   */
  covers(offset: number, unixMs: number): boolean {
    const first = this.first;
    const newest = this.#batches.at(-1);
    if (first === undefined || newest === undefined || offset + 1 < first) return false;
    if (newest.last - offset > this.#retention.countMax) return false;
    const batch = this.after(offset);
    if (batch === undefined) return true; // Nothing comes after it: nothing can be missing.
    const oldest = batch.messages[Math.max(0, offset + 1 - batch.first)];
    return oldest !== undefined && oldest.time > unixMs - this.#retention.ageMsMax;
  }

  /** The batch in memory that holds the message after `offset`; it may begin before it. */
  after(offset: number): MessageBatch | undefined {
    let low = this.#dropped;
    let high = this.#batches.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#batches[middle]?.last ?? 0) > offset) high = middle;
      else low = middle + 1;
    }
    const batch = this.#batches[low];
    return batch !== undefined && batch.first <= offset + 1 ? batch : undefined;
  }

  /** Puts older messages before what is here, where they join without a hole and fit. */
  prepend(batches: readonly MessageBatch[]): void {
    const present = this.#batches.slice(this.#dropped);
    this.#dropped = 0;
    for (const batch of batches.toReversed()) {
      const next = present[0];
      if (next !== undefined && batch.last + 1 !== next.first) break;
      if (this.#size + batch.size > this.#sizeMax) break;
      present.unshift(batch);
      this.#size += batch.size;
    }
    this.#batches = present;
  }
}

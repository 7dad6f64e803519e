/**
 * CatchUp: what a reader of a selection still has to read before it is at the head.
 *
 * It is a list of legs, each a channel and where to read on in it: first those that had changed
 * since the reader's place, then those that got news while it read. A reader with no leg left is at
 * the head of every channel. Pure bookkeeping; `SelectionFanOut` does the reading.
 */
import type { Position } from '@trunkline/wire';
import type { Cursor, LegOwner } from '../cursor.ts';
import { formatPlaceMark, NOWHERE_ELSE } from '../place-mark.ts';
import type { PlaceMark } from '../place-mark.ts';

/** A channel that has to be read on from a position. */
export interface Leg {
  readonly channel: string;
  readonly position: Position;
}

/**
 * Channels with news that a reader is told of while it reads; over it the reader is too slow even
 * to catch up.
 */
export const NOTED_COUNT_MAX = 10_000;

/** Channels whose own places go with a mark on the way; over it only the end has a mark. */
const ENDS_COUNT_MAX = 64;

/** One reader's way to the head. */
export class CatchUp {
  /** Where it began: with the places since, it says where the reader stands. */
  #base: PlaceMark;
  /** True until it is known what has to be read. */
  resolving = true;
  /** True when something was told that no mark covers yet. */
  unmarked = false;
  /** True when something changed that the list of changes may not have: it is asked for again. */
  again = false;
  /** True while legs are being begun, so that one that ends at once does not begin the next. */
  running = false;
  /** Legs whose channel is being opened. */
  opening = 0;
  /** What the legs tell; made with the first. */
  owner: LegOwner | undefined;
  /** Legs under way: ordinary cursors, each in its channel. */
  readonly reading = new Map<string, Cursor>();
  #legs: readonly Leg[] = [];
  #next = 0;
  readonly #noted = new Map<string, Position>();
  /** Places beyond `base`. */
  readonly #ends = new Map<string, Position>();

  constructor(base: PlaceMark = { mark: '', behind: NOWHERE_ELSE }) {
    this.#base = base;
  }

  /** Where the reader begins and what it has to read is known. */
  begin(base: PlaceMark, legs: readonly Leg[]): void {
    this.#base = base;
    this.resolve(legs);
  }

  /** What changed since the reader's place is known. */
  resolve(legs: readonly Leg[]): void {
    this.#legs = legs;
    this.#next = 0;
    this.resolving = false;
  }

  /**
   * A channel has news after `position`. A leg under way finds it by itself, and one still to be
   * begun reads it too.
   *
   * @returns false when there are too many.
   */
  note(channel: string, position: Position): boolean {
    if (this.reading.has(channel) || this.#noted.has(channel)) return true;
    this.#noted.set(channel, position);
    return this.#noted.size <= NOTED_COUNT_MAX;
  }

  /** The next leg, taken off the list; `undefined` when none is left. */
  take(): Leg | undefined {
    const leg = this.#legs[this.#next];
    if (leg !== undefined) {
      this.#next += 1;
      // What is read to the head includes the news of before.
      this.#noted.delete(leg.channel);
      return leg;
    }
    for (const [channel, position] of this.#noted) {
      this.#noted.delete(channel);
      return { channel, position };
    }
    return undefined;
  }

  /** True when no leg is left and none is under way. */
  get isDone(): boolean {
    return this.#isEmpty && this.reading.size === 0;
  }

  /** True when the leg of this channel is the only thing left to do. */
  isLast(channel: string): boolean {
    return this.#isEmpty && this.reading.size === 1 && this.reading.has(channel);
  }

  /** Legs that are not begun. */
  get left(): readonly Leg[] {
    return this.#legs.slice(this.#next);
  }

  /** Takes a channel off the list. @returns where it was to be read from. */
  drop(channel: string): Position | undefined {
    const leg = this.#legs.slice(this.#next).find((next) => next.channel === channel);
    const noted = this.#noted.get(channel);
    this.#noted.delete(channel);
    if (leg === undefined) return noted;
    this.#legs = this.#legs.slice(this.#next).filter((next) => next !== leg);
    this.#next = 0;
    return leg.position;
  }

  /** The reader stands here in this channel now. */
  reached(channel: string, position: Position): void {
    this.#ends.set(channel, position);
  }

  /** What to go on from after what was read so far, where that can be said in one mark. */
  mark(): string | undefined {
    if (this.#ends.size > ENDS_COUNT_MAX || this.resolving) return undefined;
    return formatPlaceMark(this.place());
  }

  /** Where the reader stands now. */
  place(): PlaceMark {
    const behind = new Map(this.#base.behind);
    for (const [channel, position] of this.#ends) behind.set(channel, position);
    return { mark: this.#base.mark, behind };
  }

  get #isEmpty(): boolean {
    const begun = this.#next >= this.#legs.length && this.opening === 0;
    return begun && this.#noted.size === 0 && !this.resolving;
  }
}

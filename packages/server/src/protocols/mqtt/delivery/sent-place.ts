/**
 * SentPlace: up to where a subscription's messages were sent, as a durable session keeps it. Those that
 * were sent and not acknowledged are in its window besides.
 */
import { formatPosition, parseAfter } from '@trunkline/wire';
import type { After, Position } from '@trunkline/wire';
import { moveMark } from '../../../hub/place-mark.ts';
import type { BatchEnd, Place } from '../messages/place.ts';

/**
 * Channels of a pattern that may stand elsewhere than its mark, as long as no new mark is told. What
 * more of them were sent they are sent again after a connection that breaks just then.
 */
const MOVED_MAX = 5_000;

/** Of a subscription to one channel a position, of a pattern a mark; empty while nothing is known. */
export class SentPlace {
  #base: string | Position;
  /** By channel, what moved on since the mark. */
  #moved: Map<string, Position> | undefined;

  constructor(base: string | Position) {
    this.#base = base;
  }

  /** All messages up to here were sent. */
  reach({ mark, places }: BatchEnd): void {
    if (mark === undefined) {
      for (const place of places) this.reachPlace(place);
    } else {
      this.#base = mark;
      this.#moved = undefined;
    }
  }

  /** In one channel all messages up to here were sent. */
  reachPlace(place: Place): void {
    if (place.epoch === '') return; // A volatile channel has no places.
    if (isMarkText(this.#base)) {
      this.#moved ??= new Map();
      const { channel } = place;
      const hasRoom = this.#moved.size < MOVED_MAX || this.#moved.has(channel);
      if (hasRoom) this.#moved.set(channel, place);
    } else if (this.#base !== '') {
      this.#base = place;
    }
  }

  /** What a record keeps. */
  toString(): string {
    return this.#moved === undefined ? this.#baseText : moveMark(this.#baseText, this.#moved);
  }

  /** The same in at most so many characters, or the mark alone: that is earlier, and always holds. */
  textWithin(lengthMax: number): string {
    const whole = this.toString();
    return whole.length > lengthMax ? this.#baseText : whole;
  }

  get #baseText(): string {
    return typeof this.#base === 'string' ? this.#base : formatPosition(this.#base);
  }
}

/** Where a subscription with this place goes on. A mark may be longer here than a client's may. */
export function afterPlace(text: string): After {
  return isMarkText(text) ? { kind: 'mark', mark: text } : parseAfter(text);
}

function isMarkText(base: string | Position): boolean {
  return typeof base === 'string' && base.startsWith('~');
}

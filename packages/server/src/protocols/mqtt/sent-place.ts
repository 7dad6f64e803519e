/**
 * SentPlace: up to where a subscription's messages were sent, as a durable session keeps it. Those that
 * were sent and not acknowledged are in its window besides.
 */
import { formatPosition, parseAfter } from '@trunkline/wire';
import type { After, Position } from '@trunkline/wire';
import { moveMark } from '../../hub/place-mark.ts';
import type { BatchEnd, Place } from './encoding.ts';

/** Of a subscription to one channel a position, of a pattern a mark. */
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
      this.#moved.set(place.channel, place);
    } else {
      this.#base = place;
    }
  }

  /** What a record keeps. */
  toString(): string {
    const base = typeof this.#base === 'string' ? this.#base : formatPosition(this.#base);
    return this.#moved === undefined ? base : moveMark(base, this.#moved);
  }
}

/** Where a subscription with this place goes on. A mark may be longer here than a client's may. */
export function afterPlace(text: string): After {
  return isMarkText(text) ? { kind: 'mark', mark: text } : parseAfter(text);
}

function isMarkText(base: string | Position): base is string {
  return typeof base === 'string' && base.startsWith('~');
}

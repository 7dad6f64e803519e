/**
 * MemberList: the members of one channel in the order of their places.
 *
 * A sorted run cut into short chunks: a change moves the members of one chunk, whatever the size of
 * the list, and a page begins by halving. Neighbours that have become short are joined, so that a
 * list which was long once costs no more than it holds.
 */
import { comparePlaces } from './place.ts';
import type { Place } from './place.ts';

/** Members of one chunk. */
const CHUNK_COUNT_MAX = 128;

/** What can be listed. Its place must not change while it is. */
export interface Listed {
  readonly member: Place;
}

/** An ordered set of members. */
export class MemberList<T extends Listed> {
  /** None is empty, and two neighbours have more than half a chunk together. */
  readonly #chunks: T[][] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Puts a member in its place, which must be free. */
  add(item: T): void {
    this.#size += 1;
    const at = Math.max(0, this.#chunkOf(item.member));
    const chunk = this.#chunks[at];
    if (chunk === undefined) {
      this.#chunks.push([item]);
      return;
    }
    const index = indexAfter(chunk, item.member);
    const isLast = at === this.#chunks.length - 1 && index === chunk.length;
    // Members mostly come in order: chunks that are full stay full.
    if (isLast && chunk.length === CHUNK_COUNT_MAX) this.#chunks.push([item]);
    else {
      chunk.splice(index, 0, item);
      if (chunk.length > CHUNK_COUNT_MAX) {
        this.#chunks.splice(at + 1, 0, chunk.splice(CHUNK_COUNT_MAX >> 1));
      }
    }
  }

  /** Takes a member out. Idempotent. */
  delete(item: T): void {
    const at = this.#chunkOf(item.member);
    const chunk = this.#chunks[at];
    if (chunk === undefined) return;
    const index = indexAfter(chunk, item.member) - 1;
    if (chunk[index] !== item) return;
    chunk.splice(index, 1);
    this.#size -= 1;
    if (chunk.length === 0) this.#chunks.splice(at, 1);
    else if (!this.#join(at)) this.#join(at - 1);
  }

  /** Members after a place, or all of them. Only good while nothing is added or deleted. */
  *after(place: Place | undefined): Generator<T> {
    let at = place === undefined ? 0 : Math.max(0, this.#chunkOf(place));
    const first = this.#chunks[at];
    let index = place === undefined || first === undefined ? 0 : indexAfter(first, place);
    for (; at < this.#chunks.length; at += 1) {
      const chunk = this.#chunks[at] ?? [];
      for (; index < chunk.length; index += 1) yield chunk[index] as T;
      index = 0;
    }
  }

  /** The last chunk that begins at a place or before it; −1 when there is none. */
  #chunkOf(place: Place): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const first = this.#chunks[middle]?.[0];
      if (first !== undefined && comparePlaces(first.member, place) <= 0) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** Joins a chunk with the one behind it if both are short. */
  #join(at: number): boolean {
    const chunk = this.#chunks[at];
    const next = this.#chunks[at + 1];
    if (chunk === undefined || next === undefined) return false;
    if (chunk.length + next.length > CHUNK_COUNT_MAX >> 1) return false;
    chunk.push(...next);
    this.#chunks.splice(at + 1, 1);
    return true;
  }
}

/** How many of a chunk's members stand at a place or before it. */
function indexAfter<T extends Listed>(chunk: readonly T[], place: Place): number {
  let low = 0;
  let high = chunk.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const item = chunk[middle];
    if (item !== undefined && comparePlaces(item.member, place) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

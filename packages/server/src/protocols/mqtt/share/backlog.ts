/**
 * Backlog: what a group has to give again, since those who had it went. Their places are kept, and the
 * messages are read from the log, a few at a time, when they can be given.
 */
import type { Message } from '@trunkline/wire';
import type { Place } from '../messages/place.ts';
import type { Item } from './seat.ts';

/** Finds messages by their places; `undefined` stands for one that is gone. */
export type FindMessages = (places: readonly Place[]) => Promise<readonly (Message | undefined)[]>;

/** A message that was read. */
interface Ready extends Item {
  readonly place: Place;
}

/** Messages that are read at once, and held until they are given. */
export const READ_COUNT_MAX = 32;

export class Backlog {
  #places: readonly Place[] = [];
  #ready: readonly Ready[] = [];
  /** What is being read; of no use any more when it was forgotten meanwhile. */
  #reading: readonly Place[] | undefined;

  /** All that is not given. */
  get places(): readonly Place[] {
    return [...this.#ready.map(({ place }) => place), ...(this.#reading ?? []), ...this.#places];
  }

  get size(): number {
    return this.#ready.length + (this.#reading?.length ?? 0) + this.#places.length;
  }

  /** What comes next; `undefined` where it has to be read first. */
  get next(): Item | undefined {
    return this.#ready[0];
  }

  /** True when something has to be read before it can be given. */
  get isUnread(): boolean {
    return this.#ready.length === 0 && this.#reading === undefined && this.#places.length > 0;
  }

  add(places: readonly Place[]): void {
    if (places.length > 0) this.#places = [...this.#places, ...places];
  }

  /** The next one was given. */
  shift(): void {
    this.#ready = this.#ready.slice(1);
  }

  /**
   * Reads what comes next. @returns the places of what is gone.
   *
   * @throws what `find` throws; then it is as it was before.
   */
  async read(find: FindMessages): Promise<readonly Place[]> {
    if (!this.isUnread) return [];
    const reading = this.#places.slice(0, READ_COUNT_MAX);
    this.#reading = reading;
    this.#places = this.#places.slice(READ_COUNT_MAX);
    try {
      const messages = await find(reading);
      if (this.#reading !== reading) return [];
      this.#reading = undefined;
      this.#ready = reading.flatMap((place, index): Ready[] => {
        const message = messages[index];
        return message === undefined ? [] : [{ place, run: place, message }];
      });
      return reading.filter((_, index) => messages[index] === undefined);
    } catch (error) {
      if (this.#reading === reading) this.unload();
      throw error;
    }
  }

  /** Nobody is there to be given anything: the messages are forgotten, and their places kept. */
  unload(): void {
    this.#places = this.places;
    this.#reading = undefined;
    this.#ready = [];
  }

  /** Nothing is given again. */
  clear(): void {
    this.#places = [];
    this.#reading = undefined;
    this.#ready = [];
  }
}

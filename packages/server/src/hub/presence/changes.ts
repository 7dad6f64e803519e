/**
 * Changes: what has changed in a channel since its watchers were told, as short as it can be said.
 *
 * Who came and went meanwhile is not mentioned, unless somebody may have seen him in a list read in
 * between. When there are too many changes to tell, that is all that is remembered.
 */
import type { Member } from '@trunkline/wire';
import { CHANGES_MAX } from './config.ts';
import type { PresenceEvent } from './presence-types.ts';

/** What to tell: the changes, or that a snapshot must stand for them. */
export type News = readonly PresenceEvent[] | 'snapshot';

interface Change {
  readonly event: PresenceEvent;
  /** Lists read when it was noted. */
  readonly looks: number;
}

/** Net changes, in the order in which they happened. */
export class Changes {
  /** A join stands under its person, which is one object from join to leave. */
  readonly #changes = new Map<object, Change>();
  #looks = 0;
  #isTooMuch = false;

  /** True when there is nothing to tell. */
  get isEmpty(): boolean {
    return this.#changes.size === 0 && !this.#isTooMuch;
  }

  /** A person came. */
  join(person: object, member: Member): void {
    this.#add(person, { kind: 'join', member });
  }

  /** The person that came as `person` went. */
  leave(person: object, member: Member): void {
    const join = this.#changes.get(person);
    if (join !== undefined && join.looks === this.#looks) {
      this.#changes.delete(person);
      return;
    }
    const event: PresenceEvent = { kind: 'leave', member };
    this.#add(event, event);
  }

  /** Somebody reads the list now, with those who came and were not told yet. */
  look(): void {
    this.#looks += 1;
  }

  /** What to tell, which is then told; `undefined` for nothing. */
  take(): News | undefined {
    if (this.isEmpty) return undefined;
    const news: News = this.#isTooMuch
      ? 'snapshot'
      : [...this.#changes.values()].map(({ event }) => event);
    this.#changes.clear();
    this.#isTooMuch = false;
    return news;
  }

  #add(key: object, event: PresenceEvent): void {
    if (this.#isTooMuch) return;
    this.#changes.set(key, { event, looks: this.#looks });
    if (this.#changes.size <= CHANGES_MAX) return;
    this.#isTooMuch = true;
    this.#changes.clear();
  }
}

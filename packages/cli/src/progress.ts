/**
 * Progress: how far the printing of names and patterns has come, so that a later command can go on
 * there. What was printed counts, not what was received: nothing unread may be skipped.
 */
import type { Message } from '@trunkline/client';
import { formatPosition, isWildcard, matchesPattern, parsePosition } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import type { PrintedEvent } from './event-printer.ts';

/** Channels that several filters match and of which the newest offset is remembered. */
const CHANNELS_MAX = 10_000;

export class Progress {
  readonly #filters: readonly string[];
  /** Where each filter stands: a name at a position, a pattern at a mark. */
  readonly #places = new Map<string, string>();
  /** The newest that was printed of channels that come by more than one filter. */
  readonly #newest = new Map<string, Position>();
  /** And what has no offset to be known by. */
  readonly #seen = new WeakSet<Message>();

  /** @param after where to begin: one place for all, or one for each as `position` gives them. */
  constructor(filters: readonly string[], after?: string) {
    this.#filters = filters;
    if (after === undefined) return;
    const own = after.includes('=') ? new URLSearchParams(after) : undefined;
    for (const filter of filters) {
      const place = own === undefined ? after : own.get(filter);
      if (place === null) continue;
      this.#places.set(filter, place);
      // A pattern may stand further back than the name of a channel that it matches.
      const position = parsePosition(place);
      if (position !== undefined) this.#newest.set(filter, position);
    }
  }

  /** Where a name or a pattern goes on; `undefined` for from now on. */
  placeOf(filter: string): string | undefined {
    return this.#places.get(filter);
  }

  /** Where all go on; `undefined` as long as nobody knows. */
  get position(): string | undefined {
    const places = [...this.#places];
    const [first] = places;
    if (first === undefined) return undefined;
    // A mark holds for all that stand there; else each has its own place, form-encoded.
    const isOne =
      places.length === this.#filters.length && places.every(([, at]) => at === first[1]);
    if (isOne && (places.length === 1 || parsePosition(first[1]) === undefined)) return first[1];
    return new URLSearchParams(places).toString();
  }

  /** False when it was printed already: each filter brings the messages that it matches. */
  isNew(message: Message): boolean {
    const { channel, epoch, offset } = message;
    const matching = this.#filters.filter((one) => one === channel || matchesPattern(one, channel));
    if (matching.length < 2) return true;
    if (epoch === undefined || offset === undefined) {
      const isNew = !this.#seen.has(message);
      this.#seen.add(message);
      return isNew;
    }
    const known = this.#newest.get(channel);
    if (known?.epoch === epoch && offset <= known.offset) return false;
    this.#newest.delete(channel); // The newest go to the end.
    this.#newest.set(channel, { epoch, offset });
    const [oldest] = this.#newest.keys();
    if (this.#newest.size > CHANNELS_MAX && oldest !== undefined) this.#newest.delete(oldest);
    return true;
  }

  /** Moves a filter on by an event of its own that was printed. */
  follow(filter: string, event: PrintedEvent): void {
    if (event.kind === 'open') {
      const place = event.mark ?? event.position;
      if (place !== undefined && !this.#rewinds(filter, event.recovered, place)) {
        this.reach(filter, place);
      }
    } else if (isWildcard(filter)) return;
    else if (event.kind === 'gap') {
      if (event.position !== undefined) this.reach(filter, event.position);
    } else if (event.kind === 'message' && event.epoch !== undefined) {
      this.reach(filter, formatPosition({ epoch: event.epoch, offset: event.offset ?? 0 }));
    }
  }

  /** Everything up to this place was printed. */
  reach(filter: string, place: string): void {
    this.#places.set(filter, place);
  }

  /** A resume without loss never goes back; after a loss the server's word counts. */
  #rewinds(filter: string, recovered: boolean | undefined, place: string): boolean {
    const known = parsePosition(this.#places.get(filter) ?? '');
    const stated = parsePosition(place);
    if (recovered !== true || known === undefined || stated === undefined) return false;
    return known.epoch === stated.epoch && known.offset > stated.offset;
  }
}

/**
 * Standing: where a line stands in each channel and pattern it follows. No clock, no I/O.
 *
 * A name stands at the position of its last message. A pattern stands at a mark, which the server
 * tells only now and then [WILD-3]: what came since is delivered again after a resume. Those
 * repeats are expected and left out; any other repeat is a fault, and is handed on to be counted.
 */
import { formatPosition, isMark, isWildcard, matchesPattern, parsePosition } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';

/** Channels remembered since a mark; the server closes readers that are further behind [WILD-6]. */
const CHANNELS_MAX = 10_000;

/** Where a line stands. */
export class Standing {
  readonly filters: readonly string[];
  readonly #patterns: readonly string[];
  /** Positions of names, marks of patterns. */
  readonly #places = new Map<string, string>();
  /** By pattern: the newest of each channel since its mark. */
  readonly #since = new Map<string, Map<string, Position>>();
  /** What a resume will bring again, by channel, up to these positions. */
  #again = new Map<string, Position>();
  /** Names whose first message says where they stand. */
  readonly #unplaced = new Set<string>();

  /** @param from is copied: the filters are the same. */
  constructor(filters: readonly string[], from?: Standing) {
    this.filters = filters;
    this.#patterns = filters.filter(isWildcard);
    if (from === undefined) return;
    this.#places = new Map(from.#places);
    this.#since = new Map([...from.#since].map(([pattern, newest]) => [pattern, new Map(newest)]));
    this.#again = new Map(from.#again);
    this.#unplaced = new Set(from.#unplaced);
  }

  /** Where to go on in one channel or pattern. */
  placeOf(filter: string): string | undefined {
    return this.#places.get(filter);
  }

  /** Where to go on in all of them, as one `after` says it [REC-1]. */
  get after(): string | undefined {
    const known = this.filters.flatMap((filter) => {
      const place = this.#places.get(filter);
      return place === undefined ? [] : [[filter, place]];
    });
    if (known.length === 0) return undefined;
    return this.filters.length === 1 ? known[0]?.[1] : new URLSearchParams(known).toString();
  }

  /** True when no pattern stands at another mark than the others. */
  get isOnePlace(): boolean {
    return new Set(this.#patterns.map((pattern) => this.#places.get(pattern))).size <= 1;
  }

  /** The position of a channel that is followed by its name. */
  positionOf(name: string): Position | undefined {
    return parsePosition(this.#places.get(name) ?? '');
  }

  /** A connection is about to be tried from here. */
  prepare(): void {
    for (const newest of this.#since.values()) {
      for (const [channel, position] of newest) this.#again.set(channel, position);
    }
  }

  /** What was handed on of names may come again as well, up to where they stand. */
  expectAgain(): void {
    for (const filter of this.filters) {
      const position = this.positionOf(filter);
      if (position !== undefined) this.#again.set(filter, position);
    }
  }

  /** A name begins where nobody told it: with its first message. */
  beginUntold(filter: string): void {
    if (!isWildcard(filter) && !this.#places.has(filter)) this.#unplaced.add(filter);
  }

  /** The server's answer put a filter at this place; without one an earlier place stays good. */
  begin(filter: string, place: string | undefined): void {
    if (place === undefined) return;
    this.#places.set(filter, place);
    this.#since.delete(filter);
  }

  /** A filter stands nowhere any more: its place is not good. */
  forget(filter: string): void {
    this.#places.delete(filter);
    this.#since.delete(filter);
  }

  /** Takes a message; false for one that was handed on before and comes again as it should. */
  take(channel: string, position: Position): boolean {
    const again = this.#again.get(channel);
    if (again !== undefined) {
      if (again.epoch === position.epoch && position.offset <= again.offset) {
        this.#remember(channel, again);
        return false;
      }
      this.#again.delete(channel);
    }
    this.skipTo(channel, position);
    return true;
  }

  /** A channel goes on after this position: it came so far, or what was before will not come. */
  skipTo(channel: string, position: Position): void {
    const at = this.positionOf(channel);
    // A repeated message must not take the place back.
    const isBack = at?.epoch === position.epoch && position.offset < at.offset;
    const isKnown = at !== undefined || this.#unplaced.delete(channel);
    if (isKnown && !isBack) this.#places.set(channel, formatPosition(position));
    this.#remember(channel, position);
  }

  /** Everything up to the mark was handed on, of these filters. */
  mark(filters: readonly string[], mark: string): void {
    if (!isMark(mark)) return;
    for (const filter of filters) {
      if (!isWildcard(filter)) continue; // Its own position says as much.
      this.#places.set(filter, mark);
      this.#since.delete(filter);
    }
  }

  #remember(channel: string, position: Position): void {
    for (const pattern of this.#patterns) {
      if (!matchesPattern(pattern, channel)) continue;
      const newest = this.#since.get(pattern) ?? new Map<string, Position>();
      newest.set(channel, position);
      this.#since.set(pattern, newest);
      if (newest.size > CHANNELS_MAX) newest.delete(newest.keys().next().value ?? channel);
    }
  }
}

/**
 * Progress: how far a subscription has come, over all its attempts and transports. Pure. It is why
 * no offset is delivered twice, whatever a server or a proxy repeats.
 *
 * A channel's place is its position, a pattern's a mark. Going on by all of them is going on where
 * the subscription stands.
 */
import { formatPosition, isWildcard, matchesPattern, parsePosition } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import type { OpenEvent, ReceivedMessage, SubscriptionEvent } from '../events.ts';

/** Channels that patterns brought and of which the newest offset is remembered. */
const CHANNELS_MAX = 10_000;

export class Progress {
  readonly #names: ReadonlySet<string>;
  readonly #patterns: readonly string[];
  /** Where each channel stands, those that patterns brought included. */
  readonly #positions = new Map<string, Position>();
  /** Where each pattern stands; under no pattern the mark of all filters together. */
  readonly #marks = new Map<string, string>();

  /** @param filters the names and patterns that are subscribed to. */
  constructor(filters: readonly string[]) {
    this.#names = new Set(filters.filter((filter) => !isWildcard(filter)));
    this.#patterns = filters.filter((filter) => isWildcard(filter));
  }

  /** Where to go on in all channels; `undefined` before the first opening. */
  get position(): string | undefined {
    const places = [...this.#names, ...this.#patterns].map(
      (filter) => [filter, this.placeOf(filter)] as const,
    );
    const known = places.filter((place): place is readonly [string, string] => Boolean(place[1]));
    const [first] = known;
    if (first === undefined) return undefined;
    // One place for all is that place; else each has its own, form-encoded.
    const isOne = known.length === places.length && known.every(([, at]) => at === first[1]);
    if (isOne && (places.length === 1 || first[1].startsWith('~'))) return first[1];
    return new URLSearchParams(known.map(([filter, at]) => [filter, at])).toString();
  }

  /** Where to go on in one channel or pattern. */
  placeOf(filter: string): string | undefined {
    const mark = this.#marks.get(filter);
    if (mark !== undefined || isWildcard(filter)) return mark;
    const position = this.#positions.get(filter);
    return position === undefined ? undefined : formatPosition(position);
  }

  /** Moves on by an event that the application has dealt with. */
  follow(event: SubscriptionEvent): void {
    if (event.kind === 'open') this.open(event);
    else if (event.kind === 'message') this.take(event);
    else if (event.kind === 'gap') this.skipTo(event.channel, event.position);
  }

  /** The server said where the cursor stands. */
  open(opening: OpenEvent): void {
    const { channel, mark } = opening;
    if (mark !== undefined) this.marked([channel], mark);
    const stated = opening.position === undefined ? undefined : parsePosition(opening.position);
    const known = this.#positions.get(channel);
    // A resume without loss never goes back; after a loss the server's word counts.
    const wouldRewind =
      opening.recovered === true &&
      known !== undefined &&
      known.epoch === stated?.epoch &&
      known.offset > stated.offset;
    if (stated !== undefined && !wouldRewind) this.#positions.set(channel, stated);
  }

  /** The channel goes on after `position`. */
  skipTo(channel: string, position: string): void {
    const stated = parsePosition(position);
    if (stated !== undefined) this.#positions.set(channel, stated);
  }

  /** Everything up to the mark was delivered to these filters. */
  marked(filters: Iterable<string>, mark: string): void {
    for (const filter of filters) this.#marks.set(filter, mark);
  }

  /** Takes a message; false when it had been delivered before. */
  take(message: ReceivedMessage): boolean {
    const { channel, epoch, offset, mark } = message;
    if (mark !== undefined) {
      this.marked(
        this.#patterns.filter((pattern) => matchesPattern(pattern, channel)),
        mark,
      );
    }
    if (epoch === undefined || offset === undefined) return true;
    const known = this.#positions.get(channel);
    if (known?.epoch === epoch && offset <= known.offset) return false;
    this.#positions.delete(channel); // The newest go to the end.
    this.#positions.set(channel, { epoch, offset });
    // From its own position on a name is ahead of a mark that was told for all.
    if (this.#names.has(channel)) this.#marks.delete(channel);
    if (this.#positions.size > CHANNELS_MAX + this.#names.size) this.#forgetOldest();
    return true;
  }

  #forgetOldest(): void {
    for (const channel of this.#positions.keys()) {
      if (this.#names.has(channel)) continue;
      this.#positions.delete(channel);
      return;
    }
  }
}

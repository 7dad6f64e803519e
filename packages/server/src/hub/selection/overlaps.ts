/**
 * Overlaps: several subscriptions of one session that match the same channels [WILD-4].
 *
 * What matches twice is delivered once: each channel has one cursor that delivers it, a plain
 * subscription before a pattern, and of patterns the one opened first. A channel goes from one
 * cursor to another only while both are at the head, so that it stands at the same place in both.
 * Until then a name that a pattern delivers waits, and who was unsubscribed goes on with what the
 * others want of it: nothing is lost or told twice, however slow the link is.
 */
import { isWildcard, overlaps } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import type { Broker } from '../../broker/broker.ts';
import { Cursor } from '../cursor.ts';
import { Beginnings } from './beginnings.ts';
import type { Leg } from './catch-up.ts';
import { delivers, isAtHead, isHeirOf, isTakenBy, part, relate, wants } from './overlap-entry.ts';
import type { AnyCursor, Entry } from './overlap-entry.ts';
import { SelectionCursor } from './selection-cursor.ts';

/** What the hub does for the cursors of a session. */
export interface OverlapCalls {
  start(cursor: AnyCursor): void;
  unsubscribe(cursor: AnyCursor): void;
  /** Gives everyone at the head what came up to now. */
  settle(): void;
  /** A cursor is to read a channel again, from further back. */
  goBack(cursor: AnyCursor, leg: Leg): void;
  /** A cursor is to read no more what it omits. */
  leaveOmitted(cursor: SelectionCursor): void;
  /** What changed since a mark, for where other cursors began. */
  readonly changedSince: Broker['changedSince'];
}

/** What most sessions have of all but subscriptions: one list for all of them. */
const NO_ENTRIES: readonly Entry[] = [];

/** The cursors of one session, by name and pattern. */
export class Overlaps {
  readonly #hub: OverlapCalls;
  readonly #entries = new Map<string, Entry>();
  #retired = NO_ENTRIES;
  #patternCount = 0;
  #order = 0;

  constructor(hub: OverlapCalls) {
    this.#hub = hub;
  }

  /** Names and patterns that are subscribed to. */
  get filters(): Iterable<string> {
    return this.#entries.keys();
  }

  /** How many are kept: those that were unsubscribed and go on for others count too. */
  get count(): number {
    return this.#entries.size + this.#retired.length;
  }

  /** True for what is subscribed to. */
  has(filter: string): boolean {
    return this.#entries.has(filter);
  }

  /** All that read, in the order in which they were subscribed to. */
  get cursors(): readonly AnyCursor[] {
    return this.#inOrder.map(({ cursor }) => cursor);
  }

  /**
   * What a subscription has to know of the others before it is judged where it begins; `undefined`
   * where it is nobody's concern.
   */
  beginningsFor(filter: string): Beginnings | undefined {
    if (this.#isPlain && !isWildcard(filter)) return undefined;
    const own = this.#entries.get(filter);
    if (own?.state === 'running' && !isWildcard(filter)) return undefined;
    const others = [...this.#retired, ...this.#entries.values()].filter(
      (entry) => entry !== own && overlaps(filter, entry.filter),
    );
    if (others.length === 0) return undefined;
    return new Beginnings(
      this.#hub.changedSince,
      others.map((entry) => ({
        cursor: entry.cursor,
        // What only goes on for the one that is replaced ends with it, wherever it stands.
        wants: (channel) => wants(entry, channel, own),
      })),
    );
  }

  /** To be called before the answer to what is added: what came before it leaves before it. */
  settle(filter: string): void {
    const isOverlapping = !this.#isPlain || (isWildcard(filter) && this.count > 0);
    if (isOverlapping) this.#hub.settle();
  }

  /**
   * Adds a cursor and lets it run; one of the same filter ends.
   *
   * @param beginnings what it was judged by: what it wants from further back than the others began
   *   those are to read again.
   */
  add(filter: string, cursor: AnyCursor, beginnings: Beginnings | undefined): void {
    const again = beginnings?.olderOf(cursor) ?? [];
    const before = this.#entries.get(filter);
    if (before?.state === 'running' && !isWildcard(filter)) this.#restart(before, cursor);
    else {
      if (before !== undefined) this.remove(filter);
      const entry = this.#make(filter, cursor, (this.#order += 1));
      if (isWildcard(filter)) this.#addPattern(entry, again);
      else this.#addName(entry, again.length > 0);
    }
  }

  /** A cursor ends; what others want of it they go on with where it stands. */
  remove(filter: string): void {
    const entry = this.#entries.get(filter);
    if (entry === undefined) return;
    this.#entries.delete(filter);
    const heirs = entry.state === 'running' && !this.#isPlain ? this.#heirsOf(entry) : [];
    if (entry.state === 'waiting') this.#oweToNext(entry);
    if (isWildcard(filter)) this.#patternCount -= 1;
    if (heirs.length === 0) {
      this.#end(entry);
    } else {
      entry.state = 'retired';
      entry.heirs = heirs;
      this.#retired = [...this.#retired, entry];
    }
    this.rearrange();
  }

  /** Channels go over from one cursor to another where both are at the head by now. */
  rearrange(): void {
    if (this.#isPlain) return;
    const isWaiting = this.#retired.length > 0 || this.#hasWaiting;
    if (isWaiting) this.#hub.settle();
    for (const entry of this.#entries.values()) {
      if (entry.state === 'waiting') this.#tryToStart(entry);
    }
    // Those that were unsubscribed first may go on for those that were later.
    for (const entry of this.#retired) if (this.#isDone(entry)) this.#end(entry);
    this.#retired = this.#retired.filter(({ state }) => state === 'retired');
    this.#divide();
  }

  /** Ends all of them. */
  end(): void {
    for (const cursor of this.cursors) this.#hub.unsubscribe(cursor);
    this.#entries.clear();
    this.#patternCount = 0;
    this.#retired = NO_ENTRIES;
  }

  get #inOrder(): readonly Entry[] {
    const entries = [...this.#retired, ...this.#entries.values()];
    return entries.sort((a, b) => a.order - b.order);
  }

  /** True for nearly every session: without a pattern nothing can overlap. */
  get #isPlain(): boolean {
    return this.#patternCount === 0 && this.#retired.length === 0;
  }

  get #hasWaiting(): boolean {
    for (const { state } of this.#entries.values()) if (state === 'waiting') return true;
    return false;
  }

  #make(filter: string, cursor: AnyCursor, order: number): Entry {
    const entry: Entry = {
      filter,
      cursor,
      order,
      state: 'running',
      heirs: NO_ENTRIES,
      overlapping: undefined,
      owed: undefined,
    };
    if (!this.#isPlain || isWildcard(filter)) {
      relate(entry, this.#retired);
      relate(entry, this.#entries.values());
    }
    return entry;
  }

  #end(entry: Entry): void {
    entry.state = 'ended';
    part(entry);
    this.#hub.unsubscribe(entry.cursor);
  }

  /** A name is subscribed to again: it begins anew, but with all that patterns want of it. */
  #restart(before: Entry, cursor: AnyCursor): void {
    const { filter, order, cursor: old } = before;
    const isWanted = !this.#isPlain && this.#heirsOf(before).length > 0;
    if (isWanted && old instanceof Cursor && cursor instanceof Cursor) {
      this.#hub.settle();
      const { place } = old;
      if (place.epoch !== cursor.epoch || place.offset < cursor.offset) standAt(cursor, place);
    }
    this.#end(before);
    this.#entries.set(filter, this.#make(filter, cursor, order));
    this.#divide();
    this.#hub.start(cursor);
  }

  #addName(entry: Entry, isOlder: boolean): void {
    const { filter, cursor } = entry;
    const owner = this.#isPlain ? undefined : this.#ownerOf(filter);
    this.#entries.set(filter, entry);
    if (owner === undefined) {
      this.#hub.start(cursor);
    } else if (isOlder) {
      // What the other one delivered, or would have, is delivered again from further back.
      this.#takeFrom(owner, entry);
      this.#hub.start(cursor);
    } else {
      entry.state = 'waiting';
      this.rearrange();
    }
  }

  #addPattern(entry: Entry, again: readonly Leg[]): void {
    const { filter, cursor } = entry;
    if (this.count > 0) this.#hub.settle();
    this.#entries.set(filter, entry);
    this.#patternCount += 1;
    this.#divide();
    for (const leg of again) {
      const owner = this.#ownerOf(leg.channel);
      if (owner === undefined || owner === entry) continue;
      if (owner.state === 'retired') (owner.owed ??= new Map()).set(leg.channel, entry);
      this.#hub.goBack(owner.cursor, leg);
    }
    this.#hub.start(cursor);
  }

  /** Everything is settled: who is at the head stands at the head of the channel. */
  #tryToStart(entry: Entry): void {
    const { filter, cursor } = entry;
    const owner = this.#ownerOf(filter);
    if (owner !== undefined && !isAtHead(owner)) return;
    if (cursor instanceof Cursor && owner !== undefined) standAt(cursor, cursor.channel.position);
    if (owner !== undefined) this.#takeFrom(owner, entry);
    this.#hub.start(cursor);
  }

  /** A name is delivered by its own cursor from here on. */
  #takeFrom(owner: Entry, entry: Entry): void {
    this.#hub.settle();
    entry.state = 'running';
    for (const other of this.#retired) {
      other.heirs = other.heirs.filter((heir) => heir !== entry);
    }
    if (owner.filter === entry.filter) {
      this.#end(owner);
      this.#retired = this.#retired.filter((other) => other !== owner);
    }
    this.#divide();
  }

  /**
   * A name that waits ends. Who goes on for it alone may not be at the head: a pattern that left the
   * channel to that one meanwhile has not read it, and is to have it from there.
   */
  #oweToNext(waiting: Entry): void {
    const { filter } = waiting;
    const owner = this.#ownerOf(filter);
    if (owner?.state !== 'retired' || wants(owner, filter, waiting)) return;
    const next = this.#inOrder.find((other) => other !== owner && wants(other, filter, waiting));
    if (next !== undefined) (owner.owed ??= new Map()).set(filter, next);
  }

  /** True for one that was unsubscribed and whose channels others can take over now. */
  #isDone(entry: Entry): boolean {
    const { filter, owed = new Map<string, Entry>() } = entry;
    const takers = entry.heirs.filter((heir) => isWildcard(filter) || wants(heir, filter));
    const heirs = [...takers, ...owed.values()].filter(({ state }) => state !== 'ended');
    if (heirs.length === 0) return true;
    const isHeir = this.#retired.some(
      (other) => other.state === 'retired' && isHeirOf(entry, other),
    );
    return !isHeir && isAtHead(entry) && heirs.every(isAtHead);
  }

  /** Those that something goes over to when the entry is unsubscribed. */
  #heirsOf(entry: Entry): Entry[] {
    const isName = !isWildcard(entry.filter);
    return [...this.#retired, ...this.#entries.values()].filter((other) => {
      if (entry.overlapping?.has(other) !== true) return false;
      return isName
        ? isWildcard(other.filter) && wants(other, entry.filter)
        : isTakenBy(entry, other);
    });
  }

  /** Who delivers a channel: its name, else of the patterns that match it the first. */
  #ownerOf(channel: string): Entry | undefined {
    let owner: Entry | undefined;
    for (const entry of [...this.#retired, ...this.#entries.values()]) {
      if (!delivers(entry, channel)) continue;
      if (entry.filter === channel) return entry;
      if (owner === undefined || entry.order < owner.order) owner = entry;
    }
    return owner;
  }

  /** Says of each pattern which channels are delivered by others. */
  #divide(): void {
    for (const entry of [...this.#retired, ...this.#entries.values()]) {
      if (!(entry.cursor instanceof SelectionCursor)) continue;
      this.#share(entry, entry.cursor);
      this.#hub.leaveOmitted(entry.cursor);
    }
  }

  #share(entry: Entry, cursor: SelectionCursor): void {
    const { state, order, overlapping: others = NOBODY } = entry;
    if (others.size === 0 && state !== 'retired') {
      cursor.sharing = undefined;
      return;
    }
    const named: Entry[] = [];
    const names = new Set<string>();
    const earlier: Entry[] = [];
    let hasPatterns = false;
    // In one pass: a session that overlaps everywhere does this for each pair of what it has.
    for (const other of others) {
      const isPattern = other.cursor instanceof SelectionCursor;
      hasPatterns ||= isPattern;
      if (other.state === 'waiting') continue;
      if (!isPattern) {
        named.push(other);
        names.add(other.filter);
      } else if (other.order < order) earlier.push(other);
    }
    cursor.sharing = {
      marksApart: state === 'retired' || hasPatterns,
      omits: (channel) =>
        names.has(channel) ||
        earlier.some((other) => delivers(other, channel)) ||
        !delivers(entry, channel),
      isWhole: () => entry.state === 'running' && named.every(isAtHead) && earlier.every(isAtHead),
      namedPlaces: () => placesOf(named),
    };
  }
}

/** What overlaps with nothing. */
const NOBODY: ReadonlySet<Entry> = new Set();

/** Where names of a log stand. */
function placesOf(named: readonly Entry[]): ReadonlyMap<string, Position> {
  const places = new Map<string, Position>();
  for (const { filter, cursor } of named) {
    if (cursor instanceof Cursor) places.set(filter, cursor.place);
  }
  return places;
}

function standAt(cursor: Cursor, { epoch, offset }: Position): void {
  cursor.epoch = epoch;
  cursor.offset = offset;
}

/**
 * OverlapEntry: one subscription of a session among others, or what others want of one that has
 * ended. Who delivers what is decided by these alone.
 */
import { isWildcard, matchesPattern, overlaps } from '@trunkline/wire';
import type { Cursor } from '../cursor.ts';
import type { VolatileCursor } from '../volatile/volatile-channel.ts';
import type { SelectionCursor } from './selection-cursor.ts';

/** Any subscription of a session. */
export type AnyCursor = Cursor | VolatileCursor | SelectionCursor;

/** A subscription, or what others want of one that has ended. */
export interface Entry {
  readonly filter: string;
  readonly cursor: AnyCursor;
  /** In the order in which they were subscribed to. */
  readonly order: number;
  /**
   * `waiting`: a name that a pattern delivers as yet. `retired`: it was unsubscribed, and goes on
   * for its heirs.
   */
  state: 'running' | 'waiting' | 'retired' | 'ended';
  /** Those that take over what they want of it. What nobody wanted then it has not read since. */
  heirs: readonly Entry[];
  /** Others that match a channel which it matches too; of two names neither knows the other. */
  overlapping: Set<Entry> | undefined;
  /** Channels that it reads again or to their end, though it was unsubscribed, and for whom. */
  owed: Map<string, Entry> | undefined;
}

/** Finds out once what an entry has in common with others: it is asked again and again. */
export function relate(entry: Entry, others: Iterable<Entry>): void {
  const isPattern = isWildcard(entry.filter);
  for (const other of others) {
    if (other.state === 'ended' || !(isPattern || isWildcard(other.filter))) continue;
    if (!overlaps(entry.filter, other.filter)) continue;
    (entry.overlapping ??= new Set()).add(other);
    (other.overlapping ??= new Set()).add(entry);
  }
}

/** The entry has ended: nobody knows it any more. */
export function part(entry: Entry): void {
  for (const other of entry.overlapping ?? []) other.overlapping?.delete(entry);
  entry.overlapping = undefined;
}

/** True when a pattern's channels go over to another one, or to a name that waits for it. */
export function isTakenBy(pattern: Entry, { filter, order, state }: Entry): boolean {
  return isWildcard(filter) ? order > pattern.order : state === 'waiting';
}

/** True for one that takes over something of another that was unsubscribed. */
export function isHeirOf(entry: Entry, { heirs, owed }: Entry): boolean {
  return heirs.includes(entry) || [...(owed?.values() ?? [])].includes(entry);
}

/** True for a channel that is the entry's, unless one that comes before it delivers it. */
export function delivers(entry: Entry, channel: string): boolean {
  return entry.state !== 'waiting' && wants(entry, channel);
}

/**
 * True for a channel whose messages the entry is to have, whoever delivers them.
 *
 * @param leaving one that is about to go: what only that wants is not wanted.
 */
export function wants(entry: Entry, channel: string, leaving?: Entry): boolean {
  const { state, filter, heirs, owed } = entry;
  if (entry === leaving || state === 'ended' || !matchesPattern(filter, channel)) return false;
  if (state !== 'retired') return true;
  const creditor = owed?.get(channel);
  const isOwed = creditor !== undefined && wants(creditor, channel, leaving);
  return isOwed || heirs.some((heir) => wants(heir, channel, leaving));
}

/** True for a cursor that was given everything, apart from what this turn still brings. */
export function isAtHead({ cursor, state }: Entry): boolean {
  return state !== 'waiting' && cursor.state === 'live';
}

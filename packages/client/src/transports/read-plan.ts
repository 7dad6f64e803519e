/**
 * Read plan: how all that is to be read is shared out among streams or questions over HTTP. Pure.
 *
 * One read has a place for each channel, and each of them once; a stream has a place for each
 * pattern, too, but a poll only one for all its patterns [POLL-6]. One `last` holds for all that have no place yet, and so does the wish
 * for a snapshot for those of them that are names. A read has at most so many channels, in a query
 * that every proxy lets through.
 */
import { isWildcard, matchesPattern } from '@trunkline/wire';
import type { Query } from '../http.ts';
import type { Wish } from './transport.ts';

/** Channels and patterns of one read. [POLL-1] */
export const FILTERS_PER_READ_MAX = 128;

/** Characters of a query: servers and proxies take a request line of 8 KB, not always more. */
export const QUERY_LENGTH_MAX = 7000;

/** Characters for the parameters beside the channels and their places. */
const OTHERS_LENGTH = 200;

/** Those that one stream, or one poll, can begin: the first, and all that go with it. */
export function compatible<One extends Wish>(wishes: readonly One[], isStream: boolean): One[] {
  const common: unknown[] = [];
  const taken: Wish[] = [];
  return wishes.filter((wish) => {
    const { filter, after, last = -1, snapshot = false } = wish;
    const isPattern = isWildcard(filter);
    const isFresh = after === undefined;
    const own = [
      isPattern && !isStream ? (after ?? '') : undefined,
      isFresh ? last : undefined,
      // Who has a place is given no snapshot unless it is lost.
      isPattern || (!isFresh && !snapshot) ? undefined : snapshot,
    ];
    const isApart =
      taken.some((other) => other.filter === filter || (isStream && crosses(other, wish))) ||
      own.some((one, index) => one !== undefined && one !== (common[index] ?? one));
    if (isApart) return false;
    taken.push(wish);
    for (const [index, one] of own.entries()) common[index] ??= one;
    return true;
  });
}

/**
 * True when one of the two would be told what comes before its own place. A stream gives each message
 * to all of its filters that match, from the oldest place on.
 */
function crosses(one: Wish, other: Wish): boolean {
  const beginAlike = one.after === other.after && one.last === other.last;
  const [a, b] = [one.filter, other.filter];
  return !beginAlike && (matchesPattern(a, b) || matchesPattern(b, a));
}

/** As few reads as carry all of the wishes; one stream also where there are none [SSE-13]. */
export function sharedOut<One extends Wish>(wishes: readonly One[], isStream: boolean): One[][] {
  const reads: One[][] = [];
  let left = wishes;
  while (left.length > 0 || (isStream && reads.length === 0)) {
    const read = fitting(compatible(left, isStream));
    left = left.filter((wish) => !read.includes(wish));
    reads.push(read);
  }
  return reads;
}

/** What a read asks in its query. What one of the wishes asks for, all are given. */
export function queryOf(wishes: readonly Wish[]): Query {
  const flag = (name: 'partial' | 'presence' | 'snapshot') =>
    wishes.some((wish) => wish[name] === true) ? 1 : undefined;
  return {
    channel: wishes.map(({ filter }) => filter),
    after: afterOf(wishes) || undefined,
    last: wishes.find(({ after, last }) => after === undefined && last !== undefined)?.last,
    partial: flag('partial'),
    presence: flag('presence'),
    snapshot: flag('snapshot'),
  };
}

/** One place where all have the same; else a list, in which who is not named goes on from now. */
function afterOf(wishes: readonly Wish[]): string {
  const [first] = wishes;
  if (wishes.every(({ after }) => after === first?.after)) return first?.after ?? '';
  const places = wishes.flatMap(({ filter, after }) => (after ? [[filter, after]] : []));
  return new URLSearchParams(places).toString();
}

/** As many of them, from the first on, as one query has room for. */
function fitting<One extends Wish>(wishes: readonly One[]): One[] {
  const [first] = wishes;
  let isOnePlace = true;
  let channels = OTHERS_LENGTH + encoded(first?.after ?? '').length;
  let places = 0;
  const rest = wishes.findIndex(({ filter, after }, index) => {
    isOnePlace &&= after === first?.after;
    channels += 'channel=&'.length + encoded(filter).length;
    if (after) places += encoded(`${encoded(filter)}=${encoded(after)}&`).length;
    const length = channels + (isOnePlace ? 0 : places);
    return index > 0 && (index === FILTERS_PER_READ_MAX || length > QUERY_LENGTH_MAX);
  });
  return rest < 0 ? [...wishes] : wishes.slice(0, rest);
}

/** As a query has it, which escapes more than `encodeURIComponent` does. */
function encoded(text: string): string {
  return new URLSearchParams([['', text]]).toString().slice(1);
}

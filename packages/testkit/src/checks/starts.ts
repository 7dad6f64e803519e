/** Starts: where a subscription begins in one channel, by its answer and what its marks stood for. */
import { isMark, ORIGIN } from '@trunkline/wire';
import type { ChannelHead, FollowingEvent } from '../follow-history.ts';
import type { MarkEntry } from './marks.ts';
import { doesMatch, filtersFor } from './session-state.ts';
import type { Following, SessionState } from './session-state.ts';
import { eitherOf, exactly, nowIn, startOf } from './whereabouts.ts';
import type { Whereabouts } from './whereabouts.ts';

/** Finds what a mark that was handed back stood for. */
export type EntryOf = (filter: string, after: string, channel: string) => MarkEntry | undefined;

/** One channel of a subscription that was answered. */
export interface OpenedChannel {
  readonly following: Following;
  readonly event: FollowingEvent;
  readonly channel: string;
  readonly head: ChannelHead;
  /** True when a life of it may have ended by now. */
  readonly wasPurged: boolean;
  readonly entryOf: EntryOf;
}

/** Where a reader stands, and whose messages it may lack. */
interface OpenedPlace {
  readonly place: Whereabouts | undefined;
  readonly mutes: readonly string[];
}

/** Where the subscription stands before its messages: the furthest back that it asks for. */
export function placeOf(opened: OpenedChannel): OpenedPlace {
  const places = filtersFor(opened.following, opened.channel).map((filter) =>
    placeFor(opened, filter),
  );
  const [first, ...others] = places.map(({ place }) => place);
  const mutes = places.flatMap((place) => place.mutes);
  return { place: earliest(first, others), mutes };
}

/** Where those of its filters stand that have the channel and lost nothing. */
export function keptOf(opened: OpenedChannel): readonly (Whereabouts | undefined)[] {
  const { following, event, channel } = opened;
  return filtersFor(following, channel)
    .filter((filter) => event.verdicts.get(filter)?.recovered !== false)
    .map((filter) => placeFor(opened, filter).place);
}

/** The furthest back of several places; `undefined` where nobody can tell. */
export function earliest(
  place: Whereabouts | undefined,
  others: readonly (Whereabouts | undefined)[] = [],
): Whereabouts | undefined {
  return others.reduce(earlier, place);
}

/**
 * Where a session may have begun in a channel that is left to the subscriptions it still has.
 *
 * @param except the one that takes the place of the one that left.
 */
export function restBegin(
  session: SessionState,
  channel: string,
  begin: Whereabouts | undefined,
  except?: Following,
): Whereabouts | undefined {
  const [first, ...others] = session.answered
    .filter((following) => following !== except && doesMatch(following, channel))
    .map(({ places }) => places.get(channel));
  // What only the one that left had asked for, another one that asks for it may have again.
  const rest = earliest(first, others);
  return rest === undefined ? undefined : eitherOf(begin, rest);
}

function placeFor(opened: OpenedChannel, filter: string): OpenedPlace {
  const { following, event, channel, head, wasPurged, entryOf } = opened;
  const { after, last } = following.starts.get(filter) ?? {};
  const { position, recovered, gap } = event.verdicts.get(filter) ?? {};
  const entry = after === undefined ? undefined : entryOf(filter, after, channel);
  const mutes = entry?.mutes ?? [];
  if (position !== undefined) return { place: exactly(position), mutes };
  const isForeign = recovered === false && gap?.reason === 'unknown';
  // A life may have come and gone since it was asked for, in which it began.
  const mayMiss = wasPurged && head.asked.epoch === ORIGIN.epoch;
  if (after === 'start') return { place: mayMiss ? undefined : startOf(head), mutes };
  if (after !== undefined && isMark(after) && !isForeign) return { place: entry?.where, mutes };
  // A log may tell late of a life that is over, and be in one that nobody was told of as yet.
  const isLate = head.answered.epoch === ORIGIN.epoch || !head.comparable;
  const now = mayMiss || (wasPurged && isLate) ? undefined : nowIn(head);
  if (after !== undefined || last === undefined || now === undefined) return { place: now, mutes };
  return { place: { ...now, from: 0 }, mutes };
}

function earlier(a: Whereabouts | undefined, b: Whereabouts | undefined): Whereabouts | undefined {
  if (a === undefined || b === undefined) return undefined;
  if (a.epoch !== b.epoch) return undefined;
  return { epoch: a.epoch, from: Math.min(a.from, b.from), to: Math.min(a.to, b.to) };
}

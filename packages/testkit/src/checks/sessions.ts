/**
 * Sessions: what those were given who follow several channels at once. In each channel a session's
 * cursor moves by one with each message, whatever subscription delivers it, and jumps only where a
 * gap says so. What was delivered comes again only where a subscription asked for it.
 */
import { formatPosition, ORIGIN } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import type {
  AskEvent,
  EndedEvent,
  FollowEvent,
  FollowingEvent,
  GivenEvent,
  LapsedEvent,
  LeaveEvent,
  LostEvent,
  MarkedEvent,
} from '../follow-history.ts';
import type { BrokenPromise, StreamLog, Violation } from '../history.ts';
import { allow, allowPending, allowTold, goesBack } from './allowances.ts';
import { MarkTable } from './marks.ts';
import type { MarkEntry } from './marks.ts';
import { asksBack, doesMatch, filtersFor, isFor, SessionState } from './session-state.ts';
import type { Allowance, Following, View } from './session-state.ts';
import { Skips } from './skips.ts';
import type { PublishLookup, Skip } from './skips.ts';
import { earliest, keptOf, placeOf, restBegin } from './starts.ts';
import type { StreamTable } from './stream-table.ts';
import { checkLoss, checkVerdicts } from './follow-verdicts.ts';
import { anewFrom, eitherOf, exactly, isBefore, isSameLife, wordsFor } from './whereabouts.ts';
import type { Whereabouts } from './whereabouts.ts';

type Fail = (promise: BrokenPromise, text: string) => void;

/** What an answer is followed by, and what the client does whenever it likes. */
const KEEPS_OPENING: ReadonlySet<FollowEvent['kind']> = new Set([
  ...(['lost', 'marked'] as const),
  ...(['ask', 'leaving', 'slow'] as const),
]);

/** What the check is given by the others. */
export interface SessionCheckParts {
  readonly report: (violation: Violation) => void;
  readonly publishes: PublishLookup;
  readonly purgesOf: (channel: string) => number;
}

/** Checks promises 1 to 4 as sessions with patterns see them. Events come in their order. */
export class SessionCheck {
  readonly #parts: SessionCheckParts;
  readonly #sessions = new Map<string, SessionState>();
  readonly #marks = new MarkTable();
  readonly #skips = new Skips();

  constructor(parts: SessionCheckParts) {
    this.#parts = parts;
  }

  onEvent(event: FollowEvent): void {
    const session = this.#sessions.get(event.session);
    if (event.kind === 'ask') return this.#onAsk(event);
    if (session === undefined) return;
    if (!KEEPS_OPENING.has(event.kind)) session.opening = undefined;
    switch (event.kind) {
      case 'following':
        return this.#onFollowing(session, event);
      case 'marked':
        return this.#onMarked(session, event);
      case 'given':
        return this.#onGiven(session, event);
      case 'lapsed':
        return this.#onLapsed(session, event);
      case 'lost':
        return this.#onLost(session, event);
      case 'leaving':
      case 'left':
        return this.#onLeave(session, event);
      case 'ended':
        return this.#onEnded(event);
    }
  }

  /** Every session that is still open must have arrived at the top of each of its channels. */
  onEnd(
    logs: ReadonlyMap<string, StreamLog> | undefined,
    end: { readonly table: StreamTable; readonly step: number; readonly jumped: boolean },
  ): void {
    if (logs !== undefined) {
      for (const session of this.#sessions.values()) this.#checkArrival(session, logs, end.step);
    }
    this.#skips.onEnd(end.table, this.#parts.publishes, end.jumped);
  }

  #onAsk(event: AskEvent): void {
    let session = this.#sessions.get(event.session);
    if (session === undefined) {
      session = new SessionState(event.session);
      this.#sessions.set(event.session, session);
    }
    session.add(event);
  }

  #onFollowing(session: SessionState, event: FollowingEvent): void {
    const following = session.subscriptions.get(event.subscription);
    if (following === undefined) return;
    const deliverers = new Map(
      [...session.views.keys()].map((channel) => [channel, session.delivererOf(channel)]),
    );
    const replaced = session.answer(following);
    following.heads = event.heads;
    following.hasLost = [...event.verdicts.values()].some(({ recovered }) => recovered === false);
    session.opening = following;
    const entryOf = (filter: string, after: string, channel: string) =>
      this.#entryOf(following, filter, after, channel);
    const failer = (channel: string): Fail => this.#failer(session, channel, event.step);
    const onSkip = (skip: Skip): void => this.#skips.add(skip);
    checkVerdicts({ following, event, entryOf, failer, purgesOf: this.#parts.purgesOf, onSkip });
    for (const [channel, head] of event.heads) {
      const wasPurged = this.#parts.purgesOf(channel) > 0;
      const opened = { following, event, channel, head, wasPurged, entryOf };
      const { place, mutes } = placeOf(opened);
      following.places.set(channel, place);
      following.kept.set(channel, keptOf(opened));
      const deliverer = deliverers.get(channel);
      const view = session.views.get(channel);
      const own = following.muted ? [...mutes, session.name] : mutes;
      const isAnew = deliverer === replaced && session.delivererOf(channel) === following;
      if (view === undefined || deliverer === undefined || isAnew) {
        const isGiven = isAnew && hasFrom(session, following, channel, place);
        const fresh = newView(isGiven ? anewFrom(place, view?.cursor) : place, own);
        if (isGiven) fresh.begin = restBegin(session, channel, view?.begin);
        // What another one asked for it may still have, wherever this one begins anew.
        for (const allowance of view?.allowances ?? []) {
          if (session.subscriptions.has(allowance.subscription)) fresh.allowances.push(allowance);
        }
        session.views.set(channel, fresh);
        continue;
      }
      view.mutes = [...view.mutes, ...own];
      // What was delivered for the one that it replaces it may have again.
      const wasFor = replaced !== undefined && doesMatch(replaced, channel);
      const isAlone = wasFor && !hasFrom(session, following, channel, place);
      if (deliverer === replaced || isAlone) view.begin = undefined;
      else if (wasFor) view.begin = restBegin(session, channel, view.begin, following);
      if (event.verdicts.get(channel)?.recovered === false) this.#jumpWith(view, place);
      allow(view, following.name, place, asksBack(following, channel), own);
    }
  }

  /** A subscription by name lost something where another one goes on: either place may hold. */
  #jumpWith(view: View, place: Whereabouts | undefined): void {
    const { cursor } = view;
    if (cursor === undefined || place === undefined) return;
    if (cursor.epoch === ORIGIN.epoch) view.cursor = { ...place, from: 0 };
    else if (cursor.epoch !== place.epoch) view.cursor = view.begin = { ...place, from: 0 };
    else if (cursor.to < place.to) view.cursor = { ...cursor, to: place.to };
  }

  #onMarked(session: SessionState, event: MarkedEvent): void {
    const following = session.subscriptions.get(event.subscription);
    if (following === undefined) return;
    const isOpening = session.opening === following && following.mark === undefined;
    following.mark = event.mark;
    following.lives = event.lives;
    const isLost = isOpening && following.hasLost;
    for (const [channel, view] of session.views) {
      if (!doesMatch(following, channel)) continue;
      // The mark of an answer is where it begins, wherever the session stands.
      const where = isOpening ? following.places.get(channel) : reachOf(view);
      // What an answer lost is told beside its mark, which does not go back to it.
      this.#mark(following, channel, isLost ? undefined : where, view);
    }
  }

  #mark(following: Following, channel: string, where: Whereabouts | undefined, view: View): void {
    const { reader, mark, lives, starts } = following;
    if (mark === undefined) return;
    const entry: MarkEntry = { where, mutes: view.mutes, life: lives?.get(channel) };
    for (const filter of starts.keys()) {
      if (isFor(filter, channel)) this.#marks.put(reader, filter, mark, channel, entry);
    }
  }

  #onGiven(session: SessionState, event: GivenEvent): void {
    const { channel, epoch, offset, payload, sentMs, storedMs } = event;
    const fail = this.#failer(session, channel, event.step);
    const got = formatPosition({ epoch, offset });
    const [publish] = this.#parts.publishes.triesOf(payload);
    if (publish?.ttl !== undefined && sentMs >= storedMs + publish.ttl) {
      fail('expired', `got ${got}, ${sentMs - storedMs - publish.ttl} ms after it was over`);
    }
    const deliverer = session.delivererOf(channel);
    const view = session.views.get(channel);
    if (view === undefined || deliverer === undefined) {
      fail('unasked', `got ${got} and follows no such channel`);
      return;
    }
    if (deliverer.muted && event.isOwn) {
      fail('unasked', `got its own ${got} and asked not to`);
    }
    const context = { session, channel, sentMs, fail };
    if (!this.#moves(view, { epoch, offset }, got, context)) return;
    view.given.add(got);
    view.cursor = exactly({ epoch, offset });
    view.mutes = deliverer.muted ? [session.name] : [];
  }

  /** True when a message at this place may come now. */
  #moves(
    view: View,
    { epoch, offset }: Position,
    got: string,
    context: {
      readonly session: SessionState;
      readonly channel: string;
      readonly sentMs: number;
      readonly fail: Fail;
    },
  ): boolean {
    const { session, channel, sentMs, fail } = context;
    const { cursor } = view;
    if (cursor === undefined) return true;
    if (isSameLife(cursor, epoch) && offset > cursor.from && offset <= cursor.to + 1) return true;
    allowPending(session, channel, view);
    const isAhead = isSameLife(cursor, epoch) && offset > cursor.from;
    const asked = isAhead ? undefined : goesBack(view, { epoch, offset: offset - 1 });
    if (!isSameLife(cursor, epoch)) leaveLives(session, channel, { epoch, from: 0, to: 0 });
    const at = wordsFor(cursor);
    const told: Fail = (promise, text) => fail(promise, `${text} before ${got}, from ${at}`);
    const skipped = { channel, mutes: view.mutes, sentMs, asExpired: false, fail: told };
    if (asked !== undefined) {
      // What it asked for and was not told of is its own, or over.
      this.#skips.add({ ...skipped, epoch, from: asked.to + 1, to: offset - 1 });
    } else if (!isSameLife(cursor, epoch)) {
      // The message says by itself that it is of another life: all right if nothing is missing.
      this.#skips.add({ ...skipped, epoch: cursor.epoch, from: cursor.to + 1, to: Infinity });
      this.#skips.add({ ...skipped, epoch, from: 1, to: offset - 1 });
      view.begin = { epoch, from: 0, to: 0 };
    } else if (offset <= cursor.from) {
      const promise = view.given.has(got) || offset === cursor.from ? 3 : 1;
      fail(promise, `got ${got} ${promise === 3 ? 'again' : 'out of order'}, being at ${at}`);
      return promise === 1;
    } else {
      this.#skips.add({ ...skipped, epoch, from: cursor.to + 1, to: offset - 1 });
      const { begin } = view;
      // What it left out is its own, or over: it may have begun behind that.
      if (begin?.to === cursor.to) view.begin = { ...begin, to: offset - 1 };
    }
    return true;
  }

  #onLapsed(session: SessionState, event: LapsedEvent): void {
    const { channel, epoch, from, to, sentMs } = event;
    const fail = this.#failer(session, channel, event.step);
    const view = session.views.get(channel);
    const told = `told that ${epoch}:${from} to ${to} are over`;
    if (view === undefined) return fail('unasked', `${told} and follows no such channel`);
    if (this.#moves(view, { epoch, offset: from }, told, { session, channel, sentMs, fail })) {
      view.cursor = { epoch, from: to, to };
    }
    this.#skips.add({ channel, epoch, from, to, mutes: [], sentMs, asExpired: true, fail });
  }

  #onLost(session: SessionState, event: LostEvent): void {
    const { channel, gap, position } = event;
    const fail = this.#failer(session, channel, event.step);
    const view = session.views.get(channel);
    if (view === undefined) return fail('unasked', `${gap.reason} told of a channel not followed`);
    const { opening } = session;
    // What else is lost behind an answer is lost by whoever delivers.
    const isOpening = opening?.hasLost === true && isOfAnswer(opening, channel);
    const isOwn = session.delivererOf(channel) === opening;
    const place = exactly(position);
    if (isOpening) {
      const stands = earliest(place, opening.kept.get(channel));
      opening.places.set(channel, stands);
      const { cursor } = view;
      // Before any message it says nothing of a life that went on when it was answered.
      const isOn = place.epoch === ORIGIN.epoch && answeredIn(opening, channel) === cursor?.epoch;
      const isOver = cursor !== undefined && !isOn && !isSameLife(cursor, place.epoch);
      if (isOver) opening.over.set(channel, cursor.epoch);
      // Where it was lost by a read right after the answer, the mark of that is still before it.
      const before = Math.min(stands?.from ?? 0, (gap.from ?? 1) - 1);
      this.#mark(opening, channel, stands && { ...stands, from: before }, view);
    }
    if (isOpening && !isOwn) {
      // Another subscription goes on; what this one lost it may still have there.
      if (mayLoseToo(opening, channel, view, place)) this.#jumpWith(view, place);
      if (gap.reason === 'epoch') allowTold(view, opening.name, place);
      else allow(view, opening.name, place, true);
      return;
    }
    if (isOpening && opening.starts.size > 1) {
      // Several patterns of one subscription may have lost it, each from a place of its own.
      this.#jumpWith(view, place);
      allow(view, opening.name, place, true);
      return;
    }
    const before = (gap.from ?? 1) - 1;
    const stands = Math.min(gap.from === undefined ? Infinity : before, position.offset);
    const isBack = view.cursor !== undefined && stands < view.cursor.from;
    const wentBack = isBack ? goesBack(view, { epoch: position.epoch, offset: before }) : undefined;
    if (wentBack === undefined) {
      checkLoss(view.cursor, gap, position, fail);
      // Of a life that is over nothing may be missing either, unless that is what the gap says.
      const { from = 0 } = view.cursor ?? {};
      const isOver = from > 0 && view.cursor?.epoch !== position.epoch && gap.reason !== 'epoch';
      this.#skipTo(view, channel, isOver ? Number.POSITIVE_INFINITY : before, fail);
    }
    if (!isOpening) leaveLives(session, channel, place);
    const { begin } = view;
    if (isOpening || (begin !== undefined && begin.epoch !== place.epoch)) view.begin = place;
    else view.begin = { ...place, from: begin?.from ?? 0, to: Math.max(begin?.to ?? 0, place.to) };
    view.cursor = place;
  }

  /** What is passed over before a gap is not part of it. */
  #skipTo({ cursor, mutes }: View, channel: string, to: number, fail: Fail): void {
    if (cursor === undefined) return;
    const { epoch } = cursor;
    const skipped = { channel, epoch, from: cursor.to + 1, to, mutes, sentMs: Infinity };
    this.#skips.add({ ...skipped, asExpired: false, fail });
  }

  #onLeave(session: SessionState, event: LeaveEvent): void {
    const following = session.subscriptions.get(event.subscription);
    if (following === undefined) return;
    following.leaving = true;
    if (event.kind === 'leaving') return;
    const before = new Map(
      [...session.views.keys()].map((channel) => [channel, session.delivererOf(channel)]),
    );
    session.subscriptions.delete(following.name);
    for (const [channel, view] of session.views) {
      // What is under way for it may still come, and is not owed to anyone any more.
      for (const allowance of view.allowances) {
        if (allowance.subscription === following.name) allowance.owedTo = undefined;
      }
      if (doesMatch(following, channel)) view.begin = restBegin(session, channel, view.begin);
      const next = session.delivererOf(channel);
      if (next === undefined) {
        session.views.delete(channel);
      } else if (before.get(channel) === following && view.cursor !== undefined) {
        // From here on its mark is all that tells where it stands in this channel, be it where it
        // began.
        const own = next.places.get(channel);
        const where = own && leftAt(view.cursor, own, next.over.get(channel));
        this.#mark(next, channel, where, view);
      }
    }
  }

  #onEnded({ session }: EndedEvent): void {
    this.#sessions.delete(session);
  }

  #checkArrival(session: SessionState, logs: ReadonlyMap<string, StreamLog>, step: number): void {
    for (const [channel, view] of session.views) {
      const fail = this.#failer(session, channel, step);
      const log = logs.get(channel);
      const { cursor, mutes } = view;
      if (session.delivererOf(channel) === undefined) continue;
      for (const allowance of view.allowances) this.#checkOwed(channel, view, allowance, fail);
      if (log === undefined || cursor === undefined || log.epoch === ORIGIN.epoch) continue;
      const { epoch, top } = log;
      const at = wordsFor(cursor);
      const told: Fail = (promise, text) => fail(promise, `${text} at the end, from ${at}`);
      const left = { channel, mutes, sentMs: Infinity, asExpired: false, fail: told };
      if (!isSameLife(cursor, epoch)) {
        // As before a message of another life: all right if what is left of both is its own, or
        // over. What runs out of time is no gap [MSG-6], and a stream with several channels tells
        // it by its mark alone.
        this.#skips.add({ ...left, epoch: cursor.epoch, from: cursor.to + 1, to: Infinity });
        this.#skips.add({ ...left, epoch, from: 1, to: top });
      } else if (top < cursor.from) {
        fail('offset', `the stream ends at ${epoch}:${top}, the session at ${at}`);
      } else if (top > cursor.to) {
        this.#skips.add({ ...left, epoch, from: cursor.to + 1, to: top });
      }
    }
  }

  /** What a subscription asked for and was not given again is its own, or over. */
  #checkOwed(
    channel: string,
    { mutes }: View,
    { owedTo, place, subscription, mutes: ownMutes }: Allowance,
    fail: Fail,
  ): void {
    if (owedTo === undefined || place === undefined) return;
    const asked = `${subscription} asked for what is after ${wordsFor(place)} in vain`;
    const told: Fail = (promise, text) => fail(promise, `${text}: ${asked}`);
    const { epoch, to } = place;
    const missing = { from: to + 1, to: owedTo, mutes: [...mutes, ...ownMutes] };
    const skipped = { channel, epoch, ...missing, sentMs: Infinity };
    this.#skips.add({ ...skipped, asExpired: false, fail: told });
  }

  /** What a place that a client handed back stood for. */
  #entryOf(
    { reader }: Following,
    filter: string,
    after: string,
    channel: string,
  ): MarkEntry | undefined {
    return this.#marks.get(reader, filter, after)?.get(channel);
  }

  #failer(session: SessionState, channel: string, step: number): Fail {
    return (promise, text) =>
      this.#parts.report({ promise, step, channel, message: `session ${session.name}: ${text}` });
  }
}

function newView(place: Whereabouts | undefined, mutes: readonly string[]): View {
  const memory = { given: new Set<string>(), used: new Set<string>() };
  return { cursor: place, begin: place, mutes, allowances: [], ...memory };
}

/** True when another subscription may have had all of the channel from a place on. */
function hasFrom(
  session: SessionState,
  following: Following,
  channel: string,
  place: Whereabouts | undefined,
): boolean {
  return session.answered.some(
    (other) =>
      other !== following &&
      doesMatch(other, channel) &&
      !(place !== undefined && isLater(other.places.get(channel), place)),
  );
}

/** Whoever began in another life of a channel than the one that is told now has all of this one. */
function leaveLives(session: SessionState, channel: string, place: Whereabouts): void {
  for (const { places } of session.answered) {
    const began = places.get(channel);
    if (began !== undefined && !isSameLife(began, place.epoch)) places.set(channel, place);
  }
}

/**
 * Where one stands by its mark that was left with a channel, and began in this life or a later one.
 *
 * @param over the life of which it was told that it is over.
 */
function leftAt(cursor: Whereabouts, own: Whereabouts, over?: string): Whereabouts | undefined {
  const isOfLater = own.epoch !== ORIGIN.epoch && !isSameLife(cursor, own.epoch);
  return isOfLater || cursor.epoch === over ? own : eitherOf({ ...cursor, from: 0 }, own);
}

/** True where the loss may be that of whoever delivers, which is told like those of the answer. */
function mayLoseToo(
  { heads }: Following,
  channel: string,
  { cursor }: View,
  { epoch, to }: Whereabouts,
): boolean {
  if (cursor?.epoch !== ORIGIN.epoch) return cursor?.epoch === epoch;
  const stream = heads?.get(channel)?.answered;
  return stream?.epoch === epoch && to < stream.oldest;
}

/** The life that a channel was in when a subscription was answered. */
function answeredIn({ heads }: Following, channel: string): string | undefined {
  return heads?.get(channel)?.answered.epoch;
}

/** True for a loss that an answer is followed by: at most one for each filter that has the channel. */
function isOfAnswer(opening: Following, channel: string): boolean {
  const count = 1 + (opening.losses.get(channel) ?? 0);
  opening.losses.set(channel, count);
  return count <= filtersFor(opening, channel).length;
}

/** True when `a` certainly stands after `b`. */
function isLater(a: Whereabouts | undefined, b: Whereabouts): boolean {
  // Before the first message one stands before all there is of any life.
  return a !== undefined && (isBefore(b, a) || (b.epoch === ORIGIN.epoch && a.from > 0));
}

/** Where a mark may stand that is given now: what is still to come again is behind it. */
function reachOf({ cursor, allowances }: View): Whereabouts | undefined {
  if (cursor === undefined) return undefined;
  return allowances.length === 0 ? cursor : { ...cursor, from: 0 };
}

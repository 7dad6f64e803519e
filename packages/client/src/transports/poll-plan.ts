/**
 * Poll plan: brings up to the present what can't begin in one poll.
 *
 * One `last` holds for all that have no place yet, and all patterns of a poll begin at one place.
 * What does not go together is first brought up by short polls, one group after the other, and then
 * has a place of its own: each name a position, and the patterns a mark. For all patterns the mark of
 * their first group is taken. It is older than what the later groups were told, so some messages come
 * twice, which the receiver drops by their offsets; and it is younger than the moment they were asked
 * for, so no pattern gets what came before it.
 */
import { CodedError, isWildcard } from '@trunkline/wire';
import { refusalOf } from '../http.ts';
import type { Query } from '../http.ts';
import type { HttpAttempt, KeyedWish, Read } from './http-reading.ts';
import { NO_ANSWER, typeOf } from './http-requests.ts';
import type { Answer } from './polling.ts';
import { tellAnswer } from './poll-answer.ts';
import { compatible, queryOf, sharedOut } from './read-plan.ts';
import { OPEN_MS_MAX } from './transport.ts';

/** Asks a poll without patience. */
type AskOnce = (read: Read, query: Query) => Promise<Answer | undefined>;

/** Brings up what can't begin together with the rest. @returns the wishes of each read. */
export async function planPolls(
  attempt: HttpAttempt,
  signal: AbortSignal,
  ask: AskOnce,
): Promise<readonly (readonly KeyedWish[])[]> {
  /** Those brought up to the present, and to which place. */
  const present = new Map<string, string | undefined>();
  /** Where their patterns go on: none of them stands before it. */
  let mark: string | undefined;
  const moved = (wish: KeyedWish): KeyedWish => {
    const { key, filter } = wish;
    const place = present.get(key);
    // Somebody may have joined meanwhile who begins elsewhere.
    if (place !== undefined && place !== wish.after) present.delete(key);
    if (!present.has(key)) return wish;
    // A volatile channel has no place, and no `last`: it goes with everything.
    const after = isWildcard(filter) ? (mark ?? wish.after) : (wish.after ?? '');
    return after === undefined ? wish : { ...wish, after };
  };
  for (;;) {
    const wishes = attempt.wanted(moved);
    if (wishes.length === 0) await reach(attempt, signal);
    if (compatible(wishes, false).length === wishes.length) return sharedOut(wishes, false);
    const late = wishes.filter(
      ({ key, filter, after }) => !present.has(key) && (after === undefined || isWildcard(filter)),
    );
    const [group] = sharedOut(late, false);
    if (group === undefined) return sharedOut(wishes, false);
    const read = attempt.toRead(group, signal);
    await attempt.judged(read, async () => {
      const answer = await ask(read, { ...queryOf(group), presence: undefined });
      attempt.ready();
      if (answer === undefined || signal.aborted) return;
      const { fields } = answer.frame;
      const place = tellAnswer(attempt.sink, read, answer.frame, true);
      if (fields['more'] === true) return;
      for (const { key, filter } of group) present.set(key, read.places.get(filter));
      if (read.filters.some(isWildcard)) mark ??= place;
    });
    await attempt.sink.room();
    if (signal.aborted) return [];
  }
}

/**
 * With nothing to ask: is the server there? `OPTIONS` is answered to anyone, by a path that needs
 * no rule of its own in a proxy. What the token is worth the first question will tell.
 */
async function reach(attempt: HttpAttempt, signal: AbortSignal): Promise<void> {
  if (attempt.isReady) return;
  const ask = async () => {
    const response = await attempt.fetch('poll', {}, { method: 'OPTIONS', signal });
    if (!response.ok) throw await refusalOf(response);
    await response.body?.cancel();
    // A page to log in to the network answers anything.
    const type = typeOf(response);
    if (type.startsWith('text/')) throw new CodedError('unavailable', `got ${type}`);
  };
  await attempt.within(OPEN_MS_MAX, NO_ANSWER, ask());
  attempt.ready();
}

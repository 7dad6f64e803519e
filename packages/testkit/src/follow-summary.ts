/** How much happened to those who follow several channels; what never happens is not tested. */
import { isMark, isWildcard } from '@trunkline/wire';
import { doesMatch, SessionState } from './checks/session-state.ts';
import type { HistoryEvent } from './history.ts';

/** Counts of one run. */
export interface FollowingSummary {
  /** Patterns that were subscribed to, or part of a stream. */
  readonly patterns: number;
  readonly marks: number;
  /** Resumes by a mark, and those of them that recovered whole. */
  readonly resumes: number;
  readonly recovered: number;
  readonly given: number;
  readonly gaps: number;
  /** Stretches of messages that were told to be over. */
  readonly lapsed: number;
  /** Messages that matched several subscriptions of their session. */
  readonly overlaps: number;
  /** Subscriptions that were left, or begun anew, while their session went on. */
  readonly changes: number;
  /** Messages of volatile channels, and sessions that were too slow for some of them. */
  readonly passing: number;
  readonly slow: number;
  /** Joins and leaves that watchers were told of. */
  readonly presence: number;
}

/** Counts what happened to sessions that follow several channels. */
export function summaryOfFollowing(events: readonly HistoryEvent[]): FollowingSummary {
  const counts = {
    ...{ patterns: 0, marks: 0, resumes: 0, recovered: 0, given: 0 },
    ...{ gaps: 0, lapsed: 0, overlaps: 0, changes: 0, passing: 0, slow: 0, presence: 0 },
  };
  const sessions = new Map<string, SessionState>();
  for (const event of events) {
    if (!('session' in event)) continue;
    const session = sessions.get(event.session) ?? new SessionState(event.session);
    sessions.set(event.session, session);
    if (event.kind === 'ask') session.add(event);
    else if (event.kind === 'marked') counts.marks += 1;
    else if (event.kind === 'lost') counts.gaps += 1;
    else if (event.kind === 'passing') counts.passing += 1;
    else if (event.kind === 'slow') counts.slow += 1;
    else if (event.kind === 'came' || event.kind === 'went') counts.presence += 1;
    else if (event.kind === 'lapsed') counts.lapsed += 1;
    else if (event.kind === 'leaving') counts.changes += 1;
    else if (event.kind === 'left') session.subscriptions.delete(event.subscription);
    else if (event.kind === 'given') {
      counts.given += 1;
      const matching = session.answered.filter((following) => doesMatch(following, event.channel));
      if (matching.length > 1) counts.overlaps += 1;
    } else if (event.kind === 'following') {
      const following = session.subscriptions.get(event.subscription);
      if (following === undefined) continue;
      if (session.answer(following) !== undefined) counts.changes += 1;
      for (const [filter, { after = '' }] of following.starts) {
        if (isWildcard(filter)) counts.patterns += 1;
        if (isMark(after)) counts.resumes += 1;
        const isWhole = event.verdicts.get(filter)?.recovered === true;
        if (isMark(after) && isWhole) counts.recovered += 1;
      }
    }
  }
  return counts;
}

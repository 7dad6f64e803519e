/** Polling: the same question again and again, with patience at the server or between two. */
import { CodedError } from '@trunkline/wire';
import { asObject } from '../events.ts';
import type { Query } from '../http.ts';
import type { HttpAttempt, Read, Reader } from './http-reading.ts';
import { tellAnswer } from './poll-answer.ts';
import { queryOf } from './read-plan.ts';
import type { Wish } from './transport.ts';

/** How patient it is. */
export interface Patience {
  /** How long a question waits at the server; 0 for an answer at once. [POLL-2] */
  readonly waitSeconds: number;
  /** From an answer to the next question, where nothing waits or nobody would. */
  readonly intervalMs: number;
}

/** Reads by polls. */
export function pollReader(patience: Patience): Reader {
  return { streams: false, read: (attempt, read) => pollOn(attempt, read, patience) };
}

async function pollOn(attempt: HttpAttempt, read: Read, patience: Patience): Promise<void> {
  const { sink, platform } = attempt;
  const { signal, wishes } = read;
  const { waitSeconds } = patience;
  let query: Query = queryOf(wishes);
  let etag: string | undefined;
  let isFirst = true;
  let hasMore = false;
  while (!signal.aborted) {
    // The first question waits for nothing: its answer says where everything stands.
    const seconds = isFirst || hasMore ? 0 : waitSeconds;
    const askedMs = platform.clock.monotonicMs();
    const answer = await attempt.poll(read, query, seconds, waitSeconds === 0 ? etag : undefined);
    if (signal.aborted) return;
    let isEmpty = true;
    if (answer !== undefined && asObject(answer.frame.fields['positions']) === undefined) {
      throw new CodedError(
        'bad_request',
        'expected the answer to a poll, got one without positions',
      );
    }
    if (isFirst) read.opened();
    if (answer === undefined) {
      hasMore = false;
    } else {
      const { fields, messages = [] } = answer.frame;
      const { session, more } = fields;
      ({ etag } = answer);
      if (typeof session === 'string') attempt.session = session;
      const after = tellAnswer(sink, read, answer.frame, isFirst);
      const asked = JSON.stringify(query);
      // Where no mark can say it the places do that each of them was told.
      query = after === undefined ? queryOf(movedOn(read)) : { ...query, after, last: undefined };
      // An answer that leads nowhere, as out of a cache, would come at once without end.
      isEmpty =
        JSON.stringify(query) === asked && messages.every(({ epoch }) => epoch !== undefined);
      hasMore = more === true && !isEmpty;
    }
    isFirst = false;
    await sink.room();
    if (hasMore || signal.aborted) continue;
    const pauseMs = seconds === waitSeconds ? pauseAfter(attempt, patience, isEmpty, askedMs) : 0;
    if (pauseMs > 0) await attempt.sleep(pauseMs, signal);
  }
}

/** Short polls keep their interval, each client at its own moments. */
function pauseAfter(
  { platform }: HttpAttempt,
  { waitSeconds, intervalMs }: Patience,
  isEmpty: boolean,
  askedMs: number,
): number {
  if (waitSeconds === 0) return intervalMs * (0.75 + platform.random() / 2);
  // A server that does not wait would be asked without end.
  return isEmpty ? askedMs + intervalMs - platform.clock.monotonicMs() : 0;
}

/** The wishes of a read, from where it stands now. */
function movedOn({ wishes, places }: Read): Wish[] {
  return wishes.map((wish) => {
    const after = places.get(wish.filter);
    return after === undefined ? wish : { ...wish, after };
  });
}

/** Polling: the same question again and again, with patience at the server or between two. */
import { CodedError } from '@trunkline/wire';
import type { Frame } from '../encodings/encoding.ts';
import { asObject } from '../events.ts';
import type { Query } from '../http.ts';
import type { Platform } from '../platform.ts';
import type { HttpAttempt, Read, Reader } from './http-reading.ts';
import { acceptOf, answerOf, NO_ANSWER } from './http-requests.ts';
import { tellAnswer } from './poll-answer.ts';
import { planPolls } from './poll-plan.ts';
import { queryOf } from './read-plan.ts';
import { OPEN_MS_MAX, SILENCE_GRACE_MS } from './transport.ts';
import type { Wish } from './transport.ts';

/** How patient it is. */
export interface Patience {
  /** How long a question waits at the server; 0 for an answer at once. [POLL-2] */
  readonly waitSeconds: number;
  /** From an answer to the next question, where nothing waits or nobody would. */
  readonly intervalMs: number;
}

/** The answer to a poll. */
export interface Answer {
  readonly frame: Frame;
  readonly etag: string | undefined;
}

/** Asks a poll. @returns `undefined` where nothing is new since the answer with this tag. */
type AskPoll = (
  read: Read,
  query: Query,
  waitSeconds: number,
  etag?: string,
) => Promise<Answer | undefined>;

/** Reads by polls. */
export function pollReader(patience: Patience): (attempt: HttpAttempt) => Reader {
  return (attempt) => {
    const ask = pollsOf(attempt);
    return {
      streams: false,
      plan: (signal) => planPolls(attempt, signal, (read, query) => ask(read, query, 0)),
      read: (read) => pollOn(attempt, read, patience, ask),
    };
  };
}

/** Asks for one attempt, as one member of the channels that list who waits [PRES-11]. */
function pollsOf(attempt: HttpAttempt): AskPoll {
  const { encoding } = attempt.target;
  let session: string | undefined;
  return ({ signal }, query, waitSeconds, etag) => {
    const wait = waitSeconds || undefined;
    const ask = async (): Promise<Answer | undefined> => {
      const accept = acceptOf(encoding);
      const headers = { accept, ...(etag !== undefined && { 'if-none-match': etag }) };
      const asked = { ...query, wait, session };
      const response = await attempt.fetch('poll', asked, { signal, headers });
      if (response.status === 304 && etag !== undefined) return undefined;
      const frame = await answerOf(response, encoding);
      const { session: own } = frame.fields;
      if (typeof own === 'string') session = own;
      return { frame, etag: response.headers.get('etag') ?? undefined };
    };
    const limitMs = wait === undefined ? OPEN_MS_MAX : wait * 1000 + SILENCE_GRACE_MS;
    return attempt.within(limitMs, NO_ANSWER, ask());
  };
}

async function pollOn(
  attempt: HttpAttempt,
  read: Read,
  patience: Patience,
  ask: AskPoll,
): Promise<void> {
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
    const answer = await ask(read, query, seconds, waitSeconds === 0 ? etag : undefined);
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
      const { more } = fields;
      ({ etag } = answer);
      const after = tellAnswer(sink, read, answer.frame, isFirst);
      const asked = JSON.stringify(query);
      // Where no mark can say it the places do that each of them was told.
      query = after === undefined ? queryOf(movedOn(read)) : { ...query, after, last: undefined };
      // An answer that leads nowhere, as out of a cache, would come at once without end.
      isEmpty =
        JSON.stringify(query) === asked && messages.every(({ epoch }) => epoch !== undefined);
      hasMore = more === true && !isEmpty;
    }
    if (isFirst) read.settled();
    isFirst = false;
    await sink.room();
    if (hasMore || signal.aborted) continue;
    const pauseMs = seconds === waitSeconds ? pauseAfter(attempt, patience, isEmpty, askedMs) : 0;
    if (pauseMs > 0) await sleep(platform, pauseMs, signal);
  }
}

/** Resolves after the delay, or as soon as the signal aborts. */
async function sleep({ clock }: Platform, delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const end = () => {
      timer.cancel();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = clock.after(delayMs, end);
    signal.addEventListener('abort', end);
  });
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

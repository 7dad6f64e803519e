/**
 * HTTP reading: an attempt that reads by streams or questions, and asks by requests of their own.
 *
 * One read carries all that is wanted; when that changes all is read anew, from where it stands.
 * Not everything can begin in one read: one `last` holds for all that have no place yet, and all
 * patterns of a poll begin at one place. What does not go together is first brought up to the
 * present by short polls, one group after the other, and then has a place of its own: each name a
 * position, and the patterns a mark. For all patterns the mark of their first group is taken. It is
 * older than what the later groups were told, so some messages come twice, which the receiver drops
 * by their offsets; and it is younger than the moment they were asked for, so no pattern gets what
 * came before it.
 */
import { CodedError, isWildcard } from '@trunkline/wire';
import type { RetryHint } from '../backoff.ts';
import type { Frame } from '../encodings/encoding.ts';
import { endingOf } from '../ending.ts';
import type { Ending } from '../ending.ts';
import { networkError, refusalOf } from '../http.ts';
import type { Query } from '../http.ts';
import type { Platform, Timer } from '../platform.ts';
import { acceptOf, answerOf, HttpRequests, NO_ANSWER, typeOf } from './http-requests.ts';
import { tellAnswer } from './poll-answer.ts';
import { compatible, queryOf, sharedOut } from './read-plan.ts';
import { OPEN_MS_MAX, PROBE_MS_MAX, SILENCE_GRACE_MS } from './transport.ts';
import type { Ask, Attempt, AttemptSink, Target, Welcome, Wish } from './transport.ts';

/** How a transport reads. */
export interface Reader {
  /** True for streams: a short answer proves nothing of them, and the token holds from the start. */
  readonly streams: boolean;
  /** Reads until the signal aborts or it fails. */
  read(attempt: HttpAttempt, read: Read): Promise<void>;
}

/** One stream, or one question after the other. */
export interface Read {
  readonly wishes: readonly Wish[];
  readonly filters: readonly string[];
  /** The channel, where it is one alone, by its name. */
  readonly only: string | undefined;
  readonly signal: AbortSignal;
  /** Where each channel and pattern stands by what was told of it. */
  readonly places: Map<string, string>;
  /** When the server was last heard of, monotonic. */
  heardMs: number;
  /** The first answer is there, to be called before anything of it is told. */
  readonly opened: (welcome?: Welcome) => void;
}

/** The answer to a poll. */
export interface Answer {
  readonly frame: Frame;
  readonly etag: string | undefined;
}

/** Opens an attempt that reads so. */
export function openHttp(
  reader: Reader,
  target: Target,
  sink: AttemptSink,
  platform: Platform,
): Attempt {
  const attempt = new HttpAttempt(reader, target, sink, platform);
  attempt.revise('');
  return attempt;
}

/** An attempt over HTTP. */
export class HttpAttempt implements Attempt {
  readonly target: Target;
  readonly sink: AttemptSink;
  readonly platform: Platform;
  /** Whom polls are in channels that list who waits. [PRES-11] */
  session: string | undefined;
  /** What the server last said of coming back. */
  hint: RetryHint = {};
  readonly #reader: Reader;
  readonly #requests: HttpRequests;
  /** Ends the present reads. */
  #turn = new AbortController();
  #reads: readonly Read[] = [];
  /** Those that have not opened. */
  #unopened = 0;
  /** Wishes as they were when the reads began. */
  #wanted: readonly Wish[] = [];
  readonly #refused = new Set<string>();
  /** From the beginning of a turn until all of its reads have opened. */
  #isOpening = false;
  /** Something was revised meanwhile. */
  #isRevised = false;
  #isScheduled = false;
  #isReady = false;
  #hasEnded = false;
  #probe: Timer | undefined;

  constructor(reader: Reader, target: Target, sink: AttemptSink, platform: Platform) {
    this.#reader = reader;
    this.target = target;
    this.sink = sink;
    this.platform = platform;
    this.#requests = new HttpRequests(target, platform, (error) => this.end(endingOf(error)));
  }

  revise(filter: string): void {
    this.#refused.delete(filter);
    // What is opening is not disturbed, or many revisions in a row would let nothing open.
    if (this.#isOpening) this.#isRevised = true;
    else this.#schedule();
  }

  request(ask: Ask): Promise<Frame> {
    return this.#requests.request(ask);
  }

  send(members: string): void {
    this.#requests.send(members);
  }

  renew(token: string): void {
    this.#requests.token = token;
    if (this.#reader.streams) this.revise('');
  }

  probe(): void {
    if (!this.#reader.streams) {
      this.revise('');
      return;
    }
    const { clock } = this.platform;
    const sinceMs = clock.monotonicMs();
    this.#probe?.cancel();
    this.#probe = clock.after(PROBE_MS_MAX, () => {
      if (this.#reads.some(({ heardMs }) => heardMs <= sinceMs)) this.revise('');
    });
  }

  close(): void {
    this.#hasEnded = true;
    this.#turn.abort();
    this.#probe?.cancel();
    this.#requests.close();
  }

  /** Ends it from the other side. Idempotent. */
  end(ending: Ending): void {
    if (this.#hasEnded) return;
    this.close();
    this.sink.onEnd(ending);
  }

  /** What comes of the work; the attempt ends as lost when it takes longer. */
  async within<T>(limitMs: number, reason: string, work: Promise<T>): Promise<T> {
    const timer = this.platform.clock.after(limitMs, () =>
      this.end({ kind: 'lost', reason, isTimeout: true, hint: this.hint }),
    );
    try {
      return await work;
    } finally {
      timer.cancel();
    }
  }

  /** Resolves after the delay, or as soon as the signal aborts. */
  async sleep(delayMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const end = () => {
        timer.cancel();
        signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = this.platform.clock.after(delayMs, end);
      signal.addEventListener('abort', end);
    });
  }

  /** Begins a request below `/v1/`. */
  fetch(call: string, query: Query, init: RequestInit): Promise<Response> {
    return this.#requests.fetch(call, query, init);
  }

  /** Asks a poll. @returns `undefined` where nothing is new since the answer with this tag. */
  async poll(
    { signal }: Read,
    query: Query,
    waitSeconds: number,
    etag?: string,
  ): Promise<Answer | undefined> {
    const { encoding } = this.target;
    const wait = waitSeconds || undefined;
    const ask = async (): Promise<Answer | undefined> => {
      const response = await this.fetch(
        'poll',
        { ...query, wait, session: this.session },
        {
          signal,
          headers: {
            accept: acceptOf(encoding),
            ...(etag !== undefined && { 'if-none-match': etag }),
          },
        },
      );
      if (response.status === 304 && etag !== undefined) return undefined;
      return {
        frame: await answerOf(response, encoding),
        etag: response.headers.get('etag') ?? undefined,
      };
    };
    const limitMs = wait === undefined ? OPEN_MS_MAX : wait * 1000 + SILENCE_GRACE_MS;
    return this.within(limitMs, NO_ANSWER, ask());
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      if (!this.#hasEnded) void this.#begin(); // Its failures end the attempt.
    });
  }

  /** Reads all that is wanted now, instead of what was read. */
  async #begin(): Promise<void> {
    this.#turn.abort();
    this.#turn = new AbortController();
    const { signal } = this.#turn;
    this.#isOpening = true;
    this.#reads = [];
    try {
      const shares = await this.#prepare(signal);
      if (signal.aborted) return;
      this.#reads = shares.map((wishes) => this.#toRead(wishes, signal));
      this.#unopened = shares.length;
      if (shares.length === 0) await this.#reach(signal);
      await Promise.all(
        this.#reads.map(async (read) => {
          await this.#judged(read, () => this.#reader.read(this, read));
          if (!signal.aborted) this.#schedule();
        }),
      );
    } catch (error) {
      if (!signal.aborted) this.end(endingOf(networkError(error), this.hint));
    }
  }

  /** Brings up what can't begin together with the rest. @returns the wishes of each read. */
  async #prepare(signal: AbortSignal): Promise<readonly (readonly Wish[])[]> {
    const { streams } = this.#reader;
    const present = new Map<string, string | undefined>();
    let mark: string | undefined;
    for (;;) {
      this.#isRevised = false;
      const wishes = this.#wishes(present, mark);
      this.#wanted = wishes;
      const together = compatible(wishes, streams);
      if (together.length === wishes.length) return sharedOut(wishes, streams);
      if (streams && !this.#isReady) {
        // Only a stream proves that streams work: what can begin does, and the rest follows.
        this.#isRevised = true;
        return sharedOut(together, streams);
      }
      const late = wishes.filter(
        (wish) =>
          !present.has(wish.filter) &&
          (wish.after === undefined || (!streams && isWildcard(wish.filter))),
      );
      const [group] = sharedOut(late, false);
      if (group === undefined) return sharedOut(wishes, streams);
      const read = this.#toRead(group, signal);
      await this.#judged(read, async () => {
        const answer = await this.poll(read, { ...queryOf(group), presence: undefined }, 0);
        this.#ready();
        if (answer === undefined || signal.aborted) return;
        const { fields } = answer.frame;
        const place = tellAnswer(this.sink, read, answer.frame, true);
        if (fields['more'] === true) return;
        for (const filter of read.filters) present.set(filter, read.places.get(filter));
        if (read.filters.some(isWildcard)) mark ??= place;
      });
      await this.sink.room();
      if (signal.aborted) return [];
    }
  }

  /**
   * @param present those brought up to the present, and to which place.
   * @param mark where their patterns go on: none of them stands before it.
   */
  #wishes(present = new Map<string, string | undefined>(), mark?: string): Wish[] {
    return this.sink.filters().flatMap((filter) => {
      const wish = this.#refused.has(filter) ? undefined : this.sink.wish(filter);
      if (wish === undefined) return [];
      const place = present.get(filter);
      // Somebody may have joined meanwhile who begins elsewhere.
      if (place !== undefined && place !== wish.after) present.delete(filter);
      if (!present.has(filter)) return [wish];
      // A volatile channel has no place, and no `last`: it goes with everything.
      const after = isWildcard(filter) ? (mark ?? wish.after) : (wish.after ?? '');
      return [after === undefined ? wish : { ...wish, after }];
    });
  }

  #toRead(wishes: readonly Wish[], signal: AbortSignal): Read {
    const filters = wishes.map(({ filter }) => filter);
    const [only = ''] = filters;
    return {
      wishes,
      filters,
      only: filters.length === 1 && !isWildcard(only) ? only : undefined,
      signal,
      places: new Map(wishes.flatMap(({ filter, after }) => (after ? [[filter, after]] : []))),
      heardMs: this.platform.clock.monotonicMs(),
      opened: (welcome) => {
        this.#ready(welcome);
        this.#unopened -= 1;
        if (this.#unopened === 0) this.#settle();
      },
    };
  }

  #settle(): void {
    this.#isOpening = false;
    if (this.#isRevised) this.#schedule();
  }

  #ready(welcome: Welcome = {}): void {
    if (this.#isReady || this.#hasEnded) return;
    this.#isReady = true;
    this.sink.onReady(welcome);
    // Revisions are told only from now on: there may have been some.
    const wishes = this.#wishes();
    if (JSON.stringify(wishes) === JSON.stringify(this.#wanted)) return;
    this.#isRevised = true;
    const isOther = ({ filter, after, last }: Wish) =>
      wishes.some((one) => one.filter === filter && (one.after !== after || one.last !== last));
    if (!this.#wanted.some(isOther)) return;
    // The answer would be taken for that to another place: it is not told.
    this.#turn.abort();
    this.#isOpening = false;
    this.#schedule();
  }

  /**
   * With nothing to ask: is the server there? `OPTIONS` is answered to anyone, by a path that needs
   * no rule of its own in a proxy. What the token is worth the first question will tell.
   */
  async #reach(signal: AbortSignal): Promise<void> {
    if (!this.#isReady) {
      const ask = async () => {
        const response = await this.fetch('poll', {}, { method: 'OPTIONS', signal });
        if (!response.ok) throw await refusalOf(response);
        await response.body?.cancel();
        // A page to log in to the network answers anything.
        const type = typeOf(response);
        if (type.startsWith('text/')) throw new CodedError('unavailable', `got ${type}`);
      };
      await this.within(OPEN_MS_MAX, NO_ANSWER, ask());
      this.#ready();
    }
    this.#settle();
  }

  /**
   * One filter that is refused has the whole read refused: finds out which it is, and tells. When it
   * was none of them the read has failed.
   */
  async #judged(read: Read, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (read.signal.aborted || read.filters.length === 0 || !isRefusal(error)) throw error;
      const refused = await this.#findRefused(read.filters, read.signal);
      if (refused.length === 0) throw error;
      this.#ready();
      for (const [filter, why] of refused) {
        if (read.signal.aborted) return;
        this.#refused.add(filter);
        this.sink.onRefused(filter, why);
      }
    }
  }

  /** Halves what is refused until it is one: of n filters at most 2n questions. */
  async #findRefused(
    filters: readonly string[],
    signal: AbortSignal,
  ): Promise<(readonly [string, CodedError])[]> {
    const ask = async () => {
      const response = await this.fetch('poll', { channel: filters, limit: 1 }, { signal });
      if (typeOf(response).startsWith('application/problem+json')) return refusalOf(response);
      await response.body?.cancel();
      return undefined; // It is allowed; or it is not the server that says no.
    };
    const error = await this.within(OPEN_MS_MAX, NO_ANSWER, ask());
    if (error === undefined) return [];
    if (!isRefusal(error)) throw error;
    if (filters.length === 1) return filters.map((filter) => [filter, error]);
    const half = filters.length >> 1;
    return [
      ...(await this.#findRefused(filters.slice(0, half), signal)),
      ...(await this.#findRefused(filters.slice(half), signal)),
    ];
  }
}

function isRefusal(error: unknown): boolean {
  const code = error instanceof CodedError ? error.code : '';
  return code === 'forbidden' || code === 'bad_request';
}

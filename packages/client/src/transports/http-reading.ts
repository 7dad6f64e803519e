/**
 * HTTP reading: an attempt that reads by streams or questions, and asks by requests of their own.
 *
 * One read carries all that is wanted; when that changes all is read anew, from where it stands.
 * What can't begin in one read is planned by the reader: see `sse.ts` and `poll-plan.ts`.
 */
import { CodedError, isWildcard } from '@trunkline/wire';
import type { RetryHint } from '../backoff.ts';
import type { Frame } from '../encodings/encoding.ts';
import { endingOf } from '../ending.ts';
import type { Ending } from '../ending.ts';
import { networkError, refusalOf } from '../http.ts';
import type { Query } from '../http.ts';
import type { Platform, Timer } from '../platform.ts';
import { HttpRequests, NO_ANSWER, typeOf } from './http-requests.ts';
import { OPEN_MS_MAX, PROBE_MS_MAX } from './transport.ts';
import type { Ask, Attempt, AttemptSink, Target, Welcome, Wish } from './transport.ts';

/** What is wanted, and for what it is told. */
export interface KeyedWish extends Wish {
  readonly key: string;
}

/** How a transport reads. */
export interface Reader {
  /** True for streams: a short answer proves nothing of them, and the token holds from the start. */
  readonly streams: boolean;
  /** Shares what is wanted out among reads, when all that can't begin in them has begun. */
  plan(
    signal: AbortSignal,
  ): readonly (readonly KeyedWish[])[] | Promise<readonly (readonly KeyedWish[])[]>;
  /** Reads until the signal aborts or it fails. */
  read(read: Read): Promise<void>;
}

/** One stream, or one question after the other. */
export interface Read {
  /** No two of the same filter. */
  readonly wishes: readonly KeyedWish[];
  readonly keys: readonly string[];
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
  /** It may be given up for another one: what comes once has come. */
  readonly settled: () => void;
}

/** Opens an attempt that reads so. */
export function openHttp(
  readerOf: (attempt: HttpAttempt) => Reader,
  target: Target,
  sink: AttemptSink,
  platform: Platform,
): Attempt {
  const attempt = new HttpAttempt(readerOf, target, sink, platform);
  attempt.revise('');
  return attempt;
}

/** An attempt over HTTP. */
export class HttpAttempt implements Attempt {
  readonly target: Target;
  readonly sink: AttemptSink;
  readonly platform: Platform;
  /** What the server last said of coming back. */
  hint: RetryHint = {};
  /** The server was reached. */
  isReady = false;
  readonly #reader: Reader;
  readonly #requests: HttpRequests;
  /** Ends the present reads. */
  #turn = new AbortController();
  #reads: readonly Read[] = [];
  /** Those that have not opened. */
  #unopened = 0;
  /** Wishes as they were when the reads began. */
  #wanted: readonly KeyedWish[] = [];
  readonly #refused = new Set<string>();
  /** From the beginning of a turn until all of its reads have opened. */
  #isOpening = false;
  /** Something was revised meanwhile. */
  #isRevised = false;
  #isScheduled = false;
  #hasEnded = false;
  #probe: Timer | undefined;

  constructor(
    readerOf: (attempt: HttpAttempt) => Reader,
    target: Target,
    sink: AttemptSink,
    platform: Platform,
  ) {
    this.target = target;
    this.sink = sink;
    this.platform = platform;
    this.#requests = new HttpRequests(target, platform, (error) => this.end(endingOf(error)));
    this.#reader = readerOf(this);
  }

  revise(key: string): void {
    this.#refused.delete(key);
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

  /** Begins a request below `/v1/`. */
  fetch(call: string, query: Query, init: RequestInit): Promise<Response> {
    return this.#requests.fetch(call, query, init);
  }

  /**
   * All that is wanted now, from which reads are planned.
   *
   * @param adjust what is asked for in place of a wish.
   */
  wanted(adjust = (wish: KeyedWish): KeyedWish => wish): readonly KeyedWish[] {
    this.#isRevised = false;
    this.#wanted = this.#wishes().map(adjust);
    return this.#wanted;
  }

  /** The reads are planned anew when they have opened: not all of it could begin. */
  planAgain(): void {
    this.#isRevised = true;
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
      const shares = await this.#reader.plan(signal);
      if (signal.aborted) return;
      this.#reads = shares.map((wishes) => this.toRead(wishes, signal));
      this.#unopened = shares.length;
      if (shares.length === 0) this.#settle();
      await Promise.all(
        this.#reads.map(async (read) => {
          await this.judged(read, () => this.#reader.read(read));
          if (!signal.aborted) this.#schedule();
        }),
      );
    } catch (error) {
      if (!signal.aborted) this.end(endingOf(networkError(error), this.hint));
    }
  }

  #wishes(): KeyedWish[] {
    const keys = this.sink.keys().filter((key) => !this.#refused.has(key));
    return keys.flatMap((key) => {
      const wish = this.sink.wish(key);
      return wish === undefined ? [] : [{ key, ...wish }];
    });
  }

  /** What these are read by, from now on. */
  toRead(wishes: readonly KeyedWish[], signal: AbortSignal): Read {
    const filters = wishes.map(({ filter }) => filter);
    const [only = ''] = filters;
    return {
      wishes,
      keys: wishes.map(({ key }) => key),
      filters,
      only: filters.length === 1 && !isWildcard(only) ? only : undefined,
      signal,
      places: new Map(wishes.flatMap(({ filter, after }) => (after ? [[filter, after]] : []))),
      heardMs: this.platform.clock.monotonicMs(),
      opened: (welcome) => this.ready(welcome),
      settled: () => {
        if (signal.aborted) return;
        this.#unopened -= 1;
        if (this.#unopened === 0) this.#settle();
      },
    };
  }

  #settle(): void {
    this.#isOpening = false;
    if (this.#isRevised) this.#schedule();
  }

  /** The server was reached. Idempotent. */
  ready(welcome: Welcome = {}): void {
    if (this.isReady || this.#hasEnded) return;
    this.isReady = true;
    this.sink.onReady(welcome);
    // Revisions are told only from now on: there may have been some.
    const wishes = this.#wishes();
    if (JSON.stringify(wishes) === JSON.stringify(this.#wanted)) return;
    this.#isRevised = true;
    const isOther = ({ key, after, last }: KeyedWish) =>
      wishes.some((one) => one.key === key && (one.after !== after || one.last !== last));
    if (!this.#wanted.some(isOther)) return;
    // The answer would be taken for that to another place: it is not told.
    this.#turn.abort();
    this.#isOpening = false;
    this.#schedule();
  }

  /**
   * One filter that is refused has the whole read refused: finds out which it is, and tells. When it
   * was none of them the read has failed.
   */
  async judged(read: Read, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (read.signal.aborted || read.filters.length === 0 || !isRefusal(error)) throw error;
      const refused = new Map(await this.#findRefused(read.filters, read.signal));
      if (refused.size === 0) throw error;
      this.ready();
      for (const { key, filter } of read.wishes) {
        const why = refused.get(filter);
        if (read.signal.aborted) return;
        if (why === undefined) continue;
        this.#refused.add(key);
        this.sink.onRefused(key, why);
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

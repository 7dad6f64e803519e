/**
 * Tokens: the token of a connection. Asks the application's source no more often than needed, never
 * gives the server a token again that it has refused, and asks for the next one before this one's
 * time is over, so that the connection goes on without a break. [AUTH-5]
 */
import { CodedError } from '@trunkline/wire';
import { parseObject } from '../events.ts';
import { currentToken, networkError } from '../http.ts';
import type { TokenSource } from '../http.ts';
import type { Clock, Timer } from '../platform.ts';

/** A source that has not answered by then is not waited for any longer. */
const ANSWER_MS_MAX = 30_000;
/** The next token is asked for at this part of what is left of a life, */
const RENEW_AT = 0.9;
/** or so long before its end, if that is earlier, */
const RENEW_BEFORE_MS = 30_000;
/** but no sooner than that; after a failure so long, doubled with every further one. */
const RENEW_MS_MIN = 5000;
/** A longer delay would run at once: timers count in 32 bits. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** What the tokens take from outside. */
export interface TokensOptions {
  readonly clock: Clock;
  readonly random: () => number;
  /** Unix milliseconds; may jump. */
  readonly unixMs: () => number;
}

/** The token of a connection, fresh when it is needed. */
export class Tokens {
  readonly #source: TokenSource | undefined;
  readonly #options: TokensOptions;
  readonly #onRenewed: (token: string) => void;
  #token: string | undefined;
  /** When its life ends, as far as it tells. */
  #endMs = 0;
  /** Null while none was; undefined where the server wanted one and got none. */
  #refused: string | undefined | null = null;
  #asking: Promise<string | undefined> | undefined;
  #giveUp: (() => void) | undefined;
  #renewal: Timer | undefined;
  #stopped = false;

  /** @param onRenewed hears of a new token that takes the place of a good one. */
  constructor(
    source: TokenSource | undefined,
    options: TokensOptions,
    onRenewed: (token: string) => void,
  ) {
    this.#source = source;
    this.#options = options;
    this.#onRenewed = onRenewed;
  }

  /**
   * The token for an attempt; `undefined` where there is no source.
   *
   * @throws {CodedError} `unauthenticated` when the server has refused all that the source has;
   *   `bad_request` when it gives something else than a token; the source's own when it throws one;
   *   `unavailable` when it fails otherwise or does not answer, which may pass.
   */
  current(): Promise<string | undefined> {
    this.#stopped = false;
    const isGood = this.#token !== undefined && this.#nowMs() < this.#endMs;
    return isGood ? Promise.resolve(this.#token) : this.#ask();
  }

  /**
   * The server did not take this token: it is not given again. [CODE-3]
   *
   * @returns false when there can be no other one.
   */
  refused(token: string | undefined): boolean {
    this.#refused = token;
    if (token === this.#token) {
      this.#token = undefined;
      this.#renewal?.cancel();
    }
    return typeof this.#source === 'function';
  }

  /** Forgets the token and renews nothing; what is asked for is rejected. Until `current`. */
  stop(): void {
    this.#stopped = true;
    this.#token = undefined;
    this.#giveUp?.();
    this.#renewal?.cancel();
  }

  /** One call of the source at a time, whoever asks. */
  #ask(): Promise<string | undefined> {
    this.#asking ??= this.#fresh().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #fresh(): Promise<string | undefined> {
    const token = await this.#answer();
    if (this.#source !== undefined && typeof token !== 'string') {
      throw new CodedError('bad_request', `a token must be a text, got ${typeof token}`);
    }
    if (token === this.#refused) {
      const told = 'the server asks for another token, and there is none';
      throw new CodedError('unauthenticated', told);
    }
    if (token !== undefined && token !== this.#token && !this.#stopped) this.#take(token);
    return token;
  }

  #answer(): Promise<string | undefined> {
    return new Promise((resolve, reject) => {
      const fail = (error: unknown) => {
        const { message } = networkError(error);
        const told = new CodedError('unavailable', `no token: ${message}`, { cause: error });
        reject(error instanceof CodedError ? error : told);
      };
      const giveUp = () => {
        timer.cancel();
        fail(new Error('no answer in time'));
      };
      const timer = this.#options.clock.after(ANSWER_MS_MAX, giveUp);
      this.#giveUp = giveUp;
      currentToken(this.#source)
        .finally(() => timer.cancel())
        .then(resolve, fail);
    });
  }

  #take(token: string): void {
    const isFirst = this.#token === undefined && this.#refused === null;
    const { exp, iat } = claimsOf(token);
    let leftMs = Infinity;
    if (typeof exp === 'number') {
      leftMs = exp * 1000 - this.#options.unixMs();
      const lifeMs = typeof iat === 'number' ? (exp - iat) * 1000 : leftMs;
      // The first may come out of a store and be old already. A later one is fresh, and its life is
      // known better than the time of a machine whose clock may be wrong.
      if (!isFirst || leftMs <= 0 || leftMs > lifeMs) leftMs = lifeMs;
    }
    this.#token = token;
    this.#endMs = this.#nowMs() + leftMs;
    this.#plan(0);
  }

  /** Asks for the next token in time, or again when that failed `failures` times. */
  #plan(failures: number): void {
    const leftMs = this.#endMs - this.#nowMs();
    const isOver = this.#token === undefined || leftMs <= RENEW_MS_MIN;
    if (isOver || leftMs === Infinity || typeof this.#source !== 'function') return;
    const againMs = failures === 0 ? Infinity : RENEW_MS_MIN * 2 ** failures;
    const latestMs = Math.min(leftMs * RENEW_AT, leftMs - RENEW_BEFORE_MS, againMs);
    const jitter = 0.9 + 0.1 * this.#options.random();
    this.#wait(Math.max(RENEW_MS_MIN, latestMs * jitter), failures);
  }

  #wait(delayMs: number, failures: number): void {
    this.#renewal = this.#options.clock.after(Math.min(delayMs, TIMER_MS_MAX), () => {
      if (delayMs > TIMER_MS_MAX) this.#wait(delayMs - TIMER_MS_MAX, failures);
      else this.#renew(failures);
    });
  }

  #renew(failures: number): void {
    const before = this.#token;
    this.#ask().then(
      (token) => {
        if (token === undefined || token === before) this.#plan(failures + 1);
        else if (!this.#stopped) this.#onRenewed(token);
      },
      () => this.#plan(failures + 1),
    );
  }

  #nowMs(): number {
    return this.#options.clock.monotonicMs();
  }
}

/** What a JWT says of itself, unverified; nothing where it is none. RFC 7519 §3 */
function claimsOf(token: string): Readonly<Record<string, unknown>> {
  try {
    const payload = token.split('.')[1] ?? '';
    return parseObject(atob(payload.replaceAll('-', '+').replaceAll('_', '/'))) ?? {};
  } catch {
    return {};
  }
}

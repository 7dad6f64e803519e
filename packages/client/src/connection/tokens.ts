/**
 * Tokens: the token of a connection. Asks the application's source no more often than needed, and
 * never gives the server a token again that it has refused. Without a renewal a token is good until
 * then.
 */
import { CodedError } from '@trunkline/wire';
import type { Renewing } from '../features.ts';
import { currentToken, networkError } from '../http.ts';
import type { TokenSource } from '../http.ts';
import type { Clock } from '../platform.ts';

/** A source that has not answered by then is not waited for any longer. */
const ANSWER_MS_MAX = 30_000;
/** The token of a connection, fresh when it is needed. */
export class Tokens {
  readonly #source: TokenSource | undefined;
  readonly #clock: Clock;
  readonly #onRenewed: (token: string) => void;
  #token: string | undefined;
  /** Null while none was; undefined where the server wanted one and got none. */
  #refused: string | undefined | null = null;
  #asking: Promise<string | undefined> | undefined;
  #giveUp: (() => void) | undefined;
  readonly #renewal: Renewing | undefined;
  #stopped = false;

  /**
   * @param onRenewed hears of a new token that takes the place of a good one.
   * @param renewal makes what asks for it by what it is given.
   */
  constructor(
    source: TokenSource | undefined,
    clock: Clock,
    onRenewed: (token: string) => void,
    renewal?: (renew: () => Promise<boolean>) => Renewing | undefined,
  ) {
    this.#source = source;
    this.#clock = clock;
    this.#onRenewed = onRenewed;
    if (typeof source === 'function') this.#renewal = renewal?.(() => this.#renew());
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
    const isGood = this.#token !== undefined && this.#renewal?.isOver !== true;
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
      this.#renewal?.stop();
    }
    return typeof this.#source === 'function';
  }

  /** Forgets the token and renews nothing; what is asked for is rejected. Until `current`. */
  stop(): void {
    this.#stopped = true;
    this.#token = undefined;
    this.#giveUp?.();
    this.#renewal?.stop();
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
      const timer = this.#clock.after(ANSWER_MS_MAX, giveUp);
      this.#giveUp = giveUp;
      currentToken(this.#source)
        .finally(() => timer.cancel())
        .then(resolve, fail);
    });
  }

  #take(token: string): void {
    const isFirst = this.#token === undefined && this.#refused === null;
    this.#token = token;
    this.#renewal?.take(token, isFirst);
  }

  /** Asks for the next token. @returns false when there is no other one. */
  async #renew(): Promise<boolean> {
    const before = this.#token;
    const token = await this.#ask();
    if (token === undefined || token === before) return false;
    if (!this.#stopped) this.#onRenewed(token);
    return true;
  }
}

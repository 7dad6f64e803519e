/**
 * Renewal: asks for the next token before this one's time is over, so that the connection goes on
 * without a break. [AUTH-5]
 */
import { parseObject } from '../events.ts';
import type { FeatureParts, Features, Renewing } from '../features.ts';
import type { Timer } from '../platform.ts';

/** The next token is asked for at this part of what is left of a life, */
const RENEW_AT = 0.9;
/** or so long before its end, if that is earlier, */
const RENEW_BEFORE_MS = 30_000;
/** but no sooner than that; after a failure so long, doubled with every further one. */
const RENEW_MS_MIN = 5000;
/** A longer delay would run at once: timers count in 32 bits. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** What a renewal takes from outside. */
export type RenewalParts = Pick<FeatureParts, 'clock' | 'random' | 'unixMs'>;

export class Renewal implements Renewing {
  readonly #parts: RenewalParts;
  readonly #renew: () => Promise<boolean>;
  /** When the life of the token ends, as far as it tells. */
  #endMs = 0;
  #timer: Timer | undefined;

  constructor(parts: RenewalParts, renew: () => Promise<boolean>) {
    this.#parts = parts;
    this.#renew = renew;
  }

  get isOver(): boolean {
    return this.#nowMs() >= this.#endMs;
  }

  take(token: string, isFirst: boolean): void {
    const { exp, iat } = claimsOf(token);
    let leftMs = Infinity;
    if (typeof exp === 'number') {
      leftMs = exp * 1000 - this.#parts.unixMs();
      const lifeMs = typeof iat === 'number' ? (exp - iat) * 1000 : leftMs;
      // The first may come out of a store and be old already. A later one is fresh, and its life is
      // known better than the time of a machine whose clock may be wrong.
      if (!isFirst || leftMs <= 0 || leftMs > lifeMs) leftMs = lifeMs;
    }
    this.#endMs = this.#nowMs() + leftMs;
    this.#plan(0);
  }

  stop(): void {
    this.#endMs = 0;
    this.#timer?.cancel();
  }

  /** Asks for the next token in time, or again when that failed `failures` times. */
  #plan(failures: number): void {
    const leftMs = this.#endMs - this.#nowMs();
    if (leftMs <= RENEW_MS_MIN || leftMs === Infinity) return;
    const againMs = failures === 0 ? Infinity : RENEW_MS_MIN * 2 ** failures;
    const latestMs = Math.min(leftMs * RENEW_AT, leftMs - RENEW_BEFORE_MS, againMs);
    const jitter = 0.9 + 0.1 * this.#parts.random();
    this.#wait(Math.max(RENEW_MS_MIN, latestMs * jitter), failures);
  }

  #wait(delayMs: number, failures: number): void {
    this.#timer = this.#parts.clock.after(Math.min(delayMs, TIMER_MS_MAX), () => {
      if (delayMs > TIMER_MS_MAX) this.#wait(delayMs - TIMER_MS_MAX, failures);
      else void this.#ask(failures);
    });
  }

  async #ask(failures: number): Promise<void> {
    // A new one was taken meanwhile, and planned for.
    const isNew = await this.#renew().catch(() => false);
    if (!isNew) this.#plan(failures + 1);
  }

  #nowMs(): number {
    return this.#parts.clock.monotonicMs();
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

/** The feature: the next token is asked for in time. */
export const renewal: NonNullable<Features['renewal']> = (parts, renew) =>
  new Renewal(parts, renew);

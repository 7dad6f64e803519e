/**
 * Backoff: how long to wait before coming back. Exponential with full jitter, so that the clients
 * of a lost server do not return together. Pure. [CODE-5]
 */

/** The first wait is somewhere below this. */
const BASE_MS = 100;
/** And none is longer, unless the server said otherwise. */
const CAP_MS = 5000;
/** What the server may ask for at most: a wrong number must not keep a client away for days. */
const HINT_MS_MAX = 300_000;

/** What the server said about coming back. */
export interface RetryHint {
  /**
   * At a random moment inside so many milliseconds, instead of the usual wait; but no sooner than
   * that one where this is not the first try: who is sent away again and again would never rest.
   */
  readonly withinMs?: number;
  /** Not before so many milliseconds, and then the usual wait. */
  readonly notBeforeMs?: number;
}

/**
 * Milliseconds to wait.
 *
 * @param attempt 0 for the first try after a good connection.
 * @param fraction in [0, 1), random.
 */
export function backoffMs(attempt: number, fraction: number, hint: RetryHint = {}): number {
  const { withinMs, notBeforeMs = 0 } = hint;
  const ceiling = Math.min(CAP_MS, BASE_MS * 2 ** Math.min(attempt, 30));
  if (withinMs === undefined) return bounded(notBeforeMs) + Math.round(fraction * ceiling);
  return Math.round(fraction * Math.max(bounded(withinMs), attempt > 0 ? ceiling : 0));
}

function bounded(ms: number): number {
  return Number.isFinite(ms) ? Math.min(Math.max(0, ms), HINT_MS_MAX) : 0;
}

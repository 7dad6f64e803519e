/** Backoff: how long to wait before dialling again, so that many clients do not come back at once. */

/** The longest first wait. */
export const BACKOFF_BASE_MS = 100;

/** No wait is longer, unless the server asked for more. */
export const BACKOFF_CAP_MS = 5_000;

/**
 * Full jitter: a random wait between nothing and `base · 2^attempt`, capped. What the server asked
 * for comes on top of it, so that those told the same time do not return in the same moment.
 *
 * @param attempt 0 for the first try after a loss.
 * @param random from 0 up to, not including, 1.
 */
export function backoffMs(attempt: number, random: number, retryAfterMs = 0): number {
  const ceiling = Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** attempt);
  return Math.max(0, retryAfterMs) + Math.floor(random * ceiling);
}

/** Pace: keeps below the commands a second that the server lets through. Pure. [WS-12] */

/** What was not used for so long may be used at once. */
const BURST_MS = 500;

/**
 * A pace of some of the server's commands a second.
 *
 * @param perSecond 0 or absent means any number.
 * @param share in (0, 1]: other commands need some of them, too.
 * @returns takes one and gives 0, or the milliseconds until there is one.
 */
export function paceOf(perSecond: number | undefined, share: number): (nowMs: number) => number {
  const intervalMs = perSecond ? 1000 / (perSecond * share) : 0;
  let freeMs = -Infinity;
  return (nowMs) => {
    if (freeMs > nowMs) return freeMs - nowMs;
    freeMs = Math.max(freeMs, nowMs - BURST_MS) + intervalMs;
    return 0;
  };
}

/**
 * Lag: how long messages are on their way, by the server's time in them and the time of this machine.
 * The two clocks may differ. The shortest way of all tells by how much at least, where it can't be
 * true. What was published before the reading began waited in the log, and says nothing.
 */

/** Ways that the median is of. */
const COUNT = 20;
/** A shortest way that is longer than this is more likely a difference of the clocks, */
const PLAUSIBLE_MS = 1000;
/** once messages come that did not wait in the log: so long after the reading began. */
const SETTLED_MS = 5000;

/** By how much the clocks differ: all channels have the same ones. */
export class Skew {
  #shortestMs = Infinity;
  #isSettled = false;

  /** @param wayMs by the two clocks. @param sinceMs the reading began. */
  note(wayMs: number, sinceMs: number): void {
    this.#shortestMs = Math.min(this.#shortestMs, wayMs);
    this.#isSettled ||= sinceMs >= SETTLED_MS;
  }

  /** By how much this machine's clock seems to be ahead; `undefined` when they may well agree. */
  get ms(): number | undefined {
    const shortest = this.#shortestMs;
    const isImplausible = this.#isSettled && shortest > PLAUSIBLE_MS && shortest !== Infinity;
    return shortest < 0 || isImplausible ? shortest : undefined;
  }
}

export class Lag {
  readonly #skew: Skew;
  readonly #ways: { readonly wayMs: number; readonly sinceMs: number }[] = [];
  #openedMs: number;

  /** @param nowMs of this machine, Unix time. */
  constructor(skew: Skew, nowMs: number) {
    this.#skew = skew;
    this.#openedMs = nowMs;
  }

  /** Messages flow from here on. */
  opened(nowMs: number): void {
    this.#openedMs = nowMs;
  }

  /** A message came. @param timeMs when it was published, by the server's clock. */
  add(timeMs: number, nowMs: number): void {
    const wayMs = nowMs - timeMs;
    const sinceMs = nowMs - this.#openedMs;
    this.#skew.note(wayMs, sinceMs);
    this.#ways.push({ wayMs, sinceMs });
    if (this.#ways.length > COUNT) this.#ways.shift();
  }

  /**
   * The median of the newest messages; where the clocks differ, above the shortest way. `undefined`
   * before there is one to tell by.
   */
  read(): number | undefined {
    const skewMs = this.#skew.ms ?? 0;
    const lags = this.#ways
      .map(({ wayMs, sinceMs }) => ({ lagMs: wayMs - skewMs, sinceMs }))
      // Published before the reading was open.
      .filter(({ lagMs, sinceMs }) => lagMs <= sinceMs)
      .map(({ lagMs }) => lagMs)
      .sort((one, other) => one - other);
    return lags[Math.floor(lags.length / 2)];
  }
}

/** Rate: how many of something there were in each of the last seconds. */

/** Seconds that are kept. */
export const SECONDS = 30;
/** Whole seconds that a rate is the mean of. */
const MEAN_SECONDS = 5;

export class Rate {
  /** One for each second, by its number. The one that is written now is not whole yet. */
  readonly #counts: number[] = Array.from({ length: SECONDS + 1 }, () => 0);
  #second: number;
  readonly #firstSecond: number;

  constructor(nowMs: number) {
    this.#second = secondOf(nowMs);
    this.#firstSecond = this.#second;
  }

  add(nowMs: number): void {
    this.#move(nowMs);
    const index = this.#second % this.#counts.length;
    this.#counts[index] = this.#at(this.#second) + 1;
  }

  /** Of the last whole seconds, the oldest first. */
  each(nowMs: number): readonly number[] {
    this.#move(nowMs);
    return Array.from({ length: SECONDS }, (_, index) => this.#at(this.#second - SECONDS + index));
  }

  /** The mean of the last whole seconds; of the first ones while there are no more. */
  perSecond(nowMs: number): number {
    const seconds = Math.min(MEAN_SECONDS, secondOf(nowMs) - this.#firstSecond);
    if (seconds <= 0) return 0;
    const total = this.each(nowMs)
      .slice(-seconds)
      .reduce((sum, count) => sum + count, 0);
    return total / seconds;
  }

  /** Seconds that have passed without anything count as 0. */
  #move(nowMs: number): void {
    const second = secondOf(nowMs);
    const { length } = this.#counts;
    if (second - this.#second >= length) this.#counts.fill(0);
    else for (let at = this.#second + 1; at <= second; at += 1) this.#counts[at % length] = 0;
    this.#second = Math.max(this.#second, second);
  }

  #at(second: number): number {
    return second < this.#firstSecond ? 0 : (this.#counts[second % this.#counts.length] ?? 0);
  }
}

function secondOf(nowMs: number): number {
  return Math.floor(nowMs / 1000);
}

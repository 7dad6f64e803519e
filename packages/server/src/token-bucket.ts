/** TokenBucket: so many at once, so many a second in the long run. Pure: time is an argument. */
export class TokenBucket {
  readonly #burst: number;
  readonly #perSecond: number;
  #left: number;
  #filledMs: number;

  /** It is full at `nowMs`. @param perSecond 0 means no limit. */
  constructor(burst: number, perSecond: number, nowMs: number) {
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#left = burst;
    this.#filledMs = nowMs;
  }

  /** Takes one; 0 when it was there, else the milliseconds until it will be. */
  take(nowMs: number): number {
    if (this.#perSecond === 0) return 0;
    const gained = ((nowMs - this.#filledMs) / 1000) * this.#perSecond;
    this.#left = Math.min(this.#burst, this.#left + gained);
    this.#filledMs = nowMs;
    if (this.#left < 1) return Math.ceil(((1 - this.#left) / this.#perSecond) * 1000);
    this.#left -= 1;
    return 0;
  }
}

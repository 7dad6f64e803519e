/** Rate: a token bucket without a timer. */
export class Rate {
  readonly #perSecond: number;
  readonly #burst: number;
  #left: number;
  #atMs: number;

  /** @param perSecond 0 means no limit. */
  constructor(perSecond: number, burstSeconds: number, nowMs: number) {
    this.#perSecond = perSecond;
    this.#burst = perSecond * burstSeconds;
    this.#left = this.#burst;
    this.#atMs = nowMs;
  }

  /** Takes one; 0 when it was there, else the milliseconds until it will be. */
  take(nowMs: number): number {
    if (this.#perSecond === 0) return 0;
    const refill = ((nowMs - this.#atMs) / 1000) * this.#perSecond;
    this.#left = Math.min(this.#burst, this.#left + refill);
    this.#atMs = nowMs;
    if (this.#left < 1) return Math.ceil(((1 - this.#left) / this.#perSecond) * 1000);
    this.#left -= 1;
    return 0;
  }
}

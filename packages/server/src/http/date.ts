/** The `Date` header, made once a second instead of once an answer. */
import type { Clock } from '../clock.ts';

/** The current `Date`, of a clock. */
export class HttpDate {
  readonly #clock: Clock;
  #second = Number.NaN;
  #text = '';

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The current time as IMF-fixdate (RFC 9110 §5.6.7). */
  text(): string {
    const second = Math.floor(this.#clock.unixMs() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#text = new Date(second * 1000).toUTCString();
    }
    return this.#text;
  }
}

/** Watchdog: notices silence. One timer at a time, however often it is touched. */
import type { Clock, Timer } from './platform.ts';

export class Watchdog {
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #task: () => void;
  #touchedMs: number;
  #timer: Timer | undefined;

  /** Calls `task` once, when `limitMs` passed since the last touch. */
  constructor(clock: Clock, limitMs: number, task: () => void) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#task = task;
    this.#touchedMs = clock.monotonicMs();
    this.#arm(limitMs);
  }

  /** There was a sign of life. */
  touch(): void {
    this.#touchedMs = this.#clock.monotonicMs();
  }

  /** It will not bark any more. Idempotent. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(delayMs: number): void {
    this.#timer = this.#clock.after(delayMs, () => {
      const leftMs = this.#touchedMs + this.#limitMs - this.#clock.monotonicMs();
      if (leftMs > 0) this.#arm(leftMs);
      else this.#task();
    });
  }
}

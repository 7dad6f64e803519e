/**
 * SpinGuard: notices a server that asks its store the same thing for ever without letting time
 * pass. Such a server never ends its turn, so no timer and no test time-out could notice it.
 */
import type { Clock } from '@trunkline/server/internal/clock.ts';

/** Calls at one moment, far above what all clients together cause. */
const CALLS_MAX = 10_000;

/** Counts calls at one moment of time. */
export class SpinGuard {
  readonly #clock: Clock;
  readonly #onSpin: (error: Error) => void;
  #momentMs = -1;
  #calls = 0;

  constructor(clock: Clock, onSpin: (error: Error) => void) {
    this.#clock = clock;
    this.#onSpin = onSpin;
  }

  /** To be called by whatever may spin. @throws {Error} when it does, to stop it. */
  count(what: string): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs !== this.#momentMs) {
      this.#momentMs = nowMs;
      this.#calls = 0;
    }
    this.#calls += 1;
    if (this.#calls < CALLS_MAX) return;
    const error = new Error(`the server spins: ${CALLS_MAX} calls at one moment, now ${what}`);
    if (this.#calls === CALLS_MAX) this.#onSpin(error);
    throw error;
  }
}

/** ProcessClock: the clock of one simulated process, which takes its timers with it when it dies. */
import type { Clock, Timer } from '@trunkline/server/internal/clock.ts';

/** Passes time on from another clock until it is killed. */
export class ProcessClock implements Clock {
  readonly #clock: Clock;
  #alive = true;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isAlive(): boolean {
    return this.#alive;
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs();
  }

  unixMs(): number {
    return this.#clock.unixMs();
  }

  after(delayMs: number, task: () => void): Timer {
    return this.#clock.after(delayMs, () => this.#run(task));
  }

  defer(task: () => void): void {
    this.#clock.defer(() => this.#run(task));
  }

  /** Nothing that was asked for, or will be, runs any more. */
  kill(): void {
    this.#alive = false;
  }

  #run(task: () => void): void {
    if (this.#alive) task();
  }
}

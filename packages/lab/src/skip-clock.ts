/**
 * SkipClock: the machine's time, of which a test can skip a piece. Sockets need real time to pass,
 * deadlines of half a minute do not.
 */
import { systemClock } from '@trunkline/server';
import type { Clock } from '@trunkline/server';

type Timer = ReturnType<Clock['after']>;

interface Waiting {
  readonly dueMs: number;
  readonly task: () => void;
  timer: Timer;
}

/** A {@link Clock} on which time passes by itself, and at once when it is skipped. */
export class SkipClock implements Clock {
  #skippedMs = 0;
  /** While a skip is under way, its time stands still at the timer that is run. */
  #frozenMs: number | undefined;
  readonly #waiting = new Set<Waiting>();

  monotonicMs(): number {
    return this.#frozenMs ?? systemClock.monotonicMs() + this.#skippedMs;
  }

  unixMs(): number {
    const frozen = this.#frozenMs;
    const behind = frozen === undefined ? 0 : systemClock.monotonicMs() + this.#skippedMs - frozen;
    return systemClock.unixMs() + this.#skippedMs - Math.round(behind);
  }

  after(delayMs: number, task: () => void): Timer {
    const waiting: Waiting = {
      // As with the system's timers: a task that sets its timer anew lets time pass.
      dueMs: this.monotonicMs() + Math.max(1, delayMs),
      task,
      timer: systemClock.after(delayMs, () => this.#run(waiting)),
    };
    this.#waiting.add(waiting);
    return {
      cancel: () => {
        this.#waiting.delete(waiting);
        waiting.timer.cancel();
      },
    };
  }

  defer(task: () => void): void {
    systemClock.defer(task);
  }

  /** Lets `ms` pass at once: timers that come due run in order, those they set included. */
  skip(ms: number): void {
    const endMs = this.monotonicMs() + ms;
    for (;;) {
      const next = this.#nextBy(endMs);
      if (next === undefined) break;
      this.#frozenMs = Math.max(next.dueMs, this.#frozenMs ?? 0);
      this.#run(next);
    }
    this.#frozenMs = undefined;
    this.#skippedMs += ms;
    for (const waiting of this.#waiting) {
      waiting.timer.cancel();
      const leftMs = Math.max(0, waiting.dueMs - this.monotonicMs());
      waiting.timer = systemClock.after(leftMs, () => this.#run(waiting));
    }
  }

  #nextBy(endMs: number): Waiting | undefined {
    let next: Waiting | undefined;
    for (const waiting of this.#waiting) {
      if (waiting.dueMs <= endMs && waiting.dueMs < (next?.dueMs ?? Infinity)) next = waiting;
    }
    return next;
  }

  #run(waiting: Waiting): void {
    waiting.timer.cancel();
    this.#waiting.delete(waiting);
    waiting.task();
  }
}

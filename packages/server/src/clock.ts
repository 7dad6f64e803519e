/**
 * Clock: time as a dependency. Nothing else in this package reads a clock, sets a timer or waits
 * for the end of a loop turn, so that tests and simulations decide what time it is.
 */

/** What tells time and lets it pass. */
export interface Clock {
  /** Milliseconds since an arbitrary start; never goes backwards. Use for durations. */
  monotonicMs(): number;
  /** Unix time in milliseconds; may jump. Use only for what leaves the process. */
  unixMs(): number;
  /** Runs `task` once, no earlier than `delayMs` from now, unless cancelled first. */
  after(delayMs: number, task: () => void): Timer;
  /** Runs `task` once when this turn of the event loop has handled its input. */
  defer(task: () => void): void;
}

/** A task that is set for later. */
export interface Timer {
  /** The task will not run any more. Idempotent. */
  cancel(): void;
}

/** The machine's own time. */
export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  unixMs: () => Date.now(),
  after(delayMs, task) {
    const timeout = setTimeout(task, delayMs);
    return { cancel: () => clearTimeout(timeout) };
  },
  defer: (task) => void setImmediate(task),
};

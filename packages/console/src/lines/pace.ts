/** Pace: time and chance as a parameter, so that lines can be tested without waiting. */

/** Where a line gets its timers and its jitter from. */
export interface Pace {
  /** Milliseconds since an arbitrary start; never goes backwards. */
  now(): number;
  /** From 0 up to, not including, 1. */
  random(): number;
  /** Runs `task` once after `delayMs`; the answer cancels it. */
  after(delayMs: number, task: () => void): () => void;
}

/** The browser's own clock and chance. */
export const browserPace: Pace = {
  now: () => performance.now(),
  random: () => Math.random(),
  after: (delayMs, task) => {
    const timer = setTimeout(task, delayMs);
    return () => clearTimeout(timer);
  },
};

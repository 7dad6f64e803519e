/** Latency: how long something took, counted by classes, for a histogram. */

/** Upper bounds of the classes, in seconds: from a commit in memory to a publish that is refused. */
export const LATENCY_BOUNDS: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];

/** Counts durations; a few comparisons and additions each, and no memory. */
export class LatencyCounts {
  /** By class, not summed up; the last one is over all bounds. */
  readonly counts = new Float64Array(LATENCY_BOUNDS.length + 1);
  sumSeconds = 0;

  /** Counts one duration. */
  add(ms: number): void {
    const seconds = ms / 1000;
    let index = 0;
    while (index < LATENCY_BOUNDS.length && seconds > (LATENCY_BOUNDS[index] ?? 0)) index += 1;
    this.counts[index] = (this.counts[index] ?? 0) + 1;
    this.sumSeconds += seconds;
  }
}

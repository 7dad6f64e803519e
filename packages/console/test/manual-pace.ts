/** ManualPace: a pace whose time moves only when a test says so. */
import type { Pace } from '../src/lines/pace.ts';

interface Task {
  readonly at: number;
  readonly run: () => void;
}

export class ManualPace implements Pace {
  /** What `random` gives. */
  chance = 0.5;
  #now = 0;
  readonly #tasks = new Set<Task>();
  #waiting: (() => void)[] = [];

  now(): number {
    return this.#now;
  }

  random(): number {
    return this.chance;
  }

  after(delayMs: number, run: () => void): () => void {
    const task = { at: this.#now + delayMs, run };
    this.#tasks.add(task);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
    return () => this.#tasks.delete(task);
  }

  /** Resolves once something is to run. */
  async scheduled(): Promise<void> {
    while (this.#tasks.size === 0) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** Tasks that are still to run. */
  get pending(): number {
    return this.#tasks.size;
  }

  /** Runs what is due within the next `ms`, in order of time. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const due = [...this.#tasks].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#tasks.delete(due);
      this.#now = Math.max(this.#now, due.at);
      due.run();
    }
    this.#now = end;
  }
}

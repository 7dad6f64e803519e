/** Changes: lets the page redraw when something it shows has changed. */

/** One thing to be watched. */
export class Changes {
  readonly #listeners = new Set<() => void>();

  /** Calls `task` after every change; the answer ends that. */
  listen(task: () => void): () => void {
    this.#listeners.add(task);
    return () => this.#listeners.delete(task);
  }

  /** Tells that something changed. */
  notify(): void {
    for (const task of this.#listeners) task();
  }
}

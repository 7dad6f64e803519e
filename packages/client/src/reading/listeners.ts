/**
 * Listeners: who wants to know that something has changed, not what. Changes of one turn are told
 * once, in a microtask after it.
 */

export class Listeners {
  readonly #listeners = new Set<() => void>();
  #isTold = true;

  get size(): number {
    return this.#listeners.size;
  }

  /** The returned function takes the listener away again; calling it twice does nothing. */
  add(listener: () => void): () => void {
    // The same function may listen twice.
    const one = () => listener();
    this.#listeners.add(one);
    return () => void this.#listeners.delete(one);
  }

  /** Something has changed. */
  tell(): void {
    if (!this.#isTold) return;
    this.#isTold = false;
    queueMicrotask(() => {
      this.#isTold = true;
      // Who is added meanwhile has seen the change; who is taken away hears nothing more.
      for (const listener of [...this.#listeners]) {
        if (this.#listeners.has(listener)) guarded(listener);
      }
    });
  }
}

/** Calls what the application gave: what it throws is reported as uncaught and stops nobody else. */
export function guarded(call: () => void): void {
  try {
    call();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

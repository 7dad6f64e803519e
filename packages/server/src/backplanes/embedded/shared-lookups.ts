/**
 * SharedLookups: when many ask the same at the same time, one lookup answers all of them; and only
 * a few are under way at once, as each may hold a long list.
 */
import { BrokerError } from '../../broker/broker.ts';

/** Lookups under way at once. */
const RUNNING_MAX = 4;
/** Different lookups that wait for their turn; over it they are refused. */
const WAITING_MAX = 10_000;

interface Waiting<T> {
  readonly work: () => Promise<T>;
  readonly answer: PromiseWithResolvers<T>;
}

export class SharedLookups<T> {
  readonly #running = new Set<string>();
  /** In the order in which they came. */
  readonly #waiting = new Map<string, Waiting<T>>();

  /**
   * The answer of a lookup that begins after this call. Who asks for the same `key` before it
   * begins has the same answer.
   *
   * @throws {BrokerError} when too many wait.
   */
  look(key: string, work: () => Promise<T>): Promise<T> {
    const waiting = this.#waiting.get(key);
    if (waiting !== undefined) return waiting.answer.promise;
    if (this.#waiting.size >= WAITING_MAX) {
      const message = `more than ${WAITING_MAX} lookups of what changed wait: try later`;
      return Promise.reject(new BrokerError('unavailable', message));
    }
    const answer = Promise.withResolvers<T>();
    this.#waiting.set(key, { work, answer });
    this.#startNext();
    return answer.promise;
  }

  #startNext(): void {
    for (const [key, waiting] of this.#waiting) {
      if (this.#running.size >= RUNNING_MAX) return;
      // What is under way began before they asked: they wait for the next one.
      if (this.#running.has(key)) continue;
      this.#waiting.delete(key);
      this.#running.add(key);
      void this.#run(key, waiting); // Its failure goes to who asked.
    }
  }

  async #run(key: string, { work, answer }: Waiting<T>): Promise<void> {
    try {
      answer.resolve(await work());
    } catch (error) {
      answer.reject(error);
    } finally {
      this.#running.delete(key);
      this.#startNext();
    }
  }
}

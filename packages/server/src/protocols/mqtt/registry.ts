/**
 * Registry: which session has a connection now. A client identifier has one: who comes with it ends the
 * connection before ([MQTT-3.1.4-2], [MQTT-3.1.4-3]), and takes over when that has stored all it keeps.
 */

/** A session that may have to give way. */
export interface Holder {
  /** Ends the connection; resolves when its state is stored. */
  giveWay(): Promise<void>;
}

export class Registry<H extends Holder> {
  readonly #holders = new Map<string, H>();
  /** By key, the end of those that wait for their turn. */
  readonly #turns = new Map<string, Promise<void>>();

  /** Sessions that have a connection. */
  get holders(): Iterable<H> {
    return this.#holders.values();
  }

  get count(): number {
    return this.#holders.size;
  }

  holderOf(key: string): H | undefined {
    return this.#holders.get(key);
  }

  /** True for one that is held, or about to be. */
  isTaken(key: string): boolean {
    return this.#holders.has(key) || this.#turns.has(key);
  }

  /**
   * Does `work` when all who came before with the same key are done, and whoever holds it has given way.
   *
   * @param check throws when its turn has come and it is not wanted any more: then nobody gives way.
   */
  async take<T>(key: string, check: () => void, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(key);
    const { promise: turn, resolve } = Promise.withResolvers<void>();
    this.#turns.set(key, turn);
    try {
      await before;
      check();
      await this.#holders.get(key)?.giveWay();
      return await work();
    } finally {
      if (this.#turns.get(key) === turn) this.#turns.delete(key);
      resolve();
    }
  }

  /** From here on this one holds the key. */
  hold(key: string, holder: H): void {
    this.#holders.set(key, holder);
  }

  /** It has ended. */
  letGo(key: string, holder: H): void {
    if (this.#holders.get(key) === holder) this.#holders.delete(key);
  }
}

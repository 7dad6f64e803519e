/** Tally: how many there are of each, e.g. of connections of an address. Keeps no zeros. */
export class Tally {
  readonly #counts = new Map<string, number>();

  /** How many there are. */
  of(key: string): number {
    return this.#counts.get(key) ?? 0;
  }

  /** One more. @returns how many there are now. */
  add(key: string): number {
    const count = this.of(key) + 1;
    this.#counts.set(key, count);
    return count;
  }

  /** One less; none less than none. */
  remove(key: string): void {
    const left = this.of(key) - 1;
    if (left > 0) this.#counts.set(key, left);
    else this.#counts.delete(key);
  }
}

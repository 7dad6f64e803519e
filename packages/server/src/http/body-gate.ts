/**
 * BodyGate: how many large bodies of one HTTP/2 session are read at a time. A session has hundreds
 * of streams; if each of them could fill a body, one connection would take what hundreds should.
 */

/** Gives so many turns at a time, and further ones in the order they were asked for. */
export class BodyGate {
  readonly #turnsMax: number;
  #turns = 0;
  /** In the order they came. */
  readonly #waiting = new Set<() => void>();

  constructor(turnsMax: number) {
    this.#turnsMax = turnsMax;
  }

  /** Calls `begin` when it has a turn, which may be at once. Each turn must be given back. */
  enter(begin: () => void): void {
    if (this.#turns >= this.#turnsMax) {
      this.#waiting.add(begin);
      return;
    }
    this.#turns += 1;
    begin();
  }

  /** Who waits for a turn needs none any more. */
  forget(begin: () => void): void {
    this.#waiting.delete(begin);
  }

  /** A turn is over. */
  leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#turns -= 1;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}

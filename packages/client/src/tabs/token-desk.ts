/**
 * Token desk: where the host gets the tokens of its connection from. Tabs bring theirs when they
 * come; when one is needed again, those that live are asked for a fresh one.
 */

/** Tabs that are asked one after the other before the token at hand must do. */
const TABS_ASKED_MAX = 3;

/** Gives a fresh token, or `undefined` where it has none. */
export type TokenAsk = () => Promise<string | undefined>;

export class TokenDesk {
  /** The newest last. */
  readonly #asks = new Set<TokenAsk>();
  #newest: string | undefined;
  #isFresh = false;

  /** A tab told its token unasked. */
  offer(token: string): void {
    this.#isFresh ||= token !== this.#newest;
    this.#newest = token;
  }

  /** A tab that may be asked. @returns takes it back. */
  add(ask: TokenAsk): () => void {
    this.#asks.add(ask);
    return () => this.#asks.delete(ask);
  }

  /** The newest token that was not given yet, or one that a tab gives when asked, or the newest. */
  async take(): Promise<string | undefined> {
    // Who came last is the likeliest to be awake.
    const asks = [...this.#asks].reverse().slice(0, TABS_ASKED_MAX);
    for (const ask of asks) {
      if (this.#isFresh) break;
      const token = await ask();
      if (token === undefined) continue;
      this.#newest = token;
      break;
    }
    this.#isFresh = false;
    return this.#newest;
  }
}

/**
 * CommandOrder: what one session asks of one channel is done in the order asked. Patterns reach
 * into many channels, so what is asked of one waits for everything before it, and everything after
 * it waits for that. A subscription that stands apart waits for what is asked of its own number alone.
 */
import { isWildcard } from '@trunkline/wire';

/** Something that was asked and is not done. */
interface Work {
  readonly done: Promise<void>;
  /** Patterns that were asked for before it. */
  readonly patterns: number;
}

/** Work under way for subscriptions that stand apart. */
interface ApartWork {
  /** By number. */
  readonly last: Map<number, Promise<void>>;
  /** Ends after all of it. */
  all: Promise<void>;
}

/** Work under way, by channel. */
export class CommandOrder {
  // Made when needed: most sessions are idle.
  #last: Map<string, Work> | undefined;
  #pattern: Promise<void> | undefined;
  /** Patterns that were asked for so far. */
  #patterns = 0;
  #apart: ApartWork | undefined;

  /** True when nothing is under way. */
  get isIdle(): boolean {
    return this.#last === undefined && this.#apart === undefined;
  }

  /** Channels and patterns of which something is asked now. */
  get channels(): Iterable<string> {
    return this.#last?.keys() ?? [];
  }

  /** Numbers of subscriptions that stand apart and of which something is asked now. */
  get numbers(): Iterable<number> {
    return this.#apart?.last.keys() ?? [];
  }

  /** Does `work` when everything that was asked before of the same channels is done. */
  run(channel: string, work: () => Promise<void>): Promise<void> {
    const isPattern = isWildcard(channel);
    const last = (this.#last ??= new Map<string, Work>());
    const before = isPattern ? this.#all() : this.#before(channel);
    const done = before === undefined ? work() : before.then(work, work);
    if (isPattern) {
      this.#pattern = done;
      this.#patterns += 1;
    }
    last.set(channel, { done, patterns: this.#patterns });
    return done.finally(() => {
      if (last.get(channel)?.done === done) last.delete(channel);
      if (this.#pattern === done) this.#pattern = undefined;
      if (last.size === 0 && this.#last === last) this.#last = undefined;
    });
  }

  /** Does `work` when everything that was asked before of the same number is done. */
  runApart(as: number, work: () => Promise<void>): Promise<void> {
    const before = this.#apart?.last.get(as);
    const done = before === undefined ? work() : before.then(work, work);
    const { last } = this.#awaitWithApart(done);
    last.set(as, done);
    return done.finally(() => {
      if (last.get(as) === done) last.delete(as);
    });
  }

  /**
   * Does `work` behind what is asked of a channel, and behind all that stand apart; what is asked
   * later does not wait for it. Of the same channel it is begun in the order of the calls [GUA-2],
   * [VOL-2].
   */
  behind(channel: string, work: () => Promise<void>): Promise<void> {
    const own = this.#before(channel);
    // As one promise, for the reason that `#before` gives.
    if (own !== undefined && this.#apart !== undefined) this.#awaitWithApart(own);
    const before = this.#apart?.all ?? own;
    return before === undefined ? work() : before.then(work, work);
  }

  /** Who waits for those that stand apart from here on waits for `work` as well. */
  #awaitWithApart(work: Promise<void>): ApartWork {
    const all = Promise.allSettled([this.#apart?.all, work]).then(() => {});
    const apart = (this.#apart ??= { last: new Map<number, Promise<void>>(), all });
    apart.all = all;
    // Asked for first, so that nobody comes between this and those who wait.
    void all.then(() => {
      if (apart.all === all) this.#apart = undefined;
    });
    return apart;
  }

  /**
   * What was asked of the channel last: that ends after all before it. One promise and not several
   * joined, or who comes when the others have ended would overtake those that wait for all.
   */
  #before(channel: string): Promise<void> | undefined {
    const own = this.#last?.get(channel);
    const isLast = this.#pattern === undefined || own?.patterns === this.#patterns;
    return isLast ? own?.done : this.#pattern;
  }

  #all(): Promise<unknown> | undefined {
    if (this.#last === undefined || this.#last.size === 0) return undefined;
    return Promise.allSettled([...this.#last.values()].map(({ done }) => done));
  }
}

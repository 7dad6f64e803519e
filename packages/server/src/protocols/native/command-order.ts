/**
 * CommandOrder: what one session asks of one channel is done in the order asked. Patterns reach
 * into many channels, so what is asked of one waits for everything before it, and everything after
 * it waits for that.
 */
import { isWildcard } from '@trunkline/wire';

/** Work under way, by channel. */
export class CommandOrder {
  // Made when needed: most sessions are idle.
  #last: Map<string, Promise<void>> | undefined;
  #pattern: Promise<void> | undefined;

  /** True when nothing is under way. */
  get isIdle(): boolean {
    return this.#last === undefined;
  }

  /** Channels and patterns of which something is asked now. */
  get channels(): Iterable<string> {
    return this.#last?.keys() ?? [];
  }

  /** Does `work` when everything that was asked before of the same channels is done. */
  run(channel: string, work: () => Promise<void>): Promise<void> {
    const isPattern = isWildcard(channel);
    const last = (this.#last ??= new Map<string, Promise<void>>());
    const before = isPattern ? this.#all() : this.#before(channel);
    const done = before === undefined ? work() : before.then(work, work);
    last.set(channel, done);
    if (isPattern) this.#pattern = done;
    return done.finally(() => {
      if (last.get(channel) === done) last.delete(channel);
      if (this.#pattern === done) this.#pattern = undefined;
      if (last.size === 0 && this.#last === last) this.#last = undefined;
    });
  }

  /** Does `work` behind what is asked of a channel; what is asked later does not wait for it. */
  behind(channel: string, work: () => Promise<void>): Promise<void> {
    const before = this.#before(channel);
    return before === undefined ? work() : before.then(work, work);
  }

  #before(channel: string): Promise<unknown> | undefined {
    const own = this.#last?.get(channel);
    if (this.#pattern === undefined) return own;
    return own === undefined ? this.#pattern : Promise.allSettled([own, this.#pattern]);
  }

  #all(): Promise<unknown> | undefined {
    if (this.#last === undefined || this.#last.size === 0) return undefined;
    return Promise.allSettled(this.#last.values());
  }
}

/** Sweeper: now and then, removes step by step what no reader can see any more. */
import type { Clock, Timer } from '../../clock.ts';
import type { Log } from '../../observe/log.ts';
import type { LogStore } from './store.ts';

/** What a sweeper has to be given. */
export interface SweeperOptions {
  readonly stores: readonly Pick<LogStore, 'sweep'>[];
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

export class Sweeper {
  readonly #options: SweeperOptions;
  #timer: Timer | undefined;
  #sweep: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: SweeperOptions) {
    this.#options = options;
  }

  /** Sweeps after each interval from now on. */
  start(): void {
    const { clock, intervalMs } = this.#options;
    this.#timer = clock.after(intervalMs, () => {
      void this.sweep().finally(() => {
        if (!this.#stopped) this.start();
      });
    });
  }

  /** Sweeps now, after a sweep that is under way. Never rejects. */
  sweep(): Promise<void> {
    this.#sweep = this.#sweep.then(() => this.#run());
    return this.#sweep;
  }

  /** Resolves when no step is under way and none will follow. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#sweep;
  }

  async #run(): Promise<void> {
    const { stores, clock, log } = this.#options;
    for (const store of stores) {
      try {
        while (!this.#stopped && (await store.sweep(Math.floor(clock.unixMs())))) {
          // Between two steps everything else has its turn.
          await new Promise<void>((resolve) => clock.defer(resolve));
        }
      } catch (error) {
        log.warn({ error }, 'old messages could not be removed; it is tried again');
      }
    }
  }
}

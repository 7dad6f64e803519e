/**
 * CommitQueue: group commit. What is asked for in a few turns of the event loop, and while a commit
 * is under way, is joined into the next one; one commit is under way at a time, so what was asked
 * for first is stored first.
 */
import { BrokerError } from '../../broker/broker.ts';
import type { Clock } from '../../clock.ts';
import type { EmbeddedLimits } from './config.ts';
import { toBrokerError } from './errors.ts';
import type { LogStore, Operation, Outcome } from './store.ts';

/** An operation on its way into the log, and who waits for it. Calls must not throw. */
export interface Entry {
  readonly operation: Operation;
  /** Bytes, as far as they count against the bounds. */
  readonly size: number;
  onOutcome(outcome: Outcome): void;
  onError(error: BrokerError): void;
}

/** What a commit queue has to be given. */
export interface CommitQueueOptions {
  readonly store: Pick<LogStore, 'joins' | 'commit'>;
  readonly clock: Clock;
  readonly limits: Pick<
    EmbeddedLimits,
    'queueCountMax' | 'queueSizeMax' | 'batchCountMax' | 'batchSizeMax'
  >;
  /** Called before the entries are told that nobody knows whether they were stored. */
  onDoubt(entries: readonly Entry[]): void;
}

/**
 * How often the sockets are looked at before a commit begins, so that what is asked for at about
 * the same time shares one. A look takes microseconds when nothing is ready.
 */
const LOOKS_BEFORE_COMMIT = 2;

/**
 * The same after a commit, until the turn that tells of it is over, and once more for those who
 * answer it. Without it a busy channel is published in two halves that never meet, each written to
 * all subscribers by itself: measured, half of the deliveries.
 */
const LOOKS_BETWEEN_COMMITS = 3;

/** Joins operations into commits, one at a time. */
export class CommitQueue {
  readonly #options: CommitQueueOptions;
  #waiting: Entry[] = [];
  #waitingSize = 0;
  /** True from the first entry until the queue is empty and nothing is under way. */
  #busy = false;
  #onIdle: (() => void)[] = [];

  constructor(options: CommitQueueOptions) {
    this.#options = options;
  }

  /** What waits for the next commit. */
  get waiting(): { readonly count: number; readonly size: number } {
    return { count: this.#waiting.length, size: this.#waitingSize };
  }

  /** Queues an operation. @throws {BrokerError} when too much waits already. */
  add(entry: Entry): void {
    const { queueCountMax, queueSizeMax } = this.#options.limits;
    if (this.#waiting.length >= queueCountMax || this.#waitingSize + entry.size > queueSizeMax) {
      throw new BrokerError(
        'unavailable',
        `the log can't keep up: ${this.#waiting.length} operations with ` +
          `${this.#waitingSize} bytes wait, at most ${queueCountMax} with ${queueSizeMax} may`,
      );
    }
    this.#waiting.push(entry);
    this.#waitingSize += entry.size;
    if (!this.#busy) this.#next(LOOKS_BEFORE_COMMIT);
  }

  /** Resolves when everything that was queued has its answer. */
  idle(): Promise<void> {
    if (!this.#busy) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  /** @param looks how often the sockets are looked at before the next commit. */
  #next(looks: number): void {
    this.#busy = this.#waiting.length > 0;
    if (!this.#busy) {
      for (const onIdle of this.#onIdle.splice(0)) onIdle();
    } else if (this.#options.store.joins) {
      this.#commitAfter(looks);
    } else this.#commit();
  }

  #commitAfter(looks: number): void {
    this.#options.clock.defer(() => (looks > 1 ? this.#commitAfter(looks - 1) : this.#commit()));
  }

  #commit(): void {
    const batch = this.#take();
    const { store, clock } = this.#options;
    try {
      const operations = batch.map((entry) => entry.operation);
      const outcomes = store.commit(operations, Math.floor(clock.unixMs()));
      if (!(outcomes instanceof Promise)) return this.#settle(batch, outcomes);
      outcomes.then(
        (settled) => this.#settle(batch, settled),
        (error: unknown) => this.#fail(batch, error),
      );
    } catch (error) {
      this.#fail(batch, error);
    }
  }

  /** As many of those that wait as one commit may hold; at least one. */
  #take(): readonly Entry[] {
    const { batchCountMax, batchSizeMax } = this.#options.limits;
    let count = 0;
    let size = 0;
    for (const entry of this.#waiting) {
      if (count > 0 && (count === batchCountMax || size + entry.size > batchSizeMax)) break;
      count += 1;
      size += entry.size;
    }
    this.#waitingSize -= size;
    if (count < this.#waiting.length) return this.#waiting.splice(0, count);
    const all = this.#waiting;
    this.#waiting = [];
    return all;
  }

  #settle(batch: readonly Entry[], outcomes: readonly Outcome[]): void {
    let index = 0;
    for (const entry of batch) {
      const outcome = outcomes[index];
      if (outcome !== undefined) entry.onOutcome(outcome);
      else entry.onError(new BrokerError('unavailable', 'no outcome', { stored: 'unknown' }));
      index += 1;
    }
    this.#next(LOOKS_BETWEEN_COMMITS);
  }

  #fail(batch: readonly Entry[], cause: unknown): void {
    const error = toBrokerError(cause, 'unknown');
    if (error.stored === 'unknown') this.#options.onDoubt(batch);
    for (const entry of batch) entry.onError(error);
    this.#next(LOOKS_BETWEEN_COMMITS);
  }
}

/** LogState: state records in the same store as the streams, committed together with them. */
import { BrokerError } from '../../broker/broker.ts';
import type { StateCondition, StatePut, StateRecord, StateStore } from '../../broker/state.ts';
import type { Clock } from '../../clock.ts';
import type { Entry } from './commit-queue.ts';
import { STATE_PAGE_COUNT_MAX, STATE_VALUE_SIZE_MAX } from './store.ts';
import type { LogStore, Operation, Outcome } from './store.ts';

/** UTF-8 bytes of a key. */
const KEY_SIZE_MAX = 512;

/** What a state store has to be given. */
export interface LogStateOptions {
  readonly store: Pick<LogStore, 'get' | 'list'>;
  readonly clock: Clock;
  /** Queues an operation. @throws {BrokerError} when that can't be. */
  add(entry: Entry): void;
  /** @throws {BrokerError} unless the broker is open. */
  requireOpen(): void;
}

export class LogState implements StateStore {
  readonly #options: LogStateOptions;

  constructor(options: LogStateOptions) {
    this.#options = options;
  }

  async get(key: string): Promise<StateRecord | undefined> {
    this.#options.requireOpen();
    checkKey(key);
    return this.#options.store.get(key, this.#nowMs());
  }

  async put(key: string, value: Uint8Array, options: StatePut = {}): Promise<number | undefined> {
    checkKey(key);
    if (value.length > STATE_VALUE_SIZE_MAX) {
      throw new RangeError(
        `a state value has at most ${STATE_VALUE_SIZE_MAX} bytes, got ${value.length} (key ${key})`,
      );
    }
    const { ifVersion, expiresAt } = options;
    const outcome = await this.#commit(
      {
        kind: 'put',
        key,
        value,
        ...(ifVersion !== undefined && { ifVersion }),
        ...(expiresAt !== undefined && { expiresAt }),
      },
      value.length,
    );
    if (outcome.kind === 'full') {
      throw new BrokerError('unavailable', `the memory is full: ${key} was not stored`);
    }
    return outcome.kind === 'put' ? outcome.version : undefined;
  }

  async delete(key: string, { ifVersion }: StateCondition = {}): Promise<boolean> {
    checkKey(key);
    const condition = ifVersion === undefined ? {} : { ifVersion };
    const outcome = await this.#commit({ kind: 'delete', key, ...condition }, 0);
    return outcome.kind === 'delete' && outcome.deleted;
  }

  async list(
    prefix: string,
    { after, countMax }: { readonly after?: string; readonly countMax: number },
  ): Promise<readonly StateRecord[]> {
    this.#options.requireOpen();
    checkKey(prefix);
    if (after !== undefined) checkKey(after);
    const count = Math.min(countMax, STATE_PAGE_COUNT_MAX);
    return this.#options.store.list(prefix, after, count, this.#nowMs());
  }

  #commit(operation: Operation, valueSize: number): Promise<Outcome> {
    return new Promise((onOutcome, onError) => {
      this.#options.requireOpen();
      this.#options.add({ operation, size: valueSize + KEY_SIZE_MAX, onOutcome, onError });
    });
  }

  #nowMs(): number {
    return Math.floor(this.#options.clock.unixMs());
  }
}

function checkKey(key: string): void {
  if (!key.isWellFormed()) {
    throw new RangeError(`a state key has no lone surrogates, got ${JSON.stringify(key)}`);
  }
  const size = Buffer.byteLength(key);
  if (size <= KEY_SIZE_MAX) return;
  throw new RangeError(`a state key has at most ${KEY_SIZE_MAX} bytes, got ${size}`);
}

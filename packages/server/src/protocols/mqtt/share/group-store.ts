/**
 * GroupStore: the record of one group. It is written when somebody needs that, and else within a delay;
 * one write after the other, so that none overtakes a newer one. A group whose sessions all end with
 * their connections has no record.
 */
import type { StateStore } from '../../../broker/state.ts';
import type { Clock } from '../../../clock.ts';
import type { Log } from '../../../observe/log.ts';
import { Saver } from '../session/saver.ts';
import { encodeGroup, expiryOf, shareKey } from './group-record.ts';
import type { GroupRecord } from './group-record.ts';

/** What a store is built from. */
export interface GroupStoreParts {
  readonly share: string;
  readonly state: StateStore;
  readonly clock: Clock;
  readonly log: Log;
  /** How long what need not be stored at once waits for more. */
  readonly delayMs: number;
  /** What is to be stored now; without members, nothing. */
  readonly record: () => GroupRecord;
}

export class GroupStore {
  readonly #parts: GroupStoreParts;
  readonly #saver: Saver;
  /** The last write, done or not; never rejects. */
  #written: Promise<void> = Promise.resolve();
  #waitCount = 0;
  #hasEnded = false;
  /** True when there is a record, or may be. */
  isStored = false;

  constructor(parts: GroupStoreParts) {
    const { clock, delayMs } = parts;
    this.#parts = parts;
    this.#saver = new Saver({
      ...{ clock, delayMs },
      write: () => this.#write(),
      onFailed: (error) => this.#onFailed(error),
    });
  }

  /** True while somebody waits for a write. */
  get isAwaited(): boolean {
    return this.#waitCount > 0;
  }

  /** Resolves when what is to be stored by now is; it is tried until it can be done. */
  async save(): Promise<void> {
    if (this.#hasEnded) return;
    this.#waitCount += 1;
    await this.#saver.save();
    this.#waitCount -= 1;
  }

  saveSoon(): void {
    this.#saver.saveSoon();
  }

  /** Hands it to the store, once. @returns false when that failed. */
  async handOver(): Promise<boolean> {
    try {
      await this.#write();
      return true;
    } catch (error) {
      this.#onFailed(error);
      return false;
    }
  }

  /** Nothing is written any more: another one may have the record. Nobody may wait. */
  end(): void {
    this.#hasEnded = true;
    void this.#saver.end(); // It never rejects.
  }

  #write(): Promise<void> {
    const writing = this.#written.then(() => this.#writeNow());
    this.#written = writing.catch(() => {});
    return writing;
  }

  async #writeNow(): Promise<void> {
    const { state, share } = this.#parts;
    const record = this.#parts.record();
    if (this.#hasEnded) return;
    if (record.members.length > 0) {
      this.isStored = true;
      await state.put(shareKey(share), encodeGroup(record), expiryOf(record));
    } else if (this.isStored) {
      // Until it is done there may be one: whoever writes next comes after this.
      await state.delete(shareKey(share));
      this.isStored = false;
    }
  }

  #onFailed(error: unknown): void {
    const { log, share } = this.#parts;
    log.warn({ share, error }, 'an MQTT share group could not be stored');
  }
}

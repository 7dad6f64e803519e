/** SqliteKeys: which idempotency keys were used in a channel, and where their messages went. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';

/** Where the message of a key went. */
export interface UsedKey {
  readonly number: number;
  readonly time: number;
  readonly epoch: string;
  readonly offset: number;
  readonly fingerprint: Uint8Array;
}

export class SqliteKeys {
  readonly #get: StatementSync;
  readonly #put: StatementSync;
  readonly #trim: StatementSync;
  readonly #expire: StatementSync;
  readonly #forget: StatementSync;

  constructor(database: DatabaseSync) {
    this.#get = database.prepare(
      'SELECT number, time, epoch, offset, fingerprint FROM keys WHERE channel = ? AND key = ?',
    );
    this.#put = database.prepare(
      'INSERT OR REPLACE INTO keys (channel, key, number, time, epoch, offset, fingerprint) ' +
        'VALUES (?, ?, ?, ?, ?, ?, ?)',
    );
    this.#trim = database.prepare('DELETE FROM keys WHERE channel = ? AND number <= ?');
    this.#expire = database.prepare(
      'DELETE FROM keys WHERE (channel, key) IN ' +
        '(SELECT channel, key FROM keys WHERE time <= ? ORDER BY time LIMIT ?)',
    );
    this.#forget = database.prepare('DELETE FROM keys WHERE channel = ?');
  }

  get(channel: number, key: string): UsedKey | undefined {
    const row = this.#get.get(channel, key);
    if (row === undefined) return undefined;
    const { fingerprint } = row;
    return {
      number: Number(row['number']),
      time: Number(row['time']),
      epoch: String(row['epoch']),
      offset: Number(row['offset']),
      fingerprint: fingerprint instanceof Uint8Array ? fingerprint : new Uint8Array(),
    };
  }

  put(channel: number, key: string, used: UsedKey): void {
    const { number, time, epoch, offset, fingerprint } = used;
    this.#put.run(channel, key, number, time, epoch, offset, fingerprint);
  }

  /** Forgets the channel's keys up to this number. */
  trim(channel: number, number: number): void {
    this.#trim.run(channel, number);
  }

  /** Forgets at most so many keys used until `timeMs`. @returns true when there may be more. */
  expire(timeMs: number, countMax: number): boolean {
    return Number(this.#expire.run(timeMs, countMax).changes) === countMax;
  }

  /** Forgets all keys of a channel. */
  forget(channel: number): void {
    this.#forget.run(channel);
  }
}

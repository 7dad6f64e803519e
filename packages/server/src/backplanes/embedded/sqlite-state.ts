/** SqliteState: state records in the log file. */
import type { DatabaseSync, SQLOutputValue, StatementSync } from 'node:sqlite';
import type { StateRecord } from '../../broker/state.ts';
import { compareCodePoints } from './order.ts';
import { STATE_PAGE_SIZE_MAX } from './store.ts';
import type { Delete, Put } from './store.ts';

export class SqliteState {
  readonly #get: StatementSync;
  readonly #version: StatementSync;
  readonly #put: StatementSync;
  readonly #delete: StatementSync;
  readonly #from: StatementSync;
  readonly #expire: StatementSync;

  constructor(database: DatabaseSync) {
    const live = '(expires IS NULL OR expires > ?)';
    this.#get = database.prepare(`SELECT key, value, version FROM state WHERE key = ? AND ${live}`);
    this.#version = database.prepare(`SELECT version FROM state WHERE key = ? AND ${live}`);
    this.#put = database.prepare(
      'INSERT INTO state (key, value, version, expires) VALUES (?, ?, ?, ?) ON CONFLICT (key) ' +
        'DO UPDATE SET value = excluded.value, version = excluded.version, expires = excluded.expires',
    );
    this.#delete = database.prepare('DELETE FROM state WHERE key = ?');
    this.#from = database.prepare(
      `SELECT key, value, version FROM state WHERE key >= ? AND ${live} ORDER BY key`,
    );
    this.#expire = database.prepare(
      'DELETE FROM state WHERE rowid IN ' +
        '(SELECT rowid FROM state WHERE expires <= ? ORDER BY expires LIMIT ?)',
    );
  }

  get(key: string, nowMs: number): StateRecord | undefined {
    const row = this.#get.get(key, nowMs);
    return row === undefined ? undefined : toRecord(row);
  }

  /** @returns false when the condition does not hold. */
  put({ key, value, ifVersion, expiresAt }: Put, version: number, nowMs: number): boolean {
    if (ifVersion !== undefined && ifVersion !== this.#versionOf(key, nowMs)) return false;
    this.#put.run(key, value, version, expiresAt === undefined ? null : toTime(expiresAt));
    return true;
  }

  /** @returns false when there is no record or the condition does not hold. */
  delete({ key, ifVersion }: Delete, nowMs: number): boolean {
    const version = this.#versionOf(key, nowMs);
    if (version === 0 || (ifVersion !== undefined && ifVersion !== version)) return false;
    this.#delete.run(key);
    return true;
  }

  list(prefix: string, after: string | undefined, countMax: number, nowMs: number): StateRecord[] {
    const page: StateRecord[] = [];
    let size = 0;
    if (countMax <= 0) return page;
    // Keys with the prefix follow each other in the index; `after` may lie before them.
    const isInside = after !== undefined && compareCodePoints(after, prefix) > 0;
    for (const row of this.#from.iterate(isInside ? after : prefix, nowMs)) {
      const record = toRecord(row);
      if (record.key === after) continue;
      if (!record.key.startsWith(prefix)) break;
      size += record.value.length;
      if (size > STATE_PAGE_SIZE_MAX && page.length > 0) break;
      page.push(record);
      if (page.length === countMax) break;
    }
    return page;
  }

  /** Removes at most so many expired records. @returns true when there may be more. */
  expire(nowMs: number, countMax: number): boolean {
    return Number(this.#expire.run(nowMs, countMax).changes) === countMax;
  }

  #versionOf(key: string, nowMs: number): number {
    return Number(this.#version.get(key, nowMs)?.['version'] ?? 0);
  }
}

function toRecord(row: Record<string, SQLOutputValue>): StateRecord {
  const { value } = row;
  return {
    key: String(row['key']),
    value: value instanceof Uint8Array ? value : new Uint8Array(),
    version: Number(row['version']),
  };
}

/** SQLite has no infinity. */
function toTime(timeMs: number): number {
  return Math.min(Math.ceil(timeMs), Number.MAX_SAFE_INTEGER);
}

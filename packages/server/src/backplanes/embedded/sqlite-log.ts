/**
 * SqliteLog: the log on one SQLite connection. Synchronous: it is run in a thread of its own.
 *
 * Nothing of the file is remembered from one transaction to the next, so a commit that fails can't
 * leave memory ahead of the file.
 */
import type { DatabaseSync } from 'node:sqlite';
import { BrokerError } from '../../broker/broker.ts';
import type { ChangedChannel, ReadRange, StreamSlice } from '../../broker/broker.ts';
import type { StateRecord } from '../../broker/state.ts';
import type { Random } from '../../random.ts';
import type { StoreLimits, Sync } from './config.ts';
import { SqliteBatch } from './sqlite-batch.ts';
import { storedAfter, toBrokerError } from './errors.ts';
import { changedMatching, changedNamed, readSlice } from './sqlite-reads.ts';
import type { ChangedCursor, ChangedMatches } from './sqlite-reads.ts';
import { BUSY_TIMEOUT_MS, openDatabase } from './sqlite-schema.ts';
import { sweepStep } from './sqlite-sweep.ts';
import { SqliteTables } from './sqlite-tables.ts';
import type { LogRow } from './sqlite-tables.ts';
import type { LogIdentity, LogPlace, LogStore, Operation, Outcome } from './store.ts';

/** What a log on SQLite has to be given. */
export interface SqliteLogOptions {
  /** The log file; made when missing. */
  readonly path: string;
  readonly sync: Sync;
  readonly limits: StoreLimits;
  readonly random: Random;
}

/** How much of the write-ahead log there is. */
export interface WalPages {
  readonly total: number;
  /** Those that were copied into the main file. */
  readonly copied: number;
}

export class SqliteLog implements Omit<LogStore, 'changedSince'> {
  readonly joins = true;
  readonly #options: SqliteLogOptions;
  #connection: { readonly database: DatabaseSync; readonly tables: SqliteTables } | undefined;
  #owns = false;

  constructor(options: SqliteLogOptions) {
    this.#options = options;
  }

  open(): LogIdentity {
    // The note that commits may be lost from now on must not be lost itself.
    const { database } = this.#connect('full');
    try {
      const log = this.#transaction((tables) => {
        const started = startRun(tables.log(), this.#options);
        tables.saveLog(started);
        return started;
      });
      database.exec(`PRAGMA synchronous = ${this.#options.sync}`);
      this.#owns = true;
      return toIdentity(log);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Opens a further connection to a log that is open already: for reading, or after a failure. */
  attach({ owns = false } = {}): LogIdentity {
    const { tables } = this.#connect(this.#options.sync);
    this.#owns = owns;
    return toIdentity(requireLog(tables));
  }

  commit(operations: readonly Operation[], nowMs: number): Outcome[] {
    return this.#transaction((tables) => {
      const { limits, random } = this.#options;
      return new SqliteBatch({ tables, limits, random }, requireLog(tables), nowMs).run(operations);
    });
  }

  read(channel: string, range: ReadRange, nowMs: number): StreamSlice {
    return this.#snapshot((tables) => readSlice(tables, channel, range, nowMs));
  }

  /** A step of the walk over the changed channels that match one of the patterns. */
  changedMatching(
    place: LogPlace | undefined,
    patterns: readonly string[],
    cursor: ChangedCursor | undefined,
    nowMs: number,
  ): ChangedMatches | undefined {
    return this.#snapshot((tables) => changedMatching(tables, place, patterns, cursor, nowMs));
  }

  /** Those of these channels that changed since `place`. */
  changedNamed(
    place: LogPlace | undefined,
    names: readonly string[],
    nowMs: number,
  ): ChangedChannel[] | undefined {
    return this.#snapshot((tables) => changedNamed(tables, place, names, nowMs));
  }

  get(key: string, nowMs: number): StateRecord | undefined {
    return this.#snapshot((tables) => tables.state.get(key, nowMs));
  }

  list(prefix: string, after: string | undefined, countMax: number, nowMs: number): StateRecord[] {
    return this.#snapshot((tables) => tables.state.list(prefix, after, countMax, nowMs));
  }

  sweep(nowMs: number): boolean {
    return this.#transaction((tables) => {
      return sweepStep(tables, this.#options.limits, requireLog(tables), nowMs);
    });
  }

  /**
   * Copies the write-ahead log into the main file: `passive` as far as nobody has to wait for it,
   * `restart` all of it, so that the next commit writes from its beginning again; if readers are
   * in the way, it does what it can.
   */
  checkpoint(mode: 'passive' | 'restart'): WalPages {
    const { database } = this.#required();
    try {
      // A reader in the way is no reason to wait: there will be another checkpoint.
      database.exec('PRAGMA busy_timeout = 0');
      const row = database.prepare(`PRAGMA wal_checkpoint(${mode})`).get();
      database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
      return { total: Number(row?.['log']), copied: Number(row?.['checkpointed']) };
    } catch (error) {
      throw toBrokerError(error);
    }
  }

  close(): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    try {
      if (this.#owns) this.#markClean();
    } finally {
      this.#connection = undefined;
      connection.database.close();
    }
  }

  #connect(sync: Sync): { readonly database: DatabaseSync; readonly tables: SqliteTables } {
    const { path, limits } = this.#options;
    try {
      const database = openDatabase(path, sync, limits.fileSizeMax);
      this.#connection = { database, tables: new SqliteTables(database) };
      return this.#connection;
    } catch (error) {
      throw toBrokerError(error);
    }
  }

  /** Notes that nothing was lost. With `sync: 'off'` that has to be made true first. */
  #markClean(): void {
    const { database } = this.#required();
    database.exec('PRAGMA synchronous = full; PRAGMA wal_checkpoint(truncate)');
    this.#transaction((tables) => tables.saveLog({ ...requireLog(tables), clean: true }));
  }

  /** Runs `work` as one transaction: all of it or none. */
  #transaction<T>(work: (tables: SqliteTables) => T): T {
    const { database, tables } = this.#required();
    let result: T;
    try {
      database.exec('BEGIN IMMEDIATE');
      result = work(tables);
    } catch (error) {
      throw toBrokerError(error, rollback(database) ? false : 'unknown');
    }
    try {
      database.exec('COMMIT');
    } catch (error) {
      throw toBrokerError(error, rollback(database) ? storedAfter(error) : 'unknown');
    }
    return result;
  }

  /** Runs `work` on the log as it is at one moment. */
  #snapshot<T>(work: (tables: SqliteTables) => T): T {
    const { database, tables } = this.#required();
    try {
      database.exec('BEGIN');
      return work(tables);
    } catch (error) {
      throw toBrokerError(error);
    } finally {
      rollback(database);
    }
  }

  #required(): { readonly database: DatabaseSync; readonly tables: SqliteTables } {
    if (this.#connection !== undefined) return this.#connection;
    throw new BrokerError('closed', 'the log is not open');
  }
}

function startRun(log: LogRow | undefined, { sync, random }: SqliteLogOptions): LogRow {
  const lossy = sync === 'off';
  if (log === undefined) {
    const id = random.word(16);
    const none = { generation: 1, sequence: 0, forgotten: 0, forgottenRun: 0 };
    return { id, run: 1, clean: false, lossy, ...none };
  }
  const next = { ...log, run: log.run + 1, clean: false, lossy };
  if (log.clean || !log.lossy) return next;
  // Commits may be missing: their offsets and sequences must not be taken for what comes now.
  return { ...next, id: random.word(16), generation: log.generation + 1 };
}

function requireLog(tables: SqliteTables): LogRow {
  const log = tables.log();
  if (log !== undefined) return log;
  throw new BrokerError('unavailable', 'the log file is damaged: it has no log row');
}

function toIdentity({ id, run, sequence }: LogRow): LogIdentity {
  return { id, run, sequence };
}

/** @returns false when the transaction is still open: the connection is of no use any more. */
function rollback(database: DatabaseSync): boolean {
  try {
    if (database.isTransaction) database.exec('ROLLBACK');
  } catch {
    // Why the transaction had to be rolled back is what matters, and is told.
  }
  return !database.isTransaction;
}

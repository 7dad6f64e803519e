/** SqliteTables: the prepared statements of one connection, table by table. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { SqliteChannels } from './sqlite-channels.ts';
import { SqliteKeys } from './sqlite-keys.ts';
import { SqliteMessages } from './sqlite-messages.ts';
import { SqliteState } from './sqlite-state.ts';

/** What holds for the whole log; see the table for what the fields mean. */
export interface LogRow {
  id: string;
  run: number;
  generation: number;
  sequence: number;
  clean: boolean;
  lossy: boolean;
  forgotten: number;
  forgottenRun: number;
}

const COLUMNS = 'id, run, generation, sequence, clean, lossy, forgotten, forgotten_run';

export class SqliteTables {
  readonly channels: SqliteChannels;
  readonly messages: SqliteMessages;
  readonly keys: SqliteKeys;
  readonly state: SqliteState;
  readonly #log: StatementSync;
  readonly #saveLog: StatementSync;

  constructor(database: DatabaseSync) {
    this.channels = new SqliteChannels(database);
    this.messages = new SqliteMessages(database);
    this.keys = new SqliteKeys(database);
    this.state = new SqliteState(database);
    this.#log = database.prepare(`SELECT ${COLUMNS} FROM log`);
    this.#saveLog = database.prepare(
      `INSERT OR REPLACE INTO log (one, ${COLUMNS}) VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
  }

  /** The log's row; `undefined` in a log that was never opened. */
  log(): LogRow | undefined {
    const row = this.#log.get();
    if (row === undefined) return undefined;
    return {
      id: String(row['id']),
      run: Number(row['run']),
      generation: Number(row['generation']),
      sequence: Number(row['sequence']),
      clean: row['clean'] === 1,
      lossy: row['lossy'] === 1,
      forgotten: Number(row['forgotten']),
      forgottenRun: Number(row['forgotten_run']),
    };
  }

  saveLog({ id, run, generation, sequence, clean, lossy, forgotten, forgottenRun }: LogRow): void {
    const flags = [Number(clean), Number(lossy)];
    this.#saveLog.run(id, run, generation, sequence, ...flags, forgotten, forgottenRun);
  }
}

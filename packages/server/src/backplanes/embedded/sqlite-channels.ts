/** SqliteChannels: the rows of channels, loaded once and written once per transaction. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';

/** A channel's row while a transaction changes it; see the table for what the fields mean. */
export interface ChannelRow {
  readonly id: number;
  readonly name: string;
  epoch: string;
  generation: number;
  born: number;
  last: number;
  trimmed: number;
  oldest: number;
  top: number;
  size: number;
  newestTime: number;
  countMax: number;
  sizeMax: number;
  ageMax: number;
  due: number;
  keyNumber: number;
  run: number;
  ended: number;
  /** As the file has them: these two are indexed and seldom change. */
  readonly stored: { readonly due: number; readonly run: number };
}

/** The columns in the order in which they are written. */
const COLUMNS = [
  'id',
  'name',
  'epoch',
  'generation',
  'born',
  'last',
  'trimmed',
  'oldest',
  'top',
  'size',
  'newest_time',
  'count_max',
  'size_max',
  'age_max',
  'due',
  'key_number',
  'run',
  'ended',
] as const;

/** What most updates write. An index is rewritten when its column is named, changed or not. */
const CHANGING = COLUMNS.slice(2).filter((name) => name !== 'due' && name !== 'run');

export class SqliteChannels {
  readonly #byName: StatementSync;
  readonly #due: StatementSync;
  readonly #changed: StatementSync;
  readonly #lost: StatementSync;
  readonly #insert: StatementSync;
  readonly #update: StatementSync;
  readonly #updateIndexed: StatementSync;
  readonly #remove: StatementSync;

  constructor(database: DatabaseSync) {
    const select = `SELECT ${COLUMNS.join(', ')} FROM channels`;
    this.#byName = database.prepare(`${select} WHERE name = ?`);
    this.#due = database.prepare(`${select} WHERE due <= ? ORDER BY due LIMIT ?`);
    this.#changed = database.prepare(`${select} WHERE last > ? ORDER BY last LIMIT ?`);
    this.#lost = database.prepare(
      `${select} WHERE run >= ? AND run < ? AND run > 0 AND id > ? ORDER BY id LIMIT ?`,
    );
    this.#insert = database.prepare(
      `INSERT INTO channels (${COLUMNS.join(', ')}) VALUES (${COLUMNS.map(() => '?').join(', ')})`,
    );
    this.#update = database.prepare(
      `UPDATE channels SET ${CHANGING.map((name) => `${name} = ?`).join(', ')} WHERE id = ?`,
    );
    this.#updateIndexed = database.prepare('UPDATE channels SET due = ?, run = ? WHERE id = ?');
    this.#remove = database.prepare('DELETE FROM channels WHERE id = ?');
    for (const statement of [this.#byName, this.#due, this.#changed, this.#lost]) {
      statement.setReturnArrays(true);
    }
  }

  get(name: string): ChannelRow | undefined {
    const row: unknown = this.#byName.get(name);
    return row === undefined ? undefined : toRow(row);
  }

  /** Channels at which the sweep has to look, the most overdue first. */
  due(nowMs: number, countMax: number): ChannelRow[] {
    return this.#due.all(nowMs, countMax).map(toRow);
  }

  /** Channels with something newer than the sequence `after`, by their newest. */
  changed(after: number, countMax: number): ChannelRow[] {
    return this.#changed.all(after, countMax).map(toRow);
  }

  /** Channels after the id `after` whose life in the memory of a run `from` … `to - 1` is lost. */
  lost(from: number, to: number, after: number, countMax: number): ChannelRow[] {
    return this.#lost.all(from, to, after, countMax).map(toRow);
  }

  insert(row: ChannelRow): void {
    const { id, name, epoch, generation, born, last, trimmed, oldest, top, size } = row;
    const { newestTime, countMax, sizeMax, ageMax, due, keyNumber, run, ended } = row;
    this.#insert.run(
      ...[id, name, epoch, generation, born, last, trimmed, oldest, top, size],
      ...[newestTime, countMax, sizeMax, ageMax, due, keyNumber, run, ended],
    );
  }

  update(row: ChannelRow): void {
    const { epoch, generation, born, last, trimmed, oldest, top, size } = row;
    const { newestTime, countMax, sizeMax, ageMax, keyNumber, ended } = row;
    this.#update.run(
      ...[epoch, generation, born, last, trimmed, oldest, top, size],
      ...[newestTime, countMax, sizeMax, ageMax, keyNumber, ended],
      row.id,
    );
    if (row.due !== row.stored.due || row.run !== row.stored.run) {
      this.#updateIndexed.run(row.due, row.run, row.id);
    }
  }

  remove(row: ChannelRow): void {
    this.#remove.run(row.id);
  }
}

/** `node:sqlite` gives arrays here, which its types don't know. */
function toRow(values: unknown): ChannelRow {
  const [id, name, epoch, ...numbers] = values as [number, string, string, ...number[]];
  const [generation = 0, born = 0, last = 0, trimmed = 0, oldest = 0, top = 0, size = 0] = numbers;
  const [newestTime = 0, countMax = 0, sizeMax = 0, ageMax = 0, due = 0] = numbers.slice(7);
  const [keyNumber = 0, run = 0, ended = 0] = numbers.slice(12);
  return {
    id,
    name,
    epoch,
    generation,
    born,
    last,
    trimmed,
    oldest,
    top,
    size,
    newestTime,
    countMax,
    sizeMax,
    ageMax,
    due,
    keyNumber,
    run,
    ended,
    stored: { due, run },
  };
}

/** SqliteMessages: the messages of all streams, in the order in which they were stored. */
import type { DatabaseSync, SQLOutputValue, StatementSync } from 'node:sqlite';
import { contentSize } from '@trunkline/wire';
import type { Draft, Message } from '@trunkline/wire';
import type { ReadRange } from '../../broker/broker.ts';
import { expiryOf } from './message.ts';
import { lowerBound } from './order.ts';

/** A message as far as removing it is concerned. */
export interface StoredSize {
  readonly offset: number;
  readonly sequence: number;
  readonly time: number;
  readonly size: number;
}

type Row = Record<string, SQLOutputValue>;

const COLUMNS = 'offset, time, payload, content_type, event, user, session, expires, attributes';

export class SqliteMessages {
  readonly #insert: StatementSync;
  readonly #after: StatementSync;
  readonly #before: StatementSync;
  readonly #time: StatementSync;
  readonly #sequence: StatementSync;
  readonly #sizes: StatementSync;
  readonly #remove: StatementSync;
  readonly #drop: StatementSync;
  readonly #dropped: StatementSync;
  readonly #removeDropped: StatementSync;
  readonly #undrop: StatementSync;

  constructor(database: DatabaseSync) {
    this.#insert = database.prepare(
      `INSERT INTO messages (sequence, stream, ${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    const select = `SELECT ${COLUMNS} FROM messages WHERE stream = ?`;
    this.#after = database.prepare(`${select} AND offset >= ? ORDER BY offset LIMIT ?`);
    this.#before = database.prepare(
      `${select} AND offset >= ? AND offset < ? ORDER BY offset DESC LIMIT ?`,
    );
    this.#time = database.prepare('SELECT time FROM messages WHERE stream = ? AND offset = ?');
    this.#sequence = database.prepare(
      'SELECT sequence FROM messages WHERE stream = ? AND offset = ?',
    );
    this.#sizes = database.prepare(
      'SELECT offset, sequence, time, ' +
        'length(payload) + coalesce(length(attributes), 0) AS size FROM messages ' +
        'WHERE stream = ? AND offset >= ? ORDER BY offset LIMIT ?',
    );
    this.#remove = database.prepare(
      'DELETE FROM messages WHERE stream = ? AND offset BETWEEN ? AND ?',
    );
    this.#drop = database.prepare('INSERT INTO dropped (stream) VALUES (?)');
    this.#dropped = database.prepare('SELECT stream FROM dropped LIMIT 1');
    this.#removeDropped = database.prepare(
      'DELETE FROM messages WHERE sequence IN ' +
        '(SELECT sequence FROM messages WHERE stream = ? ORDER BY offset LIMIT ?)',
    );
    this.#undrop = database.prepare('DELETE FROM dropped WHERE stream = ?');
  }

  insert(sequence: number, stream: number, offset: number, time: number, draft: Draft): void {
    const { payload, contentType = null, event = null, from, attributes = null } = draft;
    const { user = null, session = null } = from ?? {};
    this.#insert.run(
      ...[sequence, stream, offset, time],
      ...[payload, contentType, event, user, session, expiryOf(draft, time) ?? null, attributes],
    );
  }

  /** A run of messages from `oldest` on, within the range and its bounds. */
  read(stream: number, oldest: number, top: number, range: ReadRange): Message[] {
    const { after, before, countMax, sizeMax } = range;
    if (before === undefined) {
      const from = Math.max(oldest, after + 1);
      if (from > top) return [];
      return collect(this.#after.iterate(stream, from, toCount(countMax)), sizeMax);
    }
    if (before <= oldest) return [];
    const end = Math.min(before, top + 1);
    const rows = this.#before.iterate(stream, oldest, end, toCount(countMax));
    return collect(rows, sizeMax).reverse();
  }

  /** The lowest offset of `oldest` … `top` stored after `timeMs`; `top + 1` when none is. */
  firstAfterTime(stream: number, oldest: number, top: number, timeMs: number): number {
    return this.#firstOver(this.#time, 'time', stream, oldest, top, timeMs);
  }

  /** The lowest offset of `oldest` … `top` with a higher sequence; `top + 1` when none has. */
  firstAfterSequence(stream: number, oldest: number, top: number, sequence: number): number {
    return this.#firstOver(this.#sequence, 'sequence', stream, oldest, top, sequence);
  }

  /** What removing messages from `oldest` on would take; read as far as the caller goes on. */
  *sizes(stream: number, oldest: number, countMax: number): Generator<StoredSize, void> {
    for (const row of this.#sizes.iterate(stream, oldest, countMax)) {
      yield {
        offset: Number(row['offset']),
        sequence: Number(row['sequence']),
        time: Number(row['time']),
        size: Number(row['size']),
      };
    }
  }

  /** Removes the messages with these offsets, both included. */
  remove(stream: number, from: number, to: number): void {
    this.#remove.run(stream, from, to);
  }

  /** Leaves a whole stream to {@link sweepDropped}. */
  drop(stream: number): void {
    this.#drop.run(stream);
  }

  /** Removes at most so many messages of dropped streams. @returns true when there are more. */
  sweepDropped(countMax: number): boolean {
    const stream = this.#dropped.get()?.['stream'];
    if (stream === undefined) return false;
    const { changes } = this.#removeDropped.run(stream, countMax);
    if (Number(changes) < countMax) this.#undrop.run(stream);
    return true;
  }

  /** Times and sequences never fall within a stream, so few rows have to be looked at. */
  #firstOver(
    statement: StatementSync,
    column: string,
    stream: number,
    oldest: number,
    top: number,
    bound: number,
  ): number {
    const isOver = (offset: number): boolean => {
      return Number(statement.get(stream, offset)?.[column]) > bound;
    };
    // Nearly always the oldest is within its age already.
    if (oldest > top || isOver(oldest)) return oldest;
    return lowerBound(oldest + 1, top + 1, isOver);
  }
}

function collect(rows: Iterable<Row>, sizeMax: number): Message[] {
  const messages: Message[] = [];
  let size = 0;
  for (const row of rows) {
    const message = toMessage(row);
    size += contentSize(message);
    if (size > sizeMax && messages.length > 0) break;
    messages.push(message);
  }
  return messages;
}

function toMessage(row: Row): Message {
  const { content_type: contentType, event, user, session, payload, expires, attributes } = row;
  return {
    offset: Number(row['offset']),
    time: Number(row['time']),
    payload: payload instanceof Uint8Array ? payload : new Uint8Array(),
    ...(typeof contentType === 'string' && { contentType }),
    ...(typeof event === 'string' && { event }),
    ...(typeof session === 'string' && {
      from: typeof user === 'string' ? { user, session } : { session },
    }),
    ...(typeof expires === 'number' && { expiresAt: expires }),
    ...(attributes instanceof Uint8Array && { attributes }),
  };
}

/** SQLite has no infinity. */
function toCount(count: number): number {
  return Math.min(count, Number.MAX_SAFE_INTEGER);
}

/**
 * The format of the log file: tables, how a connection is set up, and which files are refused.
 *
 * A channel keeps its row through all lives of its stream. A life is named by `born`, the sequence
 * of its first message, under which its messages are filed.
 */
import { DatabaseSync } from 'node:sqlite';
import { BrokerError } from '../../broker/broker.ts';
import type { Sync } from './config.ts';

/** The format this code writes, and the newest one it reads. */
export const FORMAT = 3;
/** `TRKL`: tells a log from any other SQLite file. */
const APPLICATION_ID = 0x54524b4c;
/** How long a connection waits for another one that recovers the file. */
export const BUSY_TIMEOUT_MS = 10_000;
const CACHE_KB = 32 * 1024;

const TABLES = `
  -- One row: what holds for the whole log.
  CREATE TABLE log (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id TEXT NOT NULL,                    -- part of every mark
    run INTEGER NOT NULL,                -- how often it was opened
    generation INTEGER NOT NULL,         -- streams of an older one begin a new epoch
    sequence INTEGER NOT NULL,           -- the highest ever given
    clean INTEGER NOT NULL,              -- 1 between an orderly close and the next open
    lossy INTEGER NOT NULL,              -- 1 when an unclean stop may have lost commits
    forgotten INTEGER NOT NULL,          -- the highest last sequence of a forgotten channel
    forgotten_run INTEGER NOT NULL       -- the newest run of a forgotten life in memory
  ) STRICT;

  CREATE TABLE channels (
    id INTEGER PRIMARY KEY,              -- the sequence at which the name became known
    name TEXT NOT NULL UNIQUE,
    epoch TEXT NOT NULL,
    generation INTEGER NOT NULL,
    born INTEGER NOT NULL,               -- sequence of the first message of this life
    last INTEGER NOT NULL,               -- sequence of the newest message
    trimmed INTEGER NOT NULL,            -- sequence of the newest message removed from the file
    oldest INTEGER NOT NULL,             -- offset of the oldest message in the file
    top INTEGER NOT NULL,
    size INTEGER NOT NULL,               -- bytes of messages in the file
    newest_time INTEGER NOT NULL,
    count_max INTEGER NOT NULL,
    size_max INTEGER NOT NULL,
    age_max INTEGER NOT NULL,
    due INTEGER NOT NULL,                -- when the sweep has to look, at the latest
    key_number INTEGER NOT NULL,         -- keys used so far
    run INTEGER NOT NULL,                -- 0, or the run in whose memory the stream lives
    ended INTEGER NOT NULL               -- sequence at which the newest life before this one ended
  ) STRICT;
  CREATE UNIQUE INDEX channels_by_last ON channels (last);
  CREATE INDEX channels_by_due ON channels (due);
  CREATE INDEX channels_by_run ON channels (run, id) WHERE run > 0;

  CREATE TABLE messages (
    sequence INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL,             -- channels.born
    offset INTEGER NOT NULL,
    time INTEGER NOT NULL,
    payload BLOB NOT NULL,
    content_type TEXT,
    event TEXT,
    user TEXT,
    session TEXT,
    expires INTEGER,                     -- when it is not delivered any more; the row stays
    attributes BLOB,                     -- what a protocol keeps with it; nearly always none
    UNIQUE (stream, offset)
  ) STRICT;

  -- Lives that are over and whose messages are still to be removed.
  CREATE TABLE dropped (stream INTEGER PRIMARY KEY) STRICT;

  CREATE TABLE keys (
    channel INTEGER NOT NULL,            -- channels.id
    key TEXT NOT NULL,
    number INTEGER NOT NULL,             -- 1, 2, 3 … in the channel
    time INTEGER NOT NULL,
    epoch TEXT NOT NULL,
    offset INTEGER NOT NULL,
    fingerprint BLOB NOT NULL,
    PRIMARY KEY (channel, key)
  ) STRICT, WITHOUT ROWID;
  CREATE UNIQUE INDEX keys_by_number ON keys (channel, number);
  CREATE INDEX keys_by_time ON keys (time);

  CREATE TABLE state (
    key TEXT NOT NULL UNIQUE,
    value BLOB NOT NULL,
    version INTEGER NOT NULL,
    expires INTEGER
  ) STRICT;
  CREATE INDEX state_by_expiry ON state (expires) WHERE expires IS NOT NULL;
`;

/**
 * From each older format to the next one. The first did not note when a life ended: every life but
 * a channel's first is taken to have come after another one. The second had no attributes.
 */
const MIGRATIONS: Readonly<Record<number, string>> = {
  1: `
    ALTER TABLE messages ADD COLUMN expires INTEGER;
    ALTER TABLE channels ADD COLUMN ended INTEGER NOT NULL DEFAULT 0;
    UPDATE channels SET ended = born WHERE born > id;
    ALTER TABLE channels DROP COLUMN lost_run;`,
  2: 'ALTER TABLE messages ADD COLUMN attributes BLOB;',
};

/** Opens the log file, made if it is missing, and sets the connection up. */
export function openDatabase(path: string, sync: Sync, fileSizeMax: number): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
  try {
    prepareFile(database, path);
    database.exec(`PRAGMA synchronous = ${sync}; PRAGMA cache_size = -${CACHE_KB}`);
    // Checkpoints are asked for, so that no commit is the unlucky one that has to do it.
    database.exec('PRAGMA wal_autocheckpoint = 0');
    database.exec(`PRAGMA max_page_count = ${pageCount(database, fileSizeMax)}`);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function prepareFile(database: DatabaseSync, path: string): void {
  const format = pragma(database, 'user_version');
  const tables = database.prepare('SELECT count(*) AS count FROM sqlite_schema').get();
  if (format === 0 && tables?.['count'] === 0) {
    setWal(database, path);
    database.exec(`BEGIN IMMEDIATE; ${TABLES}
      PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${FORMAT}; COMMIT`);
    return;
  }
  if (pragma(database, 'application_id') !== APPLICATION_ID) {
    throw refusal(`${path} is no Trunkline log: choose another directory`);
  }
  if (format > FORMAT) {
    throw refusal(
      `${path} has log format ${format}, this version reads formats up to ${FORMAT}: ` +
        'run the version that wrote it, or a newer one',
    );
  }
  setWal(database, path);
  for (let from = format; from < FORMAT; from += 1) migrate(database, from);
}

/** All of it or nothing: a process that ends here finds the old format again. */
function migrate(database: DatabaseSync, from: number): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    database.exec(`${MIGRATIONS[from] ?? ''} PRAGMA user_version = ${from + 1}`);
    database.exec('COMMIT');
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

function setWal(database: DatabaseSync, path: string): void {
  const row = database.prepare('PRAGMA journal_mode = wal').get();
  if (row?.['journal_mode'] === 'wal') return;
  throw refusal(`${path} can't be used in WAL mode: choose a directory on a local disk`);
}

function pageCount(database: DatabaseSync, fileSizeMax: number): number {
  const count = Math.floor(fileSizeMax / pragma(database, 'page_size'));
  return Math.max(1, Math.min(count, 2 ** 32 - 2));
}

function pragma(database: DatabaseSync, name: string): number {
  return Number(database.prepare(`PRAGMA ${name}`).get()?.[name]);
}

function refusal(message: string): BrokerError {
  return new BrokerError('unavailable', message);
}

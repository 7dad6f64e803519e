import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { EMBEDDED_DEFAULTS } from '@trunkline/server/internal/backplanes/embedded/config.ts';
import { SqliteLog } from '@trunkline/server/internal/backplanes/embedded/sqlite-log.ts';
import {
  FORMAT,
  openDatabase,
} from '@trunkline/server/internal/backplanes/embedded/sqlite-schema.ts';
import { seededRandom } from '@trunkline/testkit';
import { ALL, AMPLE } from '@trunkline/testkit/contracts/broker-world';
import { temporaryDirectory } from './worlds.ts';

const NOW = 1_800_000_000_000;

/** What differs between older formats: the last columns of two tables. */
const LAST_COLUMNS = {
  1: { channels: 'lost_run INTEGER NOT NULL', messages: '' },
  2: { channels: 'ended INTEGER NOT NULL', messages: 'expires INTEGER,' },
} as const;

type OldFormat = keyof typeof LAST_COLUMNS;

/** The tables of an older format, as the servers that wrote it made them. */
const tablesOf = (format: OldFormat): string => `
  CREATE TABLE log (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id TEXT NOT NULL,
    run INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    clean INTEGER NOT NULL,
    lossy INTEGER NOT NULL,
    forgotten INTEGER NOT NULL,
    forgotten_run INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE channels (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    epoch TEXT NOT NULL,
    generation INTEGER NOT NULL,
    born INTEGER NOT NULL,
    last INTEGER NOT NULL,
    trimmed INTEGER NOT NULL,
    oldest INTEGER NOT NULL,
    top INTEGER NOT NULL,
    size INTEGER NOT NULL,
    newest_time INTEGER NOT NULL,
    count_max INTEGER NOT NULL,
    size_max INTEGER NOT NULL,
    age_max INTEGER NOT NULL,
    due INTEGER NOT NULL,
    key_number INTEGER NOT NULL,
    run INTEGER NOT NULL,
    ${LAST_COLUMNS[format].channels}
  ) STRICT;
  CREATE UNIQUE INDEX channels_by_last ON channels (last);
  CREATE INDEX channels_by_due ON channels (due);
  CREATE INDEX channels_by_run ON channels (run, id) WHERE run > 0;
  CREATE TABLE messages (
    sequence INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    time INTEGER NOT NULL,
    payload BLOB NOT NULL,
    content_type TEXT,
    event TEXT,
    user TEXT,
    session TEXT,
    ${LAST_COLUMNS[format].messages}
    UNIQUE (stream, offset)
  ) STRICT;
  CREATE TABLE dropped (stream INTEGER PRIMARY KEY) STRICT;
  CREATE TABLE keys (
    channel INTEGER NOT NULL,
    key TEXT NOT NULL,
    number INTEGER NOT NULL,
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
  PRAGMA application_id = 0x54524b4c; PRAGMA user_version = ${format};
`;

/** `newest_time` to `due` of every channel. */
const TIMES = `${NOW}, 1000, 1000000, 86400000, ${NOW + 86_400_000}`;

/**
 * What the first format held after a run: a plain channel, one that expired, one that began anew
 * after it had been in memory, and one that was in memory when the process ended.
 */
const CONTENTS_1 = `
  INSERT INTO log VALUES (1, 'oldLog', 4, 1, 20, 0, 0, 0, 0);
  INSERT INTO channels VALUES
    (1, 'plain', 'E1', 1, 1, 3, 0, 1, 2, 4, ${TIMES}, 1, 0, 0),
    (4, 'expired', 'E2', 1, 4, 4, 4, 2, 1, 0, ${TIMES}, 0, 0, 0),
    (5, 'again', 'E3', 1, 9, 10, 0, 1, 2, 2, ${TIMES}, 0, 0, 3),
    (11, 'memory', '0', 0, 11, 11, 0, 1, 0, 0, ${TIMES}, 0, 4, 0);
  INSERT INTO messages VALUES
    (1, 1, 1, ${NOW}, x'2231', 'text/plain', 'e', 'u', 's'),
    (3, 1, 2, ${NOW}, x'2232', NULL, NULL, NULL, NULL),
    (9, 9, 1, ${NOW}, x'31', NULL, NULL, NULL, 's'),
    (10, 9, 2, ${NOW}, x'32', NULL, NULL, NULL, NULL);
  INSERT INTO dropped VALUES (5);
  INSERT INTO keys VALUES (1, '1:sk', 1, ${NOW}, 'E1', 2, x'00');
  INSERT INTO state VALUES ('k', x'aabb', 12, NULL), ('gone', x'01', 13, ${NOW - 1});
`;

/** What the second format held after a run: a channel with a message that expires, and another. */
const CONTENTS_2 = `
  INSERT INTO log VALUES (1, 'oldLog', 4, 1, 20, 1, 0, 0, 0);
  INSERT INTO channels VALUES (1, 'plain', 'E1', 1, 1, 3, 0, 1, 2, 4, ${TIMES}, 0, 0, 0);
  INSERT INTO messages VALUES
    (1, 1, 1, ${NOW}, x'2231', 'text/plain', 'e', 'u', 's', ${NOW + 500}),
    (3, 1, 2, ${NOW}, x'2232', NULL, NULL, NULL, NULL, NULL);
  INSERT INTO state VALUES ('k', x'aabb', 12, NULL);
`;

/** A log of an older format in a directory of its own. */
async function oldLog(format: OldFormat = 1) {
  const directory = await temporaryDirectory();
  const path = join(directory.path, 'log.db');
  const contents = format === 1 ? CONTENTS_1 : CONTENTS_2;
  const database = new DatabaseSync(path);
  database.exec(`PRAGMA journal_mode = wal; BEGIN; ${tablesOf(format)} ${contents} COMMIT`);
  database.close();
  const limits = EMBEDDED_DEFAULTS;
  const log = new SqliteLog({ path, sync: 'full', limits, random: seededRandom(1) });
  return {
    path,
    log,
    async [Symbol.asyncDispose](): Promise<void> {
      log.close();
      await directory[Symbol.asyncDispose]();
    },
  };
}

/** The columns of every table and index, in a fixed order. */
function shapeOf(path: string): unknown {
  const database = new DatabaseSync(path);
  try {
    return database
      .prepare(
        `SELECT m.type, m.name, c.name AS "column", c.type AS kind, c."notnull", c.pk
         FROM sqlite_schema m, pragma_table_xinfo(m.name) c ORDER BY 1, 2, 3`,
      )
      .all();
  } finally {
    database.close();
  }
}

test('a log of the first format is brought up to this one, and is whole', async () => {
  await using old = await oldLog();
  const { log } = old;
  expect(log.open()).toEqual({ id: 'oldLog', run: 5, sequence: 20 });
  const place = { time: NOW, payload: Uint8Array.from([0x22, 0x31]) };
  const said = { contentType: 'text/plain', event: 'e', from: { user: 'u', session: 's' } };
  expect(log.read('plain', ALL, NOW)).toEqual({
    epoch: 'E1',
    oldest: 1,
    top: 2,
    messages: [
      { ...place, ...said, offset: 1 },
      { ...place, offset: 2, payload: Uint8Array.from([0x22, 0x32]) },
    ],
  });
  expect(log.read('expired', ALL, NOW)).toMatchObject({ epoch: 'E2', oldest: 2, top: 1 });
  expect(log.read('again', ALL, NOW)).toMatchObject({ epoch: 'E3', oldest: 1, top: 2 });
  expect(log.read('memory', ALL, NOW)).toMatchObject({ epoch: '0', top: 0 });
  expect(log.get('k', NOW)).toEqual({ key: 'k', value: Uint8Array.from([170, 187]), version: 12 });
  expect(log.list('', undefined, 9, NOW)).toHaveLength(1);
});

test('a log of the first format reads its old marks, and tells of lives in between', async () => {
  await using old = await oldLog();
  const { log } = old;
  log.open();
  const since = (sequence: number, run = 4) => {
    const names = ['plain', 'again', 'memory'];
    return log
      .changedNamed({ run, sequence }, names, NOW)
      ?.map(({ channel, position: { epoch, offset } }) => `${channel} ${epoch}:${offset}`);
  };
  expect(since(2)).toEqual(['plain E1:1', 'again lost:0', 'memory lost:0']);
  expect(since(9)).toEqual(['again E3:1', 'memory lost:0']);
  expect(since(11)).toEqual(['memory lost:0']);
  expect(since(20, 5)).toEqual([]);
});

test('a log of the first format goes on where it was', async () => {
  await using old = await oldLog();
  const { log } = old;
  log.open();
  const draft = { payload: Uint8Array.from([1]), ttl: 500 };
  const append = { kind: 'append', channel: 'plain', draft, retention: AMPLE } as const;
  const keyed = { ...append, idempotency: { scope: 's', key: 'k' } };
  const [next, conflict] = log.commit([append, keyed], NOW);
  expect(next).toMatchObject({ epoch: 'E1', offset: 3, sequence: 21 });
  expect(conflict).toEqual({ kind: 'conflict' });
  const [message] = log.read('plain', { ...ALL, after: 2 }, NOW).messages;
  expect(message?.expiresAt).toBe(NOW + 500);
  while (log.sweep(NOW));
  log.close();
  expect(log.open()).toMatchObject({ run: 6, sequence: 21 });
});

test('a log of the second format is read as it was, without attributes', async () => {
  await using old = await oldLog(2);
  const { log } = old;
  expect(log.open()).toEqual({ id: 'oldLog', run: 5, sequence: 20 });
  const said = { contentType: 'text/plain', event: 'e', from: { user: 'u', session: 's' } };
  const { messages, ...bounds } = log.read('plain', ALL, NOW);
  expect(bounds).toEqual({ epoch: 'E1', oldest: 1, top: 2 });
  expect(messages).toStrictEqual([
    { offset: 1, time: NOW, payload: Uint8Array.of(0x22, 0x31), ...said, expiresAt: NOW + 500 },
    { offset: 2, time: NOW, payload: Uint8Array.of(0x22, 0x32) },
  ]);
  expect(log.get('k', NOW)).toMatchObject({ version: 12 });
});

test('a log of the second format keeps attributes from here on, and counts them', async () => {
  await using old = await oldLog(2);
  const { log } = old;
  log.open();
  const attributes = Uint8Array.of(1, 2, 3);
  const draft = { payload: Uint8Array.of(0x31), attributes };
  const append = { kind: 'append', channel: 'plain', draft, retention: AMPLE } as const;
  expect(log.commit([append], NOW)).toMatchObject([{ epoch: 'E1', offset: 3, sequence: 21 }]);
  const kept = () => log.read('plain', ALL, NOW).messages.map((message) => message.attributes);
  expect(kept()).toEqual([undefined, undefined, attributes]);
  // A new one has as many bytes as the two old ones together.
  log.commit([{ ...append, retention: { ...AMPLE, sizeMax: 8 } }], NOW);
  expect(kept()).toEqual([attributes, attributes]);
  log.commit([{ ...append, draft: { payload: draft.payload } }], NOW);
  expect(kept()).toEqual([attributes, attributes, undefined]);
});

test.each([1, 2] as const)('a log of format %i has the shape of a new one then', async (format) => {
  await using old = await oldLog(format);
  old.log.open();
  old.log.close();
  const path = `${old.path}.new`;
  openDatabase(path, 'full', 2 ** 40).close();
  expect(shapeOf(old.path)).toEqual(shapeOf(path));
  const database = new DatabaseSync(old.path);
  expect(database.prepare('PRAGMA user_version').get()).toEqual({ user_version: FORMAT });
  expect(database.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
  database.close();
});

test('a log that could not be brought up is left as it was', async () => {
  await using old = await oldLog();
  const database = new DatabaseSync(old.path);
  // The last step is refused: a view stands in the way of dropping the column.
  database.exec('CREATE VIEW blocking AS SELECT lost_run FROM channels');
  const before = shapeOf(old.path);
  expect(() => old.log.open()).toThrow(/the log can't be used/);
  expect(shapeOf(old.path)).toEqual(before);
  expect(database.prepare('PRAGMA user_version').get()).toEqual({ user_version: 1 });
  database.exec('DROP VIEW blocking');
  database.close();
  expect(old.log.open()).toMatchObject({ run: 5 });
  expect(old.log.read('plain', ALL, NOW).top).toBe(2);
});

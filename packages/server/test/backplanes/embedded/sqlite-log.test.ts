import { cp, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { EMBEDDED_DEFAULTS } from '@trunkline/server/internal/backplanes/embedded/config.ts';
import type {
  EmbeddedLimits,
  Sync,
} from '@trunkline/server/internal/backplanes/embedded/config.ts';
import { SqliteLog } from '@trunkline/server/internal/backplanes/embedded/sqlite-log.ts';
import type {
  Append,
  Appended,
  Outcome,
} from '@trunkline/server/internal/backplanes/embedded/store.ts';
import { seededRandom } from '@trunkline/testkit';
import { ALL, AMPLE } from '@trunkline/testkit/contracts/broker-world';
import { temporaryDirectory } from './worlds.ts';

const NOW = 1_800_000_000_000;

function append(channel: string, size = 10, changes: Partial<Append> = {}): Append {
  const draft = { payload: new Uint8Array(size) };
  return { kind: 'append', channel, draft, retention: AMPLE, ...changes };
}

function offsetsOf(outcomes: readonly Outcome[]): number[] {
  return outcomes
    .filter((one): one is Appended => one.kind === 'appended')
    .map((one) => one.offset);
}

/** A log in a directory of its own, on the test's own thread. */
async function logWorld(changes: Partial<EmbeddedLimits> & { sync?: Sync } = {}) {
  const directory = await temporaryDirectory();
  const { sync = 'full', ...limits } = changes;
  const opened: SqliteLog[] = [];
  const open = (path = join(directory.path, 'log.db')): SqliteLog => {
    const given = { ...EMBEDDED_DEFAULTS, ...limits };
    const log = new SqliteLog({ path, sync, limits: given, random: seededRandom(opened.length) });
    opened.push(log);
    log.open();
    return log;
  };
  return {
    path: join(directory.path, 'log.db'),
    open,
    /** What the disk holds now, as the next process would find it after a crash. */
    async crashed(): Promise<string> {
      const copy = join(directory.path, `crash${opened.length}.db`);
      for (const end of ['', '-wal'])
        await cp(join(directory.path, `log.db${end}`), `${copy}${end}`);
      return copy;
    },
    count(table: string, path = join(directory.path, 'log.db')): number {
      const database = new DatabaseSync(path);
      const row = database.prepare(`SELECT count(*) AS count FROM ${table}`).get();
      database.close();
      return Number(row?.['count']);
    },
    async [Symbol.asyncDispose](): Promise<void> {
      for (const log of opened) log.close();
      await directory[Symbol.asyncDispose]();
    },
  };
}

function sweepAll(log: SqliteLog, nowMs: number): number {
  let steps = 1;
  while (log.sweep(nowMs)) steps += 1;
  return steps;
}

describe('SqliteLog', () => {
  test('leaves no trace of a commit that failed', async () => {
    await using world = await logWorld({ fileSizeMax: 2 ** 20 });
    const log = world.open();
    log.commit([append('a'), append('a')], NOW);
    const large = [append('a'), append('b'), { ...append('a', 2 ** 21) }];
    expect(() => log.commit(large, NOW)).toThrow(/full/);
    expect(log.read('b', ALL, NOW).epoch).toBe('0');
    const [outcome] = log.commit([append('a')], NOW);
    expect(outcome).toMatchObject({ offset: 3, sequence: 3 });
  });

  test('begins a new run each time it is opened', async () => {
    await using world = await logWorld();
    const first = world.open();
    first.commit([append('a')], NOW);
    first.close();
    const log = new SqliteLog({
      path: world.path,
      sync: 'full',
      limits: EMBEDDED_DEFAULTS,
      random: seededRandom(9),
    });
    expect(log.open()).toMatchObject({ run: 2, sequence: 1 });
    log.close();
  });

  test('gives messages of one batch their keys in order, counting each key once', async () => {
    await using world = await logWorld();
    const log = world.open();
    const keyed = append('a', 10, { idempotency: { key: 'k', scope: 's' } });
    const other = append('a', 11, { idempotency: { key: 'k', scope: 's' } });
    const outcomes = log.commit([keyed, append('a'), keyed, other], NOW);
    expect(outcomes).toMatchObject([
      { kind: 'appended', offset: 1 },
      { kind: 'appended', offset: 2 },
      { kind: 'duplicate', offset: 1 },
      { kind: 'conflict' },
    ]);
  });

  test('removes from the file what is over the count, a little late', async () => {
    await using world = await logWorld();
    const log = world.open();
    const given = { retention: { ...AMPLE, countMax: 10 } };
    for (let round = 0; round < 50; round += 1) {
      log.commit(
        Array.from({ length: 20 }, () => append('a', 10, given)),
        NOW,
      );
      expect(world.count('messages')).toBeLessThan(100);
    }
    expect(log.read('a', ALL, NOW).messages).toHaveLength(10);
  });

  test('removes what is over its age in bounded steps, then the channel', async () => {
    await using world = await logWorld();
    const log = world.open();
    const given = { retention: { ...AMPLE, countMax: 1e6, ageMsMax: 1000 } };
    const keyed = { ...given, idempotency: { key: 'k', scope: 's' } };
    for (let index = 0; index < 5; index += 1) {
      log.commit(
        Array.from({ length: 500 }, () => append(`c${index}`, 10, given)),
        NOW,
      );
    }
    log.commit([append('c0', 10, keyed)], NOW);
    expect(sweepAll(log, NOW + 999)).toBe(1);
    expect(world.count('messages')).toBe(2501);
    expect(sweepAll(log, NOW + 1000)).toBeGreaterThan(4);
    expect(world.count('messages')).toBe(0);
    expect(world.count('channels')).toBe(5);
    sweepAll(log, NOW + EMBEDDED_DEFAULTS.keyWindowMs);
    expect(world.count('keys')).toBe(0);
    sweepAll(log, NOW + EMBEDDED_DEFAULTS.metadataMs);
    expect(world.count('channels')).toBe(0);
  });

  test('does not look at channels in which nothing is due', async () => {
    await using world = await logWorld();
    const log = world.open();
    for (let start = 0; start < 5000; start += 1000) {
      const batch = Array.from({ length: 1000 }, (_, index) => append(`c${start + index}`));
      log.commit(batch, NOW);
    }
    log.commit([append('old', 1, { retention: { ...AMPLE, ageMsMax: 1 } })], NOW);
    expect(sweepAll(log, NOW + 1)).toBe(1);
    expect(log.read('old', ALL, NOW + 1)).toMatchObject({ oldest: 2, top: 1 });
    expect(world.count('messages')).toBe(5000);
  });

  test('keeps no more keys of a channel than it may', async () => {
    await using world = await logWorld({ keysPerChannelMax: 7 });
    const log = world.open();
    const batch = Array.from({ length: 30 }, (_, index) =>
      append('a', 1, { idempotency: { key: `${index}`, scope: 's' } }),
    );
    log.commit(batch, NOW);
    expect(world.count('keys')).toBe(7);
  });

  test('removes the messages of a life that is over', async () => {
    await using world = await logWorld();
    const log = world.open();
    log.commit(
      Array.from({ length: 1500 }, () => append('a')),
      NOW,
    );
    log.commit(
      [
        { kind: 'leave', channel: 'a' },
        { kind: 'leave', channel: 'a' },
      ],
      NOW,
    );
    expect(log.read('a', ALL, NOW).epoch).toBe('0');
    sweepAll(log, NOW);
    expect(world.count('messages')).toBe(0);
    expect(world.count('dropped')).toBe(0);
    expect(offsetsOf(log.commit([append('a')], NOW))).toEqual([1]);
  });

  test('writes its write-ahead log anew once all of it was copied', async () => {
    await using world = await logWorld();
    const log = world.open();
    let size = 0;
    for (let round = 0; round < 30; round += 1) {
      log.commit(
        Array.from({ length: 100 }, () => append('a', 1000)),
        NOW,
      );
      const { total, copied } = log.checkpoint('restart');
      expect(copied).toBe(total);
      const wal = await stat(`${world.path}-wal`);
      if (round === 3) size = wal.size;
      if (round > 3) expect(wal.size).toBeLessThan(size * 2);
    }
  });
});

describe('a log without fsync', () => {
  test('begins new epochs after an unclean stop, and refuses the marks of before', async () => {
    await using world = await logWorld({ sync: 'off' });
    const first = world.open();
    const [old] = first.commit([append('a'), append('a')], NOW);
    const log = world.open(await world.crashed());
    // What is left may be read; only what comes must not be taken for what was lost.
    expect(log.read('a', ALL, NOW)).toMatchObject({ top: 2 });
    const [next] = log.commit([append('a')], NOW);
    expect(next).toMatchObject({ kind: 'appended', offset: 1 });
    expect(next?.kind === 'appended' && old?.kind === 'appended' && next.epoch !== old.epoch).toBe(
      true,
    );
    expect(log.read('a', ALL, NOW).messages).toHaveLength(1);
    expect(offsetsOf(log.commit([append('a')], NOW))).toEqual([2]);
    expect(log.attach().id).not.toBe(first.attach().id);
  });

  test('goes on in the same epochs after an orderly close', async () => {
    await using world = await logWorld({ sync: 'off' });
    const first = world.open();
    first.commit([append('a')], NOW);
    first.close();
    expect(offsetsOf(world.open().commit([append('a')], NOW))).toEqual([2]);
  });
});

describe('a log with fsync', () => {
  test('goes on in the same epochs after an unclean stop', async () => {
    await using world = await logWorld();
    world.open().commit([append('a')], NOW);
    const log = world.open(await world.crashed());
    expect(offsetsOf(log.commit([append('a')], NOW))).toEqual([2]);
  });
});

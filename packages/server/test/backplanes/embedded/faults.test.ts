/** What goes wrong with disks, files and threads, and how the broker gets over it. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { SqliteThread } from '@trunkline/server/internal/backplanes/embedded/sqlite-thread.ts';
import type { EmbeddedBroker } from '@trunkline/server/internal/backplanes/embedded/broker.ts';
import type { EmbeddedOptions } from '@trunkline/server/internal/backplanes/embedded/config.ts';
import { FORMAT } from '@trunkline/server/internal/backplanes/embedded/sqlite-schema.ts';
import { silentLog } from '@trunkline/server/internal/observe/log.ts';
import type { Log } from '@trunkline/server/internal/observe/log.ts';
import type { Published } from '@trunkline/server/internal/broker/broker.ts';
import {
  ALL,
  AMPLE,
  draft,
  options,
  publishAll,
  RecordingSink,
} from '@trunkline/testkit/contracts/broker-world';
import { EmbeddedWorld, temporaryDirectory } from './worlds.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

async function open(world: EmbeddedWorld, changes: Partial<EmbeddedOptions> = {}) {
  const broker = await world.start(changes);
  const sink = new RecordingSink();
  await broker.open(sink);
  return { broker, sink };
}

/** Publishes 10 KB messages until one is refused. @returns how many were not. */
async function fill(broker: EmbeddedBroker, ageMsMax: number): Promise<number> {
  const given = options({ retention: { ...AMPLE, sizeMax: 2 ** 30, ageMsMax } });
  for (let count = 0; count < 10_000; count += 1) {
    try {
      await broker.publish('a', { payload: new Uint8Array(10_000) }, given);
    } catch (error) {
      expect(error).toMatchObject({ kind: 'unavailable', stored: false });
      expect(String(error)).toContain('full');
      return count;
    }
  }
  throw new Error('it never became full');
}

function canMount(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  return spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;
}

/** A file system of its own, so small that a test can fill it. */
async function smallDisk(): Promise<{ path: string; readOnly(): void } & AsyncDisposable> {
  const directory = await temporaryDirectory();
  const { path } = directory;
  expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'none', path]).status).toBe(0);
  return {
    path,
    readOnly() {
      expect(spawnSync('mount', ['-o', 'remount,ro', path]).status).toBe(0);
    },
    async [Symbol.asyncDispose]() {
      spawnSync('umount', [path]);
      await directory[Symbol.asyncDispose]();
    },
  };
}

describe('a log that is full', () => {
  test('refuses publishes, serves reads, and works again when there is space', async () => {
    await using world = new EmbeddedWorld(true, { fileSizeMax: 2 ** 20 });
    const { broker, sink } = await open(world);
    await broker.watch('a');
    const count = await fill(broker, 1000);
    expect(count).toBeGreaterThan(10);
    expect(await broker.read('a', ALL)).toMatchObject({ oldest: 1, top: count });
    await expect(broker.state.put('k', new Uint8Array(100_000))).rejects.toMatchObject({
      stored: false,
    });
    await world.pass(1000);
    const { position } = await broker.publish('a', draft('again'), options());
    expect(position.offset).toBe(count + 1);
    expect(sink.offsets('a')).toEqual(Array.from({ length: count + 1 }, (_, index) => index + 1));
    expect(sink.gaps).toEqual([]);
  });

  test('refuses all of a batch that does not fit, so that nothing is half done', async () => {
    await using world = new EmbeddedWorld(true, { fileSizeMax: 2 ** 20 });
    const { broker } = await open(world);
    const asked = Array.from({ length: 200 }, (_, index) =>
      broker.publish(
        `c${index % 3}`,
        { payload: new Uint8Array(10_000) },
        options({ key: `${index}` }),
      ),
    );
    const results = await Promise.allSettled(asked);
    expect(results.every(({ status }) => status === 'rejected')).toBe(true);
    for (const channel of ['c0', 'c1', 'c2']) {
      expect(await broker.read(channel, ALL)).toMatchObject({ epoch: '0', top: 0 });
    }
    expect(await publishAll(broker, 'c0', ['x', 'y'])).toEqual([1, 2]);
  });

  test.runIf(canMount())('is the same when it is the disk that is full', async () => {
    await using disk = await smallDisk();
    await using world = new EmbeddedWorld(false, { directory: join(disk.path, 'data') });
    const { broker } = await open(world);
    await publishAll(broker, 'a', ['1']);
    const ballast = join(disk.path, 'ballast');
    await writeFile(ballast, new Uint8Array(3_000_000));
    const count = 1 + (await fill(broker, 86_400_000));
    expect(await broker.read('a', { ...ALL, countMax: 0 })).toMatchObject({ top: count });
    await rm(ballast);
    expect(await publishAll(broker, 'a', ['2', '3'])).toEqual([count + 1, count + 2]);
  });
});

describe('a directory', () => {
  test('is made when it is missing', async () => {
    await using directory = await temporaryDirectory();
    await using world = new EmbeddedWorld(false, { directory: join(directory.path, 'x', 'y') });
    const { broker } = await open(world);
    expect(await publishAll(broker, 'a', ['1'])).toEqual([1]);
  });

  test('that is a file is refused, and named', async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, 'file');
    await writeFile(path, 'x');
    await using world = new EmbeddedWorld(false, { directory: path });
    const broker = await world.start();
    const opening = broker.open(new RecordingSink());
    await expect(opening).rejects.toMatchObject({ name: 'BrokerError', kind: 'unavailable' });
    await expect(opening).rejects.toThrow(path);
  });

  test.runIf(canMount())('that is read-only is refused, and named', async () => {
    await using disk = await smallDisk();
    disk.readOnly();
    await using world = new EmbeddedWorld(false, { directory: disk.path });
    const broker = await world.start();
    await expect(broker.open(new RecordingSink())).rejects.toThrow(disk.path);
  });

  test('is locked against a second server until the first one is closed', async () => {
    await using world = new EmbeddedWorld(true, {});
    const { broker } = await open(world);
    const second = await world.start();
    const opening = second.open(new RecordingSink());
    await expect(opening).rejects.toMatchObject({ kind: 'unavailable' });
    await expect(opening).rejects.toThrow(`${world.directory} is in use by another server`);
    expect(await publishAll(broker, 'a', ['1'])).toEqual([1]);
    await broker.close();
    const third = await open(world);
    expect(await publishAll(third.broker, 'a', ['2'])).toEqual([2]);
  });

  test('is locked against another process until that one is killed', async () => {
    await using directory = await temporaryDirectory();
    const publisher = fileURLToPath(new URL('./publisher.ts', import.meta.url));
    const child = spawn(process.execPath, [publisher, directory.path, '1', 'honest'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = once(child, 'exit');
    await once(child.stdout, 'data');
    await using world = new EmbeddedWorld(false, { directory: directory.path });
    await expect(open(world)).rejects.toThrow('in use by another server');
    child.stdout.resume();
    child.kill('SIGKILL');
    await exited;
    const { broker } = await open(world);
    await publishAll(broker, 'mine', ['1']);
  });
});

describe('a log file', () => {
  async function openWith(change: (path: string) => void | Promise<void>): Promise<void> {
    await using world = new EmbeddedWorld(true, {});
    const { broker } = await open(world);
    await publishAll(broker, 'a', ['1']);
    await broker.close();
    await change(join(world.directory, 'log.db'));
    await open(world);
  }

  test('of a newer format is refused, with what to do', async () => {
    const opening = openWith((path) => {
      const database = new DatabaseSync(path);
      database.exec('PRAGMA user_version = 99');
      database.close();
    });
    await expect(opening).rejects.toThrow(
      new RegExp(`log format 99.*formats up to ${FORMAT}: run the version`),
    );
  });

  test('that is some other database is refused', async () => {
    const opening = openWith(async (path) => {
      await rm(path);
      const database = new DatabaseSync(path);
      database.exec('CREATE TABLE notes (text)');
      database.close();
    });
    await expect(opening).rejects.toThrow('no Trunkline log');
  });

  test('that is no database is refused', async () => {
    const opening = openWith((path) => writeFile(path, 'x'.repeat(10_000)));
    await expect(opening).rejects.toThrow('damaged');
  });

  test('that is a directory is refused', async () => {
    const opening = openWith(async (path) => {
      await rm(path);
      await mkdir(path);
    });
    await expect(opening).rejects.toMatchObject({ name: 'BrokerError', kind: 'unavailable' });
  });
});

describe('a thread that dies', () => {
  /** The threads of the brokers opened from now on: the writer, then the reader. */
  function threads(): SqliteThread[] {
    const found: SqliteThread[] = [];
    const original = SqliteThread.prototype.spawn;
    vi.spyOn(SqliteThread.prototype, 'spawn').mockImplementation(function (this: SqliteThread) {
      if (!found.includes(this)) found.push(this);
      original.call(this);
    });
    return found;
  }

  /** Lets the pause before a restart pass, and tells when a thread was started again. */
  function restarts(world: EmbeddedWorld): { log: Log; next(): Promise<void> } {
    let count = 0;
    const { promise, resolve } = Promise.withResolvers<void>();
    const log: Log = {
      ...silentLog,
      error: () => world.clock.defer(() => world.clock.manual.advance(10_000)),
      info() {
        count += 1;
        resolve();
      },
    };
    return { log, next: () => (count > 0 ? Promise.resolve() : promise) };
  }

  test('while it commits leaves no doubt unannounced and nothing acknowledged out', async () => {
    for (let round = 0; round < 4; round += 1) {
      const started = threads();
      await using world = new EmbeddedWorld(true, { batchCountMax: 20 });
      const restarted = restarts(world);
      const { broker, sink } = await open(world, { log: restarted.log });
      await broker.watch('a');
      const asked: Promise<Published>[] = [];
      for (let index = 0; index < 300; index += 1) {
        asked.push(broker.publish('a', draft(`${index}`), options()));
        // The last ones wait for this turn's end only.
        if (index === 50 * (round + 1)) await asked[round * 20];
      }
      started[0]?.abandon();
      const results = await Promise.allSettled(asked);
      const positions: number[] = [];
      for (const result of results) {
        if (result.status === 'fulfilled') positions.push(result.value.position.offset);
        else expect(result.reason).toMatchObject({ kind: 'unavailable' });
      }
      const refused = results.filter(({ status }) => status === 'rejected');
      expect(refused.length).toBeGreaterThan(0);
      expect(sink.offsets('a')).toEqual(positions);

      await restarted.next();
      const { offset } = (await broker.publish('a', draft('after'), options())).position;
      const { top, messages } = await broker.read('a', ALL);
      expect(messages.map((message) => message.offset)).toEqual(
        Array.from({ length: top }, (_, index) => index + 1),
      );
      expect(top).toBe(offset);
      // Whatever was stored without being told was announced as a gap.
      if (offset > positions.length + 1) expect(sink.gaps).toEqual(['a']);
      vi.restoreAllMocks();
    }
  });

  test('for reading fails the reads under way, and nothing else', async () => {
    const started = threads();
    await using world = new EmbeddedWorld(true, {});
    const restarted = restarts(world);
    const { broker } = await open(world, { log: restarted.log });
    await publishAll(broker, 'a', ['1']);
    const asked = Promise.allSettled([broker.read('a', ALL), broker.read('a', ALL)]);
    started[1]?.abandon();
    for (const result of await asked) {
      if (result.status === 'rejected')
        expect(result.reason).toMatchObject({ kind: 'unavailable' });
    }
    expect(await publishAll(broker, 'a', ['2'])).toEqual([2]);
    await restarted.next();
    expect((await broker.read('a', ALL)).top).toBe(2);
  });

  test('does not keep the broker from closing', async () => {
    const started = threads();
    await using world = new EmbeddedWorld(true, {});
    const { broker } = await open(world);
    const asked = broker.publish('a', draft('1'), options());
    for (const thread of started) thread.abandon();
    await Promise.allSettled([asked]);
    await broker.close();
    const next = await open(world);
    await publishAll(next.broker, 'a', ['2']);
  });
});

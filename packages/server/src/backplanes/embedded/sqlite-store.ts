/**
 * SqliteStore: the log on disk, reached from the event loop without ever blocking it. One thread
 * commits; another one reads and moves the write-ahead log into the main file, so that neither
 * holds up a commit.
 */
import { join } from 'node:path';
import { BrokerError } from '../../broker/broker.ts';
import type { ChannelFilter, ReadRange, StreamSlice } from '../../broker/broker.ts';
import type { StateRecord } from '../../broker/state.ts';
import type { Clock } from '../../clock.ts';
import type { Log } from '../../observe/log.ts';
import { inPieces, splitFilter } from './channel-filter.ts';
import type { StoreLimits, Sync } from './config.ts';
import { DirectoryLock } from './directory-lock.ts';
import { packOperations, unpackChanged, unpackOutcomes, unpackSlice } from './packing.ts';
import { GroupedCalls } from './grouped-calls.ts';
import type { ThreadRole } from './sqlite-calls.ts';
import type { ChangedCursor } from './sqlite-reads.ts';
import { SqliteThread } from './sqlite-thread.ts';
import { CHANGED_PAGE } from './store.ts';
import type { ChangedPage, LogIdentity, LogPlace, LogStore, Operation, Outcome } from './store.ts';

const LOG_FILE = 'log.db';
const PAGE_SIZE = 4096;
/** Written pages after which the reading thread is asked to copy them into the main file. */
const CHECKPOINT_PAGES = 2000;
/** The write-ahead log's pages after which the writer has to begin it anew (64 MB). */
const WAL_PAGES_MAX = 16_384;

/** What a store on disk has to be given. */
export interface SqliteStoreOptions {
  readonly directory: string;
  readonly sync: Sync;
  readonly limits: StoreLimits & { readonly readsWaitingMax: number };
  readonly clock: Clock;
  readonly log: Log;
}

export class SqliteStore implements LogStore {
  readonly joins = true;
  readonly #options: SqliteStoreOptions;
  readonly #writer: SqliteThread;
  readonly #reader: SqliteThread;
  readonly #reads: GroupedCalls;
  #lock: DirectoryLock | undefined;
  /** Pages written since the last checkpoint, estimated. */
  #writtenPages = 0;
  #checkpoint: Promise<void> | undefined;
  #closing = false;

  constructor(options: SqliteStoreOptions) {
    this.#options = options;
    this.#writer = this.#thread('writer');
    this.#reader = this.#thread('reader');
    this.#reads = new GroupedCalls(this.#reader, options.limits.readsWaitingMax);
  }

  async open(): Promise<LogIdentity> {
    this.#lock = await DirectoryLock.take(this.#options.directory);
    try {
      // Both load at the same time, but there is nothing to read until the writer has opened.
      this.#writer.spawn();
      this.#reader.spawn();
      const identity = await this.#writer.open();
      await this.#reader.open();
      return identity;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async commit(operations: readonly Operation[], nowMs: number): Promise<Outcome[]> {
    const packed = packOperations(operations);
    try {
      const call = { name: 'commit', operations: packed, nowMs } as const;
      const outcomes = await this.#writer.call(call, [packed.bytes.buffer]);
      this.#onWritten(operations.length, packed.bytes.length);
      return unpackOutcomes(outcomes);
    } catch (error) {
      // After such an error nobody knows what state the connection is in: a new one is taken.
      if (error instanceof BrokerError && error.stored === 'unknown') this.#writer.abandon();
      // A full disk has room in a write-ahead log that begins anew.
      else this.#startCheckpoint(0);
      throw error;
    }
  }

  async read(channel: string, range: ReadRange, nowMs: number): Promise<StreamSlice> {
    return unpackSlice(await this.#reads.call({ name: 'read', channel, range, nowMs }));
  }

  async *changedSince(
    place: LogPlace | undefined,
    filter: ChannelFilter,
    nowMs: number,
  ): AsyncGenerator<ChangedPage | undefined, void> {
    const { names, patterns } = splitFilter(filter);
    for (const piece of inPieces(names, CHANGED_PAGE)) {
      const call = { name: 'changedNamed', place, names: piece, nowMs } as const;
      const changed = await this.#reads.call(call);
      yield changed && unpackChanged(changed);
    }
    if (patterns.length === 0) return;
    let cursor: ChangedCursor | undefined;
    do {
      const call = { name: 'changedMatching', place, patterns, cursor, nowMs } as const;
      const page = await this.#reads.call(call);
      yield page && unpackChanged(page.channels);
      cursor = page?.next;
    } while (cursor !== undefined);
  }

  get(key: string, nowMs: number): Promise<StateRecord | undefined> {
    return this.#reads.call({ name: 'get', key, nowMs });
  }

  list(
    prefix: string,
    after: string | undefined,
    countMax: number,
    nowMs: number,
  ): Promise<StateRecord[]> {
    return this.#reads.call({ name: 'list', prefix, after, countMax, nowMs });
  }

  sweep(nowMs: number): Promise<boolean> {
    return this.#writer.call({ name: 'sweep', nowMs });
  }

  /** Writes a copy of the log to the file `target` while the log is in use. */
  async backUp(target: string): Promise<void> {
    const thread = this.#thread('backup');
    try {
      thread.spawn();
      await thread.open();
      await thread.call({ name: 'backup', target });
    } finally {
      await thread.close();
    }
  }

  async close(): Promise<void> {
    this.#closing = true;
    await this.#checkpoint;
    for (const thread of [this.#reader, this.#writer]) {
      try {
        await thread.close();
      } catch (error) {
        this.#options.log.warn({ error }, 'the log was closed without an orderly end');
      }
    }
    this.#lock?.release();
  }

  #thread(role: ThreadRole): SqliteThread {
    const { directory, sync, limits, clock, log } = this.#options;
    const { keyWindowMs, keysPerChannelMax, metadataMs, fileSizeMax } = limits;
    const kept = { keyWindowMs, keysPerChannelMax, metadataMs, fileSizeMax };
    const setup = { path: join(directory, LOG_FILE), sync, limits: kept };
    return new SqliteThread({ role, setup, clock, log });
  }

  #onWritten(count: number, size: number): void {
    // A message touches its own page, its channel's and those of their indexes, partly shared.
    this.#writtenPages += 8 + count * 2 + Math.ceil(size / PAGE_SIZE);
    if (this.#writtenPages >= CHECKPOINT_PAGES) this.#startCheckpoint(WAL_PAGES_MAX);
  }

  /** Begins a checkpoint if none is under way; the writer takes part from so many pages on. */
  #startCheckpoint(walPagesMax: number): void {
    if (this.#checkpoint !== undefined || this.#closing) return;
    this.#writtenPages = 0;
    this.#checkpoint = this.#runCheckpoint(walPagesMax).finally(() => {
      this.#checkpoint = undefined;
    });
  }

  /** Never rejects. */
  async #runCheckpoint(walPagesMax: number): Promise<void> {
    try {
      const pages = await this.#reader.call({ name: 'checkpoint', mode: 'passive' });
      if (pages.total < walPagesMax) return;
      await this.#writer.call({ name: 'checkpoint', mode: 'restart' });
    } catch (error) {
      this.#options.log.warn({ error }, 'a checkpoint of the log failed; it is tried again');
    }
  }
}

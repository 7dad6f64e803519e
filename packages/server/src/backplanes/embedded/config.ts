/** Options of the embedded backplane, with their defaults and units. */
import type { Clock } from '../../clock.ts';
import type { Log } from '../../observe/log.ts';
import type { Random } from '../../random.ts';

/** What the embedded backplane can be told. */
export interface EmbeddedOptions extends Partial<EmbeddedLimits> {
  /** Where the log lives; made when missing. Absent: nothing outlives the process. */
  readonly directory?: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /**
   * `full` (default): acknowledged means on the disk, power cuts included. `off`: acknowledged
   * means with the operating system; after any unclean stop every channel begins a new epoch.
   */
  readonly sync?: Sync;
}

/** How an acknowledged message is kept from power cuts. */
export type Sync = 'full' | 'off';

/** Every bound and wait of the embedded backplane. */
export interface EmbeddedLimits {
  /** How long an idempotency key is remembered, at least. */
  readonly keyWindowMs: number;
  /** Of more keys than this in one channel the oldest are forgotten earlier. */
  readonly keysPerChannelMax: number;
  /** How long after its last message a channel's epoch and newest offset are remembered. */
  readonly metadataMs: number;
  /** How often what is over its age is removed from the disk. Readers never see it anyway. */
  readonly sweepIntervalMs: number;
  /** Operations that wait to be committed; over it publishes answer `unavailable`. */
  readonly queueCountMax: number;
  /** Bytes of the same. */
  readonly queueSizeMax: number;
  /** Operations in one commit. */
  readonly batchCountMax: number;
  /** Bytes in one commit; a single operation may be larger. */
  readonly batchSizeMax: number;
  /** Reads that wait for the reading thread; over it reads answer `unavailable`. */
  readonly readsWaitingMax: number;
  /** Bytes to which the log's main file may grow; over it publishes answer `unavailable`. */
  readonly fileSizeMax: number;
  /** Bytes of all channels and records in memory, roughly; over it calls answer `unavailable`. */
  readonly memorySizeMax: number;
}

const SECOND = 1000;
const HOUR = 3600 * SECOND;
const DAY = 24 * HOUR;
const MB = 1024 * 1024;

/** The limits of a server that was told none. */
export const EMBEDDED_DEFAULTS: EmbeddedLimits = {
  keyWindowMs: HOUR,
  keysPerChannelMax: 10_000,
  metadataMs: 30 * DAY,
  sweepIntervalMs: 30 * SECOND,
  queueCountMax: 100_000,
  queueSizeMax: 64 * MB,
  batchCountMax: 2048,
  batchSizeMax: 4 * MB,
  readsWaitingMax: 100_000,
  // The disk is the bound: SQLite itself ends at 16 TB with these pages.
  fileSizeMax: 2 ** 44,
  memorySizeMax: 1024 * MB,
};

/** What a store itself has to know of the limits. */
export type StoreLimits = Pick<
  EmbeddedLimits,
  'keyWindowMs' | 'keysPerChannelMax' | 'metadataMs' | 'fileSizeMax'
>;

/**
 * LogStore: where the embedded broker keeps streams and state. The broker decides when to commit
 * and whom to tell; a store decides offsets and epochs and never tells anybody anything.
 *
 * A store may answer at once or later: in process there is nothing to wait for, across threads
 * there is. Time comes with every call, so a store needs no clock.
 */
import type { Draft, Message } from '@trunkline/wire';
import type {
  ChangedChannel,
  ChannelFilter,
  Idempotency,
  ReadRange,
  Retention,
  StreamBounds,
  StreamSlice,
} from '../../broker/broker.ts';
import type { StateRecord } from '../../broker/state.ts';

/** A value now or later. */
export type Awaitable<T> = T | Promise<T>;

/** A message to be put at the end of a channel's stream. */
export interface Append {
  readonly kind: 'append';
  readonly channel: string;
  readonly draft: Draft;
  readonly retention: Retention;
  readonly idempotency?: Idempotency;
}

/**
 * The channel's stream ends here, because its next messages are kept in another store. Should it
 * ever come back, it begins a new epoch. Repeating it changes nothing.
 */
export interface Leave {
  readonly kind: 'leave';
  readonly channel: string;
}

/**
 * All of the channel's stream is removed, its keys too. Marks from before must go on telling that
 * something was lost, as long as they are read at all.
 */
export interface Purge {
  readonly kind: 'purge';
  readonly channel: string;
}

/** A state record to be written if its condition holds. */
export interface Put {
  readonly kind: 'put';
  readonly key: string;
  readonly value: Uint8Array;
  readonly ifVersion?: number;
  readonly expiresAt?: number;
}

/** A state record to be deleted if its condition holds. */
export interface Delete {
  readonly kind: 'delete';
  readonly key: string;
  readonly ifVersion?: number;
}

/** What can be done to a store. */
export type Operation = Append | Leave | Purge | Put | Delete;

/** What became of an operation of a batch that was committed. */
export type Outcome =
  | Appended
  /** The key had been used before: the place of the first one's message. */
  | { readonly kind: 'duplicate'; readonly epoch: string; readonly offset: number }
  /** The key had been used for another message; nothing was stored. */
  | { readonly kind: 'conflict' }
  /** There is no room for the message or the record; nothing was stored. */
  | { readonly kind: 'full' }
  /** With the highest sequence given by then. */
  | { readonly kind: 'left'; readonly sequence: number }
  /** With the highest sequence given by then. */
  | { readonly kind: 'purged'; readonly sequence: number }
  /** `undefined` when the condition did not hold. */
  | { readonly kind: 'put'; readonly version: number | undefined }
  /** False when there was no record or the condition did not hold. */
  | { readonly kind: 'delete'; readonly deleted: boolean };

/** The place a message was given. */
export interface Appended {
  readonly kind: 'appended';
  readonly epoch: string;
  readonly offset: number;
  readonly time: number;
  /** The place in the order of all messages of the store. */
  readonly sequence: number;
  /** The message itself, where the store has it in this process: it need not be made again. */
  readonly message?: Message;
}

/** Which log this is and how far it goes, for marks. */
export interface LogIdentity {
  /** Random; another one whenever sequences may be given a second time. */
  readonly id: string;
  /** 1, 2, 3 …: which opening of the log this is. */
  readonly run: number;
  /** The highest sequence ever given. */
  readonly sequence: number;
}

/** A place in the store's whole order. */
export interface LogPlace {
  readonly run: number;
  readonly sequence: number;
}

/** Some of the channels that changed. A channel may come again on a later page. */
export type ChangedPage = readonly ChangedChannel[];

/** Keeps the streams and the state of one node. */
export interface LogStore {
  /**
   * True when a commit costs about the same for many operations as for one, so that waiting for
   * the end of a turn to join them pays. False: `commit` answers at once.
   */
  readonly joins: boolean;

  /** Called once, before everything else. @throws {BrokerError} that says what to do. */
  open(): Awaitable<LogIdentity>;

  /**
   * Does all of the operations in order, or none. They see what those before them did. At most one
   * commit is asked for at a time. The outcomes are in the order of the operations.
   *
   * @throws {BrokerError} with `stored: false` when certainly nothing was done, `'unknown'` when
   *   it may have been. Either is final: nothing is done after the answer.
   */
  commit(operations: readonly Operation[], nowMs: number): Awaitable<readonly Outcome[]>;

  /** Reads part of a stream as of one moment after the call, as retention leaves it at `nowMs`. */
  read(channel: string, range: ReadRange, nowMs: number): Awaitable<StreamSlice>;

  /**
   * The accepted channels that changed after `place`, each with its position there and its stream
   * as retention leaves it at `nowMs`; without a place all that have a stream. In bounded steps,
   * each of which sees what was committed before it; `undefined` for a page means that it can't be
   * told any more.
   */
  changedSince(
    place: LogPlace | undefined,
    filter: ChannelFilter,
    nowMs: number,
  ): Iterable<ChangedPage | undefined> | AsyncIterable<ChangedPage | undefined>;

  /** The state record of `key`, unless it has expired at `nowMs`. */
  get(key: string, nowMs: number): Awaitable<StateRecord | undefined>;

  /** State records whose key begins with `prefix`, after the key `after`, by code points. */
  list(
    prefix: string,
    after: string | undefined,
    countMax: number,
    nowMs: number,
  ): Awaitable<readonly StateRecord[]>;

  /**
   * Removes for good some of what retention, time or a new epoch had already taken from readers: a
   * bounded step. Asked between commits only.
   *
   * @returns true when there is more to remove.
   */
  sweep(nowMs: number): Awaitable<boolean>;

  /** Writes a copy of the log to a file while the log is in use; not every store can. */
  backUp?(target: string): Promise<void>;

  /** Resolves when everything is let go. Idempotent. */
  close(): Awaitable<void>;
}

/** Bytes that the value of a state record may have. */
export const STATE_VALUE_SIZE_MAX = 1024 * 1024;

/** Bytes of values, and records, after which a page of state records ends. */
export const STATE_PAGE_SIZE_MAX = 8 * 1024 * 1024;
export const STATE_PAGE_COUNT_MAX = 1000;

/** Where a lost life of a stream stood: no epoch is ever called so, hence resuming tells a gap. */
export const LOST_LIFE = { epoch: 'lost', offset: 0 } as const;

/** The bounds of a channel that has no stream. */
export const NO_BOUNDS: StreamBounds = { epoch: '0', oldest: 1, top: 0 };

/** What a reader sees of a channel that has no stream. */
export const NO_STREAM: StreamSlice = { ...NO_BOUNDS, messages: [] };

/** Channels that are looked at in one step when asked what changed. */
export const CHANGED_PAGE = 256;

/** What the hub is told: limits with their units, and the rules of channels. */
import type { Action } from '../auth/identity.ts';
import type { NamespaceRules } from '../config/namespace-rules.ts';

/** What whoever makes a hub decides. */
export interface HubConfig {
  /** The rules of a channel. Cheap to call, the same object for the same channel where possible. */
  readonly rulesOf: (channel: string) => NamespaceRules;
  /**
   * True when every channel that a pattern matches allows the action to those of a kind; see
   * `compileNamespaces`.
   */
  readonly allowsWhole: (kind: 'anonymous' | 'user', action: Action, filter: string) => boolean;
  /** This node's name, of which presence entries tell where they come from. */
  readonly node: string;
  /** How long the broker remembers an idempotency key; told to clients. */
  readonly keyWindowMs: number;
  /** Unsent bytes of a link above which its cursors fall behind. */
  readonly highWaterSize: number;
  /** How often, about, a live channel is compared with the log, so that a lost wake-up heals. */
  readonly checkIntervalMs: number;
  /**
   * A publish that the log has not answered by then is refused with `unavailable`, stored
   * `unknown`; `PUBLISH_MS` when absent.
   */
  readonly publishMs?: number;
}

/** How long a publisher waits for the log unless told otherwise. */
export const PUBLISH_MS = 30_000;

/** Bytes of one shared batch; a burst is divided into several. */
export const BATCH_SIZE_MAX = 64 * 1024;

/** Messages and bytes of one read of the log on behalf of a cursor. */
export const READ_COUNT_MAX = 500;
export const READ_SIZE_MAX = 64 * 1024;

/** Memory of one channel's tail. */
export const TAIL_SIZE_MAX = 512 * 1024;

/** Batches that a channel keeps for several readers at one place. */
export const RECENT_COUNT_MAX = 8;

/**
 * Memory of what all channels keep for readers: messages alone. The encodings made for readers who
 * come back are kept with them, which is about as much again for each encoding in use, and again for
 * each way of framing it.
 */
export const KEPT_SIZE_MAX = 64 * 1024 * 1024;

/** A channel without users is kept so long: polls come back, pages are reloaded. */
export const LINGER_MS = 30_000;

/** Channels without users that are kept; over it the one left first goes at once. */
export const LINGER_COUNT_MAX = 10_000;

/** After a failed read of the log it is tried again, at first after so long. */
export const RETRY_MS = 200;
export const RETRY_MS_MAX = 5_000;

/** How often a start may find the log and the head of a channel at odds before it is refused. */
export const SETTLE_COUNT_MAX = 5;

/** Channels that a reader of several reads on at once. */
export const LEGS_AT_ONCE_MAX = 16;

/**
 * Messages of volatile channels are given to a link only below this part of the high-water mark: a
 * quarter, so that they never hold up those of a log.
 */
export const VOLATILE_PART = 4;

/** What presence is told, and its limits with their units. */

/** What whoever makes a presence decides. */
export interface PresenceConfig {
  /** This node's name: the one that members who enter here come from. */
  readonly node: string;
  /** How long the last session of a user may be away before that is told, by channel. */
  readonly graceMsOf: (channel: string) => number;
  /** Unsent bytes of a link above which its watchers wait for a snapshot. */
  readonly highWaterSize: number;
  /** Members of one channel; `MEMBERS_MAX` when absent. */
  readonly membersMax?: number;
  /** Watchers of one channel; `WATCHERS_MAX` when absent. */
  readonly watchersMax?: number;
}

/** Members of one channel; one more is refused with `rate_limited`. */
export const MEMBERS_MAX = 1_000_000;

/** Watchers of one channel; one more is refused with `rate_limited`. */
export const WATCHERS_MAX = 10_000;

/** After a batch of changes the next one comes no earlier than this. */
export const BATCH_MS = 100;

/** The same after a snapshot, which is larger and means that much is going on. */
export const BUSY_MS = 1_000;

/** Changes of one batch; more than that are told as one snapshot. */
export const CHANGES_MAX = 64;

/** Members of one page, at most and when the client does not say. */
export const PAGE_COUNT_MAX = 1_000;
export const PAGE_COUNT_DEFAULT = 100;

/**
 * Bytes of one page, roughly; what does not fit comes with the next page. A page that is a frame of
 * a link's own counts against what may be unsent of these.
 */
export const PAGE_SIZE_MAX = 64 * 1024;

/** Members and bytes of the page that stands in a snapshot and in the answer to a subscribe. */
export const FIRST_COUNT_MAX = 100;
export const FIRST_SIZE_MAX = 16 * 1024;

/** Members whose grace time is over that are let go in one turn; the others follow in the next. */
export const SWEEP_COUNT_MAX = 1_000;

/** Sessions that are gone and make room at once when their user comes back by another one. */
export const REPLACED_COUNT_MAX = 100;

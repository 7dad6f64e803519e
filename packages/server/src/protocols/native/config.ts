/** What the native protocol is told. */
export interface NativeConfig {
  /** This node's name, told in the welcome. */
  readonly node: string;
  /** How often the transport pings, told in the welcome. */
  readonly pingIntervalMs: number;
  /** A link that has not said hello by then is closed with `timeout`. */
  readonly helloTimeoutMs: number;
  /** Subscriptions of one session; one more is refused with `rate_limited`. */
  readonly subscriptionsMax: number;
  /** Commands a second of one session, 0 for no limit; above it commands are `rate_limited`. */
  readonly commandsPerSecondMax: number;
  /** Payload bytes of a message, told in the welcome. */
  readonly messageBytesMax: number;
  /** Bytes of a frame, told in the welcome. */
  readonly frameBytesMax: number;
  /** How long an idempotency key is remembered, told in the welcome. */
  readonly keyWindowMs: number;
  /** Unsent bytes of a link; above a part of them a session begins no more commands. */
  readonly highWaterSize: number;
}

/**
 * Bytes of answers that commands under way may have coming; then no more are begun. Together with
 * those unsent at that moment they stay below what ends a link as `slow`.
 */
export const OWED_SIZE_MAX = 48 * 1024;

/** Above this part of the high-water mark unsent, no more commands are begun: a quarter. */
export const UNREAD_PART = 4;

/** Bytes of an answer without its channel, roughly. */
export const ANSWER_SIZE = 160;

/** A session may spend so many seconds' worth of its command rate at once. */
export const COMMAND_BURST_SECONDS = 2;

/** Messages of one page of history, at most and when the client does not say. */
export const HISTORY_COUNT_MAX = 1_000;
export const HISTORY_COUNT_DEFAULT = 100;

/**
 * Payload bytes of such a page; more is said by `more`. It counts against the bytes of own frames
 * that a link may have unsent, which a client must not reach by asking once.
 */
export const HISTORY_SIZE_MAX = 64 * 1024;

/**
 * Forms of one snapshot that are kept for the next who asks, by encoding: one, and those of so many
 * less one numbers of subscriptions that stand apart.
 */
export const SNAPSHOT_WRITTEN_MAX = 5;

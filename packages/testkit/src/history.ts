/**
 * History: everything that clients were told in one run, in the order they were told it, and what
 * the log held at the end. The checker judges a run by this alone.
 */
import type { Gap, Position } from '@trunkline/wire';
import type { FollowEvent } from './follow-history.ts';

/** Where a stream stood at one moment. */
export interface StreamState {
  readonly epoch: string;
  /** Offset of the oldest retained message; `top + 1` when none is. */
  readonly oldest: number;
  readonly top: number;
}

/** A stream as the log held it at the end. */
export interface StreamLog extends StreamState {
  /** Payloads by offset, from `oldest` to `top`. */
  readonly payloads: ReadonlyMap<number, string>;
}

/** What every event carries. */
interface Moment {
  /** The step of the run in which it happened; for the reader of a violation only. */
  readonly step: number;
}

/**
 * One try to publish. Payloads tell publishes apart: two tries carry the same payload only when
 * the second repeats the first.
 */
export interface PublishEvent extends Moment {
  readonly kind: 'publish';
  /** Names this try. */
  readonly attempt: string;
  /** Names the connection it was sent on. */
  readonly connection: string;
  readonly user: string;
  readonly channel: string;
  readonly payload: string;
  readonly key?: string;
  /** Monotonic milliseconds. */
  readonly atMs: number;
  /** Unix milliseconds. */
  readonly unixMs?: number;
  /** Milliseconds for which it is to be delivered; absent is for ever. */
  readonly ttl?: number;
  /** What a slow reader of a volatile channel gets only the newest of. */
  readonly slot?: string;
}

/** The server said that a try was handed to whoever listens to a volatile channel. */
export interface PassedEvent extends Moment {
  readonly kind: 'passed';
  readonly attempt: string;
}

/** The server said that a try is in the log. */
export interface AcknowledgedEvent extends Moment {
  readonly kind: 'acknowledged';
  readonly attempt: string;
  readonly position: Position;
}

/** The server refused a try. A connection that breaks leaves a try without an answer. */
export interface RefusedEvent extends Moment {
  readonly kind: 'refused';
  readonly attempt: string;
  readonly code: string;
  /** Absent counts as `unknown`. */
  readonly stored?: false | 'unknown';
}

/** A subscription, an event stream or one poll got its answer. */
export interface OpenedEvent extends Moment {
  readonly kind: 'opened';
  readonly subscription: string;
  /**
   * The application that reads on over several subscriptions, always from where it stands. One
   * that goes elsewhere on purpose is another reader.
   */
  readonly reader: string;
  readonly channel: string;
  readonly transport: string;
  /** As the client said it; absent: only what comes from now on. */
  readonly after?: string;
  readonly position: Position;
  readonly recovered?: boolean;
  readonly gap?: Gap;
  /** The log when the client asked and when it was answered: the verdict lies between. */
  readonly asked?: StreamState;
  readonly answered?: StreamState;
}

/** A subscription got a message. */
export interface MessageEvent extends Moment {
  readonly kind: 'message';
  readonly subscription: string;
  readonly epoch: string;
  readonly offset: number;
  readonly payload: string;
}

/** A subscription was told of a loss. */
export interface GapEvent extends Moment {
  readonly kind: 'gap';
  readonly subscription: string;
  readonly gap: Gap;
  readonly position: Position;
}

/** A client was told: everything up to here is delivered (the end of a poll, the `id:` of SSE). */
export interface ReachedEvent extends Moment {
  readonly kind: 'reached';
  readonly subscription: string;
  readonly position: Position;
}

/** A subscription ended, whoever ended it. */
export interface ClosedEvent extends Moment {
  readonly kind: 'closed';
  readonly subscription: string;
}

/** The log of a channel ended on purpose, or lost what it never promised to keep. */
export interface PurgedEvent extends Moment {
  readonly kind: 'purged';
  readonly channel: string;
}

/** Anything that clients do or are told. */
export type HistoryEvent =
  | FollowEvent
  | PublishEvent
  | AcknowledgedEvent
  | PassedEvent
  | RefusedEvent
  | OpenedEvent
  | MessageEvent
  | GapEvent
  | ReachedEvent
  | ClosedEvent
  | PurgedEvent;

/** One whole run. */
export interface History {
  readonly events: readonly HistoryEvent[];
  /**
   * The log of every channel at the end, when every subscription still open had had all the time
   * it needs. Absent for a run that was cut off.
   */
  readonly logs?: ReadonlyMap<string, StreamLog>;
  /** How long a key is remembered, at least. */
  readonly keyWindowMs: number;
  /** Channels whose readers by name are listed as present. */
  readonly listed?: readonly string[];
  /** True when Unix time has jumped, so that it tells little of what ran out of time. */
  readonly jumped?: boolean;
  /** Messages of each channel that retention must leave alone. */
  readonly retainedMin?: (channel: string) => number;
}

/**
 * A promise that was broken: 1 to 6 as in the wire contract (order, no silent loss, no duplicates,
 * resume anywhere, acknowledged is stored, keys count once), or `offset`: one offset of one epoch
 * meant two messages, `unasked`: something came that was not asked for, `expired`: a message came
 * after its time, or was said to be over before it, `volatile`: a message of a volatile channel is
 * missing that should have come, `presence`: a watcher's list is not who is there.
 */
export type BrokenPromise =
  | 1
  | 2
  | 3
  | 4
  | 5
  | 6
  | 'offset'
  | 'unasked'
  | 'expired'
  | 'volatile'
  | 'presence';

/** One finding of the checker. */
export interface Violation {
  readonly promise: BrokenPromise;
  readonly step: number;
  readonly channel: string;
  /** What was promised, what was seen, and to whom. */
  readonly message: string;
}

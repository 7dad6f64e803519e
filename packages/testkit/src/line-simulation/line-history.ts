/**
 * Line history: everything that the applications of one run asked of their lines and were told by
 * them, in the order in which it happened. The checks judge a run by this and by the log alone.
 */
import type { Gap, Position } from '@trunkline/wire';
import type {
  AcknowledgedEvent,
  PassedEvent,
  PublishEvent,
  PurgedEvent,
  RefusedEvent,
  StreamState,
} from '../history.ts';

/** What every event of a reader carries. */
interface ReaderMoment {
  readonly step: number;
  /** One listener of one name or pattern. */
  readonly reader: string;
}

/** Where each channel of the run that a filter matches stands in the log. */
export type Heads = ReadonlyMap<string, StreamState>;

/** A listener begins. */
export interface ListensEvent extends ReaderMoment {
  readonly kind: 'listens';
  readonly line: string;
  readonly filter: string;
  /** Where it asks to begin; neither of them is from now on. */
  readonly after?: string;
  readonly last?: number;
  /** False for who does not want what its own line publishes. */
  readonly echo: boolean;
  /** The listener from whom it has `after`: the last place that one was told. */
  readonly continues?: string;
}

/** It was told that messages flow from here on. */
export interface BeginsEvent extends ReaderMoment {
  readonly kind: 'begins';
  /** Absent for patterns and volatile channels. */
  readonly position?: Position;
  readonly mark?: string;
  readonly recovered?: boolean;
  readonly gap?: Gap;
  /** As the log is while it is told. */
  readonly heads: Heads;
}

/** It was given a message. */
export interface HearsEvent extends ReaderMoment {
  readonly kind: 'hears';
  readonly channel: string;
  /** Absent in a volatile channel. */
  readonly position?: Position;
  readonly payload: string;
  /** Unix milliseconds. */
  readonly unixMs: number;
}

/** Everything up to a mark was given to it. */
export interface ReachesEvent extends ReaderMoment {
  readonly kind: 'reaches';
  readonly mark: string;
}

/** It was told of a loss. */
export interface MissesEvent extends ReaderMoment {
  readonly kind: 'misses';
  readonly channel: string;
  readonly gap: Gap;
  readonly position: Position;
}

/** It was told that nothing more will come. */
export interface EndsEvent extends ReaderMoment {
  readonly kind: 'ends';
  readonly reason: string;
}

/** The application took it away. */
export interface StopsEvent extends ReaderMoment {
  readonly kind: 'stops';
}

/** What a reader asks and is told. */
export type ReadingEvent =
  | ListensEvent
  | BeginsEvent
  | HearsEvent
  | ReachesEvent
  | MissesEvent
  | EndsEvent
  | StopsEvent;

/** Anything of a run. */
export type LineEvent =
  | ReadingEvent
  | PublishEvent
  | AcknowledgedEvent
  | PassedEvent
  | RefusedEvent
  | PurgedEvent;

/**
 * What sessions that follow several channels at once are told, in the order they were told it.
 *
 * A session is one WebSocket or one event stream. It has subscriptions, each to one or more
 * channels and patterns; what matches several of them is delivered to it once [WILD-4].
 */
import type { Gap, Position } from '@trunkline/wire';
import type { StreamState } from './history.ts';

/** What every event of a session carries. */
interface SessionMoment {
  readonly step: number;
  readonly session: string;
}

/** Where a subscription asks to begin. */
export interface AskedStart {
  readonly after?: string;
  readonly last?: number;
}

/** A session asks to follow channels; it may be a subscription that it has already. */
export interface AskEvent extends SessionMoment {
  readonly kind: 'ask';
  readonly subscription: string;
  /** The application: what it was given by one session it knows in the next one. */
  readonly reader: string;
  readonly user: string;
  /** Channels and patterns, and where each is to begin. */
  readonly starts: ReadonlyMap<string, AskedStart>;
  /** True when the session does not want to have what it publishes itself. */
  readonly muted: boolean;
}

/** What became of one channel or pattern that was asked for. */
export interface FollowVerdict {
  readonly position?: Position;
  readonly recovered?: boolean;
  readonly gap?: Gap;
}

/** What the log was like around the answer, of one channel that a filter matches. */
export interface ChannelHead {
  /** The newest place that anybody had been told of before the question. */
  readonly known?: Position;
  /** Where the stream stood when it was asked and when it was answered. */
  readonly asked: StreamState;
  readonly answered: StreamState;
  /** False where a server may rightly go by something else; see `Recorder.stateOf`. */
  readonly comparable: boolean;
}

/** The answer: from here on the session is given what its subscription has. */
export interface FollowingEvent extends SessionMoment {
  readonly kind: 'following';
  readonly subscription: string;
  readonly transport: string;
  readonly verdicts: ReadonlyMap<string, FollowVerdict>;
  /** Of every channel of the run that is matched. */
  readonly heads: ReadonlyMap<string, ChannelHead>;
}

/** Everything up to a mark was given to what one channel or pattern stands for. */
export interface MarkedEvent extends SessionMoment {
  readonly kind: 'marked';
  readonly subscription: string;
  readonly mark: string;
  /**
   * Which life each channel had in the log by then: the mark may be from right before its first
   * message. Absent: none that began since the answer.
   */
  readonly lives?: ReadonlyMap<string, string>;
}

/** A message. */
export interface GivenEvent extends SessionMoment {
  readonly kind: 'given';
  readonly channel: string;
  readonly epoch: string;
  readonly offset: number;
  readonly payload: string;
  /** True when the session published it itself. */
  readonly isOwn: boolean;
  /** When the server let it go and when it was stored, in Unix milliseconds. */
  readonly sentMs: number;
  readonly storedMs: number;
}

/** Messages were left out because their time was over. */
export interface LapsedEvent extends SessionMoment {
  readonly kind: 'lapsed';
  readonly channel: string;
  readonly epoch: string;
  readonly from: number;
  readonly to: number;
  readonly sentMs: number;
}

/** A message of a volatile channel. */
export interface PassingEvent extends SessionMoment {
  readonly kind: 'passing';
  readonly channel: string;
  readonly payload: string;
}

/** So much is unsent to the session that messages of volatile channels may pass it by. */
export interface SlowEvent extends SessionMoment {
  readonly kind: 'slow';
}

/** Who is there in a channel: the session watches from here on, or its list is replaced. */
export interface WatchingEvent extends SessionMoment {
  readonly kind: 'watching';
  readonly channel: string;
  readonly users: readonly string[];
}

/** Someone came to a channel that the session watches, or went. */
export interface PresenceChangeEvent extends SessionMoment {
  readonly kind: 'came' | 'went';
  readonly channel: string;
  readonly user: string;
}

/** A channel lost messages. */
export interface LostEvent extends SessionMoment {
  readonly kind: 'lost';
  readonly channel: string;
  readonly gap: Gap;
  readonly position: Position;
}

/** A session asks to unsubscribe (`leaving`), or has (`left`). */
export interface LeaveEvent extends SessionMoment {
  readonly kind: 'leaving' | 'left';
  readonly subscription: string;
}

/** A session is over, whoever ended it. */
export interface EndedEvent extends SessionMoment {
  readonly kind: 'ended';
}

/** Anything about sessions that follow several channels. */
export type FollowEvent =
  | AskEvent
  | FollowingEvent
  | MarkedEvent
  | GivenEvent
  | LapsedEvent
  | LostEvent
  | PassingEvent
  | SlowEvent
  | WatchingEvent
  | PresenceChangeEvent
  | LeaveEvent
  | EndedEvent;

/**
 * Transport: one way of receiving a channel. A transport tries once and tells how that went;
 * whether and when to try again is the subscription's decision.
 */
import type { EncodingName } from '../binary.ts';
import type { Ending } from '../../ending.ts';
import type {
  GapEvent,
  OpenEvent,
  PresenceEvent,
  ReceivedMessage,
  SnapshotEvent,
} from '../../events.ts';
import type { Query } from '../../http.ts';
import type { Platform } from '../../platform.ts';

/** What an attempt asks of the server. */
export interface Target {
  readonly url: string;
  /** Names and patterns; at least one. */
  readonly channels: readonly string[];
  /** Where to go on in all of them; absent: only what comes from now on, or `last`. */
  readonly after?: string;
  /** Asks who is there, and to be told who comes and goes. */
  readonly presence?: boolean;
  /** Asks for the state where the resume is not recovered. */
  readonly snapshot?: boolean;
  readonly last?: number;
  readonly partial?: boolean;
  readonly token?: string;
  /** Not for event streams, which have one of their own. */
  readonly encoding?: EncodingName;
  /** For polls: how long one waits, 0 for short polling. */
  readonly waitSeconds: number;
  /** For short polls: the time from one answer to the next question. */
  readonly intervalMs: number;
}

/** What the subscription hears of an attempt. Nothing after `onEnd`, which comes exactly once. */
export interface AttemptSink {
  /** Before everything else that is delivered. */
  onOpen(opening: OpenEvent): void;
  onMessage(message: ReceivedMessage): void;
  onGap(gap: GapEvent): void;
  /** Everything up to the mark was delivered to these channels and patterns. */
  onMark(filters: readonly string[], mark: string): void;
  /** Offsets up to this position are not delivered: their time was over. */
  onExpired(channel: string, position: string): void;
  onOther(event: PresenceEvent | SnapshotEvent): void;
  onEnd(ending: Ending): void;
  /** Resolves when the application has room for more; at once if it has. */
  room(): Promise<void>;
}

/** One attempt, from dialing to its end. */
export interface Attempt {
  /** Ends it from this side: the sink hears nothing more. */
  close(): void;
}

/** Starts an attempt. Never throws: what goes wrong is an ending. */
export type Transport = (target: Target, sink: AttemptSink, platform: Platform) => Attempt;

/** Time for dialing and for the first answer. */
export const OPEN_MS_MAX = 10_000;

/** Beyond what the server announced as its ping interval, silence so long means that it is gone. */
export const SILENCE_GRACE_MS = 10_000;

/** What an event stream and a poll ask in their query. */
export function queryOf(target: Target): Query {
  const { channels, after, last, partial, presence, snapshot } = target;
  return {
    channel: channels,
    after,
    last: after === undefined ? last : undefined,
    partial: partial === true ? 1 : undefined,
    presence: presence === true ? 1 : undefined,
    snapshot: snapshot === true ? 1 : undefined,
  };
}

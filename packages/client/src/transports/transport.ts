/**
 * Transport: one way of receiving a channel. A transport tries once and tells how that went;
 * whether and when to try again is the subscription's decision.
 */
import type { Ending } from '../ending.ts';
import type { GapEvent, ReceivedMessage, OpenEvent } from '../events.ts';
import type { Platform } from '../platform.ts';

/** What an attempt asks of the server. */
export interface Target {
  readonly url: string;
  readonly channel: string;
  /** Where to go on; absent: only what comes from now on, or `last`. */
  readonly after?: string;
  readonly last?: number;
  readonly partial?: boolean;
  readonly token?: string;
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

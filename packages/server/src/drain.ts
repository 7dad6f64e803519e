/**
 * Drain: the orderly goodbye of a node. No new links; waiting polls answer now; every link gets its
 * goodbye at a moment of its own, so that the clients do not return all at once.
 */
import type { Clock } from './clock.ts';
import type { Close } from './link/link.ts';
import type { Random } from './random.ts';

/** A link or session that can be told to go. */
export interface Leaver {
  close(close: Close): void;
}

/** A session that can be warned before it is closed. */
export interface Session extends Leaver {
  sayGoaway(withinMs: number): void;
}

/** What a drain needs. */
export interface DrainParts {
  readonly listener: { stop(): Promise<void>; readonly connectionCount: number };
  readonly clock: Clock;
  readonly random: Random;
  readonly sessions: Iterable<Session>;
  readonly streams: Iterable<Leaver>;
  /** Waiting polls answer now. */
  endWaits(): void;
  /** Goodbyes are spread over at most this time; fewer clients need less of it. */
  readonly windowMs: number;
  /** After this time what is still open is left to be cut. */
  readonly deadlineMs: number;
}

/** Goodbyes a second that clients can return from without a storm. */
const GOODBYES_PER_SECOND = 200;

/** How often it is looked whether all have gone. */
const LOOK_MS = 20;

/** Resolves when all connections are gone, or the deadline is over. */
export async function drain(parts: DrainParts): Promise<void> {
  const { listener, clock, random } = parts;
  const endMs = clock.monotonicMs() + parts.deadlineMs;
  await listener.stop();
  parts.endWaits();
  const sessions = [...parts.sessions];
  const streams = [...parts.streams];
  const count = sessions.length + streams.length;
  const withinMs = Math.min(parts.windowMs, Math.ceil((count * 1000) / GOODBYES_PER_SECOND));
  for (const session of sessions) session.sayGoaway(withinMs);
  for (const leaver of [...sessions, ...streams]) {
    const close: Close = { code: 'draining', retryAfter: Math.ceil(random.fraction() * withinMs) };
    clock.after(random.fraction() * withinMs, () => leaver.close(close));
  }
  while (listener.connectionCount > 0 && clock.monotonicMs() < endMs) {
    await new Promise<void>((resolve) => {
      clock.after(LOOK_MS, resolve);
    });
  }
}

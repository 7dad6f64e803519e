/**
 * Drain: the orderly goodbye of a node. No new links; waiting polls answer now; every link gets its
 * goodbye at a moment of its own, so that the clients do not return all at once.
 */
import type { Clock } from './clock.ts';
import type { Close } from './link/link.ts';
import type { Random } from './random.ts';

/** A session that can be warned before its link closes. */
export interface Warned {
  sayGoaway(withinMs: number): void;
}

/** Something that says goodbye in its own words and ends, as a link does. Idempotent. */
export interface Parting {
  close(close: Close): void;
}

/** What a drain needs. */
export interface DrainParts {
  readonly listeners: readonly { stop(): Promise<void> }[];
  /** Those of all listeners. */
  readonly connections: { readonly count: number };
  readonly clock: Clock;
  readonly random: Random;
  /** Those who speak on some of the links. */
  readonly sessions: Iterable<Warned>;
  /** All links that are open, or who speaks on them. Nobody is let in any more. */
  links(): readonly Parting[];
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
  const { listeners, connections, clock, random, windowMs, deadlineMs } = parts;
  const endMs = clock.monotonicMs() + deadlineMs;
  for (const listener of listeners) await listener.stop();
  parts.endWaits();
  // Whoever was let in just before is a link by the end of the turn.
  await new Promise<void>((resolve) => clock.defer(resolve));
  const links = parts.links();
  const neededMs = Math.ceil((links.length * 1000) / GOODBYES_PER_SECOND);
  // The last one who hears its goodbye needs time to take it.
  const withinMs = Math.min(windowMs, neededMs, Math.floor(deadlineMs / 2));
  for (const session of parts.sessions) session.sayGoaway(withinMs);
  for (const link of links) {
    const close: Close = { code: 'draining', retryAfter: Math.ceil(random.fraction() * withinMs) };
    clock.after(random.fraction() * withinMs, () => link.close(close));
  }
  while (connections.count > 0 && clock.monotonicMs() < endMs) {
    await new Promise<void>((resolve) => {
      clock.after(LOOK_MS, resolve);
    });
  }
}

/**
 * Expiry: what of a read is still to be delivered [MSG-6].
 *
 * Many who read the same are given the same array, so that they share what it is encoded as.
 */
import type { Message } from '@trunkline/wire';

interface Alive {
  readonly messages: readonly Message[];
  /** When one of them expires: then it is looked at anew. */
  readonly untilMs: number;
}

const looked = new WeakMap<readonly Message[], Alive>();

/** The messages whose time is not over: the array itself when that is all of them. */
export function withoutExpired(messages: readonly Message[], nowMs: number): readonly Message[] {
  let alive = looked.get(messages);
  if (alive === undefined || alive.untilMs <= nowMs) {
    alive = lookAt(messages, nowMs);
    looked.set(messages, alive);
  }
  return alive.messages;
}

function lookAt(messages: readonly Message[], nowMs: number): Alive {
  let untilMs = Number.POSITIVE_INFINITY;
  let expiredCount = 0;
  for (const { expiresAt = Number.POSITIVE_INFINITY } of messages) {
    if (expiresAt <= nowMs) expiredCount += 1;
    else untilMs = Math.min(untilMs, expiresAt);
  }
  if (expiredCount === 0) return { messages, untilMs };
  const alive = messages.filter(({ expiresAt }) => expiresAt === undefined || expiresAt > nowMs);
  return { messages: alive, untilMs };
}

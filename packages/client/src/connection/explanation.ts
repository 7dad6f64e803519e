/** Explanation: why a connection travels the way it does, in sentences for people. */
import { CodedError } from '@trunkline/wire';
import type { Ending } from '../ending.ts';
import type { TransportName } from '../transports/transport.ts';

/** Which transport is in use, and what became of the others. */
export interface Explanation {
  /** The one in use; absent while there is none. */
  readonly transport?: TransportName;
  /** Unix milliseconds of the moment from which it is in use. */
  readonly since?: number;
  /** All that the application gave, the preferred one first. */
  readonly tried: readonly TriedTransport[];
}

/**
 * - `failed`: the last attempt ended before it was ready, or was lost later.
 * - `unstable`: it becomes ready and is cut at once, again and again.
 * - `unavailable`: it can't work in this runtime.
 */
export type Verdict = 'in use' | 'not tried' | 'failed' | 'unstable' | 'unavailable';

/** What became of one transport. */
export interface TriedTransport {
  readonly name: TransportName;
  readonly verdict: Verdict;
  /** A sentence for people; programs must not read it. */
  readonly reason: string;
  /** How long ago that was found; absent where there was nothing to find. */
  readonly agoMs?: number;
  /** How long it is left aside; 0 when it may be tried at any time. */
  readonly againInMs?: number;
}

/**
 * How an attempt ended that had not become ready: in silence, with a word of when to come back, or
 * in some other way.
 */
export type Failure = 'timeout' | 'told' | 'other';

/** How an attempt ended before it was ready. */
export function howOf(ending: Ending): Failure {
  if (ending.kind !== 'lost') return 'other';
  if (ending.isTimeout === true) return 'timeout';
  // An empty hint says nothing.
  return Object.keys(ending.hint ?? {}).length > 0 ? 'told' : 'other';
}

/** The sentence for an attempt that ended before it was ready, with what is often behind it. */
export function failureReason(name: TransportName, reason: string, failure: Failure): string {
  let suspicion = '';
  if (failure === 'told') suspicion = ': it was told when to come back';
  else if (name === 'websocket') suspicion = ': a proxy may block upgrades';
  // What refuses a stream or a poll says so in its answer; what holds it back says nothing.
  else if (failure === 'timeout') {
    suspicion = ': a proxy may buffer answers, or other tabs hold the six connections of HTTP/1.1';
  }
  return `it ended before it was ready (${reason})${suspicion}`;
}

/** Why nothing is tried: each of them has a fault. */
export function noTransport(tried: readonly Pick<TriedTransport, 'name' | 'reason'>[]): CodedError {
  const faults = tried.map(({ name, reason }) => `${name}: ${reason}`);
  return new CodedError('bad_request', `no transport can work here (${faults.join('; ')})`);
}

/** Identity: who a client is and what it may do, however it proved it. */
import { containsPattern, isWildcard, matchesPattern, patternFault } from '@trunkline/wire';

/** What can be granted on a channel. */
export type Action = 'subscribe' | 'publish' | 'history' | 'presence';

/** All that can be granted; tickets count on the order. */
export const ACTIONS: readonly Action[] = ['subscribe', 'publish', 'history', 'presence'];

/** What a token grants: actions by channel pattern. */
export type Grants = ReadonlyMap<string, ReadonlySet<Action>>;

export interface Identity {
  /** `anonymous` has no user; `server` is an application with an API key. */
  readonly kind: 'anonymous' | 'user' | 'server';
  readonly user?: string;
  /** What the token says of the user to others, in presence: any JSON value, small. */
  readonly info?: unknown;
  readonly grants: Grants;
  /** Unix milliseconds at which a token ends; absent when nothing ends. */
  readonly expiresAt?: number;
}

/** Where the server tells of itself: no channels, but to be granted like them. */
const SERVER_TOPICS = '$SYS/';

/** Why something can't be granted by this pattern, or `undefined` when it can. */
export function grantFault(pattern: string): string | undefined {
  return patternFault(pattern.startsWith(SERVER_TOPICS) ? pattern.slice(1) : pattern);
}

/** True when the identity's own grants allow it; namespaces may allow more. */
export function isGranted(identity: Identity, action: Action, channel: string): boolean {
  if (identity.kind === 'server') return true;
  for (const [pattern, actions] of identity.grants) {
    if (actions.has(action) && matchesPattern(pattern, channel)) return true;
  }
  return false;
}

/**
 * True when one of the identity's own grants allows it on every channel that `filter` matches
 * [AUTH-7]; namespaces may allow more. No grant opens a private channel to others [CH-2].
 */
export function isGrantedWhole(identity: Identity, action: Action, filter: string): boolean {
  if (identity.kind === 'server') return true;
  if (filter.startsWith('@')) {
    // A user may be named `a/#`; her channel has no name then, and the filter is not hers.
    const isOwn = identity.user !== undefined && filter === `@${identity.user}`;
    return isOwn && !isWildcard(filter) && action !== 'publish';
  }
  for (const [pattern, actions] of identity.grants) {
    if (actions.has(action) && containsPattern(pattern, filter)) return true;
  }
  return false;
}

/** Identity: who a client is and what it may do, however it proved it. */
import { matchesPattern } from '@trunkline/wire';

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
  readonly grants: Grants;
  /** Unix milliseconds at which a token ends; absent when nothing ends. */
  readonly expiresAt?: number;
}

/** True when the identity's own grants allow it; namespaces may allow more. */
export function isGranted(identity: Identity, action: Action, channel: string): boolean {
  if (identity.kind === 'server') return true;
  for (const [pattern, actions] of identity.grants) {
    if (actions.has(action) && matchesPattern(pattern, channel)) return true;
  }
  return false;
}

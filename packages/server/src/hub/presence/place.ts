/**
 * Place: where a member stands in the list of its channel.
 *
 * The order is by what never changes while a member is there and is the same at every node: since
 * when, then session and user. So whoever pages through a list that changes meets each member that
 * stays exactly once, and the place where a page ended is good at any node and after a restart.
 */
import { CodedError } from '@trunkline/wire';

/** What members are ordered by; no two members of a channel have the same. */
export interface Place {
  /** Unix milliseconds. */
  readonly since: number;
  readonly session: string;
  readonly user?: string;
}

/** Below 0 when `a` comes before `b`, 0 when they are one place. */
export function comparePlaces(a: Place, b: Place): number {
  if (a.since !== b.since) return a.since - b.since;
  if (a.session !== b.session) return a.session < b.session ? -1 : 1;
  // No user's name is empty, so one without a user comes first.
  const { user: userA = '' } = a;
  const { user: userB = '' } = b;
  if (userA === userB) return 0;
  return userA < userB ? -1 : 1;
}

/** Writes a place as the opaque `next` of a page. */
export function formatPlace({ since, session, user }: Place): string {
  const parts = user === undefined ? [since, session] : [since, session, user];
  return Buffer.from(JSON.stringify(parts)).toString('base64url');
}

/** Reads a place. @throws {CodedError} `bad_request` when it is the `next` of no page. */
export function parsePlace(text: string): Place {
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(text, 'base64url').toString());
  } catch {
    parts = undefined;
  }
  const [since, session, user] = Array.isArray(parts) ? (parts as unknown[]) : [];
  const isPlace =
    typeof since === 'number' &&
    typeof session === 'string' &&
    (user === undefined || typeof user === 'string');
  if (!isPlace) throw new CodedError('bad_request', 'after must be the next of a page of presence');
  return user === undefined ? { since, session } : { since, session, user };
}

/** What protocols and the HTTP API see of presence. */
import type { Member, MemberPage } from '@trunkline/wire';
import type { Link } from '../../link/link.ts';

/** Who enters a channel; since when is found here. */
export interface Newcomer {
  /** Known again by this word, e.g. when a poll comes again. */
  readonly session: string;
  /** Absent: nobody knows who it is, and the session counts as a user of its own. */
  readonly user?: string;
  /** What the token says of the user: any JSON value. Never changed by anyone. */
  readonly info?: unknown;
}

/** What a watcher is told. */
export type PresenceEvent =
  /** The first session of a user is there, or one of nobody known. */
  | { readonly kind: 'join'; readonly member: Member }
  /** The last session of the user of `member` is gone, and the grace time over. */
  | { readonly kind: 'leave'; readonly member: Member }
  /** Who is there, in place of the changes that led to it; the first page of the list. */
  | { readonly kind: 'snapshot'; readonly page: MemberPage };

/** How a protocol writes what watchers are told. One object each in the whole process: a key. */
export interface PresenceEncoding {
  readonly name: string;
  /** True when the result is UTF-8 text. */
  readonly text: boolean;
  /** One frame that carries all of `events`, in order, of which there is at least one. Pure. */
  encode(channel: string, events: readonly PresenceEvent[]): Uint8Array;
}

/** All that presence knows of a client that wants to be told. */
export interface PresenceWatcher {
  readonly link: Link;
  readonly presenceEncoding: PresenceEncoding;
}

/** Which part of a list to read. */
export interface PageRequest {
  /** From 1; at most `PAGE_COUNT_MAX` come. */
  readonly countMax: number;
  /** Bytes of the page, roughly; at least one member comes. `PAGE_SIZE_MAX` when absent. */
  readonly sizeMax?: number;
  /** `next` of the page before. */
  readonly after?: string;
}

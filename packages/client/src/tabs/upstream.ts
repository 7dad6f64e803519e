/** Upstream: what a host needs of the one connection that it shares among tabs. */
import type { Ending } from '../ending.ts';
import type { Frame } from '../encodings/encoding.ts';
import type {
  GapEvent,
  OpenEvent,
  PresenceEvent,
  ReceivedMessage,
  SnapshotEvent,
} from '../events.ts';
import type { Platform } from '../platform.ts';
import type { Ask, Target, Welcome, Wish } from '../transports/transport.ts';

/** How it stands with the connection. */
export type UpstreamState =
  | { readonly kind: 'ready'; readonly welcome: Welcome }
  /** It is dialing, or waits to dial again. */
  | { readonly kind: 'away' }
  /** It will not come back: refused, or no token was good. */
  | { readonly kind: 'ended'; readonly ending: Ending };

/** One connection, read by many. */
export interface Upstream {
  readonly state: UpstreamState;
  /** The listener is called after each change of `state`. */
  onState(listener: () => void): void;
  /**
   * Begins to read. Each reading has a place of its own, whatever else is read of the same filter,
   * and hears its opening before its messages. Nothing is told before this has returned. Readings
   * end without a word when the state is `ready` no longer.
   */
  read(wish: Wish, listener: ReadListener): Reading;
  /** Asks the server, publishes in the order of the calls. @throws {CodedError} as attempts do. */
  request(ask: Ask): Promise<Frame>;
  /** Publishes without an answer. */
  send(members: string): void;
  /** Goes on with a newer token of the same user. */
  renew(token: string): void;
  /** Looks for a sign of life now. */
  probe(): void;
  /** Idempotent. */
  close(): void;
}

/** One reading of a name or pattern. */
export interface Reading {
  /** Nothing more is told. Idempotent. */
  end(): void;
}

/** Who reads. A message that several readings hear is the same object for all of them. */
export interface ReadListener {
  onOpen(opening: OpenEvent): void;
  onMessage(message: ReceivedMessage): void;
  onGap(gap: GapEvent): void;
  /** Everything up to the mark was delivered to this reading. */
  onMark(mark: string): void;
  onExpired(channel: string, position: string): void;
  onPresence(event: PresenceEvent): void;
  onSnapshot(event: SnapshotEvent): void;
  /** The server will not have it read; it has ended. */
  onRefused(error: Error): void;
}

/** What an upstream begins with. */
export interface UpstreamStart {
  readonly target: Omit<Target, 'token'>;
  /**
   * The newest token of the tabs, or a fresh one where that one was given before. Absent where tabs
   * have none.
   */
  readonly token?: () => Promise<string | undefined>;
  readonly platform: Platform;
}

/** Makes the connection that is shared. */
export type OpenUpstream = (start: UpstreamStart) => Upstream;

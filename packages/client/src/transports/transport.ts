/**
 * Transport: one way of reaching the server. It carries all that a connection reads and asks, tries
 * once, and tells how that went. Whether and when to try again, and over what, is the connection's
 * decision.
 */
import type { Encoding, Frame } from '../encodings/encoding.ts';
import type { Ending } from '../ending.ts';
import type {
  GapEvent,
  OpenEvent,
  PresenceEvent,
  ReceivedMessage,
  SnapshotEvent,
} from '../events.ts';
import type { Platform } from '../platform.ts';

/** One way of reaching the server. Applications hand them to `connect`, the preferred one first. */
export interface Transport {
  readonly name: TransportName;
  /** True when every offset that is left out is told, so that a hole is a fault. */
  readonly isContiguous?: boolean;
  /** Why it can't work in this runtime, in a sentence; `undefined` when it may. */
  fault(platform: Platform): string | undefined;
  /**
   * Starts an attempt. Never throws: what goes wrong is an ending. The sink hears nothing before
   * this has returned.
   */
  open(target: Target, sink: AttemptSink, platform: Platform): Attempt;
}

/** `shared`: by way of another tab that has the connection. */
export type TransportName = 'websocket' | 'sse' | 'long-poll' | 'short-poll' | 'shared';

/** Whom an attempt talks to. */
export interface Target {
  /** `http:` or `https:`, with a path if the server has one. */
  readonly url: string;
  readonly token?: string;
  readonly encoding: Encoding;
}

/** What is to be read of one name or pattern. The last answer counts: a wish may change. */
export interface Wish {
  /** A channel's name, or a pattern. */
  readonly filter: string;
  /** Where to go on: a position, a mark, or `start`. Absent: from now on, or `last`. */
  readonly after?: string;
  /** Begins with so many of the newest messages; only without `after`. */
  readonly last?: number;
  /** Delivers what is left of a trimmed range after its gap. */
  readonly partial?: boolean;
  /** Asks to be listed where the namespace lists, and to be told who is there, comes and goes. */
  readonly presence?: boolean;
  /** Asks for the state of the channel where the log can't bring it up. */
  readonly snapshot?: boolean;
  /** False leaves out what this session publishes, on transports that know whose it is. */
  readonly echo?: boolean;
}

/** What a connection asks of the server beside reading. */
export type Ask =
  /** `members`: the JSON members of the publish, `"channel":…` and so on, on one line. */
  | { readonly kind: 'publish'; readonly members: string }
  | {
      readonly kind: 'history' | 'presence';
      readonly channel: string;
      /** Further parameters, by the names of the contract. */
      readonly query: Readonly<Record<string, string | number | undefined>>;
    }
  /** `members`: `"method":…,"data":…`. */
  | { readonly kind: 'call'; readonly members: string };

/** One attempt, from dialing to its end. */
export interface Attempt {
  /** The wish of this key is another one than before, or is no more: {@link AttemptSink.wish}. */
  revise(key: string): void;
  /**
   * Asks the server. Publishes are begun in the order in which they were asked for.
   *
   * @returns the answer's fields; for `history`, `Frame.messages`.
   * @throws {CodedError} with `stored` where it concerns a publish: `false` when it certainly was
   *   not, `unknown` when it was sent and no answer came.
   */
  request(ask: Ask): Promise<Frame>;
  /** Publishes without an answer; what can't be sent is dropped. For volatile channels. */
  send(members: string): void;
  /** Goes on with a newer token of the same user, without an interruption where that is possible. */
  renew(token: string): void;
  /** Looks for a sign of life now: the attempt ends as lost when none comes within a few seconds. */
  probe(): void;
  /** Ends it from this side: the sink hears nothing more, requests are rejected. Idempotent. */
  close(): void;
}

/** What the server said of the session. */
export interface Welcome {
  /** Absent where a transport has no session before it reads. */
  readonly session?: string;
  readonly user?: string;
  /** How long a key is remembered. */
  readonly keyWindowMs?: number;
  /** Commands a second that are let through; 0 or absent for any number. */
  readonly commandsPerSecond?: number;
  readonly messageBytes?: number;
}

/** What the connection tells an attempt, and hears of it. Nothing after `onEnd`, which comes once. */
export interface AttemptSink {
  /**
   * All that is to be read, now, by the keys for which it is told. A name is its own key; a pattern may
   * be wished several times, by different ones.
   */
  keys(): readonly string[];
  /** What is to be read by a key, from where it stands now; `undefined` for nothing any more. */
  wish(key: string): Wish | undefined;
  /**
   * The server is reached: requests may be made. Before everything else that is told. Where a
   * transport reads by streams or questions, the first of them was answered by then.
   */
  onReady(welcome: Welcome): void;
  /** It is read from here on; told before its messages, and again when it began anew. */
  onOpen(opening: OpenEvent, key: string): void;
  /** @param keys it is for those of them that match its channel; its mark holds for these. */
  onMessage(message: ReceivedMessage, keys: readonly string[]): void;
  /** @param keys as with messages. */
  onGap(gap: GapEvent, keys: readonly string[]): void;
  /** Everything up to the mark was delivered to these. */
  onMark(keys: readonly string[], mark: string): void;
  /** Offsets up to this position of a named channel are not delivered: their time was over. */
  onExpired(channel: string, position: string): void;
  onPresence(event: PresenceEvent): void;
  onSnapshot(event: SnapshotEvent): void;
  /** The server will not have this read, e.g. `forbidden`; the others go on. */
  onRefused(key: string, error: Error): void;
  onEnd(ending: Ending): void;
  /** Resolves when the application has room for more; at once if it has. */
  room(): Promise<void>;
}

/** Time for dialing and for the first answer, after which another transport may be tried. */
export const OPEN_MS_MAX = 5000;

/** Beyond what the server announced as its ping interval, silence so long means that it is gone. */
export const SILENCE_GRACE_MS = 10_000;

/** Time for an answer to `probe`. */
export const PROBE_MS_MAX = 3000;

/**
 * Broker: the third waist. One channel, many nodes: where streams are kept and how messages reach
 * every node that watches them. A backplane implements it and never knows who subscribes.
 */
import type { Draft, Message, Position } from '@trunkline/wire';
import type { StateStore } from './state.ts';

/**
 * How much of a channel's stream is kept; that of the newest publish holds. `Infinity` is no bound.
 * What is over the count or the age is not read again; over the size it may go.
 */
export interface Retention {
  readonly countMax: number;
  /** Bytes of payloads and attributes; the newest message stays even if it alone is larger. */
  readonly sizeMax: number;
  /** A message of this age or older is gone, the newest too. Epoch and top outlive it. */
  readonly ageMsMax: number;
}

/** What a broker is told about a publish beside the message. */
export interface PublishOptions {
  readonly retention: Retention;
  /**
   * False: lost with the process, on backplanes that can tell the difference. A channel that
   * changes from one to the other begins a new epoch there.
   */
  readonly durable: boolean;
  readonly idempotency?: Idempotency;
}

/** One logical publish, however often it is tried (promise 6). */
export interface Idempotency {
  readonly key: string;
  /** Whose key it is: keys of different users never meet. */
  readonly scope: string;
}

/** The answer to a publish: it is in the log. */
export interface Published {
  readonly position: Position;
  /** True when the key had been used before: this is the first one's position. */
  readonly duplicate: boolean;
}

/** Which part of a stream to read. Offsets are those of the stream's present epoch. */
export interface ReadRange {
  /** Messages with a higher offset, oldest first. Ignored with `before`. */
  readonly after: number;
  /** Messages with a lower offset, the newest of them, still in rising order. */
  readonly before?: number;
  /** 0 reads only `epoch`, `oldest` and `top`. */
  readonly countMax: number;
  /** Bytes of payloads and attributes the slice may have; at least one message is read all the same. */
  readonly sizeMax: number;
}

/** Between which offsets a stream lies, as retention leaves it. */
export interface StreamBounds {
  /**
   * `'0'` when the channel has no stream: nothing was ever published, or it was purged, or even
   * that was forgotten.
   */
  readonly epoch: string;
  /** Offset of the oldest retained message; `top + 1` when none is. */
  readonly oldest: number;
  /** Offset of the newest message ever given in this epoch; outlives the messages. */
  readonly top: number;
}

/**
 * Part of a stream, as it was at one moment. Messages are contiguous, and those whose `expiresAt`
 * has passed are among them: who delivers leaves them out. A slice is shared between readers and
 * never changed.
 */
export interface StreamSlice extends StreamBounds {
  readonly messages: readonly Message[];
}

/** A channel that changed since a mark. */
export interface ChangedChannel {
  readonly channel: string;
  /** Where the channel stood at the mark; `0:0` for one born later. */
  readonly position: Position;
  /** Where its stream stands now, as a read would say, so that none is needed to judge a resume. */
  readonly stream: StreamBounds;
}

/**
 * Which channels are meant: names, and patterns in the sense of `matchesPattern`, each known by its
 * wildcard. A name is looked up; patterns are put to every channel that changed, once for all of
 * them.
 */
export type ChannelFilter = readonly string[];

/** Keeps channel streams and carries messages to every node that watches them. */
export interface Broker {
  readonly state: StateStore;

  /**
   * Resolves when the streams can be read and written. Called once, before everything else.
   *
   * @throws {BrokerError} when the log can't be opened; the message says what to do.
   */
  open(sink: BrokerSink): Promise<void>;

  /**
   * Appends and fans out as one atomic step per channel, so offset order is delivery order. What
   * one caller publishes to a channel in order gets offsets in that order. Resolved means "in the
   * log" in the sense of the backplane; the sink has seen the message by then if this node
   * watches the channel. The broker may keep the payload: it must not be changed any more. A
   * message with a `ttl` has its `expiresAt` from the time it is given; its place in the stream
   * stays, so that offsets have no holes. `slot` is not kept; `attributes` are, as the payload is.
   *
   * @throws {BrokerError} not stored, or `stored: 'unknown'`, of which the sink was told by
   *   `onGap` if this node watches the channel; `conflict` for a reused key.
   */
  publish(channel: string, draft: Draft, options: PublishOptions): Promise<Published>;

  /** Reads part of a stream. What was acknowledged before the call is seen. */
  read(channel: string, range: ReadRange): Promise<StreamSlice>;

  /**
   * Resolves once no later message can be missed by the sink. Watch first, then read. Watching
   * twice is watching once.
   */
  watch(channel: string): Promise<void>;
  unwatch(channel: string): void;

  /**
   * As `watch`, for all channels that the pattern matches in the sense of `matchesPattern`, those
   * born later included. The sink may be given messages of other channels too.
   */
  watchPattern(pattern: string): Promise<void>;
  /** What is watched by its name or by another pattern stays watched. */
  unwatchPattern(pattern: string): void;

  /**
   * Carries a draft, without keeping it, to the sink of every node that watches the channel or a
   * pattern that matches it, in the order of the calls: whoever is away misses it. The sink of this
   * node may be called before this returns. The payload must not be changed any more.
   *
   * @throws {BrokerError} when the broker is not open.
   */
  broadcast(channel: string, draft: Draft): void;

  /**
   * Removes the channel's messages, keys and newest offset, in the order of the calls with the
   * publishes to it. Resolved means that they stay removed, in the sense in which a publish is in
   * the log. The channel has no stream then; what is published next begins another epoch. The sink
   * gets an `onGap` after it if this node watches the channel. A mark from before tells a position
   * that can't be resumed from, so that the loss is told.
   *
   * @throws {BrokerError} nothing was removed, or `stored: 'unknown'`, as for `publish`.
   */
  purge(channel: string): Promise<void>;

  /**
   * The place in the whole order of all channels up to which a reader that reads now has seen
   * everything; begins with `~` and has no other `~`. When it resolves, the sink has been given
   * every message of the watched channels up to the mark, or an `onGap` for it, so that a mark
   * never runs ahead of a node. A message that the sink is just being given is included.
   */
  mark(): Promise<string>;

  /**
   * The same as text at once: up to it the sink was given everything of what is watched, or an
   * `onGap` for it, and nothing after it. `undefined` while that can't be said, as in doubt over a
   * commit, and unless the broker is open. Cheap enough to be asked for at every flush.
   */
  place(): string | undefined;

  /**
   * Which of the channels that `filter` accepts changed since `mark`, each once, with its position
   * at the mark; `undefined` when the mark is not one of this backplane's, or too old to tell.
   * Without a mark: every channel that has a stream, at `0:0`. Where the position is not known any
   * more it is one that the stream can't be resumed from, so that a loss is told. A channel may be
   * listed without having changed.
   *
   * What was acknowledged before the call is seen. The list is made in bounded steps, so each
   * channel is told as of a moment of its own. Calls with the same mark and filter that come while
   * one is answered may share the next answer: it must not be changed.
   */
  changedSince(
    mark: string | undefined,
    filter: ChannelFilter,
  ): Promise<readonly ChangedChannel[] | undefined>;

  /** Resolves when what was accepted is stored and nothing more will reach the sink. */
  close(): Promise<void>;
}

/** How a broker speaks to the hub of its node. Calls must not throw and return at once. */
export interface BrokerSink {
  /**
   * In offset order per channel; may repeat one, never skips one without `onGap`. Another epoch
   * than before means that the stream began anew, with this as its first message.
   */
  onMessage(channel: string, epoch: string, message: Message): void;
  /** Messages may have been missed or the stream begun anew: the hub must read the log. */
  onGap(channel: string): void;
  /** A draft that was broadcast and is kept nowhere; in the order in which a node broadcast. */
  onBroadcast(channel: string, draft: Draft): void;
}

/** Why a broker could not do what was asked. */
export class BrokerError extends Error {
  override readonly name = 'BrokerError';
  /**
   * `unavailable`: the log can't be written or read now. `conflict`: the key was used for another
   * payload. `closed`: the broker is closing.
   */
  readonly kind: 'unavailable' | 'conflict' | 'closed';
  /** For a publish: whether the message may be in the log all the same. */
  readonly stored: false | 'unknown';

  constructor(
    kind: BrokerError['kind'],
    message: string,
    details: { readonly stored?: false | 'unknown'; readonly cause?: unknown } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.kind = kind;
    this.stored = details.stored ?? false;
  }
}

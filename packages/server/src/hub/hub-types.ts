/**
 * What protocols and the HTTP API see of the hub, the second waist: every protocol meets every
 * channel here. Times are milliseconds.
 */
import type { After, Draft, Gap, MemberPage, Message, Position } from '@trunkline/wire';
import type { Identity } from '../auth/identity.ts';
import type { Link } from '../link/link.ts';
import type { SharedBatch } from '../link/shared-batch.ts';
import type { PageRequest } from './presence/presence-types.ts';
import type { RetainedPage, RetainedPageRequest } from './retained.ts';
import type { Snapshot, SnapshotDraft } from './snapshots.ts';

/** Messages of one channel, in order, that are written together. */
export interface Run {
  readonly channel: string;
  /** Of all messages; empty where the channel is volatile and they have no offsets. */
  readonly epoch: string;
  /** Contiguous unless volatile. May be empty where `expired` is not. */
  readonly messages: readonly Message[];
  /** Offsets right before the messages that are not delivered: their time was over [MSG-6]. */
  readonly expired?: { readonly from: number; readonly to: number };
}

/** How a protocol writes messages. One object per encoding in the whole process: it is a key. */
export interface Encoding {
  readonly name: string;
  /** The number of subscriptions that stand apart; others of their links may have the same channel. */
  readonly as?: number;
  /**
   * How long what it made of messages that expire may be told, where it says how much of their time is
   * left; absent: until the first of them has expired.
   */
  readonly freshMs?: number;
  /**
   * One frame that carries all of `runs`, of which there is at least one. Pure. A protocol may give
   * a subclass of the batch, for those of its links that know more than to write it as it is.
   *
   * @param mark what to go on from after them, for who reads several channels.
   */
  encode(runs: readonly Run[], mark?: string): SharedBatch;
}

/** All the hub knows of a client, whatever protocol it speaks. Calls must not throw. */
export interface Subscriber {
  readonly link: Link;
  readonly encoding: Encoding;
  /** Messages are lost to this subscription, which goes on after `position`. */
  onGap(channel: string, gap: Gap, position: Position): void;
}

/** Where a subscription or a read begins. */
export interface Start {
  /** Absent: only what comes from now on. */
  readonly after?: After;
  /** Begins with so many of the newest messages; ignored with `after`. */
  readonly last?: number;
  /** With a trimmed range: deliver what is left of it. */
  readonly partial?: boolean;
}

/** The honest answer to a start. */
export interface Verdict {
  /** Where the cursor stands before anything is delivered. */
  readonly position: Position;
  /** Present when `after` was given: whether everything after it is delivered. */
  readonly recovered?: boolean;
  /** Present when not recovered. Its `to` is the offset of `position`. */
  readonly gap?: Gap;
}

/** A patient read of several channels (polling). */
export interface ReadRequest {
  /** Names and patterns, and where each begins. All patterns begin at one place. */
  readonly channels: ReadonlyMap<string, Start>;
  /** 0 answers at once. */
  readonly waitMs: number;
  readonly countMax: number;
  /** Lists the reader in the channels it names, where the namespace lists, while it reads. */
  readonly presence?: boolean;
  /** Where a name is not recovered, begin at its snapshot if it helps [SNAP-3]. */
  readonly snapshot?: boolean;
  /** Called with a function that ends the wait early, e.g. when the peer is gone. */
  onWait?(cancel: () => void): void;
}

/** What one channel gave to a read. */
export interface ChannelRead extends Verdict {
  readonly channel: string;
  /** The state at `position`; what followed is read. */
  readonly snapshot?: Snapshot;
  /** True where a pattern found it. */
  readonly isFound?: true;
  /** Where the name begins, where it is read from further back for a pattern that matches it. */
  readonly begin?: Position;
  /** After `position`, without those that have expired; of the epoch of `end`. */
  readonly messages: readonly Message[];
  /** After the messages: where to go on. */
  readonly end: Position;
  /** The same read goes on at once from `end`. */
  readonly more: boolean;
}

/** What a patient read gave. */
export interface ReadResult {
  /** Those that were named, in the order given; then those with something to tell, by name. */
  readonly channels: readonly ChannelRead[];
  /** By pattern: whether anything was lost in a channel that it matches. */
  readonly patterns: ReadonlyMap<string, Pick<Verdict, 'recovered' | 'gap'>>;
  /** Names without a log: nothing of them is recovered. */
  readonly volatile: readonly string[];
  /** What passed by in volatile channels during the wait. */
  readonly passing: readonly Run[];
  /** The same read has more at once. */
  readonly more: boolean;
  /**
   * Going on by it is going on by all the `end`s, and with the patterns. Absent when too many names
   * have more; then nothing was read of patterns, and they go on from where they began.
   */
  readonly mark?: string;
}

/** Which part of a stream to read: at most one place. */
export interface HistoryRequest {
  readonly after?: After;
  readonly before?: After;
  readonly last?: number;
  readonly countMax: number;
  /** Payload bytes of the page, where less than a page may have; at least one message comes. */
  readonly sizeMax?: number;
}

/** Part of what is stored of a channel, as it was at one moment. */
export interface HistoryPage {
  readonly messages: readonly Message[];
  readonly epoch: string;
  /** After the messages: read on with `after` this. */
  readonly position: Position;
  readonly oldest: Position;
  readonly newest: Position;
  readonly more: boolean;
  /** The place asked for is not one of this stream. */
  readonly gap?: Gap;
}

/** A publish on its way to the log. */
export interface PublishRequest extends Draft {
  readonly key?: string;
  /** Keeps it as the channel's retained message; an empty payload clears that. */
  readonly retain?: boolean;
}

/** On whose behalf something is done. */
export interface Caller {
  readonly identity: Identity;
  /** The session, or one made for the request. */
  readonly session: string;
}

/** A channel that someone on this node listens to. */
export interface ActiveChannel {
  readonly channel: string;
  /** Subscriptions and waiting polls on this node. */
  readonly subscribers: number;
}

/** What is kept of a channel beside its log. Every refusal is a `CodedError`. */
export interface BesideLogCalls {
  /** What is retained in a channel, or in those that match a pattern, in the order of names. */
  findRetained(caller: Caller, filter: string, page: RetainedPageRequest): Promise<RetainedPage>;
  /** @returns false when nothing was retained. */
  clearRetained(caller: Caller, channel: string): Promise<boolean>;
  snapshot(caller: Caller, channel: string): Promise<Snapshot | undefined>;
  /** For applications alone. */
  putSnapshot(caller: Caller, channel: string, draft: SnapshotDraft): Promise<Snapshot>;
  /** For applications alone. @returns false when there was none. */
  deleteSnapshot(caller: Caller, channel: string): Promise<boolean>;
  /** Removes all that is kept of a channel, for applications alone; then it begins anew. */
  purge(caller: Caller, channel: string): Promise<void>;
}

/**
 * One node's meeting point, as the HTTP API sees it. Permission and limits are checked here, once
 * for all protocols; every refusal is a `CodedError`.
 */
export interface HubCalls {
  /** What is kept beside the log. */
  readonly beside: BesideLogCalls;
  /** Resolves when the message is in the log; without a position in a volatile channel. */
  publish(caller: Caller, channel: string, request: PublishRequest): Promise<Position | undefined>;
  /** Reads what is new in several channels, waiting for it if asked to. */
  read(caller: Caller, request: ReadRequest): Promise<ReadResult>;
  /** Reads a page of what is stored. */
  history(caller: Caller, channel: string, request: HistoryRequest): Promise<HistoryPage>;
  /** Part of the list of who is in a channel. */
  members(caller: Caller, channel: string, request: PageRequest): MemberPage;
  /** The channels with subscribers whose name matches `pattern`. */
  activeChannels(pattern: string): readonly ActiveChannel[];
}

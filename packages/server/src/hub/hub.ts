/**
 * Hub: one node's meeting point, where every protocol meets every channel.
 *
 * Permission and limits are checked here, once for all protocols. A subscription is opened in two
 * steps, so that its answer leaves before its messages: `subscribe` judges where it begins,
 * `start` lets it run.
 */
import { isWildcard, matchesPattern } from '@trunkline/wire';
import type { Draft, MemberPage, Message, Position } from '@trunkline/wire';
import type { Action, Identity } from '../auth/identity.ts';
import type { BrokerSink } from '../broker/broker.ts';
import type { Readings } from '../observe/metrics.ts';
import { BesideLog } from './beside-log.ts';
import { ChannelTable } from './channel-table.ts';
import { refusal } from './refusals.ts';
import type { TableParts } from './channel-table.ts';
import type { Channel } from './channel.ts';
import { Cursor } from './cursor.ts';
import { FanOut } from './fan-out.ts';
import { readHistory } from './history.ts';
import type {
  ActiveChannel,
  Caller,
  HistoryPage,
  HistoryRequest,
  HubCalls,
  PublishRequest,
  ReadRequest,
  ReadResult,
  Start,
  Subscriber,
} from './hub-types.ts';
import { LogReader } from './log-reader.ts';
import type { MessageBatch } from './message-batch.ts';
import { Waits } from './patience.ts';
import { patientRead } from './patient-read.ts';
import type { ReadParts } from './patient-read.ts';
import { Permissions } from './permissions.ts';
import type { PageRequest } from './presence/presence-types.ts';
import { Presence } from './presence/presence.ts';
import type { Stay } from './presence/presence.ts';
import { Publishing } from './publishing.ts';
import { resolveMark } from './reading/mark-starts.ts';
import { messagesAt } from './messages-at.ts';
import type { MessagePlace } from './messages-at.ts';
import { boundedBy, judge } from './recovery.ts';
import type { SelectionSubscriber } from './selection/selection-cursor.ts';
import { SelectionFanOut } from './selection/selection-fan-out.ts';
import { openSelection } from './selection/selection-opening.ts';
import type {
  FilterVerdict,
  OpenedSelection,
  OpeningParts,
} from './selection/selection-opening.ts';
import type { Leg } from './selection/catch-up.ts';
import type { Beginnings } from './selection/beginnings.ts';
import { Overlaps } from './selection/overlaps.ts';
import type { AnyCursor } from './selection/overlap-entry.ts';
import type { OverlapCalls } from './selection/overlaps.ts';
import { SelectionTable } from './selection/selection-table.ts';
import { isUseful } from './snapshots.ts';
import type { Snapshot } from './snapshots.ts';
import { VolatileCursor } from './volatile/volatile-channel.ts';
import { VolatileChannels } from './volatile/volatile-channels.ts';

/** What a hub is built from. */
export type HubParts = TableParts;

/** What a subscription may ask for beside its start. */
export interface SubscribeOptions {
  /** The session whose own messages are left out. */
  readonly mutedSession?: string;
  /** What is known of others of the session that have the same channels. */
  readonly beginnings?: Beginnings | undefined;
  /** Where the resume is not recovered, begin at the snapshot if it helps [SNAP-3]. */
  readonly snapshot?: boolean;
}

/** A subscription that was opened and not yet started. */
export interface Opened extends FilterVerdict {
  readonly cursor: Cursor | VolatileCursor;
  /** The state at `position`; what followed is delivered. */
  readonly snapshot?: Snapshot;
}

/** What a hub counts, as the metrics name it. */
export type HubCounts = Required<
  Pick<
    Readings,
    | ('published' | 'delivered' | 'publishesRefused' | 'publishSeconds' | 'volatileSkipped')
    | ('channels' | 'subscriptions' | 'cursorsBehind' | 'losses' | 'resumes')
  >
>;

/** One node's hub. */
export class Hub implements HubCalls {
  readonly beside: BesideLog;
  readonly presence: Presence;
  readonly #parts: HubParts;
  readonly #permissions: Permissions;
  readonly #publishing: Publishing;
  readonly #table: ChannelTable;
  readonly #fanOut: FanOut;
  readonly #volatile: VolatileChannels;
  readonly #selections: SelectionTable;
  readonly #selectionFanOut: SelectionFanOut;
  readonly #overlapCalls: OverlapCalls;
  readonly #readParts: ReadParts;
  readonly #openingParts: OpeningParts;
  readonly #resumeCounts = new Map<string, number>();

  constructor(parts: HubParts) {
    const { broker, wheel, clock, log, turn, config } = parts;
    const { highWaterSize, rulesOf } = config;
    this.#parts = parts;
    this.#permissions = new Permissions(config);
    this.beside = new BesideLog({
      broker,
      clock,
      permits: (identity, action, channel) => this.permits(identity, action, channel),
      demand: (identity, action, channel) => this.demand(identity, action, channel),
    });
    this.#publishing = new Publishing({
      ...{ broker, clock, wheel, config },
      permissions: this.#permissions,
      retained: this.beside.retained,
    });
    this.presence = new Presence({
      ...{ clock, wheel, turn, log },
      config: {
        node: config.node,
        graceMsOf: (channel) => rulesOf(channel).presence.graceMs,
        highWaterSize,
      },
    });
    const covers = (name: string): boolean => this.#selections.covers(name);
    const table = new ChannelTable(parts, {
      flush: (channel) => this.#fanOut.flush(channel),
      flushAll: (channels) => this.#flushAll(channels),
      interrupt: (channel, goesOn) => this.#interrupt(channel, goesOn),
      covers,
      doubt: (name) => this.#selectionFanOut.doubt(name),
    });
    const reader = new LogReader(broker, clock, table);
    this.#table = table;
    this.#fanOut = new FanOut({
      ...{ table, reader, highWaterSize, clock, log },
      gather: (channel, batch) => this.#selectionFanOut.gather(channel, batch),
    });
    this.#volatile = new VolatileChannels({
      ...{ broker, clock, turn, log, highWaterSize, covers },
      gather: (name: string, batch: MessageBatch) =>
        this.#selectionFanOut.gatherVolatile(name, batch),
    });
    this.#selections = new SelectionTable(broker, table, {
      hold: (name) => (rulesOf(name).volatile ? this.#volatile : table).acquire(name),
      release: (name) => {
        if (rulesOf(name).volatile) this.#volatile.release(name);
        else table.releaseName(name);
      },
    });
    const selections = this.#selections;
    this.#selectionFanOut = new SelectionFanOut({
      ...{ broker, table, selections, turn, highWaterSize, clock, log },
      fanOut: this.#fanOut,
    });
    this.#overlapCalls = {
      start: (cursor) => this.start(cursor),
      unsubscribe: (cursor) => this.unsubscribe(cursor),
      settle: () => this.#selectionFanOut.settle(),
      goBack: (cursor, leg) => this.#goBack(cursor, leg),
      leaveOmitted: (cursor) => this.#selectionFanOut.leaveOmitted(cursor),
      changedSince: (mark, filter) => broker.changedSince(mark, filter),
    };
    const reading = {
      ...{ broker, table, reader, selections, rulesOf },
      usefulSnapshot: (channel: Channel) => this.#usefulSnapshot(channel),
    };
    this.#openingParts = { ...reading, fanOut: this.#selectionFanOut };
    this.#readParts = { ...reading, clock, wheel, waits: new Waits() };
  }

  /** Opens the broker. @throws {BrokerError} when the log can't be opened. */
  async open(): Promise<void> {
    const table = this.#table;
    const sink: BrokerSink = {
      onMessage: (channel: string, epoch: string, message: Message) =>
        table.onMessage(channel, epoch, message),
      onGap: (channel: string) => table.onGap(channel),
      onBroadcast: (channel: string, draft: Draft) => this.#volatile.onBroadcast(channel, draft),
    };
    await this.#parts.broker.open(sink);
  }

  /** Closes the broker; what it accepted is stored first, and whoever waits is answered. */
  async close(): Promise<void> {
    this.endWaits();
    this.presence.close();
    this.#table.close();
    await this.#parts.broker.close();
  }

  /** Bytes that are kept in memory for readers who come back, roughly. */
  get keptSize(): number {
    return this.#table.keptSize;
  }

  /** Numbers for the metrics. */
  get counts(): HubCounts {
    const { count, refusedCounts, latency } = this.#publishing;
    const { deliveredCount, behindCount, lossCounts } = this.#fanOut;
    const channels = [...this.#table.channels, ...this.#volatile.channels];
    return {
      published: count,
      delivered: deliveredCount + this.#volatile.deliveredCount,
      publishesRefused: refusedCounts,
      publishSeconds: latency,
      volatileSkipped: this.#volatile.skippedCount,
      channels: channels.length,
      subscriptions: channels.reduce((sum, { users }) => sum + users, 0),
      cursorsBehind: behindCount,
      losses: lossCounts,
      resumes: this.#resumeCounts,
    };
  }

  /** @throws {CodedError} `forbidden` when neither a token nor the namespace allows it. */
  demand(identity: Identity, action: Action, filter: string): void {
    this.#permissions.demand(identity, action, filter);
  }

  /** True when the identity may do it; with a pattern, in every channel that it matches. */
  permits(identity: Identity, action: Action, filter: string): boolean {
    return this.#permissions.permits(identity, action, filter);
  }

  /** True when who subscribes to the channel is listed as present. */
  isListed(channel: string): boolean {
    return this.#parts.config.rulesOf(channel).presence.listed;
  }

  /**
   * Opens a subscription to one channel; it delivers nothing before `start`.
   *
   * @throws {CodedError} `forbidden`, or `unavailable` when the log can't be read.
   */
  async subscribe(
    subscriber: Subscriber,
    caller: Caller,
    name: string,
    start: Start,
    options: SubscribeOptions = {},
  ): Promise<Opened> {
    this.demand(caller.identity, 'subscribe', name);
    const { beginnings, mutedSession } = options;
    if (this.#parts.config.rulesOf(name).volatile) {
      const cursor = await this.#volatile.subscribe(subscriber, name, mutedSession);
      return { cursor, volatile: true };
    }
    const channel = await this.#table.acquire(name);
    try {
      const resolved = await resolveMark(this.#readParts, channel, start);
      const isResume = start.after !== undefined || start.last !== undefined;
      const known = isResume ? await beginnings?.find([{ channel: name }]) : undefined;
      const inMemory = await this.#readParts.reader.boundsFor(channel, resolved.start);
      const bounds = boundedBy(boundedBy(inMemory, resolved.stream), known?.get(name));
      const verdict = judge(resolved.start, bounds, channel.rules.resumeCountMax);
      this.#countResume(verdict);
      const wantsSnapshot = options.snapshot === true && verdict.recovered !== true;
      const snapshot = wantsSnapshot ? await this.#usefulSnapshot(channel) : undefined;
      const from = snapshot === undefined ? {} : { snapshot, position: snapshot.position };
      const place = { ...verdict, ...from };
      const cursor = new Cursor(subscriber, channel, place.position);
      cursor.mutedSession = mutedSession;
      return { ...place, cursor };
    } catch (error) {
      this.#table.release(channel);
      throw refusal(error);
    }
  }

  /**
   * Opens a subscription to several channels and patterns; it delivers nothing before `start`.
   *
   * @throws {CodedError} `forbidden`, or `unavailable` when the log can't be read.
   */
  async subscribeMany(
    subscriber: SelectionSubscriber,
    caller: Caller,
    starts: ReadonlyMap<string, Start>,
    options: SubscribeOptions = {},
  ): Promise<OpenedSelection> {
    for (const filter of starts.keys()) this.demand(caller.identity, 'subscribe', filter);
    try {
      const opened = await openSelection(this.#openingParts, subscriber, starts, options);
      for (const verdict of opened.verdicts.values()) this.#countResume(verdict);
      return opened;
    } catch (error) {
      throw refusal(error);
    }
  }

  #countResume({ recovered, gap }: FilterVerdict): void {
    if (recovered === undefined) return;
    const outcome = gap?.reason ?? 'recovered';
    this.#resumeCounts.set(outcome, (this.#resumeCounts.get(outcome) ?? 0) + 1);
  }

  /** For the subscriptions of one session, which may match the same channels. */
  overlaps(): Overlaps {
    return new Overlaps(this.#overlapCalls);
  }

  /** Lets a subscription run from where it was opened. */
  start(cursor: AnyCursor): void {
    if (cursor instanceof Cursor) this.#fanOut.start(cursor);
    else if (cursor instanceof VolatileCursor) this.#volatile.start(cursor);
    else this.#selectionFanOut.start(cursor);
  }

  /** The cursor's link has drained: it moves on if it is behind. */
  advance(cursor: AnyCursor): void {
    if (cursor instanceof Cursor) this.#fanOut.advance(cursor);
    else if (cursor instanceof VolatileCursor) this.#volatile.advance(cursor);
    else this.#selectionFanOut.advance(cursor);
  }

  /** Ends a subscription. Idempotent. */
  unsubscribe(cursor: AnyCursor): void {
    if (cursor instanceof Cursor) this.#fanOut.end(cursor);
    else if (cursor instanceof VolatileCursor) this.#volatile.end(cursor);
    else this.#selectionFanOut.end(cursor);
  }

  /** @throws {CodedError} that says whether the message may have been stored all the same [PUB-4]. */
  publish(caller: Caller, channel: string, request: PublishRequest): Promise<Position | undefined> {
    return this.#publishing.publish(caller, channel, request);
  }

  /**
   * Whether something could be published now, for who publishes it later.
   *
   * @throws {CodedError} with which it would be refused.
   */
  checkPublish(caller: Caller, channel: string, request: PublishRequest): void {
    this.#publishing.check(caller, channel, request);
  }

  async read(caller: Caller, request: ReadRequest): Promise<ReadResult> {
    for (const filter of request.channels.keys()) {
      this.demand(caller.identity, 'subscribe', filter);
    }
    const stays = request.presence === true ? this.#enterAll(caller, request) : [];
    try {
      return await patientRead(this.#readParts, request);
    } catch (error) {
      throw refusal(error);
    } finally {
      for (const stay of stays) this.presence.leave(stay);
    }
  }

  members(caller: Caller, channel: string, request: PageRequest): MemberPage {
    this.demand(caller.identity, 'presence', channel);
    return this.presence.page(channel, request);
  }

  async history(caller: Caller, channel: string, request: HistoryRequest): Promise<HistoryPage> {
    this.demand(caller.identity, 'history', channel);
    try {
      return await readHistory(this.#parts.broker, channel, request, this.#parts.clock);
    } catch (error) {
      throw refusal(error);
    }
  }

  /**
   * The messages at these places, as far as they are still there and the identity may read them.
   * Those whose time is over are among them.
   *
   * @throws {CodedError} `unavailable` when the log can't be read.
   */
  async messagesAt(
    identity: Identity,
    places: readonly MessagePlace[],
  ): Promise<readonly (Message | undefined)[]> {
    const { broker } = this.#parts;
    const { retained } = this.beside;
    let found: readonly (Message | undefined)[];
    try {
      found = await messagesAt({ broker, retained }, places);
    } catch (error) {
      throw refusal(error);
    }
    return found.map((message, index) => {
      const channel = places[index]?.channel ?? '';
      return this.permits(identity, 'subscribe', channel) ? message : undefined;
    });
  }

  /** Reads that wait now. */
  get waitCount(): number {
    return this.#readParts.waits.count;
  }

  /** All waiting reads answer now and later ones do not wait: the node is going away. */
  endWaits(): void {
    this.#readParts.waits.end();
  }

  activeChannels(pattern: string): readonly ActiveChannel[] {
    const active: ActiveChannel[] = [];
    for (const channel of this.#table.channels) {
      if (channel.users === 0 || !matchesPattern(pattern, channel.name)) continue;
      active.push({ channel: channel.name, subscribers: channel.users });
    }
    return active;
  }

  /** [PRES-11] The reader is a member of what it names while it reads; an application is not. */
  #enterAll({ identity, session }: Caller, { channels }: ReadRequest): readonly Stay[] {
    const stays: Stay[] = [];
    const { kind, user, info } = identity;
    if (kind === 'server') return stays;
    const newcomer = {
      session,
      ...(user === undefined ? {} : { user }),
      ...(info === undefined ? {} : { info }),
    };
    try {
      for (const channel of channels.keys()) {
        if (isWildcard(channel) || !this.isListed(channel)) continue;
        stays.push(this.presence.enter(channel, newcomer));
      }
    } catch (error) {
      for (const stay of stays) this.presence.leave(stay);
      throw error;
    }
    return stays;
  }

  async #usefulSnapshot(channel: Channel): Promise<Snapshot | undefined> {
    let snapshot: Snapshot | undefined;
    try {
      snapshot = await this.beside.snapshots.get(channel.name);
    } catch (error) {
      // The client was told that it missed something: without a snapshot it asks the application.
      this.#parts.log.warn({ channel: channel.name, error }, 'a snapshot can not be read now');
    }
    if (snapshot === undefined) return undefined;
    const start = { after: { kind: 'position', position: snapshot.position } } as const;
    const bounds = await this.#readParts.reader.boundsFor(channel, start);
    return isUseful(snapshot, bounds, channel.rules.resumeCountMax) ? snapshot : undefined;
  }

  #flushAll(channels: readonly Channel[]): void {
    // Of several channels a link may get something each, which is joined into one write.
    const isOnly = channels.length === 1;
    for (const channel of channels) this.#fanOut.flush(channel, isOnly);
    this.#selectionFanOut.flush();
  }

  #goBack(cursor: AnyCursor, { channel, position }: Leg): void {
    if (cursor instanceof Cursor) this.#fanOut.goBack(cursor, position);
    else if (!(cursor instanceof VolatileCursor)) {
      this.#selectionFanOut.goBack(cursor, channel, position);
    }
  }

  #interrupt(channel: Channel, goesOn: Position): void {
    this.#fanOut.interrupt(channel);
    this.#selectionFanOut.interrupt(channel, goesOn);
  }
}

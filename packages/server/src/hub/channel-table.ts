/**
 * ChannelTable: the channels someone on this node listens to, and their tie to the broker.
 *
 * It watches a channel before it reads where the stream stands, so no message can fall between the
 * two; and whenever a message is missing or in doubt it reads the log, which is the truth.
 */
import { isOrigin, matchesPattern } from '@trunkline/wire';
import type { Message, Position } from '@trunkline/wire';
import type { Broker, BrokerSink, StreamBounds } from '../broker/broker.ts';
import type { Clock } from '../clock.ts';
import type { Turn } from '../link/turn.ts';
import type { Log } from '../observe/log.ts';
import type { Random } from '../random.ts';
import type { Wheel } from '../wheel.ts';
import { Channel } from './channel.ts';
import { KEPT_SIZE_MAX, LINGER_COUNT_MAX, LINGER_MS } from './config.ts';
import type { HubConfig } from './config.ts';
import { Healing } from './healing.ts';
import { refusal, unavailable } from './refusals.ts';

/** Channels that are looked at to find one that may go; over the count that go later. */
const LINGER_LOOKS_MAX = 8;

/** What the table needs of its surroundings. */
export interface TableParts {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly wheel: Wheel;
  readonly random: Random;
  readonly turn: Turn;
  readonly log: Log;
  readonly config: HubConfig;
}

/** Who is told what happened to a channel. */
export interface TableEvents {
  /** The channel has pending messages, and they can't wait for the end of the turn. */
  flush(channel: Channel): void;
  /** All that have pending messages, at the end of the turn. */
  flushAll(channels: readonly Channel[]): void;
  /** True when someone follows the channel by a pattern. */
  covers(name: string): boolean;
  /** Something may be missing in a channel of which this node does not know where it stands. */
  doubt(name: string): void;
  /** The stream did not go on where it was, but here: live cursors must read on from the log. */
  interrupt(channel: Channel, goesOn: Position): void;
}

/** One node's channels. */
export class ChannelTable implements Pick<BrokerSink, 'onMessage' | 'onGap'> {
  readonly #parts: TableParts;
  readonly #events: TableEvents;
  readonly #channels = new Map<string, Channel>();
  /** Those without users, the one left first before the others. */
  readonly #lingering = new Set<Channel>();
  /** Those that only a pattern brought here. */
  readonly #adopted = new Set<Channel>();
  readonly #healing: Healing;
  readonly #kept = { size: 0 };
  #dirty: Channel[] = [];
  #closed = false;

  constructor(parts: TableParts, events: TableEvents) {
    this.#parts = parts;
    this.#events = events;
    this.#healing = new Healing(parts, {
      flush: (channel) => events.flush(channel),
      queue: (channel) => this.#markDirty(channel),
      covers: (name) => events.covers(name),
      doubt: (name) => events.doubt(name),
      interrupt: (channel, goesOn) => events.interrupt(channel, goesOn),
    });
  }

  /** All channels that are open on this node. */
  get channels(): Iterable<Channel> {
    return this.#channels.values();
  }

  /** Channels that are being opened or read: live cursors may not have what the sink was given. */
  get unsettled(): ReadonlySet<Channel> {
    return this.#healing.unsettled;
  }

  /** Bytes that all channels keep for readers, roughly. */
  get keptSize(): number {
    return this.#kept.size;
  }

  /**
   * The channel, watched and with its head known; counted as used until `release`.
   *
   * @throws {CodedError} `unavailable` when the broker can't say where the stream stands.
   */
  async acquire(name: string): Promise<Channel> {
    const channel = this.#channels.get(name) ?? this.#create(name);
    channel.users += 1;
    this.#lingering.delete(channel);
    if (channel.adopted) channel.opening = this.#claim(channel);
    if (channel.opening === undefined) return channel;
    try {
      await channel.opening;
      return channel;
    } catch (error) {
      this.release(channel);
      throw refusal(error);
    }
  }

  /** The channel if it is open already, counted as used until `release`. */
  acquireOpen(name: string): Channel | undefined {
    const channel = this.#channels.get(name);
    if (channel === undefined || channel.opening !== undefined) return undefined;
    channel.users += 1;
    this.#lingering.delete(channel);
    return channel;
  }

  /**
   * True when the broker told this node of a channel up to a position: what it tells next comes
   * after that. What was read of the log may be ahead.
   */
  isTold(name: string, { epoch, offset }: Position): boolean {
    const channel = this.#channels.get(name);
    return channel?.epoch === epoch && channel.told >= offset;
  }

  /** As `release`, for who kept only the name. */
  releaseName(name: string): void {
    const channel = this.#channels.get(name);
    if (channel !== undefined) this.release(channel);
  }

  /** One user less; a channel without users is closed after a while. */
  release(channel: Channel): void {
    channel.users -= 1;
    if (channel.users > 0 || channel.isClosed) return;
    if (channel.adopted && !this.#events.covers(channel.name)) {
      this.#give(channel); // The broker does not tell what comes to it any more.
      return;
    }
    this.#lingering.add(channel);
    this.#parts.wheel.arm(channel, LINGER_MS);
    this.#limitLingering();
  }

  /**
   * Channels that only patterns brought here, and that none covers any more, are not followed.
   *
   * @param filters those that have ended: what they do not match is covered as it was.
   */
  dropUncovered(filters: readonly string[]): void {
    for (const channel of [...this.#adopted]) {
      const { name, users } = channel;
      if (users > 0 || !filters.some((filter) => matchesPattern(filter, name))) continue;
      if (!this.#events.covers(name)) this.#give(channel);
    }
  }

  onMessage(name: string, epoch: string, message: Message): void {
    const channel = this.#channels.get(name) ?? this.#adopt(name, epoch, message);
    if (channel === undefined) return;
    if (channel.opening !== undefined || channel.healing) {
      channel.stale = true;
      if (!channel.isKnown) channel.first ??= { epoch, offset: message.offset };
      return;
    }
    const found = channel.accept(epoch, message);
    if (found === 'hole') {
      this.heal(channel);
      return;
    }
    const isNew = message.offset > channel.told;
    channel.told = Math.max(channel.told, message.offset);
    if (found === 'queued') this.#markDirty(channel);
    else if (isNew && message.offset <= channel.unshared) this.#events.doubt(name);
  }

  onGap(name: string): void {
    const channel = this.#channels.get(name);
    if (channel !== undefined && channel.opening === undefined) {
      this.heal(channel);
      return;
    }
    if (channel !== undefined) channel.stale = true;
    if (channel?.knownPlace === undefined) this.#events.doubt(name);
  }

  /** Reads the log from the channel's newest message until it is whole again. Never fails. */
  heal(channel: Channel): void {
    this.#healing.heal(channel);
  }

  /**
   * Brings the head up to what the sink was given: pending messages are flushed, and a read of the
   * log that is under way is waited for.
   *
   * @throws {CodedError} `unavailable` when the log can't be read now.
   */
  settle(channel: Channel): Promise<void> {
    return this.#healing.settle(channel);
  }

  /**
   * Waits for the reads of the log that are under way in some channels. Never fails: while the log is
   * away nobody can tell what is in it.
   */
  async settleAll(accepts: (channel: Channel) => boolean): Promise<void> {
    const channels = [...this.unsettled].filter(accepts);
    await Promise.allSettled(
      channels.map(async (channel) => {
        await channel.opening;
        await this.settle(channel);
      }),
    );
  }

  /** Finds out how much of a channel the sink was told. Never fails. */
  findTold(channel: Channel): Promise<void> {
    return this.#healing.findTold(channel);
  }

  /** Gives what this turn brought to everyone now, so that the head is where the sink is. */
  flush(channel: Channel): void {
    this.#events.flush(channel);
  }

  /** To be called when a channel keeps more: bounds the memory of all of them together. */
  limitKept(channel: Channel): void {
    if (this.#kept.size <= KEPT_SIZE_MAX) return;
    // Taken back from the channels opened first; the one just served may be served again at once.
    for (const other of this.#channels.values()) {
      if (other !== channel) other.forget();
      if (this.#kept.size <= KEPT_SIZE_MAX * 0.9) return;
    }
    channel.forget();
  }

  /** Forgets all channels; nothing is read or told any more. */
  close(): void {
    this.#closed = true;
    for (const channel of this.#channels.values()) {
      this.#parts.wheel.cancel(channel);
      channel.close();
    }
    this.#channels.clear();
    this.#lingering.clear();
    this.#adopted.clear();
    this.#healing.unsettled.clear();
  }

  #create(name: string): Channel {
    const channel = this.#make(name);
    channel.opening = this.#open(channel);
    return channel;
  }

  #make(name: string): Channel {
    const channel = new Channel(name, {
      rules: this.#parts.config.rulesOf(name),
      kept: this.#kept,
      onAlarm: this.#onAlarm,
    });
    this.#channels.set(name, channel);
    return channel;
  }

  /**
   * Takes in a channel that a pattern brought: what came before its message was given to everyone,
   * as messages come in order. The sink may be given others too, which are nobody's.
   */
  #adopt(name: string, epoch: string, message: Message): Channel | undefined {
    if (this.#closed || !this.#events.covers(name)) return undefined;
    const channel = this.#make(name);
    channel.reset(epoch, message.offset - 1);
    channel.adopted = true;
    this.#adopted.add(channel);
    this.#lingering.add(channel);
    this.#parts.wheel.arm(channel, LINGER_MS);
    this.#limitLingering();
    return channel;
  }

  /** An adopted channel is wanted by its name: it is followed by that from here on. */
  async #claim(channel: Channel): Promise<void> {
    channel.adopted = false;
    this.#adopted.delete(channel);
    this.flush(channel);
    this.#healing.unsettled.add(channel);
    try {
      await this.#parts.broker.watch(channel.name);
    } catch (error) {
      if (!channel.isClosed) this.#readopt(channel);
      throw error;
    }
    channel.opening = undefined;
    if (channel.isClosed) return;
    this.#parts.wheel.arm(channel, this.#verifyDelayMs());
    this.heal(channel); // What came meanwhile was left for a read.
  }

  /** It can't be followed by its name now; those who follow it by a pattern miss nothing. */
  #readopt(channel: Channel): void {
    channel.opening = undefined;
    channel.adopted = true;
    this.#adopted.add(channel);
    this.heal(channel);
  }

  async #open(channel: Channel): Promise<void> {
    const { broker, wheel } = this.#parts;
    this.#healing.unsettled.add(channel);
    try {
      if (this.#closed) throw unavailable('the server is closing');
      await broker.watch(channel.name);
      const bounds = await broker.read(channel.name, { after: 0, countMax: 0, sizeMax: 0 });
      const { epoch, top } = bounds;
      const isCovered = this.#events.covers(channel.name);
      const here = { epoch, offset: top, isOver: false };
      const given = isCovered ? await this.#givenUpTo(channel, bounds) : here;
      channel.reset(given.epoch, given.offset);
      if (given.isOver) this.#events.doubt(channel.name);
      if (isCovered) channel.told = given.offset;
      else channel.unshared = given.offset;
      if (given.epoch !== epoch || given.offset < top) channel.stale = true;
    } catch (error) {
      const { first } = channel;
      this.#forget(channel);
      if (first !== undefined) this.#events.doubt(channel.name);
      throw error;
    }
    channel.opening = undefined;
    channel.first = undefined;
    this.#healing.unsettled.delete(channel);
    if (channel.isClosed) return;
    wheel.arm(channel, this.#verifyDelayMs());
    if (channel.stale) this.heal(channel);
  }

  /**
   * Where those stand who follow the channel by a pattern. They want the rest, and the log may be
   * ahead of what the sink was told, by a life as well.
   *
   * @returns `isOver` where they are in a life that ended: they have to find out what of it is lost.
   */
  async #givenUpTo(
    channel: Channel,
    { epoch, top }: StreamBounds,
  ): Promise<Position & { readonly isOver: boolean }> {
    const { broker } = this.#parts;
    const mark = broker.place() ?? (await broker.mark());
    const [change] = (await broker.changedSince(mark, [channel.name])) ?? [];
    const { knownPlace } = channel;
    // The life that they were told of has ended, or it began since the log was read.
    if (knownPlace !== undefined && knownPlace.epoch !== epoch) {
      return { ...knownPlace, isOver: false };
    }
    const told = knownPlace?.offset ?? top;
    const position = change?.position ?? { epoch, offset: top };
    const isHere = position.epoch === epoch || isOrigin(position);
    if (!isHere && change?.stream.epoch === epoch) return { epoch, offset: 0, isOver: true };
    return { epoch, offset: Math.min(top, told, isHere ? position.offset : top), isOver: false };
  }

  #markDirty(channel: Channel): void {
    if (channel.dirty) return;
    channel.dirty = true;
    if (this.#dirty.length === 0) this.#parts.turn.prepare(this.flushDirty);
    this.#dirty.push(channel);
  }

  /** Gives what the turn brought so far to everyone. */
  readonly flushDirty = (): void => {
    const dirty = this.#dirty;
    if (dirty.length === 0) return;
    this.#dirty = [];
    for (const channel of dirty) channel.dirty = false;
    this.#events.flushAll(dirty);
  };

  /** Time passed for a channel: close it when no one uses it, else compare it with the log. */
  readonly #onAlarm = (channel: Channel): void => {
    if (channel.users === 0 && !this.#isAwaited(channel)) {
      this.#give(channel);
      return;
    }
    channel.forgetRecent();
    this.#parts.wheel.arm(channel, this.#verifyDelayMs());
    void this.#healing.verify(channel); // Its failure is looked at again at the next alarm.
  };

  /** Gives a channel back that no one uses. */
  #give(channel: Channel): void {
    this.#parts.wheel.cancel(channel);
    this.#forget(channel);
  }

  #forget(channel: Channel): void {
    channel.close();
    this.#lingering.delete(channel);
    this.#adopted.delete(channel);
    this.#healing.unsettled.delete(channel);
    if (this.#channels.get(channel.name) !== channel) return;
    this.#channels.delete(channel.name);
    this.#parts.broker.unwatch(channel.name);
  }

  /** Over the count the one left first goes at once, but not one that patterns wait for. */
  #limitLingering(): void {
    if (this.#lingering.size <= LINGER_COUNT_MAX) return;
    let looks = 0;
    for (const channel of this.#lingering) {
      if (!this.#isAwaited(channel)) {
        this.#give(channel);
        return;
      }
      // It is looked at again after the others, which must not all be looked at each time.
      this.#lingering.delete(channel);
      this.#lingering.add(channel);
      looks += 1;
      if (looks === LINGER_LOOKS_MAX) return;
    }
  }

  /** True while those who follow the channel by a pattern are still to be given something. */
  #isAwaited(channel: Channel): boolean {
    return (channel.healing || channel.dirty) && this.#events.covers(channel.name);
  }

  #verifyDelayMs(): number {
    return this.#parts.config.checkIntervalMs * (0.75 + this.#parts.random.fraction() / 2);
  }
}

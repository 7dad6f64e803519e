/**
 * ChannelTable: the channels someone on this node listens to, and their tie to the broker.
 *
 * It watches a channel before it reads where the stream stands, so no message can fall between the
 * two; and whenever a message is missing or in doubt it reads the log, which is the truth.
 */
import { CodedError, isOrigin, matchesPattern } from '@trunkline/wire';
import type { Message } from '@trunkline/wire';
import { BrokerError } from '../broker/broker.ts';
import type { Broker, BrokerSink, StreamBounds } from '../broker/broker.ts';
import type { Clock } from '../clock.ts';
import type { Turn } from '../link/turn.ts';
import type { Log } from '../observe/log.ts';
import type { Random } from '../random.ts';
import type { Wheel } from '../wheel.ts';
import { Channel } from './channel.ts';
import {
  BATCH_SIZE_MAX,
  KEPT_SIZE_MAX,
  LINGER_COUNT_MAX,
  LINGER_MS,
  READ_COUNT_MAX,
  RETRY_MS,
  RETRY_MS_MAX,
} from './config.ts';
import type { HubConfig } from './config.ts';

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
  /** The stream did not go on where it was: live cursors must read on from the log. */
  interrupt(channel: Channel): void;
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
  /** Channels that are being read just now: live cursors are not where the broker is. */
  readonly #unsettled = new Set<Channel>();
  readonly #kept = { size: 0 };
  #dirty: Channel[] = [];
  #closed = false;

  constructor(parts: TableParts, events: TableEvents) {
    this.#parts = parts;
    this.#events = events;
  }

  /** All channels that are open on this node. */
  get channels(): Iterable<Channel> {
    return this.#channels.values();
  }

  /** Channels that are being opened or read: live cursors may not have what the sink was given. */
  get unsettled(): ReadonlySet<Channel> {
    return this.#unsettled;
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

  /**
   * Brings the head up to what the sink was given: pending messages are flushed, and a read of the
   * log that is under way is waited for.
   *
   * @throws {CodedError} `unavailable` when the log can't be read now.
   */
  async settle(channel: Channel): Promise<void> {
    while (channel.healing && !channel.isClosed) {
      if (channel.away) throw unavailable('the log can not be read now');
      await new Promise<void>((resolve) => {
        channel.whenWhole ??= [];
        channel.whenWhole.push(resolve);
      });
    }
    this.flush(channel);
  }

  /** Gives what this turn brought to everyone now, so that the head is where the sink is. */
  flush(channel: Channel): void {
    this.#events.flush(channel);
  }

  /** Reads the log from the channel's newest message until it is whole again. Never fails. */
  heal(channel: Channel): void {
    channel.stale = true;
    if (channel.healing || channel.isClosed) return;
    channel.healing = true;
    this.#unsettled.add(channel);
    void this.#healUntilWhole(channel); // It ends only when nothing is missing.
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
    this.#unsettled.clear();
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
    this.#unsettled.add(channel);
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
    this.#unsettled.add(channel);
    try {
      if (this.#closed) throw unavailable('the server is closing');
      await broker.watch(channel.name);
      const bounds = await broker.read(channel.name, { after: 0, countMax: 0, sizeMax: 0 });
      const isCovered = this.#events.covers(channel.name);
      const given = isCovered ? await this.#givenUpTo(channel, bounds) : bounds.top;
      channel.reset(bounds.epoch, given);
      channel.unshared = isCovered ? 0 : given;
      if (given < bounds.top) channel.stale = true;
    } catch (error) {
      const { first } = channel;
      this.#forget(channel);
      if (first !== undefined) this.#events.doubt(channel.name);
      throw error;
    }
    channel.opening = undefined;
    channel.first = undefined;
    this.#unsettled.delete(channel);
    if (channel.isClosed) return;
    wheel.arm(channel, this.#verifyDelayMs());
    if (channel.stale) this.heal(channel);
  }

  /**
   * How much of the stream those who follow the channel by a pattern were given. They want the rest,
   * and the log may be ahead of what the sink was told.
   */
  async #givenUpTo(channel: Channel, { epoch, top }: StreamBounds): Promise<number> {
    const { broker } = this.#parts;
    const mark = broker.place() ?? (await broker.mark());
    const [change] = (await broker.changedSince(mark, [channel.name])) ?? [];
    const { first } = channel;
    const told = first?.epoch === epoch ? first.offset - 1 : top;
    if (change === undefined) return Math.min(top, told);
    const { position } = change;
    const then = position.epoch === epoch || isOrigin(position) ? position.offset : top;
    return Math.min(top, told, then);
  }

  async #healUntilWhole(channel: Channel): Promise<void> {
    let retryMs = RETRY_MS;
    while (channel.stale && !channel.isClosed) {
      channel.stale = false;
      try {
        // What was found is given to everyone before more is read, so that it does not pile up.
        while (await this.#healOnce(channel)) await this.#endOfTurn();
        channel.away = false;
        retryMs = RETRY_MS;
      } catch (error) {
        // The broker is away: subscribers stay, and the log is read when it is back.
        if (!channel.away) {
          this.#parts.log.warn({ channel: channel.name, error }, 'the log of a channel is away');
        }
        channel.stale = true;
        channel.away = true;
        this.#tellWaiting(channel);
        await this.#pause(retryMs);
        retryMs = Math.min(retryMs * 2, RETRY_MS_MAX);
      }
    }
    channel.healing = false;
    this.#unsettled.delete(channel);
    this.#tellWaiting(channel);
    // The head may stand elsewhere without a message that could tell.
    channel.wakeWaiters();
  }

  /** Reads once after the newest known message; true when there is more. */
  async #healOnce(channel: Channel): Promise<boolean> {
    const after = channel.newest;
    const range = { after, countMax: READ_COUNT_MAX, sizeMax: BATCH_SIZE_MAX };
    const slice = await this.#parts.broker.read(channel.name, range);
    if (channel.isClosed) return false;
    const goesOn = slice.epoch === channel.epoch || (channel.epoch === '0' && after === 0);
    if (!goesOn || slice.top < after || slice.oldest > after + 1) {
      // Each cursor reads on from where it is, and is told what it lost.
      this.#events.flush(channel);
      this.#events.interrupt(channel);
      channel.reset(slice.epoch, slice.top);
      return false;
    }
    channel.epoch = slice.epoch;
    for (const message of slice.messages) {
      if (channel.accept(slice.epoch, message) === 'queued') this.#markDirty(channel);
    }
    return channel.newest < slice.top && slice.messages.length > 0;
  }

  #tellWaiting(channel: Channel): void {
    const waiting = channel.whenWhole;
    channel.whenWhole = undefined;
    for (const resolve of waiting ?? []) resolve();
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
    void this.#verify(channel); // Its failure is looked at again at the next alarm.
  };

  async #verify(channel: Channel): Promise<void> {
    const { epoch, newest } = channel;
    try {
      const range = { after: 0, countMax: 0, sizeMax: 0 };
      const bounds = await this.#parts.broker.read(channel.name, range);
      const unchanged = channel.epoch === epoch && channel.newest === newest;
      if (unchanged && (bounds.epoch !== epoch || bounds.top !== newest)) this.heal(channel);
    } catch {
      // A broker that is away says so by itself, to those who want something of it.
    }
  }

  /** Gives a channel back that no one uses. */
  #give(channel: Channel): void {
    this.#parts.wheel.cancel(channel);
    this.#forget(channel);
  }

  #forget(channel: Channel): void {
    channel.close();
    this.#lingering.delete(channel);
    this.#adopted.delete(channel);
    this.#unsettled.delete(channel);
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

  #endOfTurn(): Promise<void> {
    return new Promise((resolve) => this.#parts.turn.prepare(resolve));
  }

  #pause(delayMs: number): Promise<void> {
    const jittered = delayMs * (0.5 + this.#parts.random.fraction());
    return new Promise((resolve) => this.#parts.clock.after(jittered, resolve));
  }
}

/** What can be tried again soon. */
export function unavailable(message: string): CodedError {
  return new CodedError('unavailable', message, { retryAfter: 1000 });
}

/** A broker's failure as clients are told it. */
export function refusal(error: unknown): CodedError {
  if (error instanceof CodedError) return error;
  if (!(error instanceof BrokerError)) {
    return new CodedError('internal', 'internal error', { cause: error });
  }
  if (error.kind === 'conflict') {
    return new CodedError('conflict', error.message, { stored: false, cause: error });
  }
  return new CodedError('unavailable', error.message, {
    stored: error.stored,
    retryAfter: 1000,
    cause: error,
  });
}

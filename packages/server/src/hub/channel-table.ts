/**
 * ChannelTable: the channels someone on this node listens to, and their tie to the broker.
 *
 * It watches a channel before it reads where the stream stands, so no message can fall between the
 * two; and whenever a message is missing or in doubt it reads the log, which is the truth.
 */
import { CodedError } from '@trunkline/wire';
import type { Message } from '@trunkline/wire';
import { BrokerError } from '../broker/broker.ts';
import type { Broker, BrokerSink } from '../broker/broker.ts';
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
  /** The channel has pending messages; called at the end of the turn, or before if need be. */
  flush(channel: Channel, isOnly?: boolean): void;
  /** The stream did not go on where it was: live cursors must read on from the log. */
  interrupt(channel: Channel): void;
}

/** One node's channels. */
export class ChannelTable implements BrokerSink {
  readonly #parts: TableParts;
  readonly #events: TableEvents;
  readonly #channels = new Map<string, Channel>();
  /** Those without users, the one left first before the others. */
  readonly #lingering = new Set<Channel>();
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
    if (channel.opening === undefined) return channel;
    try {
      await channel.opening;
      return channel;
    } catch (error) {
      channel.users -= 1;
      throw refusal(error);
    }
  }

  /** One user less; a channel without users is closed after a while. */
  release(channel: Channel): void {
    channel.users -= 1;
    if (channel.users > 0 || channel.isClosed) return;
    this.#lingering.add(channel);
    this.#parts.wheel.arm(channel, LINGER_MS);
    const [first] = this.#lingering;
    if (this.#lingering.size > LINGER_COUNT_MAX && first !== undefined) this.#give(first);
  }

  onMessage(name: string, epoch: string, message: Message): void {
    const channel = this.#channels.get(name);
    if (channel === undefined) return;
    if (channel.opening !== undefined || channel.healing) {
      channel.stale = true;
      return;
    }
    const found = channel.accept(epoch, message);
    if (found === 'hole') {
      this.heal(channel);
      return;
    }
    channel.told = Math.max(channel.told, message.offset);
    if (found === 'queued') this.#markDirty(channel);
  }

  onGap(name: string): void {
    const channel = this.#channels.get(name);
    if (channel === undefined) return;
    if (channel.opening === undefined) this.heal(channel);
    else channel.stale = true;
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
  }

  #create(name: string): Channel {
    const channel = new Channel(name, {
      rules: this.#parts.config.rulesOf(name),
      kept: this.#kept,
      onAlarm: this.#onAlarm,
    });
    this.#channels.set(name, channel);
    channel.opening = this.#open(channel);
    return channel;
  }

  async #open(channel: Channel): Promise<void> {
    const { broker, wheel } = this.#parts;
    try {
      if (this.#closed) throw unavailable('the server is closing');
      await broker.watch(channel.name);
      const bounds = await broker.read(channel.name, { after: 0, countMax: 0, sizeMax: 0 });
      channel.reset(bounds.epoch, bounds.top);
    } catch (error) {
      this.#forget(channel);
      throw error;
    }
    channel.opening = undefined;
    if (channel.isClosed) return;
    wheel.arm(channel, this.#verifyDelayMs());
    if (channel.stale) this.heal(channel);
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
    if (this.#dirty.length === 0) this.#parts.turn.prepare(this.#flushDirty);
    this.#dirty.push(channel);
  }

  readonly #flushDirty = (): void => {
    const dirty = this.#dirty;
    this.#dirty = [];
    // Of several channels a link may get something each, which is joined into one write.
    const isOnly = dirty.length === 1;
    for (const channel of dirty) {
      channel.dirty = false;
      this.#events.flush(channel, isOnly);
    }
  };

  /** Time passed for a channel: close it when no one uses it, else compare it with the log. */
  readonly #onAlarm = (channel: Channel): void => {
    if (channel.users === 0) {
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
    if (this.#channels.get(channel.name) !== channel) return;
    this.#channels.delete(channel.name);
    this.#parts.broker.unwatch(channel.name);
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

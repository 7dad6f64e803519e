/**
 * ChannelTable: the channels someone on this node listens to, and their tie to the broker.
 *
 * It watches a channel before it reads where the stream stands, so no message can fall between the
 * two; and whenever a message is missing or in doubt it reads the log, which is the truth.
 */
import { CodedError } from '@trunkline/wire';
import type { Message } from '@trunkline/wire';
import { BrokerError } from '../broker/broker.ts';
import type { Broker, BrokerSink, ReadRange, StreamSlice } from '../broker/broker.ts';
import type { Clock } from '../clock.ts';
import type { Turn } from '../link/turn.ts';
import type { Log } from '../observe/log.ts';
import type { Random } from '../random.ts';
import type { Wheel } from '../wheel.ts';
import { Channel } from './channel.ts';
import {
  BATCH_SIZE_MAX,
  LINGER_MS,
  READ_COUNT_MAX,
  READ_SIZE_MAX,
  RETRY_MS,
  RETRY_MS_MAX,
  TAIL_SIZE_MAX,
  TAILS_SIZE_MAX,
} from './config.ts';
import type { HubConfig } from './config.ts';
import type { Start } from './hub-types.ts';
import { divide, MessageBatch } from './message-batch.ts';
import type { StreamBounds } from './recovery.ts';

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
  /** The channel has pending messages; called at the end of the turn. */
  flush(channel: Channel): void;
  /** The stream did not go on where it was: live cursors must read on from the log. */
  interrupt(channel: Channel): void;
  /** The log was read and the channel is whole again. */
  healed(channel: Channel): void;
}

export class ChannelTable implements BrokerSink {
  readonly #parts: TableParts;
  readonly #events: TableEvents;
  readonly #channels = new Map<string, Channel>();
  #dirty: Channel[] = [];
  #tailsSize = 0;
  #closed = false;

  constructor(parts: TableParts, events: TableEvents) {
    this.#parts = parts;
    this.#events = events;
  }

  /** All channels that are open on this node. */
  get channels(): Iterable<Channel> {
    return this.#channels.values();
  }

  /**
   * The channel, watched and with its head known; counted as used until `release`.
   *
   * @throws {CodedError} `unavailable` when the broker can't say where the stream stands.
   */
  async acquire(name: string): Promise<Channel> {
    let channel = this.#channels.get(name);
    if (channel === undefined) {
      channel = new Channel(name, this.#parts.config.rulesOf(name), TAIL_SIZE_MAX, this.#onAlarm);
      this.#channels.set(name, channel);
      channel.opening = this.#open(channel);
    }
    channel.users += 1;
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
    if (channel.users === 0 && !this.#closed) this.#parts.wheel.arm(channel, LINGER_MS);
  }

  onMessage(name: string, epoch: string, message: Message): void {
    const channel = this.#channels.get(name);
    if (channel === undefined) return;
    if (channel.opening !== undefined || channel.healing) {
      channel.stale = true;
      return;
    }
    const found = channel.accept(epoch, message);
    if (found === 'queued') this.#markDirty(channel);
    else if (found === 'hole') this.heal(channel);
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
    while (channel.healing && !this.#closed) {
      if (channel.away)
        throw new CodedError('unavailable', 'the log can not be read now', { retryAfter: 1000 });
      await new Promise<void>((resolve) => {
        channel.whenWhole.push(resolve);
      });
    }
    this.#events.flush(channel);
  }

  /** Reads the log from the channel's newest message until it is whole again. Never fails. */
  heal(channel: Channel): void {
    channel.stale = true;
    if (channel.healing) return;
    channel.healing = true;
    void this.#healUntilWhole(channel);
  }

  /**
   * The bounds of the stream as far as a start needs them. Asks the log only when the tail does
   * not cover the start, and then once for all who ask meanwhile.
   */
  async boundsFor(channel: Channel, start: Start): Promise<StreamBounds> {
    if (this.#isCovered(channel, start)) return headBounds(channel);
    for (;;) {
      const slice = await this.#once(channel, 'tail', () => this.#loadTail(channel));
      // Retention may have passed the head while this turn's messages wait for their flush.
      if (slice.epoch === channel.epoch && slice.oldest <= channel.head + 1) {
        return { epoch: slice.epoch, oldest: slice.oldest, top: channel.head };
      }
      this.heal(channel);
      await this.settle(channel);
    }
  }

  /**
   * Reads what the log has after `offset`, for a cursor that is behind the tail. The batch ends at
   * the head at the latest; `undefined` when nothing of it is retained.
   */
  async readAfter(
    channel: Channel,
    offset: number,
  ): Promise<{ bounds: StreamBounds; batch: MessageBatch | undefined }> {
    const slice = await this.#once(channel, `after ${offset}`, () =>
      this.#read(channel, { after: offset, countMax: READ_COUNT_MAX, sizeMax: READ_SIZE_MAX }),
    );
    const known = channel.batchAfter(offset);
    if (known !== undefined && slice.epoch === channel.epoch)
      return { bounds: slice, batch: known };
    const messages = slice.messages.filter((message) => message.offset <= channel.head);
    if (messages.length === 0 || slice.epoch !== channel.epoch) {
      return { bounds: slice, batch: undefined };
    }
    const batch = new MessageBatch(channel.name, channel.epoch, messages);
    if (batch.first === offset + 1) channel.remember(offset, batch);
    return { bounds: slice, batch };
  }

  /** Keeps a flushed batch for resumes, within the memory that all tails may take. */
  keep(channel: Channel, batch: MessageBatch): void {
    const before = channel.tail.size;
    channel.tail.push(batch);
    this.#tailsSize += channel.tail.size - before;
    if (this.#tailsSize > TAILS_SIZE_MAX) this.#shrinkTails(channel);
  }

  /** Forgets all channels; nothing is read or told any more. */
  close(): void {
    this.#closed = true;
    for (const channel of this.#channels.values()) this.#parts.wheel.cancel(channel);
    this.#channels.clear();
  }

  async #open(channel: Channel): Promise<void> {
    try {
      await this.#parts.broker.watch(channel.name);
      const bounds = await this.#read(channel, { after: 0, countMax: 0, sizeMax: 0 });
      channel.reset(bounds.epoch, bounds.top);
    } catch (error) {
      this.#channels.delete(channel.name);
      this.#parts.broker.unwatch(channel.name);
      throw error;
    }
    channel.opening = undefined;
    this.#parts.wheel.arm(channel, this.#verifyDelayMs());
    if (channel.stale) this.heal(channel);
  }

  async #healUntilWhole(channel: Channel): Promise<void> {
    let retryMs = RETRY_MS;
    let more = false;
    while ((channel.stale || more) && !this.#closed) {
      channel.stale = false;
      try {
        more = await this.#healOnce(channel);
        channel.away = false;
        retryMs = RETRY_MS;
      } catch (error) {
        // The broker is away: subscribers stay, and the log is read when it is back.
        this.#parts.log.warn({ channel: channel.name, error }, 'reading the log failed');
        channel.stale = true;
        channel.away = true;
        this.#tellWaiting(channel);
        await this.#pause(retryMs);
        retryMs = Math.min(retryMs * 2, RETRY_MS_MAX);
      }
    }
    channel.healing = false;
    this.#tellWaiting(channel);
    if (!this.#closed) this.#events.healed(channel);
  }

  /** Reads once after the newest known message; true when there is more. */
  async #healOnce(channel: Channel): Promise<boolean> {
    const after = channel.newest;
    const slice = await this.#read(channel, {
      after,
      countMax: READ_COUNT_MAX,
      sizeMax: BATCH_SIZE_MAX,
    });
    const goesOn = slice.epoch === channel.epoch || (channel.epoch === '0' && after === 0);
    if (!goesOn || slice.top < after || slice.oldest > after + 1) {
      if (channel.pending.length > 0) this.#events.flush(channel);
      this.#events.interrupt(channel);
      this.#tailsSize -= channel.tail.size;
      const lostItsEnd = slice.epoch === channel.epoch && slice.top < after;
      channel.reset(slice.epoch, lostItsEnd ? slice.top : slice.oldest - 1);
      return slice.top > channel.head;
    }
    channel.epoch = slice.epoch;
    for (const message of slice.messages) {
      if (channel.accept(slice.epoch, message) === 'queued') this.#markDirty(channel);
    }
    return channel.newest < slice.top && slice.messages.length > 0;
  }

  async #loadTail(channel: Channel): Promise<StreamSlice> {
    const before = channel.tail.first ?? channel.head + 1;
    const slice = await this.#read(channel, {
      after: 0,
      before,
      countMax: channel.rules.history.countMax,
      sizeMax: TAIL_SIZE_MAX,
    });
    const messages = slice.messages.filter((message) => message.offset < before);
    if (slice.epoch === channel.epoch && messages.at(-1)?.offset === before - 1) {
      const size = channel.tail.size;
      const runs = divide(messages, BATCH_SIZE_MAX);
      const joins = before === (channel.tail.first ?? channel.head + 1);
      if (joins)
        channel.tail.prepend(runs.map((run) => new MessageBatch(channel.name, channel.epoch, run)));
      this.#tailsSize += channel.tail.size - size;
    }
    return slice;
  }

  #isCovered(channel: Channel, start: Start): boolean {
    const unixMs = this.#parts.clock.unixMs();
    const { after, last } = start;
    if (after === undefined) {
      return last === undefined || last === 0 || channel.tail.covers(channel.head - last, unixMs);
    }
    if (after.kind === 'unknown') return true;
    if (after.kind !== 'position' || after.position.epoch !== channel.epoch) return false;
    const { offset } = after.position;
    return (
      offset === channel.head || (offset < channel.head && channel.tail.covers(offset, unixMs))
    );
  }

  #tellWaiting(channel: Channel): void {
    const waiting = channel.whenWhole;
    channel.whenWhole = [];
    for (const resolve of waiting) resolve();
  }

  #once<T>(channel: Channel, what: string, read: () => Promise<T>): Promise<T> {
    const underWay = channel.reads.get(what);
    if (underWay !== undefined) return underWay as Promise<T>;
    const promise = read().finally(() => channel.reads.delete(what));
    channel.reads.set(what, promise);
    return promise;
  }

  #read(channel: Channel, range: ReadRange): Promise<StreamSlice> {
    return this.#parts.broker.read(channel.name, range);
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
    for (const channel of dirty) {
      channel.dirty = false;
      this.#events.flush(channel);
    }
  };

  /** Time passed for a channel: close it when no one uses it, else compare it with the log. */
  readonly #onAlarm = (channel: Channel): void => {
    if (channel.users === 0 && channel.pending.length === 0) {
      this.#tailsSize -= channel.tail.size;
      this.#channels.delete(channel.name);
      this.#parts.broker.unwatch(channel.name);
      return;
    }
    this.#parts.wheel.arm(channel, this.#verifyDelayMs());
    void this.#verify(channel);
  };

  async #verify(channel: Channel): Promise<void> {
    const { epoch, newest } = channel;
    try {
      const bounds = await this.#read(channel, { after: 0, countMax: 0, sizeMax: 0 });
      const unchanged = channel.epoch === epoch && channel.newest === newest;
      if (unchanged && (bounds.epoch !== epoch || bounds.top !== newest)) this.heal(channel);
    } catch {
      // Looked at again at the next alarm; a broker that is away says so by itself.
    }
  }

  #verifyDelayMs(): number {
    return this.#parts.config.checkIntervalMs * (0.75 + this.#parts.random.fraction() / 2);
  }

  /** Takes memory back from the channels opened first, except from the one just served. */
  #shrinkTails(except: Channel): void {
    for (const channel of this.#channels.values()) {
      if (this.#tailsSize <= TAILS_SIZE_MAX * 0.9) return;
      if (channel === except) continue;
      this.#tailsSize -= channel.tail.size;
      channel.tail.clear();
    }
  }

  #pause(delayMs: number): Promise<void> {
    const jittered = delayMs * (0.5 + this.#parts.random.fraction());
    return new Promise((resolve) => this.#parts.clock.after(jittered, resolve));
  }
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

/** The bounds a covered start needs: whatever the tail covers is retained. */
function headBounds(channel: Channel): StreamBounds {
  return {
    epoch: channel.epoch,
    oldest: channel.tail.first ?? channel.head + 1,
    top: channel.head,
  };
}

/**
 * Healing: what is done when messages of a channel may be missing. The log is the truth: it is read
 * from the newest known message on until nothing is missing, however long that takes.
 *
 * Meanwhile, and until the broker's own place has come as far as what was read, the channel is
 * `unsettled`: a mark says apart where its readers stand.
 */
import { isOrigin } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import type { Broker, ChangedChannel } from '../broker/broker.ts';
import type { Clock } from '../clock.ts';
import type { Turn } from '../link/turn.ts';
import type { Log } from '../observe/log.ts';
import type { Random } from '../random.ts';
import type { Channel } from './channel.ts';
import { BATCH_SIZE_MAX, READ_COUNT_MAX, RETRY_MS, RETRY_MS_MAX } from './config.ts';
import { unavailable } from './refusals.ts';

/** What healing needs of its surroundings. */
export interface HealingParts {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly random: Random;
  readonly turn: Turn;
  readonly log: Log;
}

/** Who is told what was found. */
export interface HealingEvents {
  /** The channel has pending messages that can't wait for the end of the turn. */
  flush(channel: Channel): void;
  /** The channel has pending messages. */
  queue(channel: Channel): void;
  /** True when someone follows the channel by a pattern. */
  covers(name: string): boolean;
  /** Those who follow the channel by a pattern may miss something of it. */
  doubt(name: string): void;
  /** The stream did not go on where it was, but here: live cursors must read on from the log. */
  interrupt(channel: Channel, goesOn: Position): void;
}

/** Heals the channels of one table. */
export class Healing {
  /** Channels whose readers are not where the broker is. */
  readonly unsettled = new Set<Channel>();
  /** Those for which it is being found out how far the broker's place has come. */
  readonly #settling = new Set<Channel>();
  readonly #parts: HealingParts;
  readonly #events: HealingEvents;

  constructor(parts: HealingParts, events: HealingEvents) {
    this.#parts = parts;
    this.#events = events;
  }

  /** Reads the log from the channel's newest message until it is whole again. Never fails. */
  heal(channel: Channel): void {
    channel.stale = true;
    if (channel.healing || channel.isClosed) return;
    channel.healing = true;
    this.#share(channel);
    this.unsettled.add(channel);
    void this.#healUntilWhole(channel); // It ends only when nothing is missing.
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
    this.#events.flush(channel);
  }

  /** Compares a channel with the log, so that a lost wake-up heals. */
  async verify(channel: Channel): Promise<void> {
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

  /**
   * From here on marks say that the channel stands where it was read up to. Who follows it by a
   * pattern and has still to be told of what it was opened behind reads that from its last mark.
   */
  #share(channel: Channel): void {
    if (!this.#events.covers(channel.name)) return;
    const isShared = channel.told >= channel.unshared;
    channel.unshared = 0;
    if (!isShared) this.#events.doubt(channel.name);
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
    await this.#settleHealed(channel);
  }

  /**
   * What was read may be ahead of what the sink was told, and so of the broker's place: until that
   * has come as far, a mark says apart where the channel stands. Never fails.
   */
  async #settleHealed(channel: Channel): Promise<void> {
    if (this.#settling.has(channel)) return; // It was healed once more meanwhile.
    this.#settling.add(channel);
    while (!channel.isClosed && !channel.healing && this.#events.covers(channel.name)) {
      if (channel.told < channel.newest) await this.findTold(channel);
      if (channel.told >= channel.newest) break;
      await this.#pause(RETRY_MS);
    }
    this.#settling.delete(channel);
    if (channel.healing) return;
    this.unsettled.delete(channel);
    // Nobody follows it by a pattern now: to who does later it is as if it had just been opened.
    if (channel.told < channel.newest) channel.unshared = channel.newest;
  }

  /** Finds out how much of a channel the sink was told. Never fails: what is not known stays so. */
  async findTold(channel: Channel): Promise<void> {
    const { broker } = this.#parts;
    const { epoch, newest } = channel;
    const place = broker.place();
    if (place === undefined) return;
    try {
      const [change] = (await broker.changedSince(place, [channel.name])) ?? [];
      if (channel.epoch !== epoch) return;
      channel.told = Math.max(channel.told, toldOf({ epoch, offset: newest }, change));
    } catch {
      // Whoever reads the log meanwhile says that it is away.
    }
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
      this.#events.interrupt(channel, { epoch: slice.epoch, offset: slice.top });
      channel.reset(slice.epoch, slice.top);
      return false;
    }
    channel.epoch = slice.epoch;
    for (const message of slice.messages) {
      if (channel.accept(slice.epoch, message) === 'queued') this.#events.queue(channel);
    }
    return channel.newest < slice.top && slice.messages.length > 0;
  }

  #tellWaiting(channel: Channel): void {
    const waiting = channel.whenWhole;
    channel.whenWhole = undefined;
    for (const resolve of waiting ?? []) resolve();
  }

  #endOfTurn(): Promise<void> {
    return new Promise((resolve) => this.#parts.turn.prepare(resolve));
  }

  #pause(delayMs: number): Promise<void> {
    const jittered = delayMs * (0.5 + this.#parts.random.fraction());
    return new Promise((resolve) => this.#parts.clock.after(jittered, resolve));
  }
}

/**
 * How much the sink was told of a channel that was read up to a position.
 *
 * @param change what came after the broker's place, and where the channel stood there.
 */
function toldOf({ epoch, offset }: Position, change: ChangedChannel | undefined): number {
  if (change === undefined) return offset;
  const { position, stream } = change;
  if (position.epoch === epoch) return Math.min(position.offset, offset);
  // Behind the end of its life nothing is told of it any more.
  const isOver = stream.epoch !== epoch && (isOrigin(position) || position.epoch === stream.epoch);
  return isOver ? offset : 0;
}

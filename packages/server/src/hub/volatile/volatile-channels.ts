/**
 * VolatileChannels: the volatile channels of one node, from what is broadcast to who listens.
 *
 * Each turn's messages are encoded once and shared, as those of a log are. They leave no trace: no
 * offset, no position, no read. A slow link stops getting them long before it holds up messages of
 * a log [VOL-4].
 */
import type { Draft, Message } from '@trunkline/wire';
import type { Broker } from '../../broker/broker.ts';
import type { Clock } from '../../clock.ts';
import type { SharedBatch } from '../../link/shared-batch.ts';
import type { Turn } from '../../link/turn.ts';
import type { Log } from '../../observe/log.ts';
import { refusal } from '../refusals.ts';
import { BATCH_SIZE_MAX, VOLATILE_PART } from '../config.ts';
import type { Encoding, Subscriber } from '../hub-types.ts';
import { divide, MessageBatch } from '../message-batch.ts';
import { VolatileChannel, VolatileCursor } from './volatile-channel.ts';

/** What volatile channels are built from. */
export interface VolatileParts {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly turn: Turn;
  readonly log: Log;
  /** Unsent bytes of a link above which cursors of a log fall behind; here it is a part of that. */
  readonly highWaterSize: number;
  /** True when someone follows the channel by a pattern. */
  readonly covers: (name: string) => boolean;
  /** Those who follow the channel among others are given the same messages. */
  readonly gather: (name: string, batch: MessageBatch) => void;
}

/** One node's volatile channels. */
export class VolatileChannels {
  readonly #parts: VolatileParts;
  readonly #channels = new Map<string, VolatileChannel>();
  readonly #passing = new Map<string, VolatileChannel>();
  #dirty: VolatileChannel[] = [];
  /** Messages handed to links since the start; for the metrics. */
  deliveredCount = 0;
  /** Messages that slow readers never got; for the metrics. */
  skippedCount = 0;

  constructor(parts: VolatileParts) {
    this.#parts = parts;
  }

  /** All that someone listens to. */
  get channels(): Iterable<VolatileChannel> {
    return this.#channels.values();
  }

  /** Counts one who listens, until `release`. @throws {CodedError} `unavailable`. */
  async acquire(name: string): Promise<VolatileChannel> {
    let channel = this.#channels.get(name);
    if (channel === undefined) {
      channel = new VolatileChannel(name);
      this.#channels.set(name, channel);
      channel.opening = this.#open(channel);
    }
    channel.users += 1;
    try {
      if (channel.opening !== undefined) await channel.opening;
      return channel;
    } catch (error) {
      channel.users -= 1;
      throw refusal(error);
    }
  }

  /** One listens no more. */
  release(name: string): void {
    const channel = this.#channels.get(name);
    if (channel === undefined) return;
    channel.users -= 1;
    if (channel.users > 0) return;
    this.#channels.delete(name);
    this.#parts.broker.unwatch(name);
  }

  /** Opens a subscription; it delivers nothing before `start`. @throws {CodedError} see `acquire`. */
  async subscribe(
    subscriber: Subscriber,
    name: string,
    mutedSession?: string,
  ): Promise<VolatileCursor> {
    return new VolatileCursor(subscriber, await this.acquire(name), mutedSession);
  }

  /** Lets a subscription run: it gets what comes from now on. */
  start(cursor: VolatileCursor): void {
    if (cursor.state !== 'waiting') return;
    cursor.state = 'live';
    cursor.channel.live.add(cursor);
  }

  /**
   * The cursor's link has drained: it gets the newest of what it missed, as much as the link has room
   * for, and the rest when that has drained.
   */
  advance(cursor: VolatileCursor): void {
    if (cursor.state !== 'behind') return;
    const { channel } = cursor;
    const missed = channel.missedBy(cursor);
    const messages = missed.map(({ message }) => message);
    let given = 0;
    for (const run of divide(messages, BATCH_SIZE_MAX)) {
      if (this.#isFull(cursor)) {
        cursor.subscriber.link.requestDrain();
        return;
      }
      this.#send(cursor, new MessageBatch(channel.name, '', run));
      if (isEnded(cursor)) return;
      given += run.length;
      cursor.sequence = missed[given - 1]?.sequence ?? cursor.sequence;
    }
    channel.catchUp(cursor);
  }

  /** Ends a subscription. Idempotent. */
  end(cursor: VolatileCursor): void {
    if (cursor.state === 'ended') return;
    cursor.state = 'ended';
    cursor.channel.remove(cursor);
    this.release(cursor.channel.name);
  }

  /** A message for who listens now. */
  onBroadcast(name: string, draft: Draft): void {
    const channel = this.#channels.get(name) ?? this.#passing.get(name) ?? this.#pass(name);
    if (channel === undefined) return;
    if (channel.pending.length === 0) {
      if (this.#dirty.length === 0) this.#parts.turn.prepare(this.#flush);
      this.#dirty.push(channel);
    }
    channel.pending.push(toMessage(draft, this.#parts.clock.unixMs()));
  }

  /** A channel that only patterns listen to lives for this turn. */
  #pass(name: string): VolatileChannel | undefined {
    if (!this.#parts.covers(name)) return undefined;
    const channel = new VolatileChannel(name);
    this.#passing.set(name, channel);
    return channel;
  }

  readonly #flush = (): void => {
    const dirty = this.#dirty;
    this.#dirty = [];
    this.#passing.clear();
    for (const channel of dirty) {
      const { pending } = channel;
      channel.pending = [];
      for (const run of divide(pending, BATCH_SIZE_MAX)) {
        const batch = new MessageBatch(channel.name, '', run);
        this.#deliver(channel, batch);
        this.#parts.gather(channel.name, batch);
      }
    }
  };

  #deliver(channel: VolatileChannel, batch: MessageBatch): void {
    for (const cursor of channel.live) {
      if (this.#isFull(cursor)) {
        channel.fallBehind(cursor);
        cursor.subscriber.link.requestDrain();
      } else {
        this.#send(cursor, batch);
      }
    }
    if (channel.behind.size === 0) return;
    channel.keep(batch.messages);
    this.skippedCount += channel.behind.size * batch.messages.length;
  }

  #isFull({ subscriber }: VolatileCursor): boolean {
    return subscriber.link.pendingBytes > this.#parts.highWaterSize / VOLATILE_PART;
  }

  #send(cursor: VolatileCursor, batch: MessageBatch): void {
    const { subscriber, channel, mutedSession } = cursor;
    const { link, encoding } = subscriber;
    try {
      const shared = this.#encode(batch, encoding, mutedSession);
      if (shared === undefined) return;
      link.sendShared(shared);
      this.deliveredCount += batch.messages.length;
    } catch (error) {
      const fields = { channel: channel.name, encoding: encoding.name, error };
      this.#parts.log.error(fields, 'messages could not be encoded');
      this.end(cursor);
      link.close({ code: 'internal' });
    }
  }

  #encode(
    batch: MessageBatch,
    encoding: Encoding,
    mutedSession: string | undefined,
  ): SharedBatch | undefined {
    const { clock } = this.#parts;
    if (batch.isOver(clock.unixMs())) return undefined;
    if (mutedSession === undefined) return batch.encoded(encoding, clock);
    return batch.encodedWithout(mutedSession, encoding, clock);
  }

  async #open(channel: VolatileChannel): Promise<void> {
    try {
      await this.#parts.broker.watch(channel.name);
      channel.opening = undefined;
    } catch (error) {
      if (this.#channels.get(channel.name) === channel) this.#channels.delete(channel.name);
      throw error;
    }
  }
}

function isEnded({ state }: VolatileCursor): boolean {
  return state === 'ended';
}

function toMessage(draft: Draft, nowMs: number): Message {
  const time = Math.floor(nowMs);
  const { ttl } = draft;
  // One without an offset: a volatile channel has none.
  const message = { ...draft, offset: 0, time };
  return ttl === undefined ? message : { ...message, expiresAt: time + ttl };
}

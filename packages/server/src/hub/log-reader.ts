/**
 * LogReader: what resumes and cursors that are behind read of the log. Many who ask for the same
 * share one read, and what memory covers is not read at all.
 */
import { isOrigin } from '@trunkline/wire';
import type { Broker, ReadRange, StreamSlice } from '../broker/broker.ts';
import type { Clock } from '../clock.ts';
import type { Channel } from './channel.ts';
import { unavailable } from './refusals.ts';
import type { ChannelTable } from './channel-table.ts';
import {
  BATCH_SIZE_MAX,
  READ_COUNT_MAX,
  READ_SIZE_MAX,
  SETTLE_COUNT_MAX,
  TAIL_SIZE_MAX,
} from './config.ts';
import type { Start } from './hub-types.ts';
import { divide, MESSAGE_OVERHEAD_SIZE, MessageBatch } from './message-batch.ts';
import type { StreamBounds } from './recovery.ts';

/** What comes after an offset. */
export interface LogRead {
  /** Of the stream when it was read. */
  readonly bounds: StreamBounds;
  /** Ends at the head at the latest; absent when nothing of it is retained. */
  readonly batch: MessageBatch | undefined;
}

/** Messages that fit into a tail at most, however small they are. */
const TAIL_COUNT_MAX = Math.floor(TAIL_SIZE_MAX / MESSAGE_OVERHEAD_SIZE);

/** Reads for the channels of one table. */
export class LogReader {
  readonly #broker: Broker;
  readonly #clock: Clock;
  readonly #table: ChannelTable;

  constructor(broker: Broker, clock: Clock, table: ChannelTable) {
    this.#broker = broker;
    this.#clock = clock;
    this.#table = table;
  }

  /**
   * The bounds of the stream as far as a start needs them, with the head as its top. Asks the log
   * only when the tail does not cover the start.
   *
   * @throws {CodedError} `unavailable` when the log can't be read, or does not agree with the head.
   */
  async boundsFor(channel: Channel, start: Start): Promise<StreamBounds> {
    // What was published before is before the start, though its flush is still to come; and what is
    // being read of the log may be another life of the stream. While the log is away nobody can
    // tell, but who begins from now on needs neither a verdict nor what came before.
    const needsLog = start.after !== undefined || start.last !== undefined || !channel.away;
    if (channel.healing && needsLog) await this.#table.settle(channel);
    else this.#table.flush(channel);
    if (this.#isCovered(channel, start)) return headBounds(channel);
    for (let round = 0; round < SETTLE_COUNT_MAX; round += 1) {
      const slice = await this.#once(channel, 'tail', () => this.#loadTail(channel));
      const { epoch, head } = channel;
      // The client may have seen more of the stream than this node: at another one, or just now.
      const isBehind = slice.top > head && isBeyond(start, epoch, head);
      if (slice.epoch === epoch && slice.oldest <= head + 1 && !isBehind) {
        return { epoch, oldest: slice.oldest, top: head };
      }
      this.#table.heal(channel);
      await this.#table.settle(channel);
    }
    throw unavailable('the log changes faster than it can be read');
  }

  /**
   * Reads what the log has after `offset`. When it turns out not to be what the head stands for,
   * the channel is healed.
   *
   * @throws when the log can't be read, or is behind the head.
   */
  async readAfter(channel: Channel, offset: number): Promise<LogRead> {
    const slice = await this.#once(channel, `after ${offset}`, () =>
      this.#readAfter(channel, offset),
    );
    if (slice.epoch !== channel.epoch) return { bounds: slice, batch: undefined };
    // Whoever shared the read and came first has made a batch of it already.
    const known = channel.batchAfter(offset);
    if (known !== undefined) return { bounds: slice, batch: known };
    const messages = slice.messages.filter((message) => message.offset <= channel.head);
    if (messages.length === 0) return { bounds: slice, batch: undefined };
    const batch = new MessageBatch(channel.name, channel.epoch, messages);
    if (batch.first === offset + 1) {
      channel.remember(offset, batch);
      this.#table.limitKept(channel);
    }
    return { bounds: slice, batch };
  }

  async #readAfter(channel: Channel, after: number): Promise<StreamSlice> {
    const { epoch, head } = channel;
    const range = { after, countMax: READ_COUNT_MAX, sizeMax: READ_SIZE_MAX };
    const slice = await this.#read(channel, range);
    if (slice.epoch !== channel.epoch) this.#table.heal(channel);
    // The log had what the head stands for before it was asked.
    else if (slice.epoch === epoch && slice.top < head) {
      this.#table.heal(channel);
      throw unavailable('the log has lost its end');
    }
    return slice;
  }

  /** Reads what comes before the tail as far as there is room for it. */
  async #loadTail(channel: Channel): Promise<StreamSlice> {
    const { tail } = channel;
    const before = firstInMemory(channel);
    const retained = channel.rules.history.countMax - (channel.head + 1 - before);
    const slice = await this.#read(channel, {
      after: 0,
      before,
      countMax: Math.max(0, Math.min(retained, TAIL_COUNT_MAX)),
      sizeMax: Math.max(0, TAIL_SIZE_MAX - tail.size),
    });
    const joins = slice.epoch === channel.epoch && before === firstInMemory(channel);
    if (joins && slice.messages.at(-1)?.offset === before - 1) {
      const runs = divide(slice.messages, BATCH_SIZE_MAX);
      channel.keepOlder(runs.map((run) => new MessageBatch(channel.name, slice.epoch, run)));
      this.#table.limitKept(channel);
    }
    return slice;
  }

  #isCovered(channel: Channel, { after, last = 0 }: Start): boolean {
    const { head, epoch } = channel;
    if (after === undefined) return this.#covers(channel, Math.max(0, head - last));
    if (after.kind === 'unknown') return true;
    if (after.kind === 'start') return this.#covers(channel, 0);
    if (after.kind !== 'position') return false;
    const { position } = after;
    if (isOrigin(position)) return this.#covers(channel, 0);
    if (position.epoch !== epoch || position.offset > head) return false;
    return this.#covers(channel, position.offset);
  }

  /** True when everything after `offset` is in memory and still retained. */
  #covers(channel: Channel, offset: number): boolean {
    return offset === channel.head || channel.tail.covers(offset, this.#clock.unixMs());
  }

  #once<T>(channel: Channel, what: string, read: () => Promise<T>): Promise<T> {
    const reads = (channel.reads ??= new Map<string, Promise<unknown>>());
    const underWay = reads.get(what);
    if (underWay !== undefined) return underWay as Promise<T>;
    const promise = read().finally(() => {
      reads.delete(what);
      if (reads.size === 0 && channel.reads === reads) channel.reads = undefined;
    });
    reads.set(what, promise);
    return promise;
  }

  #read(channel: Channel, range: ReadRange): Promise<StreamSlice> {
    return this.#broker.read(channel.name, range);
  }
}

/** True for a start from a place of this life of the stream that the head has not reached. */
function isBeyond({ after }: Start, epoch: string, head: number): boolean {
  if (after?.kind !== 'position') return false;
  return after.position.epoch === epoch && after.position.offset > head;
}

/** Lowest offset in memory; the one after the head when there is none. */
function firstInMemory({ tail, head }: Channel): number {
  return tail.first ?? head + 1;
}

/** The bounds a covered start needs: whatever the tail covers is retained. */
function headBounds(channel: Channel): StreamBounds {
  return { epoch: channel.epoch, oldest: firstInMemory(channel), top: channel.head };
}

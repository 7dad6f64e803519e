/**
 * FanOut: from a channel's messages to its cursors.
 *
 * Live cursors get each turn's batch, encoded once and shared. A cursor whose link has too much
 * unsent falls behind: it stops where it is, and when the link has drained it reads on from memory
 * or from the log, in bounded steps, until it is at the head again. Nobody waits for anybody.
 */
import type { Position } from '@trunkline/wire';
import type { GapReason } from '@trunkline/wire';
import type { Clock } from '../clock.ts';
import type { SharedBatch } from '../link/shared-batch.ts';
import type { Log } from '../observe/log.ts';
import type { Channel } from './channel.ts';
import type { ChannelTable } from './channel-table.ts';
import { BATCH_SIZE_MAX, RETRY_MS } from './config.ts';
import type { Cursor } from './cursor.ts';
import type { Encoding } from './hub-types.ts';
import type { LogRead, LogReader } from './log-reader.ts';
import { divide, MessageBatch } from './message-batch.ts';
import { lossOf } from './recovery.ts';

/** What a fan-out is built from. */
export interface FanOutParts {
  readonly table: ChannelTable;
  readonly reader: LogReader;
  /** Unsent bytes of a link above which its cursors fall behind. */
  readonly highWaterSize: number;
  /** Those who follow the channel among others are given the same messages. */
  readonly gather: (channel: Channel, batch: MessageBatch) => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** Links that are looked at before the first of them is written. */
const LOOK_COUNT = 64;

/** Delivers to the cursors of one hub. */
export class FanOut {
  readonly #parts: FanOutParts;
  /** Messages handed to links since the start; for the metrics. */
  deliveredCount = 0;
  /** Cursors that are behind or read; for the metrics. */
  behindCount = 0;
  /** Losses of live subscriptions since the start, by reason; for the metrics. */
  readonly lossCounts = new Map<GapReason, number>();

  constructor(parts: FanOutParts) {
    this.#parts = parts;
  }

  /**
   * Gives this turn's messages to everyone at the head.
   *
   * @param isOnly true when no other channel has anything for its cursors in this turn.
   */
  flush(channel: Channel, isOnly = false): void {
    if (channel.pending.length === 0) return;
    // An array that grew holds more than its elements, and this one is kept.
    const messages = channel.pending.slice();
    channel.pending = [];
    const runs = divide(messages, BATCH_SIZE_MAX);
    const isWhole = runs.length === 1;
    for (const run of runs) {
      const batch = new MessageBatch(channel.name, channel.epoch, run);
      channel.keep(batch);
      this.#deliver(channel, batch, isWhole, isOnly);
      channel.head = batch.last;
      this.#parts.gather(channel, batch);
      // Most batches of the tail are never asked for again.
      batch.forgetEncoded();
    }
    this.#parts.table.limitKept(channel);
    channel.wakeWaiters();
  }

  /** Begins to deliver after the position the cursor was opened at. */
  start(cursor: Cursor): void {
    if (cursor.state !== 'waiting') return;
    cursor.state = 'behind';
    this.behindCount += 1;
    this.advance(cursor);
  }

  /** Ends a cursor; nothing is delivered to it any more. Idempotent. */
  end(cursor: Cursor): void {
    const { channel } = cursor;
    if (cursor.state === 'ended') return;
    if (cursor.state === 'live') channel.removeLive(cursor);
    else if (cursor.state !== 'waiting') this.behindCount -= 1;
    channel.stalled?.delete(cursor);
    cursor.state = 'ended';
    this.#parts.table.release(channel);
  }

  /**
   * Moves a cursor that is behind towards the head: about one batch, then it asks for its next
   * turn, so that the cursors of one link take turns and a link never has more unsent than the
   * high-water mark and one batch.
   */
  advance(cursor: Cursor): void {
    if (cursor.state !== 'behind') return;
    const { channel } = cursor;
    const { link } = cursor.subscriber;
    let size = 0;
    while (isBehind(cursor) && isOfThisLife(cursor) && cursor.offset < channel.head) {
      if (size >= BATCH_SIZE_MAX || this.#isFull(cursor)) {
        link.requestDrain();
        return;
      }
      const batch = channel.batchAfter(cursor.offset);
      if (batch === undefined) break;
      if (!this.#give(cursor, batch)) return;
      size += batch.size;
    }
    if (!isBehind(cursor)) return;
    if (!isOfThisLife(cursor) || cursor.offset !== channel.head) {
      void this.#readOn(cursor); // Its failures stall the cursor.
    } else if (cursor.leg === undefined) {
      channel.makeLive(cursor);
      this.behindCount -= 1;
    } else {
      cursor.leg.onHead(cursor);
    }
  }

  /** A cursor reads again what comes after an earlier position. */
  goBack(cursor: Cursor, position: Position): void {
    if (cursor.state === 'ended') return;
    if (cursor.state === 'live') this.#fallBehind(cursor);
    cursor.begin = position.offset;
    cursor.epoch = position.epoch;
    cursor.offset = position.offset;
    this.advance(cursor); // What is being read for it is found to be of elsewhere, and read anew.
  }

  /** All live cursors of a channel fall behind: its stream did not go on where it was. */
  interrupt(channel: Channel): void {
    for (const cursor of channel.live.slice()) this.#fallBehind(cursor);
  }

  /** @param isWhole true when this is all that the channel has in this turn. */
  #deliver(channel: Channel, batch: MessageBatch, isWhole: boolean, isOnly: boolean): void {
    const { live } = channel;
    let encoding: Encoding | undefined;
    let shared: SharedBatch | undefined;
    let isApart = false;
    let isAnyFull = false;
    for (let index = 0, looked = 0; index < live.length; ) {
      if (index === looked) {
        looked += LOOK_COUNT;
        isAnyFull = this.#isAnyFull(live, index, looked);
      }
      const cursor = live[index];
      if (cursor === undefined) break;
      const { subscriber } = cursor;
      if (subscriber.encoding !== encoding) {
        encoding = subscriber.encoding;
        shared = this.#encode(batch, encoding);
        isApart = encoding.as !== undefined;
      }
      // One link may have many of these: it is looked at before each.
      if ((isAnyFull || isApart) && this.#isFull(cursor)) {
        this.#fallBehind(cursor); // Another cursor takes this place in the array.
        continue;
      }
      if (shared === undefined) {
        this.#fail(cursor);
        isAnyFull = true; // Who takes this place was not looked at.
        continue;
      }
      const { mutedSession } = cursor;
      const isLast = isWhole && ((isOnly && !isApart) || cursor.isAlone);
      if (mutedSession === undefined) subscriber.link.sendShared(shared, isLast);
      else this.#sendOthers(cursor, batch, mutedSession);
      index += 1;
    }
    this.deliveredCount += live.length * batch.messages.length;
  }

  /**
   * True when one of these links has too much unsent: then each is looked at again. Some are looked at
   * before the first of them is written: so the processor fetches many links from memory side by side,
   * where a write after each look would make it wait for every one. They are no more than it still has
   * when their turn comes.
   */
  #isAnyFull(live: readonly Cursor[], from: number, to: number): boolean {
    let isAny = false;
    for (let index = from; index < to; index += 1) {
      const cursor = live[index];
      if (cursor === undefined) break;
      if (this.#isFull(cursor)) isAny = true;
    }
    return isAny;
  }

  #isFull({ subscriber }: Cursor): boolean {
    return subscriber.link.pendingBytes > this.#parts.highWaterSize;
  }

  #fallBehind(cursor: Cursor): void {
    const { channel } = cursor;
    channel.removeLive(cursor);
    cursor.state = 'behind';
    this.behindCount += 1;
    cursor.epoch = channel.epoch;
    cursor.offset = channel.head;
    cursor.subscriber.link.requestDrain();
  }

  /** Hands a batch on. @returns false when it can't be encoded, which ends the cursor. */
  #give(cursor: Cursor, batch: MessageBatch): boolean {
    const { link, encoding } = cursor.subscriber;
    const { mutedSession } = cursor;
    const mark = cursor.leg?.markAfter(cursor, batch);
    if (mutedSession === undefined) {
      const shared = this.#encode(batch, encoding, mark);
      if (shared === undefined) {
        this.#fail(cursor);
        return false;
      }
      link.sendShared(shared);
    } else {
      this.#sendOthers(cursor, batch, mutedSession, mark);
    }
    cursor.epoch = batch.epoch;
    cursor.offset = batch.last;
    this.deliveredCount += batch.messages.length;
    return true;
  }

  /** Sends what others have published [WS-16]. */
  #sendOthers(cursor: Cursor, batch: MessageBatch, session: string, mark?: string): void {
    const { link, encoding } = cursor.subscriber;
    const shared = batch.encodedWithout(session, encoding, this.#parts.clock, mark);
    if (shared !== undefined) link.sendShared(shared);
  }

  #encode(batch: MessageBatch, encoding: Encoding, mark?: string): SharedBatch | undefined {
    try {
      return batch.encoded(encoding, this.#parts.clock, mark);
    } catch (error) {
      const { channel, epoch, first, last } = batch;
      const fields = { channel, epoch, first, last, encoding: encoding.name, error };
      this.#parts.log.error(fields, 'messages could not be encoded');
      return undefined;
    }
  }

  /** What can't be delivered is not skipped: the link ends and says that the fault is ours. */
  #fail(cursor: Cursor): void {
    this.end(cursor);
    cursor.subscriber.link.close({ code: 'internal' });
  }

  /** Reads the log for a cursor that memory can't serve, tells what is lost, and goes on. */
  async #readOn(cursor: Cursor): Promise<void> {
    const { channel, subscriber } = cursor;
    cursor.state = 'reading';
    let read: LogRead;
    try {
      const offset = isOfThisLife(cursor) ? cursor.offset : 0;
      read = await this.#parts.reader.readAfter(channel, offset);
    } catch (error) {
      this.#stall(cursor, error);
      return;
    }
    if (!isReading(cursor)) return; // It ended while the log was read.
    const { bounds, batch } = read;
    if (bounds.epoch !== channel.epoch) {
      this.#stall(cursor);
      return;
    }
    const loss = lossOf(cursor, bounds);
    const next = batch?.first === cursor.offset + 1 ? batch : undefined;
    const isUnknown = loss === undefined && next === undefined && cursor.offset !== channel.head;
    // Others may have asked before the life began in which this one is: the head is beyond that.
    const isOld = loss?.gap.reason === 'ahead' && bounds.top < channel.head;
    if (isUnknown || isOld) {
      this.#stall(cursor); // The log does not agree with the head.
      return;
    }
    cursor.state = 'behind'; // From here on the subscriber is told things, and may unsubscribe.
    if (loss !== undefined) {
      cursor.epoch = loss.position.epoch;
      cursor.offset = loss.position.offset;
      // All of another life of the stream is from after it began.
      if (loss.gap.reason === 'epoch') cursor.begin = loss.position.offset;
      this.lossCounts.set(loss.gap.reason, (this.lossCounts.get(loss.gap.reason) ?? 0) + 1);
      subscriber.onGap(channel.name, loss.gap, loss.position);
      cursor.leg?.onLoss(cursor, loss.position);
    } else if (next !== undefined && !this.#isFull(cursor)) {
      this.#give(cursor, next); // If the link is full by now, it is read again later.
    }
    this.advance(cursor);
  }

  /**
   * The log can't be read, or not yet what the head stands for. The channel is looked after, and
   * all its cursors that stand still try again together after a pause.
   */
  #stall(cursor: Cursor, error?: unknown): void {
    if (!isReading(cursor)) return;
    const { channel } = cursor;
    const { table, log } = this.#parts;
    if (channel.stalled === undefined) {
      channel.stalled = new Set();
      this.#retryLater(channel);
      const fields = { channel: channel.name, error };
      if (error !== undefined) log.warn(fields, 'reading the log for a subscription failed');
    }
    channel.stalled.add(cursor);
    table.heal(channel);
  }

  #retryLater(channel: Channel): void {
    this.#parts.clock.after(RETRY_MS, () => this.#retry(channel));
  }

  #retry(channel: Channel): void {
    const { stalled } = channel;
    if (stalled === undefined || channel.isClosed) return;
    if (stalled.size > 0 && channel.healing) {
      this.#retryLater(channel); // The healing finds out when the log is back.
      return;
    }
    channel.stalled = undefined;
    for (const cursor of stalled) {
      cursor.state = 'behind';
      this.advance(cursor);
    }
  }
}

/** True when the cursor's offset belongs to the channel's present life. */
function isOfThisLife({ epoch, offset, channel }: Cursor): boolean {
  return epoch === channel.epoch || (epoch === '0' && offset === 0);
}

function isBehind(cursor: Cursor): boolean {
  return cursor.state === 'behind';
}

function isReading(cursor: Cursor): boolean {
  return cursor.state === 'reading';
}

/**
 * FanOut: from a channel's messages to its cursors.
 *
 * Live cursors get each turn's batch, encoded once and shared. A cursor whose link has too much
 * unsent falls behind: it stops where it is, and when the link has drained it reads on from memory
 * or from the log, in bounded steps, until it is at the head again. Nobody waits for anybody.
 */
import type { Clock } from '../clock.ts';
import type { SharedBatch } from '../link/shared-batch.ts';
import type { Log } from '../observe/log.ts';
import type { Channel } from './channel.ts';
import type { ChannelTable } from './channel-table.ts';
import { BATCH_SIZE_MAX, RETRY_MS } from './config.ts';
import type { Cursor } from './cursor.ts';
import type { Encoding } from './hub-types.ts';
import { divide, MessageBatch } from './message-batch.ts';
import { lossOf } from './recovery.ts';

export class FanOut {
  readonly #highWaterSize: number;
  readonly #clock: Clock;
  readonly #log: Log;
  #table: ChannelTable | undefined;
  /** Messages handed to links since the start; for the metrics. */
  deliveredCount = 0;

  constructor(highWaterSize: number, clock: Clock, log: Log) {
    this.#highWaterSize = highWaterSize;
    this.#clock = clock;
    this.#log = log;
  }

  /** The table tells the fan-out what happened, and the fan-out reads through the table. */
  attach(table: ChannelTable): void {
    this.#table = table;
  }

  /** Gives this turn's messages to everyone at the head. */
  flush(channel: Channel): void {
    if (channel.pending.length === 0) return;
    const messages = channel.pending;
    channel.pending = [];
    for (const run of divide(messages, BATCH_SIZE_MAX)) {
      const batch = new MessageBatch(channel.name, channel.epoch, run);
      this.#table?.keep(channel, batch);
      this.#deliver(channel, batch);
      channel.head = batch.last;
    }
    channel.wakeWaiters();
  }

  /** Begins to deliver after the position the cursor was opened at. */
  start(cursor: Cursor): void {
    if (cursor.state !== 'waiting') return;
    cursor.state = 'behind';
    this.advance(cursor);
  }

  /** Ends a cursor; nothing is delivered to it any more. Idempotent. */
  end(cursor: Cursor): void {
    if (cursor.state === 'ended') return;
    if (cursor.state === 'live') cursor.channel.removeLive(cursor);
    cursor.channel.stalled.delete(cursor);
    cursor.state = 'ended';
  }

  /**
   * Moves a cursor that is behind towards the head: one batch, then it asks for its next turn, so
   * that the cursors of one link take turns and a link never has more unsent than it should.
   */
  advance(cursor: Cursor): void {
    if (cursor.state !== 'behind') return;
    const { channel } = cursor;
    const { link } = cursor.subscriber;
    let size = 0;
    while (this.#isAt(channel, cursor.epoch, cursor.offset)) {
      if (cursor.offset >= channel.head) {
        this.#reachHead(cursor);
        return;
      }
      if (size >= BATCH_SIZE_MAX || link.pendingBytes > this.#highWaterSize) {
        link.requestDrain();
        return;
      }
      const batch = channel.batchAfter(cursor.offset);
      if (batch === undefined) break;
      size += this.#give(cursor, batch);
    }
    void this.#readOn(cursor);
  }

  /** All live cursors of a channel fall behind: its stream did not go on where it was. */
  interrupt(channel: Channel): void {
    for (const cursor of channel.live.slice()) this.#fallBehind(channel, cursor);
  }

  /** The channel is whole again: what waited for that goes on. */
  healed(channel: Channel): void {
    const stalled = [...channel.stalled];
    channel.stalled.clear();
    for (const cursor of stalled) this.advance(cursor);
    channel.wakeWaiters();
  }

  #deliver(channel: Channel, batch: MessageBatch): void {
    const { live } = channel;
    let encoding: Encoding | undefined;
    let shared: SharedBatch | undefined;
    for (let index = 0; index < live.length; ) {
      const cursor = live[index];
      if (cursor === undefined) break;
      const { subscriber } = cursor;
      if (subscriber.link.pendingBytes > this.#highWaterSize) {
        this.#fallBehind(channel, cursor); // Another cursor takes this place in the array.
        continue;
      }
      if (shared === undefined || subscriber.encoding !== encoding) {
        encoding = subscriber.encoding;
        shared = batch.encoded(encoding);
      }
      subscriber.link.sendShared(shared);
      index += 1;
    }
    this.deliveredCount += live.length * batch.messages.length;
  }

  #fallBehind(channel: Channel, cursor: Cursor): void {
    channel.removeLive(cursor);
    cursor.state = 'behind';
    cursor.epoch = channel.epoch;
    cursor.offset = channel.head;
    cursor.subscriber.link.requestDrain();
  }

  #reachHead(cursor: Cursor): void {
    const { channel } = cursor;
    if (cursor.offset === channel.head) channel.makeLive(cursor);
    // Ahead of a head that is still being read from the log: the healing says when to go on.
    else this.#stall(cursor);
  }

  #stall(cursor: Cursor): void {
    cursor.channel.stalled.add(cursor);
    this.#table?.heal(cursor.channel);
  }

  #give(cursor: Cursor, batch: MessageBatch): number {
    const { link, encoding } = cursor.subscriber;
    const shared = batch.encoded(encoding);
    link.sendShared(shared);
    cursor.epoch = batch.epoch;
    cursor.offset = batch.last;
    this.deliveredCount += batch.messages.length;
    return shared.payload.length;
  }

  /** True when the offset belongs to the channel's present life. */
  #isAt(channel: Channel, epoch: string, offset: number): boolean {
    return epoch === channel.epoch || (epoch === '0' && offset === 0);
  }

  /** Reads the log for a cursor that memory can't serve, tells what is lost, and goes on. */
  async #readOn(cursor: Cursor): Promise<void> {
    const table = this.#table;
    if (table === undefined) return;
    const { channel, subscriber } = cursor;
    cursor.state = 'reading';
    let read: Awaited<ReturnType<ChannelTable['readAfter']>>;
    try {
      const offset = this.#isAt(channel, cursor.epoch, cursor.offset) ? cursor.offset : 0;
      read = await table.readAfter(channel, offset);
    } catch (error) {
      this.#log.warn({ channel: channel.name, error }, 'reading the log for a subscription failed');
      this.#clock.after(RETRY_MS, () => this.#retry(cursor));
      return;
    }
    // The cursor may have ended while the log was read.
    if ((cursor.state as Cursor['state']) !== 'reading') return;
    cursor.state = 'behind';
    if (read.bounds.epoch !== channel.epoch) {
      this.#stall(cursor);
      return;
    }
    const loss = lossOf(cursor, read.bounds);
    if (loss !== undefined) {
      cursor.epoch = loss.position.epoch;
      cursor.offset = loss.position.offset;
      subscriber.onGap(channel.name, loss.gap, loss.position);
    } else if (read.batch !== undefined && read.batch.first === cursor.offset + 1) {
      this.#give(cursor, read.batch);
    } else if (cursor.offset < channel.head) {
      this.#stall(cursor); // The log has less than the head says: it must be looked at again.
      return;
    }
    if (subscriber.link.pendingBytes > this.#highWaterSize) subscriber.link.requestDrain();
    else this.advance(cursor);
  }

  #retry(cursor: Cursor): void {
    if (cursor.state !== 'reading') return;
    cursor.state = 'behind';
    this.advance(cursor);
  }
}

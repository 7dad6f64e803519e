/**
 * SelectionFanOut: from the channels' messages to those who follow several of them.
 *
 * What a turn brought to a selection is encoded once, with one mark at its end, and given to all
 * its live readers. A reader whose link has too much unsent stands at the last mark and costs
 * nothing; when the link has drained it asks what changed since, and reads those channels on as an
 * ordinary subscription does until it is at the head of every one.
 */
import type { Position } from '@trunkline/wire';
import type { Broker } from '../../broker/broker.ts';
import type { Clock } from '../../clock.ts';
import type { Turn } from '../../link/turn.ts';
import type { Log } from '../../observe/log.ts';
import type { Channel } from '../channel.ts';
import type { ChannelTable } from '../channel-table.ts';
import { LEGS_AT_ONCE_MAX, RETRY_MS } from '../config.ts';
import { Cursor } from '../cursor.ts';
import type { LegOwner } from '../cursor.ts';
import type { FanOut } from '../fan-out.ts';
import { MessageBatch } from '../message-batch.ts';
import { formatPlaceMark } from '../place-mark.ts';
import type { PlaceMark } from '../place-mark.ts';
import { CatchUp } from './catch-up.ts';
import type { Leg } from './catch-up.ts';
import type { Selection } from './selection.ts';
import { SelectionBatch } from './selection-batch.ts';
import { SelectionCursor } from './selection-cursor.ts';
import type { SelectionSubscriber } from './selection-cursor.ts';
import { SelectionNews } from './selection-news.ts';
import type { SelectionTable } from './selection-table.ts';

/** What a fan-out is built from. */
export interface SelectionFanOutParts {
  readonly broker: Broker;
  readonly table: ChannelTable;
  readonly selections: SelectionTable;
  /** Reads single channels on. */
  readonly fanOut: FanOut;
  readonly turn: Turn;
  readonly highWaterSize: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** Delivers to those who follow several channels of one hub. */
export class SelectionFanOut {
  readonly #parts: SelectionFanOutParts;
  #dirty: Selection[] = [];
  #scheduled = false;

  constructor(parts: SelectionFanOutParts) {
    this.#parts = parts;
  }

  /** A channel gives these messages to its own readers; those of its selections get them too. */
  gather(channel: Channel, batch: MessageBatch): void {
    for (const selection of this.#parts.selections.of(channel)) this.#gather(selection, batch);
  }

  /** The same for a volatile channel. */
  gatherVolatile(name: string, batch: MessageBatch): void {
    for (const selection of this.#parts.selections.ofName(name)) this.#gather(selection, batch);
  }

  /** Gives everything that was gathered. Called when no channel has anything pending any more. */
  flush(): void {
    const dirty = this.#dirty;
    if (dirty.length === 0) return;
    this.#dirty = [];
    for (const selection of dirty) this.#flush(selection);
  }

  /** Begins to deliver what comes after the place the reader was opened at. */
  start(cursor: SelectionCursor): void {
    const { catchUp } = cursor;
    if (cursor.state !== 'waiting' || catchUp === undefined) return;
    cursor.state = 'catching';
    if (catchUp.again) this.#restart(cursor, catchUp);
    else this.#goOn(cursor);
  }

  /**
   * Makes a reader that stands where this node stands now, and is told of all news from here on.
   * Its legs are for the caller to find.
   *
   * @returns `undefined` while the broker can't say where it stands.
   */
  open(
    subscriber: SelectionSubscriber,
    selection: Selection,
    mutedSession: string | undefined,
  ): { readonly cursor: SelectionCursor; readonly here: PlaceMark } | undefined {
    this.#settle(selection);
    const here = this.#parts.selections.placeOf(selection);
    if (here === undefined) return undefined;
    const cursor = new SelectionCursor(subscriber, selection, here, mutedSession);
    selection.sendAway(cursor);
    selection.catching.add(cursor);
    return { cursor, here };
  }

  /** The reader's link has drained. */
  advance(cursor: SelectionCursor): void {
    if (cursor.state === 'behind') {
      this.#beginCatchUp(cursor);
      return;
    }
    if (cursor.state !== 'catching') return;
    for (const leg of [...(cursor.catchUp?.reading.values() ?? [])]) {
      if (cursor.state === 'catching') this.#parts.fanOut.advance(leg);
    }
    this.#goOn(cursor);
  }

  /** Ends a reader; nothing is delivered to it any more. Idempotent. */
  end(cursor: SelectionCursor): void {
    const { selection } = cursor;
    if (cursor.state === 'ended') return;
    if (cursor.state === 'live') selection.removeLive(cursor);
    else selection.takeBack(cursor);
    selection.catching.delete(cursor);
    cursor.state = 'ended';
    for (const leg of cursor.catchUp?.reading.values() ?? []) this.#parts.fanOut.end(leg);
    cursor.catchUp = undefined;
    this.#parts.selections.release(selection);
  }

  /** A channel's stream does not go on where it was: each reader finds out what it lost. */
  interrupt(channel: Channel): void {
    const { name, position } = channel;
    for (const selection of this.#parts.selections.of(channel)) {
      this.#settle(selection);
      for (const cursor of [...selection.catching]) this.#note(cursor, name, position);
      for (const cursor of selection.live.slice()) this.addLeg(cursor, name, position);
      selection.wakeWaiters();
    }
  }

  /** A reader reads one channel on from a position, e.g. where another subscription left it. */
  addLeg(cursor: SelectionCursor, channel: string, position: Position): void {
    const { selection } = cursor;
    if (cursor.state === 'behind') {
      const behind = new Map(cursor.place.behind).set(channel, position);
      cursor.place = { mark: cursor.place.mark, behind };
      return;
    }
    if (cursor.state === 'live') {
      selection.removeLive(cursor);
      selection.sendAway(cursor);
      this.#openCatchUp(cursor, selection.place).resolve([]);
    }
    this.#note(cursor, channel, position);
    cursor.subscriber.link.requestDrain();
  }

  /**
   * Another subscription reads the channel from now on.
   *
   * @returns where the reader stood in it; `undefined` when that is at the head.
   */
  leave(cursor: SelectionCursor, channel: string): Position | undefined {
    const { catchUp } = cursor;
    const leg = catchUp?.reading.get(channel);
    if (catchUp === undefined || leg === undefined) return catchUp?.drop(channel);
    const { place } = leg;
    catchUp.reading.delete(channel);
    this.#parts.fanOut.end(leg);
    this.#goOn(cursor);
    return place;
  }

  /**
   * Something may be missing in a channel whose place is not known here: live readers go back to
   * the last mark, which is before it.
   */
  doubt(name: string): void {
    for (const selection of this.#parts.selections.ofName(name)) {
      this.#give(selection, undefined);
      for (const cursor of selection.live.slice()) this.#fallBehind(cursor, selection.place);
      for (const cursor of [...selection.catching]) {
        if (cursor.catchUp !== undefined) this.#restart(cursor, cursor.catchUp);
      }
      selection.wakeWaiters();
    }
  }

  #gather(selection: Selection, batch: MessageBatch): void {
    if (selection.isIdle) return;
    const { before } = batch;
    if (before !== undefined) {
      for (const cursor of [...selection.catching]) this.#note(cursor, batch.channel, before);
    }
    if (selection.pending.length === 0) this.#dirty.push(selection);
    selection.pending.push(batch);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#parts.turn.prepare(this.#flushScheduled);
  }

  readonly #flushScheduled = (): void => {
    this.#scheduled = false;
    this.flush();
  };

  /** Gives what came up to now, whatever of the turn is still to come. */
  #settle(selection: Selection): void {
    this.#parts.table.flushDirty();
    this.#flush(selection);
  }

  /** Gives what is pending, with the mark after it. No channel may have anything pending. */
  #flush(selection: Selection): void {
    this.#give(selection, this.#parts.selections.placeOf(selection));
  }

  #give(selection: Selection, place: PlaceMark | undefined): void {
    const { pending, place: before } = selection;
    if (pending.length > 0) selection.pending = [];
    selection.place = place ?? placeAfter(before, pending);
    if (pending.length === 0) return;
    const mark = selection.live.length === 0 ? undefined : formatPlaceMark(selection.place);
    const batch = new SelectionBatch(pending, mark, this.#parts.clock.unixMs());
    const { live } = selection;
    for (let index = 0; index < live.length; ) {
      const cursor = live[index];
      if (cursor === undefined) break;
      if (this.#isFull(cursor)) this.#fallBehind(cursor, before);
      else if (this.#deliver(cursor, batch)) index += 1;
    }
    selection.keepSlots(pending);
    if (selection.isAwaited) selection.wakeWaiters(new SelectionNews(pending, selection.place));
    // Whoever catches up and has room reads the news at once.
    for (const cursor of [...selection.catching]) {
      if (cursor.state === 'catching' && !this.#isFull(cursor)) this.#goOn(cursor);
    }
  }

  /** @returns false when the reader is not live any more. */
  #deliver(cursor: SelectionCursor, batch: SelectionBatch): boolean {
    const { link, encoding } = cursor.subscriber;
    try {
      const shared = batch.isPartFor(cursor) ? batch.partFor(cursor) : batch.encoded(encoding);
      if (shared === undefined) return true;
      link.sendShared(shared);
      this.#parts.fanOut.deliveredCount += batch.count;
      return true;
    } catch (error) {
      const fields = { filters: cursor.selection.filters, encoding: encoding.name, error };
      this.#parts.log.error(fields, 'messages could not be encoded');
      this.#fail(cursor, 'internal');
      return false;
    }
  }

  #isFull({ subscriber }: SelectionCursor): boolean {
    return subscriber.link.pendingBytes > this.#parts.highWaterSize;
  }

  #fallBehind(cursor: SelectionCursor, place: PlaceMark): void {
    cursor.selection.removeLive(cursor);
    cursor.selection.sendAway(cursor);
    cursor.state = 'behind';
    cursor.place = place;
    cursor.subscriber.link.requestDrain();
  }

  /** Asks anew what changed, from where the reader began to catch up. */
  #restart(cursor: SelectionCursor, catchUp: CatchUp): void {
    if (catchUp.resolving || cursor.state === 'waiting') {
      catchUp.again = true; // What is being asked may have been answered before.
      return;
    }
    catchUp.again = false;
    catchUp.resolving = true;
    void this.#resolve(cursor, catchUp, catchUp.place()); // Its failures are tried again.
  }

  #beginCatchUp(cursor: SelectionCursor): void {
    this.#settle(cursor.selection); // What comes from here on is noted.
    void this.#resolve(cursor, this.#openCatchUp(cursor, cursor.place), cursor.place);
  }

  #openCatchUp(cursor: SelectionCursor, place: PlaceMark): CatchUp {
    const catchUp = new CatchUp(place);
    cursor.catchUp = catchUp;
    cursor.state = 'catching';
    cursor.selection.catching.add(cursor);
    return catchUp;
  }

  /** Finds out which channels changed since the reader's place. Never fails: it is tried again. */
  async #resolve(cursor: SelectionCursor, catchUp: CatchUp, place: PlaceMark): Promise<void> {
    const { broker, clock, log } = this.#parts;
    const { filters } = cursor.selection;
    try {
      const changed = await broker.changedSince(place.mark, filters);
      if (cursor.catchUp !== catchUp) return;
      if (changed === undefined) {
        this.#fail(cursor, 'slow'); // Its mark is too old to tell what it missed.
        return;
      }
      catchUp.resolve(legsOf(place, changed));
      if (catchUp.again) this.#restart(cursor, catchUp);
      else this.#goOn(cursor);
    } catch (error) {
      if (cursor.catchUp !== catchUp) return;
      log.warn({ filters, error }, 'what changed since a mark can not be told now');
      clock.after(RETRY_MS, () => {
        if (cursor.catchUp === catchUp) void this.#resolve(cursor, catchUp, place);
      });
    }
  }

  #note(cursor: SelectionCursor, channel: string, position: Position): void {
    if (cursor.omits?.(channel) === true) return;
    if (cursor.catchUp?.note(channel, position) === false) this.#fail(cursor, 'slow');
  }

  #fail(cursor: SelectionCursor, code: 'slow' | 'internal'): void {
    this.end(cursor);
    cursor.subscriber.link.close({ code });
  }

  /** Begins legs while there is room for what they bring; with none left the reader is live. */
  #goOn(cursor: SelectionCursor): void {
    const { catchUp } = cursor;
    if (catchUp === undefined || catchUp.running) return;
    catchUp.running = true;
    while (cursor.state === 'catching' && !catchUp.resolving) {
      if (this.#isFull(cursor)) {
        cursor.subscriber.link.requestDrain();
        break;
      }
      if (catchUp.reading.size >= LEGS_AT_ONCE_MAX) break;
      const leg = catchUp.take();
      if (leg !== undefined) this.#beginLeg(cursor, catchUp, leg);
      else if (catchUp.isDone) this.#makeLive(cursor, catchUp);
      else break;
    }
    catchUp.running = false;
  }

  #beginLeg(cursor: SelectionCursor, catchUp: CatchUp, leg: Leg): void {
    if (cursor.omits?.(leg.channel) === true) return;
    const channel = this.#parts.table.acquireOpen(leg.channel);
    if (channel !== undefined) this.#readLeg(cursor, catchUp, leg, channel);
    else void this.#openLeg(cursor, catchUp, leg); // Its failures are tried again.
  }

  async #openLeg(cursor: SelectionCursor, catchUp: CatchUp, leg: Leg): Promise<void> {
    const { table, clock } = this.#parts;
    catchUp.opening += 1;
    try {
      const channel = await table.acquire(leg.channel);
      catchUp.opening -= 1;
      if (cursor.catchUp === catchUp) this.#readLeg(cursor, catchUp, leg, channel);
      else table.release(channel);
      this.#goOn(cursor);
    } catch {
      // The log is away; whoever opened the channel has said so.
      clock.after(RETRY_MS, () => {
        catchUp.opening -= 1;
        if (cursor.catchUp !== catchUp) return;
        this.#note(cursor, leg.channel, leg.position);
        this.#goOn(cursor);
      });
    }
  }

  #readLeg(cursor: SelectionCursor, catchUp: CatchUp, leg: Leg, channel: Channel): void {
    const { fanOut, table } = this.#parts;
    if (catchUp.reading.has(leg.channel)) {
      table.release(channel); // The leg under way reads to the head as well.
      return;
    }
    const reading = new Cursor(cursor.subscriber, channel, leg.position);
    reading.mutedSession = cursor.mutedSession;
    reading.leg = this.#ownerOf(cursor, catchUp);
    catchUp.reading.set(leg.channel, reading);
    fanOut.start(reading);
  }

  #ownerOf(cursor: SelectionCursor, catchUp: CatchUp): LegOwner {
    catchUp.owner ??= {
      markAfter: (leg, batch) => {
        const { channel } = leg;
        const isAtEnd = (): boolean =>
          catchUp.isLast(channel.name) &&
          batch.epoch === channel.epoch &&
          batch.last === channel.head;
        catchUp.reached(channel.name, { epoch: batch.epoch, offset: batch.last });
        if (isAtEnd()) this.#settle(cursor.selection);
        const mark = isAtEnd() ? formatPlaceMark(cursor.selection.place) : catchUp.mark();
        catchUp.unmarked = mark === undefined;
        return mark;
      },
      onLoss: ({ channel }, position) => {
        catchUp.reached(channel.name, position);
        catchUp.unmarked = true;
      },
      onHead: (leg) => {
        catchUp.reading.delete(leg.channel.name);
        this.#parts.fanOut.end(leg);
        this.#goOn(cursor);
      },
    };
    return catchUp.owner;
  }

  #makeLive(cursor: SelectionCursor, catchUp: CatchUp): void {
    const { selection, subscriber } = cursor;
    this.#settle(selection);
    if (!catchUp.isDone || cursor.catchUp !== catchUp) return;
    selection.catching.delete(cursor);
    cursor.catchUp = undefined;
    selection.makeLive(cursor);
    for (const { channel, message } of selection.takeBack(cursor)) {
      const batch = new MessageBatch(channel, '', [message]);
      if (
        !this.#deliver(cursor, new SelectionBatch([batch], undefined, this.#parts.clock.unixMs()))
      ) {
        return;
      }
    }
    const mark = catchUp.unmarked ? formatPlaceMark(selection.place) : undefined;
    if (mark !== undefined) subscriber.onMark(selection.filters, mark);
  }
}

/** Without a mark of its own a place is the one before and where channels stand since. */
function placeAfter(place: PlaceMark, given: readonly MessageBatch[]): PlaceMark {
  if (given.length === 0) return place;
  const behind = new Map<string, Position>(place.behind);
  for (const { channel, epoch, last } of given) {
    if (epoch !== '') behind.set(channel, { epoch, offset: last });
  }
  return { mark: place.mark, behind };
}

/** What has to be read by who stands at `place`. */
function legsOf(
  { behind }: PlaceMark,
  changed: readonly {
    channel: string;
    position: Position;
    stream: { epoch: string; top: number };
  }[],
): Leg[] {
  const legs: Leg[] = [];
  const others = new Map(behind);
  for (const { channel, position, stream } of changed) {
    const own = others.get(channel) ?? position;
    others.delete(channel);
    if (own.epoch !== stream.epoch || own.offset < stream.top)
      legs.push({ channel, position: own });
  }
  for (const [channel, position] of others) legs.push({ channel, position });
  return legs;
}

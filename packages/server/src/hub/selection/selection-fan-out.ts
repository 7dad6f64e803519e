/**
 * SelectionFanOut: from the channels' messages to those who follow several of them.
 *
 * What a turn brought to a selection is encoded once, with one mark at its end, and given to all
 * its live readers. A reader whose link has too much unsent stands at the last mark and costs
 * nothing; when the link has drained it reads on (see `SelectionReading`).
 */
import type { Position } from '@trunkline/wire';
import type { Turn } from '../../link/turn.ts';
import type { Channel } from '../channel.ts';
import { RETRY_MS } from '../config.ts';
import { MessageBatch } from '../message-batch.ts';
import { formatPlaceMark } from '../place-mark.ts';
import type { PlaceMark } from '../place-mark.ts';
import type { CatchUp } from './catch-up.ts';
import type { Selection } from './selection.ts';
import { SelectionBatch } from './selection-batch.ts';
import { SelectionCursor } from './selection-cursor.ts';
import type { SelectionSubscriber } from './selection-cursor.ts';
import { SelectionNews } from './selection-news.ts';
import { SelectionReading } from './selection-reading.ts';
import type { SelectionReadingParts } from './selection-reading.ts';
import type { SelectionTable } from './selection-table.ts';

/** What a fan-out is built from. */
export interface SelectionFanOutParts extends SelectionReadingParts {
  readonly selections: SelectionTable;
  readonly turn: Turn;
  /** Unsent bytes of a link above which its readers fall behind. */
  readonly highWaterSize: number;
}

/** Delivers to those who follow several channels of one hub. */
export class SelectionFanOut {
  readonly #parts: SelectionFanOutParts;
  readonly #reading: SelectionReading;
  /** Those that have something pending. */
  #dirty: Selection[] = [];
  #scheduled = false;
  /** Readers whose messages had no mark, as they share channels with others of their session. */
  #unmarked = new Set<SelectionCursor>();
  /** Readers with nothing left to read, which wait for a mark to stand at. */
  #undecided = new Set<SelectionCursor>();

  constructor(parts: SelectionFanOutParts) {
    this.#parts = parts;
    this.#reading = new SelectionReading(parts, {
      isFull: (cursor) => this.#isFull(cursor),
      settle: (selection) => this.#settle(selection),
      onHead: (cursor, catchUp) => this.#makeLive(cursor, catchUp),
      fail: (cursor, code) => this.#fail(cursor, code),
    });
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
    this.#dirty = [];
    for (const selection of dirty) this.#flush(selection);
    this.#tellMarks();
  }

  /** Gives what came up to now, whatever of the turn is still to come. */
  settle(): void {
    this.#parts.table.flushDirty();
    this.flush();
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

  /** Begins to deliver what comes after the place the reader was opened at. */
  start(cursor: SelectionCursor): void {
    if (cursor.state !== 'waiting') return;
    cursor.state = 'catching';
    cursor.selection.skipSlots(cursor);
    this.#reading.goOn(cursor);
  }

  /** The reader's link has drained. */
  advance(cursor: SelectionCursor): void {
    if (cursor.state === 'catching') {
      this.#reading.advance(cursor);
    } else if (cursor.state === 'behind') {
      this.#settle(cursor.selection); // What comes from here on is noted.
      this.#reading.begin(cursor);
    }
  }

  /** Ends a reader; nothing is delivered to it any more. Idempotent. */
  end(cursor: SelectionCursor): void {
    const { selection } = cursor;
    if (cursor.state === 'ended') return;
    if (cursor.state === 'live') selection.removeLive(cursor);
    else selection.takeBack(cursor);
    selection.catching.delete(cursor);
    cursor.state = 'ended';
    this.#reading.end(cursor);
    this.#parts.selections.release(selection);
  }

  /** A channel's stream does not go on where it was, but here: each reader finds out what it lost. */
  interrupt(channel: Channel, goesOn: Position): void {
    const { name, position } = channel;
    for (const selection of this.#parts.selections.of(channel)) {
      this.#settle(selection);
      for (const cursor of [...selection.catching]) this.#reading.note(cursor, name, position);
      for (const cursor of selection.live.slice()) {
        if (cursor.omits(name)) continue;
        this.#sendReading(cursor);
        this.#reading.note(cursor, name, position);
        cursor.subscriber.link.requestDrain();
      }
      // Who is still live leaves it to others, and takes it over from them where they are by then.
      if (selection.live.length > 0) selection.place = placeWith(selection.place, name, goesOn);
      selection.wakeWaiters(); // As in doubt.
    }
  }

  /**
   * Something may be missing in a channel whose place is not known here: live readers go back to
   * the last mark, which is before it.
   */
  doubt(name: string): void {
    for (const selection of this.#parts.selections.ofName(name)) {
      this.#give(selection, undefined);
      const { place } = selection;
      for (const cursor of selection.live.slice()) this.#fallBehind(cursor, place);
      for (const cursor of [...selection.catching]) {
        if (cursor.catchUp?.doubt(name, place) === false) this.#fail(cursor, 'slow');
      }
      selection.wakeWaiters(); // What is missing is for the log to tell.
    }
  }

  /** A reader reads one channel again, from further back than it stands. Called when settled. */
  goBack(cursor: SelectionCursor, channel: string, position: Position): void {
    cursor.begin = placeWith(cursor.begin, channel, position);
    if (cursor.state === 'behind') {
      cursor.place = placeWith(cursor.place, channel, position);
      return;
    }
    if (cursor.state === 'live') this.#sendReading(cursor);
    this.#reading.goBack(cursor, channel, position);
  }

  /** What other subscriptions of its session read by now is read no more. */
  leaveOmitted(cursor: SelectionCursor): void {
    if (cursor.sharing !== undefined) this.#reading.leaveOmitted(cursor);
  }

  #gather(selection: Selection, batch: MessageBatch): void {
    if (selection.isIdle) return;
    const { before } = batch;
    if (before !== undefined) {
      for (const cursor of [...selection.catching]) {
        this.#reading.note(cursor, batch.channel, before);
      }
    }
    if (selection.pending.length === 0) this.#dirty.push(selection);
    selection.pending.push(batch);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#parts.turn.prepare(this.#flushScheduled);
  }

  readonly #flushScheduled = (): void => {
    this.#scheduled = false;
    this.settle(); // Channels that got something later in the turn may not have given it yet.
  };

  /** As `settle`, for one selection. */
  #settle(selection: Selection): void {
    this.#parts.table.flushDirty();
    this.#flush(selection);
  }

  /** Gives what is pending, with the mark after it. No channel may have anything pending. */
  #flush(selection: Selection): void {
    this.#give(selection, this.#parts.selections.placeOf(selection));
  }

  #give(selection: Selection, place: PlaceMark | undefined): void {
    const { pending, place: before, live } = selection;
    if (pending.length > 0) selection.pending = [];
    selection.place = place ?? placeAfter(before, pending);
    if (pending.length === 0) return;
    const mark = live.length === 0 ? undefined : formatPlaceMark(selection.place);
    const batch = new SelectionBatch(pending, mark, this.#parts.clock.unixMs());
    for (let index = 0; index < live.length; ) {
      const cursor = live[index];
      if (cursor === undefined) break;
      // In either case another reader takes this place in the array.
      if (this.#isFull(cursor)) this.#fallBehind(cursor, before);
      else if (this.#deliver(cursor, batch)) index += 1;
    }
    selection.keepSlots(pending);
    if (selection.isAwaited) selection.wakeWaiters(new SelectionNews(pending, selection.place));
    // Whoever catches up and has room reads the news at once.
    for (const cursor of [...selection.catching]) {
      if (cursor.state === 'catching' && !this.#isFull(cursor)) this.#reading.goOn(cursor);
    }
  }

  /** @returns false when the reader is not live any more. */
  #deliver(cursor: SelectionCursor, batch: SelectionBatch): boolean {
    const { link, encoding } = cursor.subscriber;
    try {
      const shared = batch.for(cursor);
      // What others deliver for it moves its mark as well.
      if (!cursor.isMarked || (shared === undefined && cursor.sharing !== undefined)) {
        this.#unmarked.add(cursor);
      }
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

  /** [WS-17] Tells the marks that no message had, once all that the session has is given. */
  #tellMarks(): void {
    if (this.#unmarked.size === 0) return;
    const cursors = this.#unmarked;
    this.#unmarked = new Set();
    for (const cursor of cursors) if (cursor.state === 'live') this.#tellMark(cursor);
  }

  #tellMark({ sharing, selection, subscriber }: SelectionCursor): void {
    if (sharing?.isWhole() === false) return;
    const mark = formatPlaceMark(selection.place);
    if (mark !== undefined) subscriber.onMark(selection.filters, mark);
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

  /** A live reader that was given everything has something to read. */
  #sendReading(cursor: SelectionCursor): void {
    const { selection } = cursor;
    selection.removeLive(cursor);
    selection.sendAway(cursor);
    this.#reading.enter(cursor, selection.place).resolve([]);
  }

  #fail(cursor: SelectionCursor, code: 'slow' | 'internal'): void {
    this.end(cursor);
    cursor.subscriber.link.close({ code });
  }

  /**
   * While the broker can't say where it stands, live readers stand at the last mark it gave. Who has
   * read on since is not there: it goes on reading until there is a mark again.
   */
  #tryAgain(cursor: SelectionCursor): void {
    if (this.#undecided.size === 0) this.#parts.clock.after(RETRY_MS, this.#goOnUndecided);
    this.#undecided.add(cursor);
  }

  /**
   * A log may be ahead of what the broker has told. Who read so far stands beyond the mark that live
   * readers share, and joins them once it has been told.
   */
  async #awaitTold(
    cursor: SelectionCursor,
    catchUp: CatchUp,
    ahead: readonly Channel[],
  ): Promise<void> {
    if (catchUp.awaitsTold) return;
    catchUp.awaitsTold = true;
    await Promise.all(ahead.map((channel) => this.#parts.table.findTold(channel)));
    catchUp.awaitsTold = false;
    if (cursor.catchUp !== catchUp) return;
    if (catchUp.ahead.length > 0) this.#tryAgain(cursor);
    else this.#reading.goOn(cursor);
  }

  readonly #goOnUndecided = (): void => {
    const cursors = this.#undecided;
    this.#undecided = new Set();
    for (const cursor of cursors) this.#reading.goOn(cursor);
  };

  #makeLive(cursor: SelectionCursor, catchUp: CatchUp): boolean {
    const { selection } = cursor;
    this.#settle(selection);
    if (!catchUp.isDone || cursor.catchUp !== catchUp) return true;
    if (this.#parts.broker.place() === undefined) {
      this.#tryAgain(cursor);
      return false;
    }
    const { ahead } = catchUp;
    if (ahead.length > 0) {
      void this.#awaitTold(cursor, catchUp, ahead); // It never fails.
      return false;
    }
    selection.catching.delete(cursor);
    cursor.catchUp = undefined;
    selection.makeLive(cursor);
    const nowMs = this.#parts.clock.unixMs();
    for (const { channel, message } of selection.takeBack(cursor)) {
      const batch = new MessageBatch(channel, '', [message]);
      if (!this.#deliver(cursor, new SelectionBatch([batch], undefined, nowMs))) return true;
    }
    if (!catchUp.unmarked) return true;
    // Others of its session may have something to give before a mark holds for what they share.
    if (cursor.sharing === undefined) {
      this.#tellMark(cursor);
    } else {
      this.#unmarked.add(cursor);
      this.#schedule();
    }
    return true;
  }
}

/** The same place, but for one channel. */
function placeWith({ mark, behind }: PlaceMark, channel: string, position: Position): PlaceMark {
  return { mark, behind: new Map(behind).set(channel, position) };
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

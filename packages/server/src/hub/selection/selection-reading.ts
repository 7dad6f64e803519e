/**
 * SelectionReading: how readers of several channels come to the head again.
 *
 * A reader that was behind asks what changed since its place, once for all that stand there, and
 * reads those channels on as ordinary subscriptions do, a few at once. It is told of all news
 * meanwhile, so that nothing falls between; with nothing left to read it is at the head.
 */
import type { Position } from '@trunkline/wire';
import type { Broker } from '../../broker/broker.ts';
import type { Clock } from '../../clock.ts';
import type { Log } from '../../observe/log.ts';
import type { Channel } from '../channel.ts';
import type { ChannelTable } from '../channel-table.ts';
import { LEGS_AT_ONCE_MAX, RETRY_MS } from '../config.ts';
import { Cursor } from '../cursor.ts';
import type { LegOwner } from '../cursor.ts';
import type { FanOut } from '../fan-out.ts';
import { formatPlaceMark } from '../place-mark.ts';
import type { PlaceMark } from '../place-mark.ts';
import { lossOf } from '../recovery.ts';
import { CatchUp, older } from './catch-up.ts';
import type { Leg } from './catch-up.ts';
import type { Selection } from './selection.ts';
import type { SelectionCursor } from './selection-cursor.ts';

/** What reading on is built from. */
export interface SelectionReadingParts {
  readonly broker: Broker;
  readonly table: ChannelTable;
  /** Reads single channels on. */
  readonly fanOut: FanOut;
  readonly clock: Clock;
  readonly log: Log;
}

/** Who is told what becomes of a reader. */
export interface SelectionReadingEvents {
  /** True when its link has too much unsent. */
  isFull(cursor: SelectionCursor): boolean;
  /** Everything up to now is to be given to those at the head, and noted by those who read on. */
  settle(selection: Selection): void;
  /** It has nothing left to read. @returns false when it has to wait, to go on later. */
  onHead(cursor: SelectionCursor, catchUp: CatchUp): boolean;
  /** It can't go on. */
  fail(cursor: SelectionCursor, code: 'slow' | 'internal'): void;
}

/** Reads on for the readers of one hub. */
export class SelectionReading {
  readonly #parts: SelectionReadingParts;
  readonly #events: SelectionReadingEvents;

  constructor(parts: SelectionReadingParts, events: SelectionReadingEvents) {
    this.#parts = parts;
    this.#events = events;
  }

  /** A reader that was behind begins to read on. What comes from here on has to be noted. */
  begin(cursor: SelectionCursor): void {
    const catchUp = this.enter(cursor, cursor.place);
    void this.#resolve(cursor, catchUp, cursor.place); // Its failures are tried again.
  }

  /** The reader is told of news from now on, and stands at `place`. */
  enter(cursor: SelectionCursor, place: PlaceMark): CatchUp {
    const catchUp = new CatchUp(place);
    cursor.catchUp = catchUp;
    cursor.state = 'catching';
    cursor.selection.catching.add(cursor);
    return catchUp;
  }

  /** A channel has news after a position. */
  note(cursor: SelectionCursor, channel: string, position: Position): void {
    if (cursor.omits(channel)) return;
    if (cursor.catchUp?.note(channel, position) === false) this.#events.fail(cursor, 'slow');
  }

  /** A channel is to be read from further back than it was, or is. */
  goBack(cursor: SelectionCursor, channel: string, position: Position): void {
    const { catchUp } = cursor;
    const leg = catchUp?.reading.get(channel);
    if (catchUp?.goBack(channel, position) === false) this.#events.fail(cursor, 'slow');
    else if (leg === undefined) this.goOn(cursor);
    else if (leg.epoch === position.epoch && position.offset < leg.offset) {
      this.#parts.fanOut.goBack(leg, position);
    }
  }

  /** What other subscriptions read by now is read no more. */
  leaveOmitted(cursor: SelectionCursor): void {
    const { catchUp } = cursor;
    if (catchUp === undefined) return;
    for (const [channel, leg] of [...catchUp.reading]) {
      if (!cursor.omits(channel)) continue;
      catchUp.reading.delete(channel);
      this.#parts.fanOut.end(leg);
    }
    this.goOn(cursor);
  }

  /** The reader's link has drained. */
  advance(cursor: SelectionCursor): void {
    for (const leg of [...(cursor.catchUp?.reading.values() ?? [])]) {
      if (cursor.state === 'catching') this.#parts.fanOut.advance(leg);
    }
    this.goOn(cursor);
  }

  /** Begins legs while there is room for what they bring; with none left the reader is live. */
  goOn(cursor: SelectionCursor): void {
    const { catchUp } = cursor;
    if (catchUp === undefined || catchUp.running) return;
    catchUp.running = true;
    while (cursor.state === 'catching' && catchUp.isResolved) {
      if (this.#events.isFull(cursor)) {
        cursor.subscriber.link.requestDrain();
        break;
      }
      if (catchUp.reading.size + catchUp.heldCount >= LEGS_AT_ONCE_MAX) break;
      const leg = catchUp.take();
      const doubt = leg === undefined ? catchUp.takeDoubt() : undefined;
      if (leg !== undefined) this.#beginLeg(cursor, catchUp, leg);
      else if (doubt !== undefined)
        void this.#look(cursor, catchUp, ...doubt); // As `#resolve`.
      else if (!catchUp.isDone || !this.#events.onHead(cursor, catchUp)) break;
    }
    catchUp.running = false;
  }

  /** The reader reads no more. */
  end(cursor: SelectionCursor): void {
    const { catchUp } = cursor;
    cursor.catchUp = undefined;
    for (const leg of catchUp?.reading.values() ?? []) this.#parts.fanOut.end(leg);
  }

  /** Finds out which channels changed since the reader's place. Never fails: it is tried again. */
  async #resolve(cursor: SelectionCursor, catchUp: CatchUp, place: PlaceMark): Promise<void> {
    const { filters } = cursor.selection;
    try {
      const changed = await this.#parts.broker.changedSince(place.mark, filters);
      if (cursor.catchUp !== catchUp) return;
      if (changed === undefined) {
        this.#events.fail(cursor, 'slow'); // Its mark is too old to tell what it missed.
        return;
      }
      catchUp.resolve(changed);
      this.goOn(cursor);
    } catch (error) {
      this.#retry(cursor, catchUp, error, () => this.#resolve(cursor, catchUp, place));
    }
  }

  /** Finds out where one channel stood at a place that is before what is in doubt of it. */
  async #look(
    cursor: SelectionCursor,
    catchUp: CatchUp,
    channel: string,
    place: PlaceMark,
  ): Promise<void> {
    if (!catchUp.isHeld(channel)) catchUp.look(channel, place);
    try {
      const changed = await this.#parts.broker.changedSince(place.mark, [channel]);
      if (cursor.catchUp !== catchUp) return;
      if (changed === undefined) {
        this.#events.fail(cursor, 'slow');
        return;
      }
      const noted = catchUp.letGo(channel);
      const own = place.behind.get(channel);
      const [change] = own === undefined ? changed : [];
      const then = own ?? change?.position;
      // The news came after the place, so of different lives it is in the later one.
      const position = noted === undefined ? then : older(then, noted);
      if (position !== undefined && !cursor.omits(channel)) {
        // What is lost was lost for the news of meanwhile as well.
        const leg = change === undefined ? { channel, position } : { ...change, position };
        this.note(cursor, channel, this.#startOf(cursor, catchUp, leg));
      }
      this.goOn(cursor);
    } catch (error) {
      this.#retry(cursor, catchUp, error, () => this.#look(cursor, catchUp, channel, place));
    }
  }

  #retry(
    cursor: SelectionCursor,
    catchUp: CatchUp,
    error: unknown,
    again: () => Promise<void>,
  ): void {
    if (cursor.catchUp !== catchUp) return;
    const { clock, log } = this.#parts;
    const { filters } = cursor.selection;
    log.warn({ filters, error }, 'what changed since a mark can not be told now');
    clock.after(RETRY_MS, () => {
      if (cursor.catchUp === catchUp) void again(); // Its failures are tried again.
    });
  }

  #beginLeg(cursor: SelectionCursor, catchUp: CatchUp, leg: Leg): void {
    const { channel: name } = leg;
    if (cursor.omits(name)) return;
    const position = this.#startOf(cursor, catchUp, leg);
    if (cursor.catchUp !== catchUp) return; // Whoever was told of a loss may end for it.
    const channel = this.#parts.table.acquireOpen(name);
    if (channel !== undefined) {
      this.#readLeg(cursor, catchUp, channel, position);
      return;
    }
    catchUp.hold(name, position);
    void this.#openLeg(cursor, catchUp, name); // Its failures are tried again.
  }

  /**
   * Where a leg begins. Where a mark stood in a channel is not known any more once retention has
   * removed what came after it, though memory may still have that: the loss is told, or what the
   * reader has might be given again.
   */
  #startOf(
    cursor: SelectionCursor,
    catchUp: CatchUp,
    { channel, position, stream }: Leg,
  ): Position {
    const loss = stream?.epoch === position.epoch ? lossOf(position, stream) : undefined;
    if (loss?.gap.reason !== 'trimmed') return position;
    cursor.subscriber.onGap(channel, loss.gap, loss.position);
    catchUp.reached(channel, loss.position);
    catchUp.unmarked = true;
    return loss.position;
  }

  async #openLeg(cursor: SelectionCursor, catchUp: CatchUp, name: string): Promise<void> {
    const { table, clock } = this.#parts;
    let channel: Channel;
    try {
      channel = await table.acquire(name);
    } catch {
      // The log is away; whoever opened the channel has said so.
      clock.after(RETRY_MS, () => {
        if (cursor.catchUp !== catchUp) return;
        const position = catchUp.letGo(name);
        if (position !== undefined) this.note(cursor, name, position);
        this.goOn(cursor);
      });
      return;
    }
    const position = catchUp.letGo(name);
    const isWanted = cursor.catchUp === catchUp && !cursor.omits(name);
    if (isWanted && position !== undefined) this.#readLeg(cursor, catchUp, channel, position);
    else table.release(channel);
    this.goOn(cursor);
  }

  #readLeg(cursor: SelectionCursor, catchUp: CatchUp, channel: Channel, position: Position): void {
    const leg = new Cursor(cursor.subscriber, channel, position);
    leg.mutedSession = cursor.mutedSession;
    leg.leg = this.#ownerOf(cursor, catchUp);
    catchUp.reading.set(channel.name, leg);
    this.#parts.fanOut.start(leg);
  }

  #ownerOf(cursor: SelectionCursor, catchUp: CatchUp): LegOwner {
    const { selection } = cursor;
    catchUp.owner ??= {
      markAfter: ({ channel }, { epoch, last }) => {
        const isAtEnd = (): boolean =>
          catchUp.isLast(channel.name) &&
          catchUp.ahead.length === 0 &&
          // Else the selection is at the last mark that could be told, which may be before this.
          this.#parts.broker.place() !== undefined &&
          epoch === channel.epoch &&
          last === channel.head &&
          last <= channel.told;
        // Settling may give what other legs have: no mark may say yet that this batch was given.
        if (isAtEnd()) this.#events.settle(selection);
        catchUp.reached(channel.name, { epoch, offset: last });
        const mark = cursor.isMarked ? markFor(cursor, catchUp, isAtEnd()) : undefined;
        // Where the session published all of it itself, nothing is sent that could tell the mark.
        catchUp.unmarked = mark === undefined || cursor.mutedSession !== undefined;
        return mark;
      },
      onLoss: ({ channel }, position) => {
        catchUp.reached(channel.name, position);
        catchUp.unmarked = true;
      },
      onHead: (leg) => {
        const { channel } = leg;
        catchUp.reading.delete(channel.name);
        catchUp.wasRead(channel, leg.place);
        this.#parts.fanOut.end(leg);
        this.goOn(cursor);
      },
    };
    return catchUp.owner;
  }
}

/** What a reader goes on from after what it was given, be it the last that it had to read or not. */
function markFor(
  { selection, sharing }: SelectionCursor,
  catchUp: CatchUp,
  isAtEnd: boolean,
): string | undefined {
  return isAtEnd ? formatPlaceMark(selection.place) : catchUp.mark(sharing?.namedPlaces());
}

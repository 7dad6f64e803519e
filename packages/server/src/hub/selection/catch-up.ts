/**
 * CatchUp: what a reader of a selection still has to read before it is at the head.
 *
 * It has legs, each a channel and where to read on in it: first those that had changed since the
 * reader's place, then those that got news while it read. A reader with no leg left is at the head
 * of every channel. What changed is one list for all readers that stand at the same place, and each
 * keeps how far in it it is. Pure bookkeeping; `SelectionReading` does the reading.
 */
import { isOrigin } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import type { StreamBounds } from '../../broker/broker.ts';
import type { Channel } from '../channel.ts';
import type { Cursor, LegOwner } from '../cursor.ts';
import { formatPlaceMark, NOWHERE_ELSE } from '../place-mark.ts';
import type { PlaceMark } from '../place-mark.ts';

/** A channel that has to be read on from a position. */
export interface Leg {
  readonly channel: string;
  readonly position: Position;
  /** Where the stream lies, where that is known: who stands at its top need not read. */
  readonly stream?: StreamBounds;
}

/**
 * Channels with news that a reader is told of while it reads, and as many that are in doubt; over it
 * the reader is too slow even to catch up [WILD-6].
 */
export const NOTED_COUNT_MAX = 10_000;

/** Channels whose own places go with a mark on the way; over it only the end has a mark. */
export const ENDS_COUNT_MAX = 64;

/** One reader's way to the head. */
export class CatchUp {
  /** Where it began: with the ends, it says where the reader stands. */
  #base: PlaceMark;
  /** False until it is known what has to be read. */
  isResolved = false;
  /** True when something was told that no mark covers yet. */
  unmarked = false;
  /** True while legs are being begun, so that one that ends at once does not begin the next. */
  running = false;
  /** What the legs tell; made with the first. */
  owner: LegOwner | undefined;
  /** Legs under way: ordinary cursors, each in its channel. */
  readonly reading = new Map<string, Cursor>();
  /** Legs whose channel is being opened, or whose place is being asked for. */
  readonly #opening = new Map<string, Position | undefined>();
  /** Those whose place is being asked for, and after which place they were in doubt. */
  readonly #looking = new Map<string, PlaceMark>();
  /** Shared with others, so never changed. */
  #legs: readonly Leg[] = [];
  /** True where the client was told that it begins there: news from before is not wanted. */
  #legsAreTold = false;
  #next = 0;
  /** Places that stand before those of the legs. */
  #own: Map<string, Position> | undefined;
  readonly #noted = new Map<string, Position>();
  /** Channels that may have news of which nothing is known but that they come after a place. */
  #doubted: Map<string, PlaceMark> | undefined;
  /** True while it is found out how much of those the broker has told. */
  awaitsTold = false;
  /** Channels that were read further than the broker had told, and how far. */
  readonly #ahead = new Map<string, { readonly channel: Channel; readonly place: Position }>();
  /** Places beyond `base`; absent when they are too many to be told. */
  #ends: Map<string, Position> | undefined;
  #endsAreTold = true;

  constructor(base: PlaceMark = { mark: '', behind: NOWHERE_ELSE }) {
    this.#base = base;
  }

  /** Where the reader begins and what it has to read is known. */
  begin(base: PlaceMark, legs: readonly Leg[]): void {
    this.#base = base;
    this.#legs = legs;
    this.#legsAreTold = true;
    this.isResolved = true;
  }

  /** What changed since the reader's place is known. @param changed is not changed any more. */
  resolve(changed: readonly Leg[]): void {
    const { behind } = this.#base;
    this.#own = behind.size === 0 ? undefined : new Map(behind);
    this.#legs = changed;
    this.isResolved = true;
  }

  /**
   * A channel has news after `position`. A leg under way finds it by itself; of several places the
   * one that is furthest back counts.
   *
   * @returns false when there are too many.
   */
  note(channel: string, position: Position): boolean {
    if (this.reading.has(channel)) return true;
    const ahead = this.#ahead.get(channel)?.place;
    // What was read before the broker told it is no news.
    const wasRead = ahead?.epoch === position.epoch && position.offset < ahead.offset;
    const news = wasRead ? ahead : position;
    if (this.#opening.has(channel)) {
      if (this.#looking.has(channel) && this.#opening.get(channel) === undefined) {
        this.#opening.set(channel, news);
      }
      return true;
    }
    this.#noted.set(channel, older(this.#noted.get(channel), news));
    return this.#noted.size <= NOTED_COUNT_MAX;
  }

  /**
   * A channel may have news after `place`; where it stood there has to be asked for.
   *
   * @returns false when there are too many.
   */
  doubt(channel: string, place: PlaceMark): boolean {
    const isLeg = this.#opening.has(channel) && !this.#looking.has(channel);
    if (this.reading.has(channel) || isLeg) return true;
    const end = this.#ends?.get(channel) ?? this.#ahead.get(channel)?.place;
    if (end !== undefined) return this.note(channel, end); // It was read up to there meanwhile.
    this.#doubted ??= new Map();
    // What was noted before is read to the head, and with it what is in doubt.
    if (this.#doubted.has(channel) || this.#noted.has(channel)) return true;
    // An answer that is under way may be from before the doubt: it is asked for once more.
    this.#doubted.set(channel, this.#looking.get(channel) ?? place);
    return this.#doubted.size <= NOTED_COUNT_MAX;
  }

  /** The channel is to be read again from further back. @returns false when there are too many. */
  goBack(channel: string, position: Position): boolean {
    this.reached(channel, position);
    this.#ahead.delete(channel);
    if (!this.#opening.has(channel)) {
      if (this.reading.has(channel)) return true;
      this.#own ??= new Map();
      this.#own.set(channel, older(this.#own.get(channel), position));
      return this.note(channel, position);
    }
    this.#opening.set(channel, older(this.#opening.get(channel), position));
    return true;
  }

  /** The next leg, taken off the list; `undefined` when none is left. */
  take(): Leg | undefined {
    for (let leg = this.#legs[this.#next]; leg !== undefined; leg = this.#legs[this.#next]) {
      this.#next += 1;
      const { channel, stream } = leg;
      const own = this.#ownOf(leg);
      this.#own?.delete(channel);
      const noted = this.#noted.get(channel);
      const isWanted = noted !== undefined || this.#doubted?.has(channel) === true;
      if (!isWanted && own.epoch === stream?.epoch && own.offset >= stream.top) continue;
      const isOwn = this.#legsAreTold || noted === undefined;
      const taken = this.#taken(channel, isOwn ? own : older(own, noted));
      // Only a place that was looked up, and is not told yet, may be one that nobody knows exactly.
      const isLookedUp = !this.#legsAreTold && own === leg.position && stream !== undefined;
      return isLookedUp ? { ...taken, stream } : taken;
    }
    for (const [channel, position] of this.#own ?? []) {
      this.#own?.delete(channel);
      return this.#taken(channel, older(position, this.#noted.get(channel) ?? position));
    }
    for (const [channel, position] of this.#noted) {
      if (this.#doubted?.has(channel) === true) continue; // Its place may be further back.
      return this.#taken(channel, position);
    }
    return undefined;
  }

  /** The next channel that is in doubt, taken off the list, and the place before the doubt. */
  takeDoubt(): readonly [channel: string, place: PlaceMark] | undefined {
    for (const doubt of this.#doubted ?? []) {
      // The answer that is under way is taken for itself; what it can't know is asked for after it.
      if (this.#opening.has(doubt[0])) continue;
      this.#doubted?.delete(doubt[0]);
      return doubt;
    }
    return undefined;
  }

  /** The leg of this channel can't be read at once; what is noted meanwhile is a part of it. */
  hold(channel: string, position: Position): void {
    this.#opening.set(channel, older(position, this.drop(channel) ?? position));
  }

  /** Where this channel stood at a place is asked for; what is noted meanwhile is kept for then. */
  look(channel: string, place: PlaceMark): void {
    this.#opening.set(channel, this.drop(channel));
    this.#looking.set(channel, place);
  }

  /** It can now, or the place is known. @returns where it is to be read from. */
  letGo(channel: string): Position | undefined {
    const position = this.#opening.get(channel);
    this.#opening.delete(channel);
    this.#looking.delete(channel);
    return position;
  }

  /** True for a leg that can't be read at once. */
  isHeld(channel: string): boolean {
    return this.#opening.has(channel);
  }

  /** Legs that can't be read at once. */
  get heldCount(): number {
    return this.#opening.size;
  }

  /** True when no leg is left and none is under way. */
  get isDone(): boolean {
    return this.#isEmpty && this.reading.size === 0;
  }

  /** True when the leg of this channel is the only thing left to do. */
  isLast(channel: string): boolean {
    return this.#isEmpty && this.reading.size === 1 && this.reading.has(channel);
  }

  /** Legs that are not begun, without those that were noted. */
  get left(): readonly Leg[] {
    return this.#legs.slice(this.#next);
  }

  /** Takes a channel off what is noted. @returns where it was to be read from. */
  drop(channel: string): Position | undefined {
    const noted = this.#noted.get(channel);
    this.#noted.delete(channel);
    return noted;
  }

  /** The reader stands here in this channel now. */
  reached(channel: string, position: Position): void {
    if (!this.#endsAreTold) return;
    this.#ends ??= new Map();
    this.#ends.set(channel, position);
    if (this.#ends.size + this.#base.behind.size <= ENDS_COUNT_MAX) return;
    this.#ends = undefined;
    this.#endsAreTold = false;
  }

  /** The channel was read up to here; the broker may not have told so much. */
  wasRead(channel: Channel, place: Position): void {
    if (channel.told < place.offset) this.#ahead.set(channel.name, { channel, place });
    else this.#ahead.delete(channel.name);
  }

  /** Channels of which the broker has still to tell what was read: no mark of its covers that. */
  get ahead(): readonly Channel[] {
    for (const [name, { channel, place }] of this.#ahead) {
      const { epoch, offset } = place;
      // Of a closed one as well it has to be found out: it is opened anew by what is told next.
      if (channel.epoch !== epoch || channel.told >= offset) this.#ahead.delete(name);
    }
    return [...this.#ahead.values()].map(({ channel }) => channel);
  }

  /**
   * What to go on from after what was read so far, where that can be said in one mark.
   *
   * @param elsewhere where channels stand that others read for this reader.
   */
  mark(elsewhere: ReadonlyMap<string, Position> = NOWHERE_ELSE): string | undefined {
    if (!this.#endsAreTold || !this.isResolved) return undefined;
    const behind = new Map([...this.#base.behind, ...(this.#ends ?? []), ...elsewhere]);
    return formatPlaceMark({ mark: this.#base.mark, behind });
  }

  /** A place of its own holds, but a life that was lost since the mark is told all the same. */
  #ownOf({ channel, position }: Leg): Position {
    const own = this.#own?.get(channel);
    if (own === undefined) return position;
    return isOrigin(own) && !isOrigin(position) ? older(position, own) : own;
  }

  #taken(channel: string, position: Position): Leg {
    // What is read to the head includes the news of before.
    this.#noted.delete(channel);
    this.#doubted?.delete(channel);
    return { channel, position };
  }

  get #isEmpty(): boolean {
    const isBegun = this.isResolved && this.#next >= this.#legs.length;
    const unread = (this.#own?.size ?? 0) + this.#noted.size + (this.#doubted?.size ?? 0);
    return isBegun && unread + this.#opening.size === 0;
  }
}

/**
 * Which of two places in a channel is further back: of different lives, the one known first. Who
 * goes back before the first message of any life does so in the life that is known: has that ended,
 * it is still to be told.
 */
export function older(known: Position | undefined, other: Position): Position {
  if (known === undefined) return other;
  if (isOrigin(other)) return { epoch: known.epoch, offset: 0 };
  return known.epoch === other.epoch && other.offset < known.offset ? other : known;
}

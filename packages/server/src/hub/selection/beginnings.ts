/**
 * Beginnings: where other subscriptions of a session began, in the channels in which a new one is
 * about to begin. What is from before that they are to read again; the rest they deliver anyway.
 *
 * A subscription began at a mark, and what that stood for in a channel the log can tell only as long
 * as it retains what came next. So the others are asked about first, and the new one is judged by
 * what the log was in their answer: what had been removed by then is lost to it. Whatever it is to
 * read then comes after all places that nobody knows any more.
 */
import { isOrigin, ORIGIN } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import type { Broker, ChangedChannel, StreamBounds } from '../../broker/broker.ts';
import { Cursor } from '../cursor.ts';
import { VolatileCursor } from '../volatile/volatile-channel.ts';
import type { Leg } from './catch-up.ts';
import type { AnyCursor } from './overlap-entry.ts';
import { SelectionCursor } from './selection-cursor.ts';

/** A channel in which a subscription is about to begin. */
export interface BeginningChannel {
  readonly channel: string;
  /** What the log has of it; absent where that was not asked for. */
  readonly stream?: StreamBounds;
}

/** Another subscription of the session. */
export interface OtherSubscription {
  readonly cursor: AnyCursor;
  /** True for a channel whose messages it is to have. */
  wants(channel: string): boolean;
}

/**
 * What one new subscription has to know of the others. Until it is added its session adds no other
 * that has one of its channels.
 */
export class Beginnings {
  readonly #changedSince: Broker['changedSince'];
  readonly #others: readonly OtherSubscription[];
  /** By channel that others want: where those began of whom that can be told. */
  readonly #begins = new Map<string, Position[]>();
  readonly #streams = new Map<string, StreamBounds>();

  constructor(changedSince: Broker['changedSince'], others: readonly OtherSubscription[]) {
    this.#changedSince = changedSince;
    this.#others = others;
  }

  /**
   * Finds out where the others began in these channels.
   *
   * @returns what the log had of those by then that others want: where the new one begins is to be
   *   judged by that, or by what the log has later.
   */
  async find(channels: readonly BeginningChannel[]): Promise<ReadonlyMap<string, StreamBounds>> {
    const wanted = channels.filter(({ channel }) =>
      this.#others.some((other) => other.wants(channel)),
    );
    for (const { channel } of wanted) this.#begins.set(channel, []);
    await this.#lookUp(wanted);
    for (const other of this.#others) {
      const names = wanted.map(({ channel }) => channel).filter((name) => other.wants(name));
      if (names.length > 0) await this.#ask(other.cursor, names);
    }
    return this.#streams;
  }

  /** What the subscription, which was judged, is to read from before all of the others began. */
  olderOf(cursor: AnyCursor): readonly Leg[] {
    const isAtHead = cursor instanceof Cursor && hasAll(cursor);
    return legsOf(cursor).filter(({ channel, position }) => {
      const life = this.#streams.get(channel)?.epoch;
      const begins = this.#begins.get(channel) ?? [];
      // Others may have begun ahead of what this node was told: what is between is its own to read.
      if (begins.length === 0) return this.#begins.has(channel) && !isAtHead;
      return begins.every((begin) => isBefore(position, begin, life));
    });
  }

  /** Finds out what the log has where that is not known, or where it had nothing. */
  async #lookUp(channels: readonly BeginningChannel[]): Promise<void> {
    const unknown: string[] = [];
    for (const { channel, stream } of channels) {
      if (stream === undefined || stream.epoch === ORIGIN.epoch) unknown.push(channel);
      else this.#streams.set(channel, stream);
    }
    if (unknown.length === 0) return;
    for (const { channel, stream } of (await this.#changedSince(undefined, unknown)) ?? []) {
      this.#streams.set(channel, stream);
    }
  }

  async #ask(cursor: AnyCursor, channels: readonly string[]): Promise<void> {
    if (cursor instanceof SelectionCursor) {
      const { mark, behind } = cursor.begin;
      const atMark = channels.filter((channel) => !behind.has(channel));
      const changed = atMark.length === 0 ? [] : await this.#changedSince(mark, atMark);
      // Nobody can tell any more: rather twice than not at all.
      if (changed !== undefined) this.#placeAtMark(atMark, changed);
    }
    for (const channel of channels) {
      const begin = ownBegin(cursor, channel);
      if (begin !== undefined) this.#begins.get(channel)?.push(begin);
    }
  }

  /** @param changed those of the channels that changed since the mark. */
  #placeAtMark(channels: readonly string[], changed: readonly ChangedChannel[]): void {
    const changes = new Map(changed.map((change) => [change.channel, change]));
    for (const channel of channels) {
      const change = changes.get(channel);
      if (change !== undefined) this.#streams.set(channel, change.stream);
      const begin = change === undefined ? topOf(this.#streams.get(channel)) : atTheLatest(change);
      this.#begins.get(channel)?.push(begin);
    }
  }
}

/** What a cursor that was opened is to read. */
function legsOf(cursor: AnyCursor): readonly Leg[] {
  if (cursor instanceof SelectionCursor) return cursor.catchUp?.left ?? [];
  if (cursor instanceof VolatileCursor) return [];
  return [{ channel: cursor.channel.name, position: cursor.place }];
}

/** True for one that has all that this node was told of. */
function hasAll({ channel, epoch, offset }: Cursor): boolean {
  return epoch === channel.epoch && offset === channel.head;
}

/** Where a cursor began in a channel, if that does not depend on what its mark stood for. */
function ownBegin(cursor: AnyCursor, channel: string): Position | undefined {
  if (cursor instanceof Cursor) return { epoch: cursor.epoch, offset: cursor.begin };
  return cursor instanceof SelectionCursor ? cursor.begin.behind.get(channel) : undefined;
}

/**
 * Where a channel stood at a mark, at the latest. Once retention has removed what came after the
 * mark nobody can tell exactly any more, but the last that was removed came after it.
 */
function atTheLatest({ position, stream }: ChangedChannel): Position {
  const isKnown = position.epoch !== stream.epoch || position.offset + 1 >= stream.oldest;
  return isKnown ? position : { epoch: position.epoch, offset: stream.oldest - 2 };
}

function topOf(stream: StreamBounds | undefined): Position {
  return stream === undefined ? ORIGIN : { epoch: stream.epoch, offset: stream.top };
}

/**
 * Where it began in another life of the stream, it was given all of this one.
 *
 * @param life the present one, for a position that is before the first message of any.
 */
function isBefore(position: Position, begin: Position, life: string | undefined): boolean {
  const { epoch, offset } = isOrigin(position) ? { epoch: life, offset: 0 } : position;
  return !isOrigin(begin) && epoch === begin.epoch && offset < begin.offset;
}

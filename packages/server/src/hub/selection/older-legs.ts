/** Older legs: what a subscription is to read that another one of its session began after. */
import { isOrigin } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import type { Broker, ChangedChannel } from '../../broker/broker.ts';
import { Cursor } from '../cursor.ts';
import { VolatileCursor } from '../volatile/volatile-channel.ts';
import type { Leg } from './catch-up.ts';
import type { AnyCursor } from './overlap-entry.ts';
import type { SelectionCursor } from './selection-cursor.ts';

/** Those of the legs that come before the place where the cursor, which has the channels, began. */
export async function olderThan(
  broker: Broker,
  cursor: AnyCursor,
  legs: readonly Leg[],
): Promise<readonly Leg[]> {
  if (cursor instanceof VolatileCursor) return [];
  const begins = await beginsOf(broker, cursor, legs);
  // Nobody can tell any more: rather twice than not at all.
  if (begins === undefined) return legs;
  const lives = await livesOf(
    broker,
    legs.filter(({ channel, position }) => begins.has(channel) && isOrigin(position)),
  );
  return legs.filter(({ channel, position }) => {
    const begin = begins.get(channel);
    // What did not change since is all from before.
    return begin === undefined || isBefore(position, begin, lives.get(channel));
  });
}

/** Where the cursor began in the channels of the legs, at the furthest. */
async function beginsOf(
  broker: Broker,
  cursor: Cursor | SelectionCursor,
  legs: readonly Leg[],
): Promise<ReadonlyMap<string, Position> | undefined> {
  if (cursor instanceof Cursor) {
    const begin = { epoch: cursor.epoch, offset: cursor.begin };
    return new Map(legs.map(({ channel }) => [channel, begin]));
  }
  const { mark, behind } = cursor.begin;
  const unknown = legs.map(({ channel }) => channel).filter((channel) => !behind.has(channel));
  const changed = unknown.length === 0 ? [] : await broker.changedSince(mark, unknown);
  return changed && new Map([...changed.map(toLatest), ...behind]);
}

/**
 * Where a channel stood at a mark, at the furthest. Once retention has removed what came after the
 * mark nobody can tell exactly any more, but the last that was removed came after it.
 */
function toLatest({ channel, position, stream }: ChangedChannel): [string, Position] {
  const isKnown = position.epoch !== stream.epoch || position.offset + 1 >= stream.oldest;
  return [channel, isKnown ? position : { epoch: position.epoch, offset: stream.oldest - 2 }];
}

/** The present lives of the streams that the legs begin before. */
async function livesOf(broker: Broker, legs: readonly Leg[]): Promise<ReadonlyMap<string, string>> {
  if (legs.length === 0) return new Map();
  const names = legs.map(({ channel }) => channel);
  const changed = (await broker.changedSince(undefined, names)) ?? [];
  return new Map(changed.map(({ channel, stream }) => [channel, stream.epoch]));
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

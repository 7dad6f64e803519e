/** Older legs: what a subscription is to read that another one of its session began after. */
import { isOrigin } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import type { Broker, ChangedChannel } from '../../broker/broker.ts';
import { Cursor } from '../cursor.ts';
import { VolatileCursor } from '../volatile/volatile-channel.ts';
import type { Leg } from './catch-up.ts';
import type { AnyCursor } from './overlap-entry.ts';

/** Those of the legs that come before the place where the cursor, which has the channels, began. */
export async function olderThan(
  broker: Broker,
  cursor: AnyCursor,
  legs: readonly Leg[],
): Promise<readonly Leg[]> {
  if (cursor instanceof VolatileCursor) return [];
  if (cursor instanceof Cursor) {
    const begin = { epoch: cursor.epoch, offset: cursor.begin };
    return legs.filter(({ position }) => isBefore(position, begin));
  }
  const { mark, behind } = cursor.begin;
  const unknown = legs.map(({ channel }) => channel).filter((channel) => !behind.has(channel));
  const changed = unknown.length === 0 ? [] : await broker.changedSince(mark, unknown);
  // Nobody can tell any more: rather twice than not at all.
  if (changed === undefined) return legs;
  const begins = new Map(changed.map((change) => [change.channel, latestOf(change)]));
  return legs.filter(({ channel, position }) => {
    const begin = behind.get(channel) ?? begins.get(channel);
    // What did not change since is all from before.
    return begin === undefined || isBefore(position, begin);
  });
}

/**
 * Where a channel stood at a mark, at the furthest. Once retention has removed what came after the
 * mark nobody can tell exactly any more, but the last that was removed came after it.
 */
function latestOf({ position, stream }: ChangedChannel): Position {
  const isKnown = position.epoch !== stream.epoch || position.offset + 1 >= stream.oldest;
  return isKnown ? position : { epoch: position.epoch, offset: stream.oldest - 2 };
}

/** Where it began in another life of the stream, it was given all of this one. */
function isBefore(position: Position, begin: Position): boolean {
  if (isOrigin(begin)) return false;
  if (isOrigin(position)) return true;
  return position.epoch === begin.epoch && position.offset < begin.offset;
}

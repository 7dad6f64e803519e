/** Older legs: what a subscription is to read that another one of its session began after. */
import { isOrigin } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import type { Broker } from '../../broker/broker.ts';
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
  const begins = new Map(changed.map(({ channel, position }) => [channel, position]));
  return legs.filter(({ channel, position }) => {
    const begin = behind.get(channel) ?? begins.get(channel);
    // What did not change since is all from before.
    return begin === undefined || isBefore(position, begin);
  });
}

/** Where it began in another life of the stream, it was given all of this one. */
function isBefore(position: Position, begin: Position): boolean {
  if (isOrigin(begin)) return false;
  if (isOrigin(position)) return true;
  return position.epoch === begin.epoch && position.offset < begin.offset;
}

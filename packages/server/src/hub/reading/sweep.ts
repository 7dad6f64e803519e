/**
 * Sweep: one read through all channels that changed since a place, over as many answers as it
 * takes. Pure.
 *
 * It goes in the order of the channels' names, up to a mark that was taken when it began: those it
 * has come to stand at that mark, those after them where it began. So every answer in between says
 * with one name, and one position, what to go on from. What comes later is for the next sweep.
 */
import { isOrigin, ORIGIN } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import type { ChangedChannel, StreamBounds } from '../../broker/broker.ts';
import type { Start } from '../hub-types.ts';
import {
  formatPlaceMark,
  NOWHERE_ELSE,
  parsePlaceMark,
  placeFor,
  withBeginnings,
} from '../place-mark.ts';
import type { PlaceMark, PlaceStart } from '../place-mark.ts';
import { startAt } from './mark-starts.ts';

/** How far a read through many channels has come. */
export interface Sweep {
  /** Where those stand that it has not come to. */
  readonly from: PlaceStart;
  /** The last name that it has come to; empty at its beginning. */
  readonly after: string;
  /** Positions of single channels, which hold before anything else. */
  readonly behind: ReadonlyMap<string, Position>;
  /** The mark up to which it reads; absent where it only begins. */
  readonly target?: string;
}

/** Where one answer of a sweep ends. */
export interface Cut {
  /** The last channel that was read to its end; empty when there is none. */
  readonly done: string;
  /** The channel after it, where it was read in part. */
  readonly partly?: { readonly channel: string; readonly position: Position };
  /** Channels that it has not come to, in part or at all. */
  readonly left: readonly string[];
  /** Channels that are at the mark, though the sweep may not have come to their names. */
  readonly ends?: ReadonlyMap<string, Position>;
  /** Where those that are left begin, in the order of their names. */
  readonly begins?: ReadonlyMap<string, Position>;
  /** Those of them that only patterns read. */
  readonly found?: readonly string[];
}

/**
 * The sweep that a start asks for; `undefined` where there is nothing before now.
 *
 * @param isMeant true for channels that are read: a mark comes from a stranger and may tell more.
 */
export function sweepOf(
  { after, last = 0 }: Start,
  isMeant: (channel: string) => boolean,
): Sweep | undefined {
  const whole = { after: '', behind: NOWHERE_ELSE };
  if (after === undefined) {
    return last === 0 ? undefined : { ...whole, from: { kind: 'last', count: last } };
  }
  if (after.kind === 'start') return { ...whole, from: after };
  if (after.kind !== 'mark') return undefined;
  const { mark, behind, rest } = placeFor(parsePlaceMark(after.mark), isMeant);
  if (rest === undefined) return { from: { kind: 'mark', mark }, after: '', behind };
  return { from: rest.from, after: rest.after, behind, target: mark };
}

/** True for a channel that the sweep has still to come to. */
export function isLeft({ after, behind }: Sweep, channel: string): boolean {
  return channel > after || behind.has(channel);
}

/** Where a channel that is left begins. @param position where it stood at the mark of a beginning. */
export function startIn({ from, behind }: Sweep, channel: string, position: Position): Start {
  const own = behind.get(channel);
  if (own !== undefined) return startAt(own);
  if (from.kind === 'mark') return startAt(position);
  return from.kind === 'start' ? { after: from } : { last: from.count };
}

/** The bounds of a channel that has no stream. */
const NO_STREAM: StreamBounds = { epoch: ORIGIN.epoch, oldest: 1, top: 0 };

/**
 * A stream as it was at the mark up to which is read; `undefined` where nothing of that can be read
 * any more: it began anew since, or retention took even what came right after. How far it had come
 * need not be known then, and whoever stands before the mark has lost something.
 *
 * @param stream after the mark.
 * @param since what changed since the mark, asked for after `stream` was.
 */
export function boundsAt(
  stream: StreamBounds,
  since: ChangedChannel | undefined,
): StreamBounds | undefined {
  if (since === undefined) return stream;
  const { position } = since;
  const { epoch } = stream;
  if (isOrigin(position)) return NO_STREAM;
  if (position.epoch !== epoch || since.stream.epoch !== epoch) return undefined;
  const oldest = Math.max(stream.oldest, since.stream.oldest);
  return position.offset + 1 < oldest ? undefined : { epoch, oldest, top: position.offset };
}

/**
 * Where a channel begins of which nothing up to the mark can be read any more. In a later answer
 * than the first nobody begins with what is retained by then: of what came after the mark, at least,
 * it is told that it is lost.
 *
 * @param start where it would begin otherwise.
 */
export function startOfLost(
  { from, target, behind }: Sweep,
  start: Start,
  { channel, position }: ChangedChannel,
): Start {
  const isPlace = from.kind === 'mark' || behind.has(channel);
  return isPlace || target === undefined ? start : { ...start, ...startAt(position) };
}

/**
 * Where all channels stand after an answer.
 *
 * @param cut absent when everything is at the mark.
 * @param elsewhere channels that stand somewhere of their own.
 */
export function placeAfter(
  target: string,
  elsewhere: ReadonlyMap<string, Position>,
  sweep?: Sweep,
  cut?: Cut,
): PlaceMark {
  if (sweep === undefined || cut === undefined) return { mark: target, behind: elsewhere };
  const { done, partly, left, ends = NOWHERE_ELSE, begins = NOWHERE_ELSE, found = [] } = cut;
  const after = [sweep.after, done, partly?.channel ?? ''].reduce((a, b) => (a > b ? a : b));
  const behind = new Map(sweep.behind);
  // Those behind the cut keep what they had, be there anything to read or not.
  for (const channel of sweep.behind.keys()) {
    if (channel <= after && !left.includes(channel)) behind.delete(channel);
  }
  if (partly !== undefined) behind.set(partly.channel, partly.position);
  for (const [channel, position] of elsewhere) behind.set(channel, position);
  const rest = left.length === 0 ? {} : { rest: { after, from: sweep.from } };
  const whole = new Map(behind);
  for (const [channel, position] of ends) {
    if (behind.has(channel) || (left.length > 0 && channel > after)) whole.set(channel, position);
  }
  const atEnds = { mark: target, behind: whole, ...rest };
  // Where so many have no room in a mark they come again, rather than hold up what is left.
  const place = formatPlaceMark(atEnds) === undefined ? { mark: target, behind, ...rest } : atEnds;
  // A mark tells where everything stood. What is retained, and what is the newest, changes.
  if (sweep.from.kind === 'mark') return place;
  const begun = withBeginnings(place, begins);
  if (formatPlaceMark(begun) !== undefined) return begun;
  // Those of answers before must not hold up what is left either.
  const needed = new Map(begun.behind);
  for (const channel of found) needed.delete(channel);
  return { ...begun, behind: needed };
}

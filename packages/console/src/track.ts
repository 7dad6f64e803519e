/** Track: how a reader's offset rose over the last minute, and when it was not connected. */
import type { Position } from '@trunkline/wire';

/** How far back a track reaches. */
export const TRACK_MS = 60_000;

/** Points nearer than this are one point, which bounds a track to 600 of them. */
const POINT_MS_MIN = 100;

/** From `at` on the reader stood at `offset`. Milliseconds of the page's own clock. */
export interface TrackPoint {
  readonly at: number;
  readonly offset: number;
}

/** A time without connection; it lasts while `to` is missing. */
export interface Pause {
  readonly from: number;
  readonly to?: number;
}

/** Points and pauses in order of time. */
export interface Track {
  readonly epoch: string | undefined;
  readonly points: readonly TrackPoint[];
  readonly pauses: readonly Pause[];
}

/** Nothing yet. */
export const EMPTY_TRACK: Track = { epoch: undefined, points: [], pauses: [] };

/** The reader stands at `position` now. Offsets of another life do not compare: it begins anew. */
export function advance(track: Track, now: number, position: Position): Track {
  const point = { at: now, offset: position.offset };
  if (track.epoch !== position.epoch) {
    return { epoch: position.epoch, points: [point], pauses: track.pauses };
  }
  const last = track.points.at(-1);
  const before = track.points.at(-2);
  // The first of several close points gives way only when it is itself close to the one before.
  const points =
    last !== undefined && before !== undefined && now - before.at < POINT_MS_MIN
      ? track.points.slice(0, -1)
      : track.points;
  return { ...track, points: [...trim(points, now), point] };
}

/** The connection is gone, or back; telling it again changes nothing. */
export function pause(track: Track, now: number, paused: boolean): Track {
  const last = track.pauses.at(-1);
  const open = last !== undefined && last.to === undefined;
  if (open === paused) return track;
  const kept = track.pauses.filter(({ to }) => to === undefined || to > now - TRACK_MS);
  if (paused) return { ...track, pauses: [...kept, { from: now }] };
  return { ...track, pauses: [...kept.slice(0, -1), { from: last?.from ?? now, to: now }] };
}

/** Drops what lies before the window, save the last point there: the line comes in from it. */
function trim(points: readonly TrackPoint[], now: number): readonly TrackPoint[] {
  const first = points.findIndex(({ at }) => at >= now - TRACK_MS);
  if (first === -1) return points.slice(-1);
  return first <= 1 ? points : points.slice(first - 1);
}

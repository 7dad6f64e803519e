/** Reading the log as of one moment. The caller holds a transaction open meanwhile. */
import { ORIGIN } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import type { ChangedChannel, ReadRange, StreamBounds, StreamSlice } from '../../broker/broker.ts';
import { matchesAny } from './channel-filter.ts';
import type { ChannelRow } from './sqlite-channels.ts';
import type { LogRow, SqliteTables } from './sqlite-tables.ts';
import { countFloor } from './sqlite-trim.ts';
import { CHANGED_PAGE, LOST_LIFE, NO_BOUNDS, NO_STREAM } from './store.ts';
import type { LogPlace } from './store.ts';

/** Where a walk over the changed channels goes on. */
export interface ChangedCursor {
  /** First by newest sequence those with a message, then by id those whose memory is lost. */
  readonly part: 'changed' | 'lost';
  readonly after: number;
}

/** Some of the changed channels that match. A channel may come twice. */
export interface ChangedMatches {
  readonly channels: readonly ChangedChannel[];
  /** Absent when that was all. */
  readonly next?: ChangedCursor;
}

/** Reads part of a stream. */
export function readSlice(
  tables: SqliteTables,
  channel: string,
  range: ReadRange,
  nowMs: number,
): StreamSlice {
  const row = tables.channels.get(channel);
  if (row === undefined || row.top === 0) return NO_STREAM;
  const { epoch, top, born } = row;
  const oldest = oldestVisible(tables, row, nowMs);
  const messages = range.countMax > 0 ? tables.messages.read(born, oldest, top, range) : [];
  return { epoch, oldest, top, messages };
}

/**
 * A step of the walk over the channels that changed since `place` and match one of the patterns;
 * `undefined` when that can't be told.
 */
export function changedMatching(
  tables: SqliteTables,
  place: LogPlace | undefined,
  patterns: readonly string[],
  cursor: ChangedCursor | undefined,
  nowMs: number,
): ChangedMatches | undefined {
  const log = tables.log();
  if (log === undefined || !isKnown(log, place)) return undefined;
  const { part, after } = cursor ?? { part: 'changed', after: place?.sequence ?? 0 };
  const rows =
    part === 'changed'
      ? tables.channels.changed(after, CHANGED_PAGE)
      : tables.channels.lost(place?.run ?? log.run, log.run, after, CHANGED_PAGE);
  const channels: ChangedChannel[] = [];
  for (const row of rows) {
    if (!matchesAny(patterns, row.name)) continue;
    const change = changeOf(tables, log, row, place, nowMs);
    if (change !== undefined) channels.push(change);
  }
  const last = rows.at(-1);
  if (last !== undefined && rows.length === CHANGED_PAGE) {
    return { channels, next: { part, after: part === 'changed' ? last.last : last.id } };
  }
  return part === 'changed' ? { channels, next: { part: 'lost', after: 0 } } : { channels };
}

/** Those of these channels that changed since `place`; `undefined` when that can't be told. */
export function changedNamed(
  tables: SqliteTables,
  place: LogPlace | undefined,
  names: readonly string[],
  nowMs: number,
): ChangedChannel[] | undefined {
  const log = tables.log();
  if (log === undefined || !isKnown(log, place)) return undefined;
  const changed: ChangedChannel[] = [];
  for (const name of names) {
    const row = tables.channels.get(name);
    const change = row === undefined ? undefined : changeOf(tables, log, row, place, nowMs);
    if (change !== undefined) changed.push(change);
  }
  return changed;
}

/** What changed in a channel since `place`; `undefined` when nothing did. */
function changeOf(
  tables: SqliteTables,
  log: LogRow,
  row: ChannelRow,
  place: LogPlace | undefined,
  nowMs: number,
): ChangedChannel | undefined {
  const channel = row.name;
  const stream = boundsOf(tables, row, nowMs);
  if (place === undefined) return row.top > 0 ? { channel, position: ORIGIN, stream } : undefined;
  if (row.run >= place.run && row.run < log.run) return { channel, position: LOST_LIFE, stream };
  if (row.last <= place.sequence) return undefined;
  return { channel, position: positionAt(tables, row, place), stream };
}

function boundsOf(tables: SqliteTables, row: ChannelRow, nowMs: number): StreamBounds {
  if (row.top === 0) return NO_BOUNDS;
  return { epoch: row.epoch, oldest: oldestVisible(tables, row, nowMs), top: row.top };
}

/** True when nothing that came after `place` has been forgotten. */
function isKnown(log: LogRow, place: LogPlace | undefined): boolean {
  if (place === undefined) return true;
  if (place.sequence > log.sequence || place.run > log.run) return false;
  return place.sequence >= log.forgotten && place.run > log.forgottenRun;
}

function positionAt(tables: SqliteTables, row: ChannelRow, place: LogPlace): Position {
  if (row.born > place.sequence) {
    // A life that ended after the place took messages with it, whether it was there by then or not.
    return row.ended > place.sequence ? LOST_LIFE : ORIGIN;
  }
  const { epoch, born, oldest, top } = row;
  // How many of those removed came after the place is not known any more: all is said to be.
  if (row.trimmed > place.sequence) return { epoch, offset: 0 };
  return {
    epoch,
    offset: tables.messages.firstAfterSequence(born, oldest, top, place.sequence) - 1,
  };
}

function oldestVisible(tables: SqliteTables, row: ChannelRow, nowMs: number): number {
  const oldest = countFloor(row);
  const goneUpToMs = nowMs - row.ageMax;
  if (oldest > row.top || row.newestTime <= goneUpToMs) return row.top + 1;
  return tables.messages.firstAfterTime(row.born, oldest, row.top, goneUpToMs);
}

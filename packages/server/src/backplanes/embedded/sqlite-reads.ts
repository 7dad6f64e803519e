/** Reading the log as of one moment. The caller holds a transaction open meanwhile. */
import type { Position } from '@trunkline/wire';
import type { ChangedChannel, ReadRange, StreamSlice } from '../../broker/broker.ts';
import type { ChannelRow } from './sqlite-channels.ts';
import type { LogRow, SqliteTables } from './sqlite-tables.ts';
import { countFloor } from './sqlite-trim.ts';
import { LOST_LIFE, NO_STREAM } from './store.ts';
import type { LogPlace } from './store.ts';

/** Where a walk over the changed channels goes on. */
export interface ChangedCursor {
  /** First by newest sequence those with a message, then by id those whose memory is lost. */
  readonly part: 'changed' | 'lost';
  readonly after: number;
}

/** Some of the changed channels. A channel may come twice. */
export interface ChangedNames {
  readonly names: readonly string[];
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

/** Names of channels that changed since `place`; `undefined` when that can't be told. */
export function changedNames(
  tables: SqliteTables,
  place: LogPlace,
  cursor: ChangedCursor | undefined,
  countMax: number,
): ChangedNames | undefined {
  const log = tables.log();
  if (log === undefined || !isKnown(log, place)) return undefined;
  const { part, after } = cursor ?? { part: 'changed', after: place.sequence };
  const rows =
    part === 'changed'
      ? tables.channels.changed(after, countMax)
      : tables.channels.lost(place.run, log.run, after, countMax);
  const names = rows.map(({ name }) => name);
  const last = rows.at(-1);
  if (last !== undefined && rows.length === countMax) {
    return { names, next: { part, after: last.cursor } };
  }
  return part === 'changed' ? { names, next: { part: 'lost', after: 0 } } : { names };
}

/**
 * Those of these channels that changed since `place`, each with its position there; `undefined`
 * when that can't be told.
 */
export function changedOf(
  tables: SqliteTables,
  place: LogPlace,
  channels: readonly string[],
): ChangedChannel[] | undefined {
  const log = tables.log();
  if (log === undefined || !isKnown(log, place)) return undefined;
  const changed: ChangedChannel[] = [];
  for (const channel of channels) {
    const row = tables.channels.get(channel);
    if (row === undefined) continue;
    const isLost = row.run >= place.run && row.run < log.run;
    if (isLost) changed.push({ channel, position: LOST_LIFE });
    else if (row.last > place.sequence) {
      changed.push({ channel, position: positionAt(tables, row, place) });
    }
  }
  return changed;
}

/** True when nothing that came after `place` has been forgotten. */
function isKnown(log: LogRow, place: LogPlace): boolean {
  if (place.sequence > log.sequence || place.run > log.run) return false;
  return place.sequence >= log.forgotten && place.run > log.forgottenRun;
}

function positionAt(tables: SqliteTables, row: ChannelRow, place: LogPlace): Position {
  if (row.born > place.sequence) {
    const isNew = row.id > place.sequence && row.lostRun < place.run;
    return isNew ? { epoch: NO_STREAM.epoch, offset: 0 } : LOST_LIFE;
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

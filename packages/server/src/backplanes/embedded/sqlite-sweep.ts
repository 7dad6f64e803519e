/** Sweeping: removing in bounded steps what no reader can see any more. */
import type { StoreLimits } from './config.ts';
import type { ChannelRow } from './sqlite-channels.ts';
import type { LogRow, SqliteTables } from './sqlite-tables.ts';
import { trim } from './sqlite-trim.ts';

/** A step must not hold up the next commit for long: these bounds make it a few milliseconds. */
const CHANNELS_PER_STEP = 64;
const MESSAGES_PER_STEP = 512;
const RECORDS_PER_STEP = 512;

/** Does one step inside the caller's transaction. @returns true when there is more to do. */
export function sweepStep(
  tables: SqliteTables,
  limits: StoreLimits,
  log: LogRow,
  nowMs: number,
): boolean {
  const due = tables.channels.due(nowMs, CHANNELS_PER_STEP);
  let budget = MESSAGES_PER_STEP;
  let more = due.length === CHANNELS_PER_STEP;
  for (const row of due) {
    if (budget <= 0) {
      more = true;
      break;
    }
    const before = row.oldest;
    more = sweepChannel(tables, limits, log, row, nowMs, budget) || more;
    budget -= row.oldest - before;
  }
  more = tables.keys.expire(nowMs - limits.keyWindowMs, RECORDS_PER_STEP) || more;
  more = tables.state.expire(nowMs, RECORDS_PER_STEP) || more;
  return tables.messages.sweepDropped(MESSAGES_PER_STEP) || more;
}

function sweepChannel(
  tables: SqliteTables,
  limits: StoreLimits,
  log: LogRow,
  row: ChannelRow,
  nowMs: number,
  countMax: number,
): boolean {
  const { messages, channels } = tables;
  if (row.oldest <= row.top) {
    const more = trim(messages, row, nowMs - row.ageMax, countMax);
    if (!more || row.oldest > row.top) row.due = nextDue(tables, limits, row);
    channels.update(row);
    return more;
  }
  // What lives in the memory of this process may be young, whatever the file says.
  const touchedMs = row.run === log.run ? nowMs : row.newestTime;
  if (touchedMs + limits.metadataMs > nowMs) {
    row.due = Math.min(touchedMs + limits.metadataMs, Number.MAX_SAFE_INTEGER);
    channels.update(row);
    return false;
  }
  log.forgotten = Math.max(log.forgotten, row.last);
  log.forgottenRun = Math.max(log.forgottenRun, row.run);
  tables.saveLog(log);
  tables.keys.forget(row.id);
  channels.remove(row);
  return false;
}

/** When the oldest message in the file is over its age, or the channel is to be forgotten. */
function nextDue(tables: SqliteTables, limits: StoreLimits, row: ChannelRow): number {
  const [oldest] = tables.messages.sizes(row.born, row.oldest, 1);
  const due = oldest === undefined ? row.newestTime + limits.metadataMs : oldest.time + row.ageMax;
  return Math.min(due, Number.MAX_SAFE_INTEGER);
}

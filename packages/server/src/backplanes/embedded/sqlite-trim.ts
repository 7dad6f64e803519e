/** Trimming: removing from the file what retention has already taken from readers. */
import type { ChannelRow } from './sqlite-channels.ts';
import type { SqliteMessages } from './sqlite-messages.ts';

/**
 * Messages over the count that may stay in the file, as removing several at once is cheaper: at
 * least and at most. Channels differ, so that those which fill at the same pace are not all
 * trimmed by the same commit.
 */
const SLACK_MIN = 16;
const SLACK_MAX = 64;

/** The oldest offset that is within the channel's count. Readers see nothing below it. */
export function countFloor(row: ChannelRow): number {
  return Math.max(row.oldest, row.top - row.countMax + 1);
}

/** True when so much is over the bounds that removing it is due. */
export function isOverfull(row: ChannelRow): boolean {
  const slack = SLACK_MIN + (row.id % (SLACK_MAX - SLACK_MIN));
  return countFloor(row) - row.oldest >= slack || (row.size > row.sizeMax && row.oldest < row.top);
}

/**
 * Removes at most `countMax` of the oldest messages: those stored until `goneUpToMs`, over the
 * count, or over the size. Only age removes the newest one.
 *
 * @returns true when there may be more to remove.
 */
export function trim(
  messages: SqliteMessages,
  row: ChannelRow,
  goneUpToMs: number,
  countMax: number,
): boolean {
  const floor = countFloor(row);
  const from = row.oldest;
  let removed = 0;
  for (const message of messages.sizes(row.born, from, countMax)) {
    const isOver = message.offset < floor || row.size > row.sizeMax;
    if (message.time > goneUpToMs && (!isOver || message.offset === row.top)) break;
    row.oldest = message.offset + 1;
    row.size -= message.size;
    row.trimmed = message.sequence;
    removed += 1;
  }
  if (removed > 0) messages.remove(row.born, from, row.oldest - 1);
  return removed === countMax;
}

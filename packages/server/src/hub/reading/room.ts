/** Room: what still fits into one answer, and what is read of a channel to fill it. */
import type { Message, Position } from '@trunkline/wire';
import type { Channel } from '../channel.ts';
import type { LogReader } from '../log-reader.ts';
import { withoutExpired } from './expiry.ts';

/** Bytes of one answer, roughly, before they are encoded; more is said by `more`. */
const ANSWER_SIZE_MAX = 1024 * 1024;

/** Channels that are read for one answer: also where none of them has a message to deliver. */
const CHANNEL_COUNT_MAX = 1_000;

/** What is left of an answer; whoever puts something in takes from it. */
export interface Room {
  /** Messages. */
  count: number;
  /** Bytes. */
  size: number;
  /** Channels found by patterns. */
  channels: number;
}

/** The room of an answer in which nothing is. */
export function emptyRoom(countMax: number): Room {
  return { count: countMax, size: ANSWER_SIZE_MAX, channels: CHANNEL_COUNT_MAX };
}

/** True when no message of another channel fits. */
export function isFull({ count, size, channels }: Room): boolean {
  return count <= 0 || size <= 0 || channels <= 0;
}

/** What was read of a channel. */
export interface Collected {
  readonly messages: readonly Message[];
  /** Up to here everything is among the messages, or has expired. */
  readonly end: number;
}

/** A piece of a stream, as memory or the log has it. */
interface Piece {
  readonly messages: readonly Message[];
  readonly last: number;
  readonly size: number;
}

/**
 * Reads what comes after `from` as far as there is room for it.
 *
 * @param top ends there: an offset that the head has reached.
 */
export async function collect(
  reader: LogReader,
  channel: Channel,
  { from, top }: { readonly from: Position; readonly top: number },
  room: Room,
  clock: { unixMs(): number },
): Promise<Collected> {
  const { epoch } = channel;
  const parts: (readonly Message[])[] = [];
  let end = from.offset;
  while (end < Math.min(top, channel.head) && room.count > 0 && room.size > 0) {
    const batch = channel.batchAfter(end) ?? (await reader.readAfter(channel, end)).batch;
    if (batch === undefined || batch.first !== end + 1 || channel.epoch !== epoch) break;
    const { messages } =
      batch.last > top ? { messages: batch.messages.slice(0, top - end) } : batch;
    const last = Math.min(batch.last, top);
    const taken = take({ messages, last, size: batch.size }, room, clock.unixMs());
    if (taken.messages.length > 0) parts.push(taken.messages);
    ({ end } = taken);
  }
  // One batch is handed on as it is: whoever gets the same array may share its encoding.
  const [first = []] = parts;
  return { messages: parts.length > 1 ? parts.flat() : first, end };
}

/** As much of a piece as there is room for. */
export function take(piece: Piece, room: Room, nowMs: number): Collected {
  const alive = withoutExpired(piece.messages, nowMs);
  const isCut = alive.length > room.count;
  const messages = isCut ? alive.slice(0, room.count) : alive;
  room.count -= messages.length;
  room.size -= piece.size;
  return { messages, end: isCut ? (messages.at(-1)?.offset ?? 0) : piece.last };
}

/** Reading of entries: one after another, until an answer is full. */
import type { Position } from '@trunkline/wire';
import type { Channel } from '../channel.ts';
import { LEGS_AT_ONCE_MAX } from '../config.ts';
import type { ChannelRead } from '../hub-types.ts';
import { collect, emptyRoom, isFull } from './room.ts';
import type { Room } from './room.ts';
import type { Cut } from './sweep.ts';
import type { Elsewhere, Entry, RoundParts } from './types.ts';

/** What is to be read. */
export interface EntriesToRead {
  /** Names that begin at places of their own, in the order in which they are read. */
  readonly own: readonly Entry[];
  /** What the sweep comes to, by name. */
  readonly swept: readonly Entry[];
  /** Is given those that do not stand at the mark afterwards. */
  readonly elsewhere: Elsewhere;
  /**
   * Is given those that can't stand at the mark, as nothing up to it can be read any more. What
   * they lost is told, and would be told again from the mark.
   */
  readonly beyond: Elsewhere;
  readonly countMax: number;
}

/** What was read. */
export interface EntriesRead {
  readonly reads: readonly ChannelRead[];
  /** Present where the sweep did not come to its end. */
  readonly cut?: Cut;
}

/** Reads up to the mark as far as there is room. */
export async function readEntries(
  parts: RoundParts,
  { own, swept, elsewhere, beyond, countMax }: EntriesToRead,
): Promise<EntriesRead> {
  const room = emptyRoom(countMax);
  const reads: ChannelRead[] = [];
  const ends = new Map<string, Position>();
  for (const entry of own) {
    const read = await readEntry(parts, entry, entry.channel, room);
    if (isAtMark(entry, read.end)) ends.set(entry.name, read.end);
    else elsewhere.set(entry.name, read.end);
    reads.push(read);
  }
  let done = '';
  for (let index = 0; index < swept.length; index += LEGS_AT_ONCE_MAX) {
    const chunk = swept.slice(index, index + LEGS_AT_ONCE_MAX);
    const part = await readChunk(parts, chunk, room);
    reads.push(...part.reads);
    for (const { entry, end } of part.apart) {
      const places = entry.isBeyond === true ? beyond : elsewhere;
      places.set(entry.name, end);
    }
    done = part.done ?? done;
    if (part.partly === undefined && part.count === chunk.length) continue;
    const left = swept.slice(index + part.count);
    for (const entry of left) leave(entry, reads, elsewhere);
    const partly = part.partly === undefined ? {} : { partly: part.partly };
    const begins = beginningsOf(left);
    const found = left.filter(({ channel }) => channel === undefined).map(({ name }) => name);
    const names = left.map(({ name }) => name);
    return { reads, cut: { done, ...partly, left: names, ends, begins, found } };
  }
  return { reads };
}

/** What became of a few channels. */
interface Chunk {
  readonly reads: ChannelRead[];
  readonly apart: { readonly entry: Entry; readonly end: Position }[];
  /** How many were read, in part or to the end. */
  count: number;
  done: string | undefined;
  partly: Cut['partly'];
}

/** Reads a few channels, which are opened together. */
async function readChunk(parts: RoundParts, entries: readonly Entry[], room: Room): Promise<Chunk> {
  const chunk: Chunk = { reads: [], apart: [], count: 0, done: undefined, partly: undefined };
  const opened = isFull(room) ? new Map<Entry, Channel>() : await open(parts, entries);
  try {
    for (const entry of entries) {
      if (wantsRoom(entry) && isFull(room)) return chunk;
      const channel = entry.channel ?? opened.get(entry);
      const read = await readEntry(parts, entry, channel, room);
      if (entry.channel === undefined) room.channels -= 1;
      const isTold = read.messages.length > 0 || read.gap !== undefined;
      if (isTold || entry.channel !== undefined) chunk.reads.push(tellOwn(entry, read));
      chunk.count += 1;
      const { end } = read;
      if (isAtMark(entry, end)) {
        chunk.done = entry.name;
      } else if (end.epoch === entry.epoch && end.offset < entry.top) {
        chunk.partly = { channel: entry.name, position: end };
        return chunk;
      } else {
        chunk.apart.push({ entry, end });
        chunk.done = entry.name;
      }
    }
    return chunk;
  } finally {
    for (const channel of opened.values()) parts.table.release(channel);
  }
}

/** Opens those of the channels that patterns found and that have something to read. */
async function open(
  { table }: RoundParts,
  entries: readonly Entry[],
): Promise<ReadonlyMap<Entry, Channel>> {
  const opened = new Map<Entry, Channel>();
  const found = entries.filter((entry) => entry.channel === undefined && hasUnread(entry));
  const outcomes = await Promise.allSettled(
    found.map(async (entry) => {
      const channel = await table.acquire(entry.name);
      opened.set(entry, channel);
      await table.settle(channel);
    }),
  );
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed === undefined) return opened;
  for (const channel of opened.values()) table.release(channel);
  throw failed.reason;
}

async function readEntry(
  { reader, clock }: RoundParts,
  entry: Entry,
  channel: Channel | undefined,
  room: Room,
): Promise<ChannelRead> {
  const { verdict, snapshot, top } = entry;
  const { epoch, offset } = verdict.position;
  // Of another life by now: the next read tells the gap.
  const isSame = channel?.epoch === entry.epoch && isOfLife(verdict.position, entry.epoch);
  const found =
    isSame && offset < top
      ? await collect(reader, channel, { from: verdict.position, top }, room, clock)
      : { messages: [], end: offset };
  const end = { epoch: found.end > offset ? entry.epoch : epoch, offset: found.end };
  return {
    channel: entry.name,
    ...(entry.channel === undefined ? { isFound: true } : {}),
    ...verdict,
    ...(snapshot === undefined ? {} : { snapshot }),
    messages: found.messages,
    end,
    more: hasMore(entry, end),
  };
}

/** What was read for patterns of a name that begins later: with nothing of it, it stands there. */
function tellOwn({ own }: Entry, read: ChannelRead): ChannelRead {
  if (own === undefined) return read;
  const begin = own.position;
  const { messages, end } = read;
  const isAfter = end.epoch === begin.epoch && end.offset >= begin.offset;
  return { ...read, begin, end: messages.length > 0 || isAfter ? end : begin };
}

/**
 * A name that the sweep did not come to. What was told of it is not told again, but for what
 * patterns lose in it: that is told when the sweep comes to it.
 */
function leave(entry: Entry, reads: ChannelRead[], elsewhere: Elsewhere): void {
  const { name, channel, snapshot, own } = entry;
  if (channel === undefined) return;
  const verdict = own ?? entry.verdict;
  const { position, gap } = verdict;
  const isTold = gap !== undefined || snapshot !== undefined;
  const isElsewhere = isTold || !(hasUnread(entry) || isAtMark(entry, position));
  if (own === undefined && isElsewhere) elsewhere.set(name, position);
  const told = snapshot === undefined ? verdict : { ...verdict, snapshot };
  const more = hasMore(entry, entry.verdict.position);
  reads.push({ channel: name, ...told, messages: [], end: position, more });
}

/** Where those begin that the sweep has not come to, but for what they lose: that is judged anew. */
function beginningsOf(left: readonly Entry[]): ReadonlyMap<string, Position> {
  const whole = left.filter(({ own, loss, verdict, snapshot }) => {
    // Where patterns begin before the name, what that lost is told, and they have the place.
    if (own !== undefined) return loss?.gap === undefined;
    return verdict.gap === undefined && snapshot === undefined;
  });
  return new Map(whole.map(({ name, verdict }) => [name, verdict.position]));
}

/** The same read has more at once; of what was found, up to the mark. */
function hasMore({ channel, top }: Entry, end: Position): boolean {
  if (channel === undefined) return end.offset < top;
  return !isOfLife(end, channel.epoch) || end.offset < channel.head;
}

function wantsRoom(entry: Entry): boolean {
  return hasUnread(entry) || (entry.channel === undefined && entry.verdict.gap !== undefined);
}

function hasUnread({ verdict, top, epoch }: Entry): boolean {
  return isOfLife(verdict.position, epoch) && verdict.position.offset < top;
}

function isAtMark({ epoch, top }: Entry, end: Position): boolean {
  return end.offset === top && isOfLife(end, epoch);
}

/** Before its first message a stream has no life of its own. */
function isOfLife({ epoch, offset }: Position, life: string): boolean {
  return epoch === life || (epoch === '0' && offset === 0);
}

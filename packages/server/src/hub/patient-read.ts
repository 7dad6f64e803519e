/**
 * Patient reads: polling and history are the same read of the log with a different patience.
 *
 * The answer of a poll carries a mark: a place in the whole order at which all its positions
 * stand. It is taken before the channels are read, and what came after it is left for the next
 * poll, so that going on by mark or by positions gives the same messages, each once.
 */
import { isOrigin } from '@trunkline/wire';
import type { After, Message, Position } from '@trunkline/wire';
import type { Broker, ChangedChannel } from '../broker/broker.ts';
import type { Wheel } from '../wheel.ts';
import type { Channel } from './channel.ts';
import type { ChannelTable } from './channel-table.ts';
import type { ChannelRead, ReadRequest, ReadResult, Start, Verdict } from './hub-types.ts';
import type { LogReader } from './log-reader.ts';
import { Patience } from './patience.ts';
import type { Waits } from './patience.ts';
import { formatPlaceMark, parsePlaceMark } from './place-mark.ts';
import { judge } from './recovery.ts';

/** Bytes of one answer, roughly, before they are encoded; more is said by `more`. */
const ANSWER_SIZE_MAX = 1024 * 1024;

/** What a patient read needs. */
export interface ReadParts {
  readonly broker: Broker;
  readonly table: ChannelTable;
  readonly reader: LogReader;
  readonly wheel: Wheel;
  readonly waits: Waits;
}

/** One channel's part of a read, while it waits. */
interface Reading {
  readonly channel: Channel;
  start: Start;
  /** What the client is told of its own start, once that is known. */
  asked: Pick<Verdict, 'recovered'> | undefined;
}

/** Reads what is new, waiting for it when there is nothing. */
export async function patientRead(parts: ReadParts, request: ReadRequest): Promise<ReadResult> {
  const readings = await acquireAll(parts.table, request);
  try {
    const patience = new Patience(parts.wheel, parts.waits, request);
    try {
      for (;;) {
        const result = await readOnce(parts, readings, request.countMax);
        if (patience.isOver || result.channels.some(hasNews)) return result;
        for (const [index, reading] of readings.entries()) {
          const read = result.channels[index];
          if (read === undefined) continue;
          reading.asked = read.recovered === undefined ? {} : { recovered: read.recovered };
          reading.start = { after: { kind: 'position', position: read.end } };
        }
        // Something may have come between the read and here: then there is nothing to wait for.
        if (readings.some(isBehind)) continue;
        await patience.news(readings.map((reading) => reading.channel));
      }
    } finally {
      patience.end();
    }
  } finally {
    for (const reading of readings) parts.table.release(reading.channel);
  }
}

/** Where a start that names a mark begins in one channel. */
export async function resolveMark(
  parts: Pick<ReadParts, 'broker' | 'table'>,
  channel: Channel,
  start: Start,
): Promise<Start> {
  if (start.after?.kind !== 'mark') return start;
  await parts.table.settle(channel);
  const [resolved = start] = await resolveMarks(parts.broker, [{ channel, start }]);
  return resolved;
}

/**
 * The starts of channels that are settled, with positions for marks. Each mark is looked up once
 * for all of them.
 */
async function resolveMarks(
  broker: Broker,
  readings: readonly Pick<Reading, 'channel' | 'start'>[],
): Promise<readonly Start[]> {
  // The heads are taken first: what comes while the marks are looked up is then after them.
  const heads = readings.map(({ channel }) => channel.position);
  const names = readings.map(({ channel }) => channel.name);
  const lookups = new Map<string, Promise<readonly ChangedChannel[] | undefined>>();
  const lookUp = (mark: string): Promise<readonly ChangedChannel[] | undefined> => {
    const known = lookups.get(mark);
    if (known !== undefined) return known;
    const lookup = broker.changedSince(mark, names);
    lookups.set(mark, lookup);
    return lookup;
  };
  const resolve = async ({ channel, start }: (typeof readings)[number], head?: Position) => {
    const { after } = start;
    if (after?.kind !== 'mark') return start;
    const { mark, behind } = parsePlaceMark(after.mark);
    const own = behind.get(channel.name);
    if (own !== undefined) return startAfter(start, own);
    const changed = await lookUp(mark);
    if (changed === undefined) {
      const unknown: After = { kind: 'unknown', text: after.mark };
      return { ...start, after: unknown };
    }
    const then = changed.find((change) => change.channel === channel.name)?.position;
    return startAfter(start, then ?? head ?? channel.position);
  };
  return Promise.all(readings.map((reading, index) => resolve(reading, heads[index])));
}

function startAfter(start: Start, position: Position): Start {
  return { ...start, after: { kind: 'position', position } };
}

/** What still fits into an answer; `collect` takes from it. */
interface Room {
  count: number;
  size: number;
}

/** Reads what comes after `offset`, at most up to the head and as much as there is room for. */
async function collect(
  reader: LogReader,
  channel: Channel,
  offset: number,
  room: Room,
): Promise<readonly Message[]> {
  const { epoch } = channel;
  const parts: (readonly Message[])[] = [];
  let at = offset;
  while (at < channel.head && room.count > 0 && room.size > 0) {
    const batch = channel.batchAfter(at) ?? (await reader.readAfter(channel, at)).batch;
    if (batch === undefined || batch.first !== at + 1 || channel.epoch !== epoch) break;
    const { messages } = batch;
    const taken = messages.length > room.count ? messages.slice(0, room.count) : messages;
    parts.push(taken);
    room.count -= taken.length;
    room.size -= batch.size;
    at += taken.length;
  }
  // One batch is handed on as it is: whoever gets the same array may share its encoding.
  const [first = []] = parts;
  return parts.length > 1 ? parts.flat() : first;
}

async function acquireAll(table: ChannelTable, request: ReadRequest): Promise<Reading[]> {
  const wanted = [...request.channels];
  const opened = await Promise.allSettled(wanted.map(([name]) => table.acquire(name)));
  const readings: Reading[] = [];
  let failure: { readonly reason: unknown } | undefined;
  for (const [index, outcome] of opened.entries()) {
    const start = wanted[index]?.[1] ?? {};
    if (outcome.status === 'rejected') failure ??= { reason: outcome.reason };
    else readings.push({ channel: outcome.value, start, asked: undefined });
  }
  if (failure === undefined) return readings;
  for (const reading of readings) table.release(reading.channel);
  throw failure.reason;
}

async function readOnce(
  parts: ReadParts,
  readings: readonly Reading[],
  countMax: number,
): Promise<ReadResult> {
  const { broker, table } = parts;
  // What the broker told of before it is asked for a mark is not after the mark.
  const told = readings.map(
    ({ channel }): Position => ({ ...channel.position, offset: channel.told }),
  );
  const mark = await broker.mark();
  // What the mark stands for must be at the heads.
  await Promise.all(readings.map(({ channel }) => table.settle(channel)));
  const starts = await resolveMarks(broker, readings);
  const verdicts = await Promise.all(
    readings.map((reading, index) => judgeChannel(parts, reading, starts[index] ?? {})),
  );
  // One after another: the bounds are those of the whole answer, not of each channel.
  const room: Room = { count: countMax, size: ANSWER_SIZE_MAX };
  const reads: ChannelRead[] = [];
  for (const [index, { channel }] of readings.entries()) {
    const verdict = verdicts[index];
    if (verdict !== undefined) reads.push(await readChannel(parts.reader, channel, verdict, room));
  }
  const doubtful = reads.filter((read, index) => mayPassMark(read, told[index]));
  const since = doubtful.length === 0 ? [] : await broker.changedSince(mark, namesOf(doubtful));
  const later = new Map((since ?? []).map((change) => [change.channel, change.position]));
  const channels = reads.map((read) => upToMark(read, later.get(read.channel)));
  // What was cut stands at the mark; what had no room is told beside it.
  const left = channels.filter((read, index) => read.more && read === reads[index]);
  const behind = new Map(left.map(({ channel, end }) => [channel, end]));
  const place = formatPlaceMark({ mark, behind });
  return { ...(place === undefined ? {} : { mark: place }), channels };
}

/** Where a channel's part of the read begins. */
async function judgeChannel(parts: ReadParts, reading: Reading, start: Start): Promise<Verdict> {
  const { channel, asked } = reading;
  const bounds = await parts.reader.boundsFor(channel, start);
  const found = judge(start, bounds, channel.rules.resumeCountMax);
  // While it waits the start is a position of our own making: only a loss is news then.
  if (asked === undefined || found.recovered === false) return found;
  return { ...asked, position: found.position };
}

async function readChannel(
  reader: LogReader,
  channel: Channel,
  verdict: Verdict,
  room: Room,
): Promise<ChannelRead> {
  const { epoch, offset } = verdict.position;
  const present = channel.epoch;
  // Of another life by now: the next read tells the gap.
  const isSame = epoch === present || (epoch === '0' && offset === 0);
  const messages = isSame ? await collect(reader, channel, offset, room) : [];
  const end = {
    epoch: messages.length > 0 ? present : epoch,
    offset: offset + messages.length,
  };
  return {
    channel: channel.name,
    ...verdict,
    messages,
    end,
    more: !isSame || channel.epoch !== present || end.offset < channel.head,
  };
}

/** True when the read may hold messages from after the mark that was taken before it. */
function mayPassMark({ messages, end }: ChannelRead, told: Position | undefined): boolean {
  if (messages.length === 0) return false;
  return told === undefined || told.epoch !== end.epoch || told.offset < end.offset;
}

/** Leaves out what came after the mark, for the next read. @param then where the mark stands. */
function upToMark(read: ChannelRead, then: Position | undefined): ChannelRead {
  if (then === undefined) return read;
  const { epoch } = read.end;
  // A channel that had no message at the mark stands before its first.
  const offset = isOrigin(then) ? 0 : then.offset;
  if (!isOrigin(then) && then.epoch !== epoch) return read;
  const excess = Math.min(read.end.offset - offset, read.messages.length);
  if (excess <= 0) return read;
  return {
    ...read,
    messages: read.messages.slice(0, read.messages.length - excess),
    end: { epoch, offset: read.end.offset - excess },
    more: true,
  };
}

function namesOf(reads: readonly ChannelRead[]): string[] {
  return reads.map(({ channel }) => channel);
}

function hasNews(read: ChannelRead): boolean {
  return read.messages.length > 0 || read.gap !== undefined || read.more;
}

function isBehind(reading: Reading): boolean {
  const { after } = reading.start;
  if (after?.kind !== 'position') return false;
  const { epoch, offset } = after.position;
  return epoch !== reading.channel.epoch
    ? offset !== 0 || reading.channel.head > 0
    : offset < reading.channel.head;
}

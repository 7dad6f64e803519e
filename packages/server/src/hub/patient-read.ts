/**
 * Patient reads: polling and history are the same read of the log with a different patience.
 *
 * The answer of a poll carries a mark: a place in the whole order at which all its positions
 * stand. It is taken before the channels are read, and what came after it is left for the next
 * poll, so that going on by mark or by positions gives the same messages, each once.
 */
import type { After, Message, Position } from '@trunkline/wire';
import type { Broker, ChangedChannel } from '../broker/broker.ts';
import type { Alarm, AlarmMarks, Wheel } from '../wheel.ts';
import type { Channel, Waiter } from './channel.ts';
import type { ChannelTable } from './channel-table.ts';
import type { ChannelRead, ReadRequest, ReadResult, Start, Verdict } from './hub-types.ts';
import { formatPlaceMark, parsePlaceMark } from './place-mark.ts';
import { judge } from './recovery.ts';

/** Payload bytes of one answer; more is said by `more`. */
const ANSWER_SIZE_MAX = 1024 * 1024;

/** What a patient read needs. */
export interface ReadParts {
  readonly broker: Broker;
  readonly table: ChannelTable;
  readonly wheel: Wheel;
  readonly waits: Waits;
}

/** The reads that wait now, so that a drain can answer them. */
export class Waits {
  readonly #waiting = new Set<Alarm>();
  #ended = false;

  /** How many wait. */
  get count(): number {
    return this.#waiting.size;
  }

  /** True once nobody is to wait any more. */
  get ended(): boolean {
    return this.#ended;
  }

  /** One more waits, until `remove`. */
  add(wait: Alarm): void {
    this.#waiting.add(wait);
  }

  /** One waits no more. Idempotent. */
  remove(wait: Alarm): void {
    this.#waiting.delete(wait);
  }

  /** All who wait are called as if their time were over, and later ones do not wait at all. */
  end(): void {
    this.#ended = true;
    for (const wait of [...this.#waiting]) wait.onAlarm();
  }
}

/** One channel's part of a read, while it waits. */
interface Reading {
  readonly channel: Channel;
  start: Start;
  /** The verdict on what the client asked, kept while it waits. */
  first: Verdict | undefined;
}

/** Reads what is new, waiting for it when there is nothing. */
export async function patientRead(parts: ReadParts, request: ReadRequest): Promise<ReadResult> {
  const readings = await acquireAll(parts.table, request);
  try {
    const patience = new Patience(parts, request);
    try {
      for (;;) {
        const result = await readOnce(parts, readings, request.countMax);
        if (patience.isOver || result.channels.some(hasNews)) return result;
        for (const [index, reading] of readings.entries()) {
          const read = result.channels[index];
          if (read === undefined) continue;
          reading.first = read;
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
  after: After | undefined,
): Promise<After | undefined> {
  if (after?.kind !== 'mark') return after;
  const { mark, behind } = parsePlaceMark(after.mark);
  const own = behind.get(channel.name);
  if (own !== undefined) return { kind: 'position', position: own };
  await parts.table.settle(channel);
  // The head is taken first: what comes while the mark is looked up is then after it.
  const head: Position = channel.position;
  const changed = await parts.broker.changedSince(mark, (name) => name === channel.name);
  if (changed === undefined) return { kind: 'unknown', text: after.mark };
  return { kind: 'position', position: changed[0]?.position ?? head };
}

/** What still fits into an answer; `collect` takes from it. */
interface Room {
  count: number;
  size: number;
}

/** Reads what comes after `offset`, at most up to the head and as much as there is room for. */
async function collect(
  table: ChannelTable,
  channel: Channel,
  offset: number,
  room: Room,
): Promise<readonly Message[]> {
  const { epoch } = channel;
  let messages: readonly Message[] = [];
  let at = offset;
  while (at < channel.head && room.count > 0 && room.size > 0) {
    const batch = channel.batchAfter(at) ?? (await table.readAfter(channel, at)).batch;
    if (batch === undefined || batch.first !== at + 1 || channel.epoch !== epoch) break;
    const taken =
      batch.messages.length > room.count ? batch.messages.slice(0, room.count) : batch.messages;
    // One batch is handed on as it is: whoever gets the same array may share its encoding.
    messages = messages.length === 0 ? taken : [...messages, ...taken];
    room.count -= taken.length;
    room.size -= batch.size;
    at += taken.length;
  }
  return messages;
}

async function acquireAll(table: ChannelTable, request: ReadRequest): Promise<Reading[]> {
  const wanted = [...request.channels];
  const opened = await Promise.allSettled(wanted.map(([name]) => table.acquire(name)));
  const readings: Reading[] = [];
  let failure: { readonly reason: unknown } | undefined;
  for (const [index, outcome] of opened.entries()) {
    const start = wanted[index]?.[1] ?? {};
    if (outcome.status === 'rejected') failure ??= { reason: outcome.reason };
    else readings.push({ channel: outcome.value, start, first: undefined });
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
  const mark = await parts.broker.mark();
  const verdicts = await Promise.all(readings.map((reading) => judgeChannel(parts, reading)));
  // One after another: the bounds are those of the whole answer, not of each channel.
  const room: Room = { count: countMax, size: ANSWER_SIZE_MAX };
  const reads: ChannelRead[] = [];
  for (const [index, { channel }] of readings.entries()) {
    const verdict = verdicts[index];
    if (verdict !== undefined) reads.push(await readChannel(parts.table, channel, verdict, room));
  }
  const names = new Set(readings.map(({ channel }) => channel.name));
  const since = await parts.broker.changedSince(mark, (name) => names.has(name));
  const later = new Map((since ?? []).map((change) => [change.channel, change]));
  const left = reads.filter(({ more }) => more).map(({ channel, end }) => [channel, end] as const);
  const place = formatPlaceMark({ mark, behind: new Map(left) });
  return {
    ...(place === undefined ? {} : { mark: place }),
    channels: reads.map((read) => upToMark(read, later.get(read.channel))),
  };
}

/** Where a channel's part of the read begins. */
async function judgeChannel(parts: ReadParts, reading: Reading): Promise<Verdict> {
  const { channel, start, first } = reading;
  // The mark was taken before: what it stands for must be at the head.
  await parts.table.settle(channel);
  const after = await resolveMark(parts, channel, start.after);
  const resolved: Start = after === undefined ? start : { ...start, after };
  const bounds = await parts.table.boundsFor(channel, resolved);
  const found = judge(resolved, bounds, channel.rules.resumeCountMax);
  // While it waits the start is a position of our own making: only a loss is news then.
  if (first === undefined || found.recovered === false) return found;
  return { ...first, position: found.position };
}

async function readChannel(
  table: ChannelTable,
  channel: Channel,
  verdict: Verdict,
  room: Room,
): Promise<ChannelRead> {
  const { epoch, offset } = verdict.position;
  // Of another life by now: the next read tells the gap.
  const isSame = epoch === channel.epoch || (epoch === '0' && offset === 0);
  const messages = isSame ? await collect(table, channel, offset, room) : [];
  const end = {
    epoch: messages.length > 0 ? channel.epoch : epoch,
    offset: offset + messages.length,
  };
  return {
    channel: channel.name,
    ...verdict,
    messages,
    end,
    more: !isSame || end.offset < channel.head,
  };
}

/** Leaves out what came after the mark, for the next read. */
function upToMark(read: ChannelRead, change: ChangedChannel | undefined): ChannelRead {
  if (change === undefined) return read;
  const { offset, epoch } = change.position;
  if (epoch !== read.end.epoch || read.end.offset <= offset) return read;
  const excess = Math.min(read.end.offset - offset, read.messages.length);
  if (excess === 0) return read;
  return {
    ...read,
    messages: read.messages.slice(0, read.messages.length - excess),
    end: { epoch, offset: read.end.offset - excess },
    more: true,
  };
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

/** How long one read waits, and what may end its wait. */
class Patience implements Alarm, Waiter {
  alarmTick = 0;
  alarmBefore: AlarmMarks | undefined;
  alarmAfter: AlarmMarks | undefined;
  readonly #parts: Pick<ReadParts, 'wheel' | 'waits'>;
  #over: boolean;
  #resume: (() => void) | undefined;

  constructor(parts: Pick<ReadParts, 'wheel' | 'waits'>, request: ReadRequest) {
    this.#parts = parts;
    this.#over = request.waitMs <= 0 || parts.waits.ended;
    if (this.#over) return;
    parts.wheel.arm(this, request.waitMs);
    parts.waits.add(this);
    request.onWait?.(() => this.onAlarm());
  }

  get isOver(): boolean {
    return this.#over;
  }

  /** Resolves at the first news of one of the channels, or when the patience is over. */
  async news(channels: readonly Channel[]): Promise<void> {
    if (this.#over) return;
    await new Promise<void>((resolve) => {
      this.#resume = resolve;
      for (const channel of channels) channel.waiters.add(this);
    });
    for (const channel of channels) channel.waiters.delete(this);
  }

  onNews(): void {
    this.#resume?.();
    this.#resume = undefined;
  }

  onAlarm(): void {
    this.#over = true;
    this.onNews();
  }

  end(): void {
    this.#parts.wheel.cancel(this);
    this.#parts.waits.remove(this);
  }
}

/**
 * Patient reads: polling and history are the same read of the log with a different patience.
 *
 * A poll that waits for patterns or volatile channels follows them like a live reader, from before
 * it looks for what it missed. When news come it answers with what the turn brought, which is the
 * same for all who wait; only where that does not follow upon what it has is the log asked again.
 */
import { CodedError, isWildcard } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import type { Wheel } from '../wheel.ts';
import type { Channel } from './channel.ts';
import type { ChannelTable } from './channel-table.ts';
import type { ChannelRead, ReadRequest, ReadResult, Start } from './hub-types.ts';
import { Patience } from './patience.ts';
import type { Waits } from './patience.ts';
import { formatPlaceMark } from './place-mark.ts';
import { Follower } from './reading/follower.ts';
import { startAt } from './reading/mark-starts.ts';
import { answerNews } from './reading/news.ts';
import { readRound } from './reading/round.ts';
import type { NameReading, ReadState, Round, RoundParts } from './reading/types.ts';
import { toFilters } from './selection/selection.ts';
import type { SelectionTable } from './selection/selection-table.ts';

/** What a patient read needs. */
export interface ReadParts extends RoundParts {
  readonly wheel: Wheel;
  readonly waits: Waits;
  readonly selections: SelectionTable;
}

/** What a read asks for, told apart. */
interface Asked {
  readonly names: ReadonlyMap<string, Start>;
  readonly volatile: readonly string[];
  readonly patterns: readonly string[];
}

/** Reads what is new, waiting for it when there is nothing. */
export async function patientRead(parts: ReadParts, request: ReadRequest): Promise<ReadResult> {
  const asked = tellApart(parts, request);
  const names = await acquireAll(parts.table, asked.names);
  try {
    const patience = new Patience(parts.wheel, parts.waits, request);
    const follows = asked.patterns.length > 0 || asked.volatile.length > 0;
    let follower: Follower | undefined;
    try {
      const filters = toFilters(request.channels.keys());
      if (follows && !patience.isOver) {
        follower = await Follower.open(parts.selections, filters, request.countMax);
      }
      const state = stateOf(asked, names, request);
      const round = await (follower === undefined
        ? readAndWait(parts, state, patience)
        : follow(parts, state, patience, follower));
      return toResult(parts, asked, round, { follower, countMax: request.countMax });
    } finally {
      follower?.close();
      patience.end();
    }
  } finally {
    for (const { channel } of names) parts.table.release(channel);
  }
}

/** Reads names, and waits for any of them. */
async function readAndWait(parts: ReadParts, begin: ReadState, patience: Patience): Promise<Round> {
  let state = begin;
  for (;;) {
    const round = await readRound(parts, state);
    if (patience.isOver || hasNews(round)) return round;
    state = goOn(state, round);
    if (round.isLate) continue;
    // Something may have come between the read and here: then there is nothing to wait for.
    if (round.channels.some((read, index) => isBehind(read.end, state.names[index]?.channel))) {
      continue;
    }
    await patience.news(state.names.map(({ channel }) => channel));
  }
}

/** Reads what a follower hears of, and waits for it. */
async function follow(
  parts: ReadParts,
  begin: ReadState,
  patience: Patience,
  follower: Follower,
): Promise<Round> {
  let state = begin;
  for (;;) {
    // What is not after the mark that is taken now must not be heard of later.
    parts.table.flushDirty();
    follower.hear();
    const round = await readRound(parts, state);
    if (patience.isOver || hasNews(round) || !follower.passing.isEmpty) return round;
    if (formatPlaceMark(round.place) === undefined) return round;
    state = goOn(state, round);
    // What was heard during the read may be in it or after it.
    if (round.isLate || follower.hasHeard) continue;
    await patience.news([follower]);
    const heard = follower.hear();
    if (heard.kind === 'nothing') return round;
    const news =
      heard.kind === 'news'
        ? answerNews(state, round, heard.news, parts.clock.unixMs())
        : undefined;
    if (news !== undefined) return news;
  }
}

function tellApart({ rulesOf }: ReadParts, { channels }: ReadRequest): Asked {
  const names = new Map<string, Start>();
  const volatile: string[] = [];
  const patterns: string[] = [];
  for (const [filter, start] of channels) {
    if (isWildcard(filter)) patterns.push(filter);
    else if (rulesOf(filter).volatile) volatile.push(filter);
    else names.set(filter, start);
  }
  const places = new Set(patterns.map((pattern) => JSON.stringify(channels.get(pattern))));
  if (places.size > 1) {
    const message = 'the patterns of one poll begin at one place: give one mark for all of them';
    throw new CodedError('bad_request', message);
  }
  return { names, volatile, patterns: toFilters(patterns) };
}

function stateOf(
  { patterns }: Asked,
  names: readonly NameReading[],
  { channels, countMax, snapshot }: ReadRequest,
): ReadState {
  const patternStart = channels.get(patterns[0] ?? '') ?? {};
  const wantsSnapshots = snapshot === true;
  return { names, patterns, patternStart, patternsTold: undefined, countMax, wantsSnapshots };
}

/** The read that goes on where a round without news ended, and tells what that told. */
function goOn(state: ReadState, { channels, patterns, place }: Round): ReadState {
  const mark = formatPlaceMark(place);
  const isAtMark = place.behind.size === 0 && place.rest === undefined;
  const atMark: Start = mark === undefined ? {} : { after: { kind: 'mark', mark } };
  // With patterns all are listed by one question where all stand at the mark.
  const isSwept = isAtMark && state.patterns.length > 0;
  const names = state.names.map(({ channel }, index): NameReading => {
    const { end, recovered } = channels[index] as ChannelRead;
    const start = isSwept ? atMark : startAt(end);
    return { channel, start, told: recovered === undefined ? {} : { recovered } };
  });
  return { ...state, names, patternStart: atMark, patternsTold: patterns };
}

function toResult(
  { clock }: ReadParts,
  { patterns, volatile }: Asked,
  round: Round,
  { follower, countMax }: { readonly follower: Follower | undefined; readonly countMax: number },
): ReadResult {
  const { place, isCut, isLate } = round;
  const mark = formatPlaceMark(place);
  // Without a mark nothing that patterns found could be gone on from: it is left as it was.
  const namesOnly = mark === undefined && patterns.length > 0;
  const channels = namesOnly
    ? round.channels.filter(({ isFound }) => isFound !== true).map(withoutPatterns)
    : round.channels;
  const count = channels.reduce((sum, { messages }) => sum + messages.length, 0);
  const passing = follower?.passing.take(Math.max(0, countMax - count), clock.unixMs()) ?? [];
  const more = isCut || isLate || namesOnly || channels.some((read) => read.more);
  return {
    channels,
    patterns: round.patterns,
    volatile,
    passing,
    more,
    ...(mark === undefined ? {} : { mark }),
  };
}

async function acquireAll(
  table: ChannelTable,
  wanted: ReadonlyMap<string, Start>,
): Promise<NameReading[]> {
  const starts = [...wanted];
  const opened = await Promise.allSettled(starts.map(([name]) => table.acquire(name)));
  const readings: NameReading[] = [];
  let failure: { readonly reason: unknown } | undefined;
  for (const [index, outcome] of opened.entries()) {
    const start = starts[index]?.[1] ?? {};
    if (outcome.status === 'rejected') failure ??= { reason: outcome.reason };
    else readings.push({ channel: outcome.value, start, told: undefined });
  }
  if (failure === undefined) return readings;
  for (const { channel } of readings) table.release(channel);
  throw failure.reason;
}

/** A name as it was, where it was read from further back for patterns. */
function withoutPatterns({ begin, ...read }: ChannelRead): ChannelRead {
  if (begin === undefined) return read;
  return { ...read, position: begin, messages: [], end: begin, more: true };
}

/** True when there is something that is not waited for. */
function hasNews({ channels, patterns, isCut }: Round): boolean {
  if (isCut || [...patterns.values()].some(({ gap }) => gap !== undefined)) return true;
  return channels.some(
    ({ messages, gap, snapshot, more }) =>
      messages.length > 0 || gap !== undefined || snapshot !== undefined || more,
  );
}

function isBehind({ epoch, offset }: Position, channel: Channel | undefined): boolean {
  if (channel === undefined) return false;
  return epoch !== channel.epoch ? offset !== 0 || channel.head > 0 : offset < channel.head;
}

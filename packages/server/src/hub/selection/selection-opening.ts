/**
 * Opening a reader of several channels: where each of them begins, and what is told about that.
 *
 * A reader is told of all news from the moment it is made; then it is found out what it missed
 * before. So nothing falls between the two, however long the second takes.
 */
import { isWildcard, matchesPattern, ORIGIN } from '@trunkline/wire';
import type { Gap, Position } from '@trunkline/wire';
import type { Broker, StreamBounds } from '../../broker/broker.ts';
import type { NamespaceRules } from '../../config/namespace-rules.ts';
import type { Channel } from '../channel.ts';
import type { ChannelTable } from '../channel-table.ts';
import { unavailable } from '../refusals.ts';
import type { Start, Verdict } from '../hub-types.ts';
import type { LogReader } from '../log-reader.ts';
import { formatPlaceMark, NOWHERE_ELSE, parsePlaceMark, placeFor } from '../place-mark.ts';
import type { PlaceMark } from '../place-mark.ts';
import { boundedBy, judge } from '../recovery.ts';
import { changedSincePlace, resolveMark, startAt } from '../reading/mark-starts.ts';
import type { PlacedChannel } from '../reading/mark-starts.ts';
import { SnapshotRoom } from '../snapshots.ts';
import type { Snapshot } from '../snapshots.ts';
import type { Beginnings } from './beginnings.ts';
import { CatchUp, older } from './catch-up.ts';
import type { Leg } from './catch-up.ts';
import { toFilters } from './selection.ts';
import type { SelectionCursor, SelectionSubscriber } from './selection-cursor.ts';
import type { SelectionFanOut } from './selection-fan-out.ts';
import type { SelectionTable } from './selection-table.ts';

/** What opening needs. */
export interface OpeningParts {
  readonly broker: Broker;
  readonly table: ChannelTable;
  readonly reader: LogReader;
  readonly selections: SelectionTable;
  readonly fanOut: SelectionFanOut;
  readonly rulesOf: (channel: string) => NamespaceRules;
  /** The snapshot of a channel, if a reader that starts with it misses nothing. */
  readonly usefulSnapshot: (channel: Channel) => Promise<Snapshot | undefined>;
}

/** What became of the start of one filter. */
export interface FilterVerdict {
  /** Where the cursor stands before anything is delivered; absent for patterns and volatile. */
  readonly position?: Position;
  /** Present when `after` was given: whether everything after it is delivered. */
  readonly recovered?: boolean;
  readonly gap?: Gap;
  readonly volatile?: true;
}

/** A channel found by a pattern whose messages are not all delivered. */
export interface ChannelLoss {
  readonly channel: string;
  readonly gap: Gap;
  readonly position: Position;
}

/** A reader that was opened and not yet started. */
export interface OpenedSelection {
  readonly cursor: SelectionCursor;
  /** Where it stands before anything is delivered, where one mark can say so. */
  readonly mark?: string;
  readonly verdicts: ReadonlyMap<string, FilterVerdict>;
  /** To be told after the answer and before any message. */
  readonly losses: readonly ChannelLoss[];
  /** The states of channels that were named, each at the position of its verdict. */
  readonly snapshots: ReadonlyMap<string, Snapshot>;
}

/** Of a channel to which nobody published. */
const NO_STREAM: StreamBounds = { epoch: ORIGIN.epoch, oldest: 1, top: 0 };

/** What a reader may be opened with beside its starts. */
export interface OpeningOptions {
  /** The session whose own messages are left out. */
  readonly mutedSession?: string;
  /** What is known of others of the session that have the same channels, for patterns. */
  readonly beginnings?: Beginnings | undefined;
  /** Where a name is not recovered, begin at its snapshot if it helps [SNAP-3]. */
  readonly snapshot?: boolean;
}

/** What is being found out. */
interface Opening {
  readonly cursor: SelectionCursor;
  readonly beginnings: Beginnings | undefined;
  readonly legs: Leg[];
  readonly verdicts: Map<string, FilterVerdict>;
  readonly losses: ChannelLoss[];
  readonly snapshots: Map<string, Snapshot>;
  /** Absent where none are asked for. */
  readonly snapshotRoom: SnapshotRoom | undefined;
}

/**
 * Opens a reader; it delivers nothing before it is started.
 *
 * @throws {CodedError} `unavailable` when the log can't be read; `too_large` when the snapshots are
 *   more than are given together.
 */
export async function openSelection(
  parts: OpeningParts,
  subscriber: SelectionSubscriber,
  starts: ReadonlyMap<string, Start>,
  { beginnings, mutedSession, snapshot }: OpeningOptions = {},
): Promise<OpenedSelection> {
  const { selections, fanOut } = parts;
  const selection = await selections.acquire(toFilters(starts.keys()));
  let cursor: SelectionCursor | undefined;
  try {
    if (beginsNow(starts)) await selections.settleChannels(selection);
    await selections.settledPlace(selection);
    const made = fanOut.open(subscriber, selection, mutedSession);
    if (made === undefined) throw unavailable('the log can not say where it stands');
    ({ cursor } = made);
    const catchUp = new CatchUp();
    cursor.catchUp = catchUp;
    const found = { legs: [], verdicts: new Map(), losses: [], snapshots: new Map() };
    const snapshotRoom = snapshot === true ? new SnapshotRoom() : undefined;
    const opening: Opening = { cursor, beginnings, ...found, snapshotRoom };
    const base = await resolveStarts(parts, opening, starts, made.here);
    catchUp.begin(base, [...joined(opening.legs)].map(toLeg));
    cursor.begin = base;
    const mark = formatPlaceMark(base);
    const { verdicts, losses, snapshots } = opening;
    return { cursor, verdicts, losses, snapshots, ...(mark === undefined ? {} : { mark }) };
  } catch (error) {
    if (cursor === undefined) selections.release(selection);
    else fanOut.end(cursor);
    throw error;
  }
}

/** True where a pattern is to have what comes from now on. */
function beginsNow(starts: ReadonlyMap<string, Start>): boolean {
  return [...starts].some(([filter, { after, last }]) => {
    return isWildcard(filter) && after === undefined && last === undefined;
  });
}

/** Finds legs and verdicts. @returns the place from which going on is going on by all legs. */
async function resolveStarts(
  parts: OpeningParts,
  opening: Opening,
  starts: ReadonlyMap<string, Start>,
  here: PlaceMark,
): Promise<PlaceMark> {
  const { legs } = opening;
  // First the names: each has a leg, and what comes after that is part of it. A pattern that has all
  // of a channel has none there: what comes for it afterwards must not be dropped for a name.
  for (const [name, start] of starts) {
    if (!isWildcard(name)) await resolveName(parts, opening, name, start);
  }
  let base: PlaceMark | undefined;
  for (const [start, patterns] of patternsByStart(starts)) {
    const from = await resolvePatterns(parts, opening, patterns, start);
    // One mark for all of it stays that mark; else the place is here, but for the legs.
    if (patterns.length === starts.size) base = from;
  }
  const stands = joined(base === undefined ? legs : opening.losses);
  const behind = new Map([...(base ?? here).behind, ...stands]);
  const { mark } = base ?? here;
  return { mark, behind: behind.size === 0 ? NOWHERE_ELSE : behind };
}

/** One place for each channel: what a name and a pattern begin at is read from further back. */
function joined(legs: readonly Leg[]): ReadonlyMap<string, Position> {
  const places = new Map<string, Position>();
  for (const { channel, position } of legs) {
    places.set(channel, older(places.get(channel), position));
  }
  return places;
}

function toLeg([channel, position]: readonly [string, Position]): Leg {
  return { channel, position };
}

/** Patterns that begin at the same place are resolved by one question. */
function patternsByStart(starts: ReadonlyMap<string, Start>): ReadonlyMap<Start, string[]> {
  const groups = new Map<string, { start: Start; patterns: string[] }>();
  for (const [filter, start] of starts) {
    if (!isWildcard(filter)) continue;
    const key = JSON.stringify(start);
    const group = groups.get(key) ?? { start, patterns: [] };
    group.patterns.push(filter);
    groups.set(key, group);
  }
  return new Map([...groups.values()].map(({ start, patterns }) => [start, patterns]));
}

async function resolveName(
  parts: OpeningParts,
  { cursor, legs, verdicts, snapshots, snapshotRoom }: Opening,
  name: string,
  start: Start,
): Promise<void> {
  const { table, reader, broker } = parts;
  if (parts.rulesOf(name).volatile) {
    verdicts.set(name, { volatile: true });
    return;
  }
  const channel = await table.acquire(name);
  try {
    const resolved = await resolveMark({ broker, table }, channel, start);
    const inMemory = await reader.boundsFor(channel, resolved.start);
    const bounds = boundedBy(inMemory, resolved.stream);
    const verdict = judge(resolved.start, bounds, channel.rules.resumeCountMax);
    const wantsSnapshot = snapshotRoom !== undefined && verdict.recovered !== true;
    const snapshot = wantsSnapshot ? await parts.usefulSnapshot(channel) : undefined;
    snapshotRoom?.take(snapshot);
    if (snapshot !== undefined) snapshots.set(name, snapshot);
    const position = snapshot?.position ?? verdict.position;
    verdicts.set(name, { ...verdict, position });
    // What it was told of since then comes after the verdict, or before and is not wanted.
    cursor.catchUp?.drop(name);
    legs.push({ channel: name, position });
  } finally {
    table.release(channel);
  }
}

/** @returns where the reader stands, if that is a mark the client gave. */
async function resolvePatterns(
  parts: OpeningParts,
  opening: Opening,
  patterns: readonly string[],
  start: Start,
): Promise<PlaceMark | undefined> {
  const { after, last } = start;
  if (after === undefined && last === undefined) {
    for (const pattern of patterns) opening.verdicts.set(pattern, {});
    return undefined;
  }
  if (after?.kind === 'position' || after?.kind === 'unknown') {
    lost(opening, patterns);
    return undefined;
  }
  const from = after?.kind === 'mark' ? placeIn(patterns, after.mark) : undefined;
  const changed = await changedSinceStart(parts.broker, patterns, start, from);
  if (changed === undefined) {
    lost(opening, patterns);
    return undefined;
  }
  const named = from?.behind ?? NOWHERE_ELSE;
  const streams = await opening.beginnings?.find(changed);
  const placed =
    streams === undefined
      ? changed
      : changed.map((one) => ({ ...one, stream: streams.get(one.channel) ?? one.stream }));
  const found = judgeChannels(parts, opening, placed, start, named);
  for (const pattern of patterns) {
    const loss = found.find(({ channel }) => matchesPattern(pattern, channel));
    const gap = loss === undefined ? {} : { gap: loss.gap };
    const told = after === undefined ? {} : { recovered: loss === undefined, ...gap };
    opening.verdicts.set(pattern, told);
  }
  // Of a place on the way through many channels the legs say more than one mark can.
  return from?.rest === undefined ? from : undefined;
}

/** What a mark says of the channels that patterns match: it comes from a stranger, or from more. */
function placeIn(patterns: readonly string[], text: string): PlaceMark {
  const isMatched = (channel: string): boolean =>
    patterns.some((pattern) => matchesPattern(pattern, channel));
  return placeFor(parsePlaceMark(text), isMatched);
}

/** The channels that may have something after the start, and where each of them begins. */
async function changedSinceStart(
  broker: Broker,
  patterns: readonly string[],
  start: Start,
  from: PlaceMark | undefined,
): Promise<readonly PlacedChannel[] | undefined> {
  if (from !== undefined) return changedSinceOwn(broker, patterns, from);
  const changed = await broker.changedSince(undefined, patterns);
  return changed?.map(({ channel, stream }) => ({ channel, stream, start }));
}

/**
 * The same for a mark. A channel that the mark names stands elsewhere: it may have changed though it
 * did not since the mark, and its stream may be another one by now.
 */
async function changedSinceOwn(
  broker: Broker,
  patterns: readonly string[],
  from: PlaceMark,
): Promise<readonly PlacedChannel[] | undefined> {
  const changed = await changedSincePlace(broker, from, patterns);
  if (changed === undefined) return undefined;
  const found = new Set(changed.map(({ channel }) => channel));
  const others = [...from.behind].filter(([channel]) => !found.has(channel));
  if (others.length === 0) return changed;
  const all = await broker.changedSince(
    undefined,
    others.map(([channel]) => channel),
  );
  const streams = new Map(all?.map(({ channel, stream }) => [channel, stream]));
  const placed = others.map(([channel, position]): PlacedChannel => {
    return { channel, stream: streams.get(channel) ?? NO_STREAM, start: startAt(position) };
  });
  return [...changed, ...placed];
}

/** Nothing can be told of where these stood; they are live from here on. */
function lost({ verdicts }: Opening, patterns: readonly string[]): void {
  for (const pattern of patterns) {
    verdicts.set(pattern, { recovered: false, gap: { reason: 'unknown' } });
  }
}

/** @param named places that the mark says apart. @returns what is lost. */
function judgeChannels(
  { rulesOf, table }: OpeningParts,
  { cursor, legs, losses }: Opening,
  changed: readonly PlacedChannel[],
  { partial }: Start,
  named: ReadonlyMap<string, Position>,
): readonly ChannelLoss[] {
  const found: ChannelLoss[] = [];
  for (const { channel, start, stream } of changed) {
    const rules = rulesOf(channel);
    // A mark comes from a stranger, or from before its namespace said so [VOL-1].
    if (rules.volatile) continue;
    const asked: Start = partial === undefined ? start : { ...start, partial };
    const verdict: Verdict = judge(asked, stream, rules.resumeCountMax);
    if (verdict.gap !== undefined) {
      found.push({ channel, gap: verdict.gap, position: verdict.position });
    }
    const { position: begin } = verdict;
    const isAtTop = begin.epoch === stream.epoch && begin.offset >= stream.top;
    // What it was told of since it was made comes after the verdict, or before and is not wanted.
    const hasNews = cursor.catchUp?.drop(channel) !== undefined;
    // The log may be ahead of what this node was told, and so may be what a mark names: what was
    // said to be lost must not come, nor what the reader has come again.
    const isLost = verdict.gap !== undefined;
    const isAhead = named.has(channel) && !table.isTold(channel, begin);
    if (hasNews || !isAtTop || isLost || isAhead) legs.push({ channel, position: begin });
  }
  losses.push(...found);
  return found;
}

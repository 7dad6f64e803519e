/** The channels that a read names: where each begins, and what is told about that. */
import { isOrigin } from '@trunkline/wire';
import type { Gap, Position } from '@trunkline/wire';
import type { ChangedChannel } from '../../broker/broker.ts';
import type { Channel } from '../channel.ts';
import type { Start, Verdict } from '../hub-types.ts';
import { boundedBy, judge } from '../recovery.ts';
import type { StreamBounds } from '../recovery.ts';
import { SnapshotRoom } from '../snapshots.ts';
import { resolveMarks, startAt } from './mark-starts.ts';
import type { ResolvedStart } from './mark-starts.ts';
import { boundsAt, isLeft, startIn, startOfLost } from './sweep.ts';
import type { Sweep } from './sweep.ts';
import type { Entry, NameReading, ReadState, RoundParts, RoundPlan } from './types.ts';

/** A name whose start is no mark any more. */
export interface ResolvedName extends Begin {
  readonly reading: NameReading;
  readonly isSwept: boolean;
  /** Where the patterns that match it begin, if that is elsewhere. */
  readonly met: Begin | undefined;
}

/** Where something begins in a channel. */
interface Begin {
  /** Absent where the sweep has come to it before: it stands at the mark. */
  readonly start: Start | undefined;
  /** True where what is left of what was lost is wanted. */
  readonly partial: boolean;
  /** As far as the start needs them. */
  readonly bounds: StreamBounds;
}

/** Where the names begin. Their channels are settled. */
export async function resolveNames(
  { broker, reader }: RoundParts,
  { names, patternStart }: ReadState,
  plan: RoundPlan,
): Promise<readonly ResolvedName[]> {
  const own = names.filter(({ channel }) => !plan.swept.has(channel.name));
  const resolved = await resolveMarks(broker, own);
  const ownStarts = new Map(own.map((reading, index) => [reading, resolved[index]]));
  const beginAt = async (
    channel: Channel,
    { partial = false }: Start,
    from: ResolvedStart | undefined,
  ): Promise<Begin> => {
    const inMemory = await reader.boundsFor(channel, from?.start ?? {});
    return { start: from?.start, partial, bounds: boundedBy(inMemory, from?.stream) };
  };
  const resolve = async (reading: NameReading): Promise<ResolvedName> => {
    const { channel, start } = reading;
    const { name } = channel;
    const from = ownStarts.get(reading) ?? startOfSwept(plan, channel, start);
    const begin = await beginAt(channel, start, from);
    const isMet = plan.sweep !== undefined && plan.met.has(name);
    const met = isMet
      ? await beginAt(channel, patternStart, startOfSwept(plan, channel, patternStart))
      : undefined;
    return { reading, ...begin, isSwept: plan.swept.has(name), met };
  };
  return Promise.all(names.map(resolve));
}

/** True for a name that may have, or stand at, something from after the mark. */
export function isDoubtful(
  { bounds, start }: ResolvedName,
  told: Position | undefined,
  isLate: boolean,
): boolean {
  if (start === undefined || isLate) return true;
  return told === undefined || told.epoch !== bounds.epoch || told.offset < bounds.top;
}

/** What is before a mark was told: nobody needs to ask that again. */
export function setTold({ reading, bounds }: ResolvedName): void {
  const { channel } = reading;
  if (channel.epoch === bounds.epoch) channel.told = Math.max(channel.told, bounds.top);
}

/** What is known of the names when they are judged. */
interface NamesFound {
  readonly resolved: readonly ResolvedName[];
  /** What changed since the mark, by channel. */
  readonly since: ReadonlyMap<string, ChangedChannel>;
  readonly sweep: Sweep | undefined;
}

/**
 * What is to be read of the names.
 *
 * @throws {CodedError} `too_large` when the snapshots do not fit into one answer.
 */
export async function judgeNames(
  { usefulSnapshot }: RoundParts,
  { wantsSnapshots }: ReadState,
  { resolved, since, sweep }: NamesFound,
): Promise<readonly Entry[]> {
  const entries: Entry[] = [];
  const room = new SnapshotRoom();
  for (const found of resolved) {
    const { channel } = found.reading;
    const change = since.get(channel.name);
    const entry = toEntry(found, change, sweep);
    const wants = wantsSnapshots && entry.verdict.recovered !== true;
    const snapshot = wants ? await usefulSnapshot(channel) : undefined;
    room.take(snapshot);
    const from = snapshot?.position ?? entry.verdict.position;
    const begun = { ...entry, verdict: { ...entry.verdict, position: from } };
    const own = snapshot === undefined ? entry : { ...begun, snapshot };
    entries.push(join(own, found, change, sweep));
  }
  return entries;
}

/**
 * One channel is read once, from the older of the places at which the name and patterns begin
 * [POLL-10]. Where that is the patterns' it is the sweep that comes to it.
 */
function join(
  entry: Entry,
  found: ResolvedName,
  change: ChangedChannel | undefined,
  sweep: Sweep | undefined,
): Entry {
  const { met, reading } = found;
  if (met === undefined) return entry;
  const patterns = verdictOf(reading.channel, met, change, sweep);
  const { verdict: own } = entry;
  const isOlder = isBefore(patterns.position, own.position, met.bounds);
  const { position } = isOlder ? patterns : own;
  const gap = lossUpTo(position, patterns.gap);
  const recovered = own.recovered === undefined ? {} : { recovered: false };
  const told = gap === undefined ? own : { ...own, ...recovered, gap };
  const loss = gap === undefined ? {} : { gap };
  const joined = { ...entry, verdict: { ...told, position }, loss };
  if (!isOlder) return joined;
  const isAtMark = met.start === undefined && patterns.gap === undefined;
  const place = isAtMark ? { epoch: position.epoch, top: position.offset } : {};
  return { ...joined, ...place, own, isSwept: true };
}

/** What of a loss is not delivered all the same, where it is read from a position. */
function lossUpTo({ offset }: Position, gap: Gap | undefined): Gap | undefined {
  const { from = 0, to = 0 } = gap ?? {};
  if (gap === undefined || to <= offset) return gap;
  return from > offset ? undefined : { ...gap, to: offset };
}

/** @param position where patterns begin: at the mark, the stream may have had another life. */
function isBefore(position: Position, own: Position, { epoch }: StreamBounds): boolean {
  if (position.epoch === own.epoch || isOrigin(position)) return position.offset < own.offset;
  return position.epoch !== epoch;
}

function toEntry(
  found: ResolvedName,
  change: ChangedChannel | undefined,
  sweep: Sweep | undefined,
): Entry {
  const { bounds, isSwept, reading, start } = found;
  const { channel } = reading;
  const named = { name: channel.name, channel, isSwept };
  // Where a sweep begins may be told in a later answer than the first: it is counted from the mark.
  const verdict = verdictOf(channel, found, isSwept ? change : undefined, sweep);
  const { position } = verdict;
  if (start === undefined && verdict.gap === undefined) {
    return { ...named, verdict, epoch: position.epoch, top: position.offset };
  }
  const top = topAt(bounds, change?.position);
  return { ...named, verdict: tell(reading, verdict), epoch: bounds.epoch, top };
}

/** @param change since the mark, from which the newest are counted. */
function verdictOf(
  { rules }: Channel,
  { start, partial, bounds }: Begin,
  change: ChangedChannel | undefined,
  sweep: Sweep | undefined,
): Verdict {
  const known = boundedBy(bounds, change?.stream);
  if (start !== undefined) {
    const atMark = boundsAt(bounds, change);
    if (atMark === undefined && change !== undefined && sweep !== undefined) {
      return judge(startOfLost(sweep, start, change), known, rules.resumeCountMax);
    }
    const stream = start.after === undefined ? atMark : undefined;
    return judge(start, stream ?? bounds, rules.resumeCountMax);
  }
  const { position } = change ?? { position: { epoch: bounds.epoch, offset: bounds.top } };
  const isLost = position.epoch === known.epoch && position.offset + 1 < known.oldest;
  // Where it stood at the mark nobody may know any more: it must not be sent back to before that.
  if (isLost) return judge({ ...startAt(position), partial }, known, rules.resumeCountMax);
  return { position, recovered: true };
}

/** Where a name stands in the sweep; `undefined` when that is at its mark. */
function startOfSwept(
  { sweep, changed, heads }: RoundPlan,
  channel: Channel,
  { partial }: Start,
): ResolvedStart | undefined {
  const { name } = channel;
  if (sweep === undefined || !isLeft(sweep, name)) return undefined;
  const change = changed.get(name);
  const position = change?.position ?? heads.get(name) ?? channel.position;
  const found = startIn(sweep, name, position);
  const start = partial === undefined ? found : { ...found, partial };
  const isLookedUp = sweep.from.kind === 'mark' && !sweep.behind.has(name);
  return isLookedUp && change !== undefined ? { start, stream: change.stream } : { start };
}

/** What the client is told of its own start. */
function tell({ start, told }: NameReading, verdict: Verdict): Verdict {
  if (verdict.recovered === false) return verdict;
  // While it waits the start is a position of our own making: only a loss is news then.
  if (told !== undefined) return { ...told, position: verdict.position };
  return start.after === undefined ? verdict : { ...verdict, recovered: true };
}

/** Where the stream stood at the mark; −1 where it was another one. */
function topAt(bounds: StreamBounds, then: Position | undefined): number {
  if (then === undefined) return bounds.top;
  if (isOrigin(then)) return 0;
  return then.epoch === bounds.epoch ? then.offset : -1;
}

/**
 * Round: one look at everything that a read asks for.
 *
 * The mark comes first: it is the place at which all channels stand after the answer. Only then is
 * listed what changed, so that everything up to the mark is in the list, and what came after it is
 * left for the next read. So going on by the mark or by positions gives the same, each message once.
 */
import type { Gap, Position } from '@trunkline/wire';
import { unavailable } from '../refusals.ts';
import type { Channel } from '../channel.ts';
import type { ChannelRead, Start } from '../hub-types.ts';
import { formatPlaceMark } from '../place-mark.ts';
import type { PlaceMark } from '../place-mark.ts';
import { readEntries } from './entries.ts';
import { judgeFound, listFound, matchesAny } from './found.ts';
import { changedSinceStart } from './mark-starts.ts';
import { isDoubtful, judgeNames, resolveNames, setTold } from './named.ts';
import { placeAfter, sweepOf } from './sweep.ts';
import type { Cut } from './sweep.ts';
import type { Entry, ReadState, Round, RoundParts, RoundPlan, Told } from './types.ts';

const NONE: ReadonlySet<string> = new Set();

/** Reads everything up to a mark, as far as one answer has room. */
export async function readRound(parts: RoundParts, state: ReadState): Promise<Round> {
  const { names, patterns, countMax } = state;
  // What the broker told of before it is asked for a mark is not after the mark.
  const told = new Map(names.map(({ channel }) => [channel.name, toldOf(channel)]));
  const plan = await planRound(parts, state, told);
  if (plan === undefined) return readRound(parts, lose(state));
  const resolved = await resolveNames(parts, state, plan);
  const found = await listFound(parts, state, plan);
  const doubtful = resolved.filter((name) =>
    isDoubtful(name, told.get(name.reading.channel.name), plan.isLate),
  );
  const filters = [
    ...(found.length === 0 ? [] : patterns),
    ...doubtful.map(({ reading }) => reading.channel.name),
  ];
  const changes = filters.length === 0 ? [] : await parts.broker.changedSince(plan.target, filters);
  if (changes === undefined) {
    if (plan.sweep === undefined) throw unavailable('the log does not know the mark it gave');
    return readRound(parts, lose(state));
  }
  const since = new Map(changes.map((change) => [change.channel, change]));
  for (const name of doubtful) if (!since.has(name.reading.channel.name)) setTold(name);
  const elsewhere = new Map<string, Position>();
  const beyond = new Map<string, Position>();
  const named = await judgeNames(parts, state, { resolved, since, sweep: plan.sweep });
  const swept = [
    ...named.filter(({ isSwept }) => isSwept),
    ...judgeFound(parts, state, plan, { found, since, elsewhere }),
  ].sort((a, b) => (a.name < b.name ? -1 : 1));
  const own = named.filter(({ isSwept }) => !isSwept);
  const { reads, cut } = await readEntries(parts, { own, swept, elsewhere, beyond, countMax });
  const channels = inOrder(state, reads);
  return {
    channels,
    patterns: tellPatterns(state, channels, lossesIn(plan, named, cut)),
    place: placeOf(plan, { elsewhere, beyond, cut }),
    isLate: plan.isLate,
    isCut: cut !== undefined,
  };
}

/** Where everything stands afterwards. What is beyond the mark is told again if it has no room. */
function placeOf(
  { target, sweep }: RoundPlan,
  {
    elsewhere,
    beyond,
    cut,
  }: {
    readonly elsewhere: ReadonlyMap<string, Position>;
    readonly beyond: ReadonlyMap<string, Position>;
    readonly cut: Cut | undefined;
  },
): PlaceMark {
  if (beyond.size > 0) {
    const place = placeAfter(target, new Map([...elsewhere, ...beyond]), sweep, cut);
    if (formatPlaceMark(place) !== undefined) return place;
  }
  return placeAfter(target, elsewhere, sweep, cut);
}

/** Takes the mark, and lists what changed before it; `undefined` when nobody can tell any more. */
async function planRound(
  parts: RoundParts,
  state: ReadState,
  told: ReadonlyMap<string, Position>,
): Promise<RoundPlan | undefined> {
  const { broker, table } = parts;
  const { names, patterns } = state;
  const start = sweepStart(state);
  const swept = new Set(namesFrom(state, start));
  const isMeant = (channel: string): boolean => swept.has(channel) || matchesAny(patterns, channel);
  const sweep = start === undefined ? undefined : sweepOf(start, isMeant);
  const target = sweep?.target ?? (await broker.mark());
  // What the mark stands for must be at the heads.
  await Promise.all(names.map(({ channel }) => table.settle(channel)));
  // Before anything is listed: what comes meanwhile is then after them.
  const heads = new Map(names.map(({ channel }) => [channel.name, channel.position]));
  const isLate = sweep?.target !== undefined;
  const met = new Set(
    names
      .map(({ channel }) => channel.name)
      .filter((name) => !swept.has(name) && matchesAny(patterns, name)),
  );
  const plan = { target, isLate, sweep, swept: sweep === undefined ? NONE : swept, met, heads };
  if (sweep === undefined) return { ...plan, changed: new Map() };
  const { from } = sweep;
  const filters = from.kind === 'mark' ? [...patterns, ...swept] : patterns;
  const isAtHead = (name: string): boolean => isUpTo(heads.get(name), told.get(name));
  // What was told by now was told before the mark only where that was taken just now.
  const isNew = !isLate && from.kind === 'mark' && from.mark === target;
  const isNow = isNew && [...swept, ...met].every(isAtHead);
  if (isNow || filters.length === 0) return { ...plan, changed: new Map() };
  const changed = await changedSinceStart(broker, from, filters);
  if (changed === undefined) return undefined;
  return { ...plan, changed: new Map(changed.map((change) => [change.channel, change])) };
}

/** Newest that the broker told by itself of the channel's present life. */
function toldOf({ epoch, told }: Channel): Position {
  return { epoch, offset: told };
}

/** True when nothing came after what was told before the mark was taken. */
function isUpTo(head: Position | undefined, told: Position | undefined): boolean {
  return head?.epoch === told?.epoch && (head?.offset ?? 0) <= (told?.offset ?? 0);
}

/** Where the sweep begins: where the patterns do, or, with names alone, the first of several. */
function sweepStart({ names, patterns, patternStart }: ReadState): Start | undefined {
  if (patterns.length > 0) return patternStart;
  return names.length > 1 ? names[0]?.start : undefined;
}

/** The names that begin where the sweep does. */
function namesFrom({ names }: ReadState, start: Start | undefined): string[] {
  if (start === undefined) return [];
  const same = JSON.stringify(start);
  return names
    .filter((reading) => JSON.stringify(reading.start) === same)
    .map(({ channel }) => channel.name);
}

/** The same read where all that begins with the sweep's mark is lost: it goes on from now. */
function lose(state: ReadState): ReadState {
  const start = sweepStart(state);
  const lost = new Set(namesFrom(state, start));
  const text = start?.after?.kind === 'mark' ? start.after.mark : '';
  const unknown: Start = { ...start, after: { kind: 'unknown', text } };
  const names = state.names.map((reading) =>
    lost.has(reading.channel.name) ? { ...reading, start: unknown } : reading,
  );
  return { ...state, names, patternStart: unknown };
}

/** Names as they were given, then what was found. */
function inOrder({ names }: ReadState, reads: readonly ChannelRead[]): readonly ChannelRead[] {
  const byName = new Map(reads.map((read) => [read.channel, read]));
  const named = names.flatMap(({ channel }) => byName.get(channel.name) ?? []);
  const isNamed = new Set(named);
  return [...named, ...reads.filter((read) => !isNamed.has(read))];
}

/** What patterns lose in the names that begin elsewhere than they do. */
function lossesIn(
  { met }: RoundPlan,
  entries: readonly Entry[],
  cut: Cut | undefined,
): ReadonlyMap<string, Gap | undefined> {
  const losses = new Map<string, Gap | undefined>();
  for (const { name, loss } of entries) {
    // What the sweep has not come to is told when it does.
    const isLeft = cut?.left.includes(name) === true;
    if (met.has(name)) losses.set(name, isLeft ? undefined : loss?.gap);
  }
  return losses;
}

/**
 * What is told of the patterns: nothing is lost in one when nothing is in any of its channels.
 *
 * @param others what they lose in those that begin elsewhere.
 */
function tellPatterns(
  { patterns, patternStart, patternsTold }: ReadState,
  reads: readonly ChannelRead[],
  others: ReadonlyMap<string, Gap | undefined>,
): ReadonlyMap<string, Told> {
  const { after } = patternStart;
  const losses = reads
    .map(({ channel, gap }) => ({ channel, gap: others.has(channel) ? others.get(channel) : gap }))
    .filter(({ gap }) => gap !== undefined);
  const tell = (pattern: string): Told => {
    const unknown: Gap = { reason: 'unknown' };
    const isUnknown = after?.kind === 'unknown' || after?.kind === 'position';
    const gap = isUnknown
      ? unknown
      : losses.find(({ channel }) => matchesAny([pattern], channel))?.gap;
    if (gap !== undefined) return { recovered: false, gap };
    if (patternsTold !== undefined) return patternsTold.get(pattern) ?? {};
    return after === undefined ? {} : { recovered: true };
  };
  return new Map(patterns.map((pattern) => [pattern, tell(pattern)]));
}

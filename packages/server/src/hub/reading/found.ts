/** The channels that patterns find: which may have something, and what is told about that. */
import { matchesPattern, ORIGIN } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import type { Broker, ChangedChannel, StreamBounds } from '../../broker/broker.ts';
import { judge } from '../recovery.ts';
import { boundsAt, isLeft, startIn, startOfLost } from './sweep.ts';
import type { Elsewhere, Entry, ReadState, RoundParts, RoundPlan } from './types.ts';

/** Streams whose bounds are read at once. */
const READS_AT_ONCE_MAX = 16;

/** What patterns found that may have something up to the mark. */
export async function listFound(
  { broker, rulesOf }: RoundParts,
  { names, patterns }: ReadState,
  { sweep, changed }: RoundPlan,
): Promise<readonly ChangedChannel[]> {
  if (sweep === undefined || patterns.length === 0) return [];
  const named = new Set(names.map(({ channel }) => channel.name));
  const isFound = (channel: string): boolean => !named.has(channel) && !rulesOf(channel).volatile;
  const found = [...changed.values()].filter(
    ({ channel, position, stream }) =>
      isLeft(sweep, channel) &&
      isFound(channel) &&
      (sweep.behind.has(channel) ||
        position.epoch !== stream.epoch ||
        position.offset < stream.top),
  );
  // Read in part before the mark was given, and not changed since.
  const rest = [...sweep.behind.keys()].filter(
    (channel) => !changed.has(channel) && isFound(channel) && matchesAny(patterns, channel),
  );
  return [...found, ...(await boundsOf(broker, rest))];
}

/**
 * What is to be read of what was found.
 *
 * @param since what changed since the mark, asked for after `found` was.
 * @param elsewhere is given those that stand beyond the mark.
 */
export function judgeFound(
  { rulesOf }: RoundParts,
  { patternStart }: ReadState,
  { sweep }: RoundPlan,
  {
    found,
    since,
    elsewhere,
  }: {
    readonly found: readonly ChangedChannel[];
    readonly since: ReadonlyMap<string, ChangedChannel>;
    readonly elsewhere: Elsewhere;
  },
): readonly Entry[] {
  if (sweep === undefined) return [];
  const { partial } = patternStart;
  return found.flatMap(({ channel: name, position, stream }) => {
    const change = since.get(name);
    const bounds = boundsAt(stream, change);
    const own = sweep.behind.get(name);
    const now = change?.stream ?? stream;
    if (own !== undefined && isBeyond(own, bounds, now)) {
      elsewhere.set(name, own);
      return [];
    }
    const start = startIn(sweep, name, position);
    const asked = partial === undefined ? start : { ...start, partial };
    const { resumeCountMax } = rulesOf(name);
    if (bounds === undefined) {
      const from = change === undefined ? asked : startOfLost(sweep, asked, change);
      const verdict = judge(from, now, resumeCountMax);
      return [{ name, verdict, epoch: now.epoch, top: -1, isSwept: true, isBeyond: true }];
    }
    const { epoch, top } = bounds;
    const verdict = judge(asked, bounds, resumeCountMax);
    const isEmpty = verdict.gap === undefined && verdict.position.offset >= top;
    return isEmpty ? [] : [{ name, verdict, epoch, top, isSwept: true }];
  });
}

/** True for a place that is of the stream and behind the mark: a stream had read ahead of it. */
function isBeyond(own: Position, atMark: StreamBounds | undefined, now: StreamBounds): boolean {
  if (own.epoch !== now.epoch || own.offset > now.top) return false;
  if (atMark === undefined) return own.offset + 1 >= now.oldest;
  return own.epoch !== atMark.epoch || own.offset > atMark.top;
}

/** True when one of the patterns matches. */
export function matchesAny(patterns: readonly string[], channel: string): boolean {
  return patterns.some((pattern) => matchesPattern(pattern, channel));
}

async function boundsOf(
  broker: Pick<Broker, 'read'>,
  names: readonly string[],
): Promise<readonly ChangedChannel[]> {
  const found: ChangedChannel[] = [];
  const range = { after: 0, countMax: 0, sizeMax: 0 };
  for (let index = 0; index < names.length; index += READS_AT_ONCE_MAX) {
    const part = names.slice(index, index + READS_AT_ONCE_MAX);
    const streams = await Promise.all(part.map((name) => broker.read(name, range)));
    for (const [at, channel] of part.entries()) {
      const stream: StreamBounds | undefined = streams[at];
      if (stream !== undefined) found.push({ channel, position: ORIGIN, stream });
    }
  }
  return found;
}

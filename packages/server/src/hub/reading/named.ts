/** The channels that a read names: where each begins, and what is told about that. */
import { CodedError, isOrigin } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import type { ChangedChannel } from '../../broker/broker.ts';
import type { Start, Verdict } from '../hub-types.ts';
import { judge } from '../recovery.ts';
import type { StreamBounds } from '../recovery.ts';
import { resolveMarks } from './mark-starts.ts';
import { isLeft, startIn } from './sweep.ts';
import type { Entry, NameReading, ReadState, RoundParts, RoundPlan } from './types.ts';

/** Bytes of the snapshots of one answer: four of the largest. */
const SNAPSHOTS_SIZE_MAX = 4 * 1024 * 1024;

/** A name whose start is no mark any more. */
export interface ResolvedName {
  readonly reading: NameReading;
  readonly bounds: StreamBounds;
  /** Where it begins, as far as its own stream says. */
  readonly verdict: Verdict;
  readonly isSwept: boolean;
  /** The sweep has come to it before: it stands at the mark. */
  readonly isDone: boolean;
}

/** Where the names begin. Their channels are settled. */
export async function resolveNames(
  { broker, reader }: RoundParts,
  { names }: ReadState,
  plan: RoundPlan,
): Promise<readonly ResolvedName[]> {
  const own = names.filter(({ channel }) => !plan.swept.has(channel.name));
  const resolved = await resolveMarks(broker, own);
  const ownStarts = new Map(own.map((reading, index) => [reading, resolved[index]]));
  const resolve = async (reading: NameReading): Promise<ResolvedName> => {
    const { channel } = reading;
    const { name } = channel;
    const start = ownStarts.get(reading) ?? startOfSwept(plan, reading);
    const bounds = await reader.boundsFor(channel, start ?? {});
    const verdict = judge(start ?? {}, bounds, channel.rules.resumeCountMax);
    const isSwept = plan.swept.has(name);
    return { reading, bounds, verdict, isSwept, isDone: start === undefined };
  };
  return Promise.all(names.map(resolve));
}

/** True for a name that may have, or stand at, something from after the mark. */
export function isDoubtful(
  { bounds, isDone }: ResolvedName,
  told: Position | undefined,
  isLate: boolean,
): boolean {
  if (isDone || isLate) return true;
  return told === undefined || told.epoch !== bounds.epoch || told.offset < bounds.top;
}

/** What is before a mark was told: nobody needs to ask that again. */
export function setTold({ reading, bounds }: ResolvedName): void {
  const { channel } = reading;
  if (channel.epoch === bounds.epoch) channel.told = Math.max(channel.told, bounds.top);
}

/**
 * What is to be read of the names.
 *
 * @param since what changed since the mark, by channel.
 * @throws {CodedError} `too_large` when the snapshots do not fit into one answer.
 */
export async function judgeNames(
  { usefulSnapshot }: RoundParts,
  { wantsSnapshots }: ReadState,
  resolved: readonly ResolvedName[],
  since: ReadonlyMap<string, ChangedChannel>,
): Promise<readonly Entry[]> {
  const entries = resolved.map((found) => toEntry(found, since.get(found.reading.channel.name)));
  if (!wantsSnapshots) return entries;
  const withSnapshots: Entry[] = [];
  let size = 0;
  for (const [index, entry] of entries.entries()) {
    const channel = resolved[index]?.reading.channel;
    const wants = channel !== undefined && entry.verdict.recovered !== true;
    const snapshot = wants ? await usefulSnapshot(channel) : undefined;
    size += snapshot?.payload.length ?? 0;
    if (size > SNAPSHOTS_SIZE_MAX) {
      const message = `the snapshots have more than ${SNAPSHOTS_SIZE_MAX} bytes: ask for fewer`;
      throw new CodedError('too_large', message);
    }
    const from = snapshot?.position ?? entry.verdict.position;
    const begun = { ...entry, verdict: { ...entry.verdict, position: from } };
    withSnapshots.push(snapshot === undefined ? entry : { ...begun, snapshot });
  }
  return withSnapshots;
}

function toEntry(found: ResolvedName, change: ChangedChannel | undefined): Entry {
  const { bounds, isSwept, isDone, reading } = found;
  const { channel } = reading;
  const named = { name: channel.name, channel, isSwept };
  const then = change?.position;
  if (!isDone) {
    return { ...named, verdict: tell(found), epoch: bounds.epoch, top: topAt(bounds, then) };
  }
  const position = then ?? found.verdict.position;
  const verdict = { position, recovered: true };
  return { ...named, verdict, epoch: position.epoch, top: position.offset };
}

/** Where a name stands in the sweep; `undefined` when that is at its mark. */
function startOfSwept(
  { sweep, changed, heads }: RoundPlan,
  { channel, start }: NameReading,
): Start | undefined {
  const { name } = channel;
  if (sweep === undefined || !isLeft(sweep, name)) return undefined;
  const position = changed.get(name)?.position ?? heads.get(name) ?? channel.position;
  const found = startIn(sweep, name, position);
  return start.partial === undefined ? found : { ...found, partial: start.partial };
}

/** What the client is told of its own start. */
function tell({ reading, verdict }: ResolvedName): Verdict {
  const { start, told } = reading;
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

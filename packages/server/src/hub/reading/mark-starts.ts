/**
 * Where a mark begins in each channel.
 *
 * What is told of a channel is its place at the mark. A place that a read left on its way through
 * many channels stands at two marks at once: which of them holds is decided by the channel's name.
 */
import { isOrigin } from '@trunkline/wire';
import type { After, Position } from '@trunkline/wire';
import type { Broker, ChangedChannel, ChannelFilter, StreamBounds } from '../../broker/broker.ts';
import type { Channel } from '../channel.ts';
import type { ChannelTable } from '../channel-table.ts';
import type { Start } from '../hub-types.ts';
import { parsePlaceMark } from '../place-mark.ts';
import type { PlaceMark, PlaceStart } from '../place-mark.ts';

/** A channel that may have something after a place. */
export interface PlacedChannel {
  readonly channel: string;
  /** Where it stood; never a mark. */
  readonly start: Start;
  /** Where its stream is now. */
  readonly stream: StreamBounds;
}

/** A start that names no mark. */
export interface ResolvedStart {
  readonly start: Start;
  /** What the log had when it was asked about the mark: see `boundedBy`. */
  readonly stream?: StreamBounds;
}

/** A channel that is settled, and where it is to be read from. */
export interface MarkReading {
  readonly channel: Channel;
  readonly start: Start;
}

/**
 * The channels of `filters` that changed since a place; `undefined` when that can't be told. Those
 * that the place names itself may be missing when nothing came since its mark.
 */
export async function changedSincePlace(
  broker: Pick<Broker, 'changedSince'>,
  { mark, behind, rest }: PlaceMark,
  filters: ChannelFilter,
): Promise<readonly PlacedChannel[] | undefined> {
  const changed = await broker.changedSince(mark, filters);
  if (changed === undefined) return undefined;
  const placed = new Map<string, PlacedChannel>();
  const atMark = new Map<string, Position>();
  for (const { channel, position, stream } of changed) {
    atMark.set(channel, position);
    placed.set(channel, { channel, stream, start: startAt(behind.get(channel) ?? position) });
  }
  if (rest === undefined) return [...placed.values()];
  const left = await changedSinceStart(broker, rest.from, filters);
  if (left === undefined) return undefined;
  for (const change of left) {
    const { channel, stream } = change;
    if (channel <= rest.after || behind.has(channel)) continue;
    const start = startFrom(rest.from, change, atMark.get(channel));
    placed.set(channel, { channel, stream, start });
  }
  return [...placed.values()];
}

/** The channels that have something after the beginning of a read. */
export function changedSinceStart(
  broker: Pick<Broker, 'changedSince'>,
  from: PlaceStart,
  filters: ChannelFilter,
): Promise<readonly ChangedChannel[] | undefined> {
  return broker.changedSince(from.kind === 'mark' ? from.mark : undefined, filters);
}

/** Where a start that names a mark begins in one channel. */
export async function resolveMark(
  parts: { readonly broker: Broker; readonly table: ChannelTable },
  channel: Channel,
  start: Start,
): Promise<ResolvedStart> {
  if (start.after?.kind !== 'mark') return { start };
  await parts.table.settle(channel);
  const [resolved = { start }] = await resolveMarks(parts.broker, [{ channel, start }]);
  return resolved;
}

/**
 * The starts of channels that are settled, with positions for marks. Each mark is looked up once
 * for all of them.
 */
export async function resolveMarks(
  broker: Pick<Broker, 'changedSince'>,
  readings: readonly MarkReading[],
): Promise<readonly ResolvedStart[]> {
  // The heads are taken first: what comes while the marks are looked up is then after them.
  const heads = readings.map(({ channel }) => channel.position);
  const lookups = new Map<string, Promise<readonly PlacedChannel[] | undefined>>();
  const lookUp = (
    mark: string,
    place: PlaceMark,
  ): Promise<readonly PlacedChannel[] | undefined> => {
    const known = lookups.get(mark);
    if (known !== undefined) return known;
    const names = readings
      .filter(({ start }) => start.after?.kind === 'mark' && start.after.mark === mark)
      .map(({ channel }) => channel.name)
      .filter((name) => !place.behind.has(name));
    const lookup = changedSincePlace(broker, place, names);
    lookups.set(mark, lookup);
    return lookup;
  };
  const resolve = async (
    { channel, start }: MarkReading,
    head: Position = channel.position,
  ): Promise<ResolvedStart> => {
    const { after } = start;
    if (after?.kind !== 'mark') return { start };
    const place = parsePlaceMark(after.mark);
    const own = place.behind.get(channel.name);
    if (own !== undefined) return { start: { ...start, ...startAt(own) } };
    const changed = await lookUp(after.mark, place);
    if (changed === undefined) {
      const unknown: After = { kind: 'unknown', text: after.mark };
      return { start: { ...start, after: unknown } };
    }
    const then = changed.find((change) => change.channel === channel.name);
    if (then === undefined) return { start: { ...start, ...startAt(head) } };
    return { start: { ...start, ...then.start }, stream: then.stream };
  };
  return Promise.all(readings.map((reading, index) => resolve(reading, heads[index])));
}

/** Begins after a position. */
export function startAt(position: Position): Start {
  return { after: { kind: 'position', position } };
}

function startFrom(
  from: PlaceStart,
  { position, stream }: ChangedChannel,
  atMark: Position | undefined,
): Start {
  if (from.kind === 'mark') return startAt(position);
  const at = atMark ?? { epoch: stream.epoch, offset: stream.top };
  if (isOrigin(at) || at.epoch !== stream.epoch) return startAt(at);
  // What there was then, as far as it is retained, and everything since.
  const oldest = Math.min(stream.oldest - 1, at.offset);
  const count = from.kind === 'last' ? from.count : at.offset;
  return startAt({ epoch: at.epoch, offset: Math.max(at.offset - count, oldest) });
}

/** Opening: where a channel or pattern begins that is read over HTTP. */
import { CodedError, isWildcard, matchesPattern } from '@trunkline/wire';
import type { Frame } from '../encodings/encoding.ts';
import { asObject, toGap, toOpening } from '../events.ts';
import type { OpenEvent } from '../events.ts';
import type { KeyedWish } from './http-reading.ts';
import type { AttemptSink } from './transport.ts';

/**
 * Tells patterns what was lost in channels that they match. Who named one has it by its opening.
 *
 * @param gaps by channel.
 * @param positions where each of them goes on.
 * @param wishes those that had been given what is lost now.
 */
export function tellGaps(
  sink: AttemptSink,
  gaps: Frame['fields'],
  positions: ReadonlyMap<string, unknown>,
  wishes: readonly KeyedWish[],
  signal: AbortSignal,
): void {
  for (const [channel, value] of Object.entries(gaps)) {
    const gap = toGap(value);
    const position = positions.get(channel);
    const keys = wishes
      .filter(({ filter }) => isWildcard(filter) && matchesPattern(filter, channel))
      .map(({ key }) => key);
    if (keys.length === 0 || gap === undefined || typeof position !== 'string') continue;
    if (!signal.aborted) sink.onGap({ kind: 'gap', channel, gap, position }, keys);
  }
}

/**
 * Where a filter is read from, as an answer or an `open` event says.
 *
 * @param position where a channel stands before its messages.
 * @param mark where patterns do; what is none is left out.
 * @throws {CodedError} for a channel that stands nowhere.
 */
export function openingOf(
  filter: string,
  fields: Frame['fields'],
  position: unknown,
  mark: unknown,
): OpenEvent {
  const isPattern = isWildcard(filter);
  const { volatile } = fields;
  const opening = toOpening(filter, {
    position: isPattern ? undefined : position,
    mark: isPattern && String(mark).startsWith('~') ? mark : undefined,
    recovered: asObject(fields['recovered'])?.[filter],
    gap: asObject(fields['gaps'])?.[filter],
    volatile: Array.isArray(volatile) && volatile.includes(filter),
  });
  if (opening === undefined && !isPattern) {
    const message = `expected a position for each channel, got none for ${filter}`;
    throw new CodedError('bad_request', message);
  }
  return opening ?? { kind: 'open', channel: filter };
}

/** Opening: where a channel or pattern begins that is read over HTTP. */
import { CodedError, isWildcard } from '@trunkline/wire';
import type { Frame } from '../encodings/encoding.ts';
import { asObject, toOpening } from '../events.ts';
import type { OpenEvent } from '../events.ts';
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

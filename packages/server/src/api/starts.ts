/** Starts: where a poll or an event stream is to begin in each of its channels. */
import { parseAfterEach } from '@trunkline/wire';
import type { RequestHead } from '../http/request.ts';
import type { Start } from '../hub/hub-types.ts';
import type { Query } from './query.ts';

/**
 * Where each of the channels is read from: `Last-Event-ID` wins over `after`, and that over `last`.
 *
 * @param channels names, or names and patterns.
 */
export function startsOf(
  query: Query,
  request: RequestHead,
  channels: readonly string[],
): Map<string, Start> {
  const after = query.text('after');
  const last = query.whole('last', { min: 0, max: Number.MAX_SAFE_INTEGER });
  const partial = query.flag('partial');
  // Empty means that there was none yet, as in the HTML standard's event streams.
  const place = request.headers['last-event-id'] || after;
  const places = place === undefined ? undefined : parseAfterEach(place, channels);
  const starts = new Map<string, Start>();
  for (const channel of channels) {
    const known = places?.get(channel);
    starts.set(channel, {
      ...(known === undefined ? {} : { after: known }),
      ...(known !== undefined || last === undefined ? {} : { last }),
      ...(partial ? { partial } : {}),
    });
  }
  return starts;
}

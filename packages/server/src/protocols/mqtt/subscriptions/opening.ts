/** Opening: a cursor of the hub for one filter, be it a channel's name or a pattern. */
import { isWildcard } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import type { Caller, Start } from '../../../hub/hub-types.ts';
import type { Hub } from '../../../hub/hub.ts';
import type { Beginnings } from '../../../hub/selection/beginnings.ts';
import type { AnyCursor } from '../../../hub/selection/overlap-entry.ts';
import type { SelectionSubscriber } from '../../../hub/selection/selection-cursor.ts';
import { afterPlace } from '../delivery/sent-place.ts';
import type { Loss } from '../session/losses.ts';

/** What is to be opened. */
export interface Opening {
  readonly caller: Caller;
  readonly filter: string;
  /** The place in a record where it goes on; without one it begins with what comes from now on. */
  readonly kept: string | undefined;
  /** What is known of others of the session that have the same channels. */
  readonly beginnings?: Beginnings | undefined;
}

/** A cursor that was opened. */
export interface OpenedCursor {
  readonly cursor: AnyCursor;
  /** What is lost between the place that was kept and where the cursor stands. */
  readonly losses: readonly Loss[];
  /** Where it stands before anything is delivered, as a record keeps it; empty of a volatile channel. */
  readonly place: string | Position;
}

/**
 * Opens a cursor; nothing is delivered before the hub starts it.
 *
 * @throws {CodedError} `forbidden`, or `unavailable` when the log can't be read.
 */
export async function openCursor(
  hub: Pick<Hub, 'subscribe' | 'subscribeMany'>,
  subscriber: SelectionSubscriber,
  { caller, filter, kept, beginnings }: Opening,
): Promise<OpenedCursor> {
  const start: Start = kept === undefined ? {} : { after: afterPlace(kept), partial: true };
  const options = { beginnings };
  if (!isWildcard(filter)) {
    const { cursor, gap, position } = await hub.subscribe(
      subscriber,
      caller,
      filter,
      start,
      options,
    );
    return { cursor, losses: lossesOf(filter, gap), place: position ?? '' };
  }
  const starts = new Map([[filter, start]]);
  const { cursor, verdicts, losses, mark } = await hub.subscribeMany(
    subscriber,
    caller,
    starts,
    options,
  );
  const named = losses.map(({ channel, gap }) => ({ channel, gap }));
  return {
    cursor,
    // Where no channel is named, any that the pattern matches may have lost messages.
    losses: named.length > 0 ? named : lossesOf(filter, verdicts.get(filter)?.gap),
    // A place that is too long for a mark is the one that it was opened with.
    place: mark ?? (start.after?.kind === 'mark' ? start.after.mark : ''),
  };
}

function lossesOf(channel: string, gap: Loss['gap'] | undefined): readonly Loss[] {
  return gap === undefined ? [] : [{ channel, gap }];
}

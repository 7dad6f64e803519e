/**
 * PlaceMark: what a client goes on from after a read that left something for the next one.
 *
 * A backplane's mark says where all channels stood. A channel that was read only in part is not
 * there yet: its own position goes with the mark, and the whole is as opaque as a mark alone.
 */
import { formatPosition, isMark, parsePosition } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';

/** Divides the backplane's mark from the positions; no backplane has it inside its marks. */
const DIVIDER = '~';

/** A backplane's mark, and the channels that stand before it. */
export interface PlaceMark {
  readonly mark: string;
  readonly behind: ReadonlyMap<string, Position>;
}

/** A place is the same wherever nothing stands elsewhere than the mark. */
export const NOWHERE_ELSE: ReadonlyMap<string, Position> = new Map();

/** Writes both as one mark; `undefined` when there are too many positions for one. */
export function formatPlaceMark({ mark, behind }: PlaceMark): string | undefined {
  if (behind.size === 0) return mark;
  const positions = new URLSearchParams();
  for (const [channel, position] of behind) positions.append(channel, formatPosition(position));
  const encoded = Buffer.from(positions.toString()).toString('base64url');
  const whole = `${mark}${DIVIDER}${encoded}`;
  return isMark(whole) ? whole : undefined;
}

/** Reads what `formatPlaceMark` wrote; what no position can be read from stands at the mark. */
export function parsePlaceMark(text: string): PlaceMark {
  const at = text.indexOf(DIVIDER, 1);
  if (at < 0) return { mark: text, behind: NOWHERE_ELSE };
  const decoded = Buffer.from(text.slice(at + 1), 'base64url').toString();
  const behind = new Map<string, Position>();
  for (const [channel, place] of new URLSearchParams(decoded)) {
    const position = parsePosition(place);
    if (position !== undefined) behind.set(channel, position);
  }
  return { mark: text.slice(0, at), behind };
}

/**
 * PlaceMark: what a client goes on from after a read that left something for the next one.
 *
 * A backplane's mark says where all channels stood. A channel that was read only in part is not
 * there yet: its own position goes with the mark. And where so many channels were left that their
 * positions have no room, the read went through them in the order of their names: those behind the
 * last one that was read still stand where the read began. The whole is as opaque as a mark alone.
 */
import { formatPosition, isMark, parsePosition } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';

/** Divides the backplane's mark from the rest; no backplane has it inside its marks. */
const DIVIDER = '~';

/**
 * Characters of a mark with positions: the rest of a read, with one position more, has room behind
 * them in every case, so that a read which goes on by a mark can always say where it ended.
 */
const WITH_POSITIONS_LENGTH_MAX = 2_400;

/**
 * Characters of a mark with the beginnings of channels that a read has not come to. It is less, so
 * that what must have room in the marks of later answers finds some.
 */
const WITH_BEGINNINGS_LENGTH_MAX = WITH_POSITIONS_LENGTH_MAX / 2;

/** More positions than this are too long together, however short each is. */
const POSITIONS_COUNT_MAX = WITH_POSITIONS_LENGTH_MAX / 8;

/** Where a read of several channels began in each of them. */
export type PlaceStart =
  | { readonly kind: 'mark'; readonly mark: string }
  | { readonly kind: 'start' }
  /** With so many of the newest, counted from the mark of the place. */
  | { readonly kind: 'last'; readonly count: number };

/** What a read in the order of names has not come to. */
export interface Rest {
  /** Channels whose names come after this one stand where the read began. */
  readonly after: string;
  /** Where that is. */
  readonly from: PlaceStart;
}

/** A backplane's mark, and the channels that do not stand there. */
export interface PlaceMark {
  readonly mark: string;
  /** Positions of single channels; they hold before anything else. */
  readonly behind: ReadonlyMap<string, Position>;
  /** Present while a read through many channels is under way up to `mark`. */
  readonly rest?: Rest;
}

/** A place is the same wherever nothing stands elsewhere than the mark. */
export const NOWHERE_ELSE: ReadonlyMap<string, Position> = new Map();

/** Writes a place as one mark; `undefined` when there are too many positions for one. */
export function formatPlaceMark({ mark, behind, rest }: PlaceMark): string | undefined {
  if (behind.size === 0 && rest === undefined) return mark;
  if (behind.size > POSITIONS_COUNT_MAX) return undefined;
  const whole = [mark, formatPositions(behind)].join(DIVIDER);
  if (rest === undefined) return whole.length > WITH_POSITIONS_LENGTH_MAX ? undefined : whole;
  // The channel that was read last, in part, makes room for the next one.
  const others = new Map(behind);
  others.delete(rest.after);
  if (formatPositions(others).length > WITH_POSITIONS_LENGTH_MAX) return undefined;
  const withRest = [whole, encode(rest.after), formatStart(rest.from)].join(DIVIDER);
  return isMark(withRest) ? withRest : undefined;
}

/** A place with the beginnings of channels too, the first of them, as far as these have room. */
export function withBeginnings(place: PlaceMark, begins: ReadonlyMap<string, Position>): PlaceMark {
  const behind = new Map(place.behind);
  for (const [channel, position] of begins) {
    if (behind.has(channel)) continue;
    behind.set(channel, position);
    if (formatPositions(behind).length <= WITH_BEGINNINGS_LENGTH_MAX) continue;
    behind.delete(channel);
    break;
  }
  return { ...place, behind };
}

function formatPositions(behind: ReadonlyMap<string, Position>): string {
  const positions = new URLSearchParams();
  for (const [channel, position] of behind) positions.append(channel, formatPosition(position));
  return encode(positions.toString());
}

/**
 * Reads what `formatPlaceMark` wrote. What no position can be read from stands at the mark; of what
 * has the form of a rest and is none, the whole is the mark, which no backplane knows: it must not
 * be taken for a place that was reached.
 */
export function parsePlaceMark(text: string): PlaceMark {
  const [mark = '', positions, after, from, ...more] = text.slice(1).split(DIVIDER);
  if (positions === undefined) return { mark: text, behind: NOWHERE_ELSE };
  const place = { mark: `${text.slice(0, 1)}${mark}`, behind: parsePositions(positions) };
  if (after === undefined) return place;
  const start = from === undefined || more.length > 0 ? undefined : parseStart(from);
  const name = decode(after);
  if (start === undefined || encode(name) !== after) return { mark: text, behind: NOWHERE_ELSE };
  return { ...place, rest: { after: name, from: start } };
}

/** A place in which only the channels that `isMeant` accepts stand elsewhere than the mark. */
export function placeFor(place: PlaceMark, isMeant: (channel: string) => boolean): PlaceMark {
  const own = [...place.behind].filter(([channel]) => isMeant(channel));
  return { ...place, behind: own.length === 0 ? NOWHERE_ELSE : new Map(own) };
}

function parsePositions(encoded: string): ReadonlyMap<string, Position> {
  const behind = new Map<string, Position>();
  for (const [channel, place] of new URLSearchParams(decode(encoded))) {
    const position = parsePosition(place);
    if (position !== undefined) behind.set(channel, position);
  }
  return behind;
}

/** A mark begins with the divider, which stands before it here. */
function formatStart(from: PlaceStart): string {
  if (from.kind === 'mark') return `m${from.mark.slice(1)}`;
  return from.kind === 'last' ? `l${from.count}` : 's';
}

function parseStart(text: string): PlaceStart | undefined {
  if (text === 's') return { kind: 'start' };
  if (text.length > 1 && text.startsWith('m')) {
    return { kind: 'mark', mark: `${DIVIDER}${text.slice(1)}` };
  }
  const count = /^l(0|[1-9][0-9]{0,15})$/.exec(text)?.[1];
  return count === undefined ? undefined : { kind: 'last', count: Number(count) };
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64url');
}

function decode(text: string): string {
  return Buffer.from(text, 'base64url').toString();
}

/**
 * The place of a mark from which single channels have moved on, as one mark. It is as long as it needs
 * to be: for who keeps marks, and never for a client.
 */
export function moveMark(text: string, moved: ReadonlyMap<string, Position>): string {
  if (moved.size === 0) return text;
  const { mark, behind, rest } = parsePlaceMark(text);
  const whole = [mark, formatPositions(new Map([...behind, ...moved]))];
  if (rest !== undefined) whole.push(encode(rest.after), formatStart(rest.from));
  return whole.join(DIVIDER);
}

/**
 * Pattern algebra: what patterns say of each other ([CH-3], [AUTH-7]), as sets of channel names.
 *
 * All of it is exact for valid patterns, of which a plain name is the simplest. Two corners look
 * odd and follow from what a channel is: the empty text is none, so that `/#` has no parent to
 * match, and a name has at most `CHANNEL_BYTES_MAX` bytes.
 */
import { CHANNEL_BYTES_MAX, endOfSegment, isGuarded, isWildcardAt } from './channel.ts';

const HASH = 0x23;

/** True when every channel that `inner` matches is matched by `outer` too. */
export function containsPattern(outer: string, inner: string): boolean {
  const wide = outer.split('/');
  const narrow = inner.split('/');
  if (isGuardedFrom(wide[0], narrow[0])) return false;
  for (let index = 0; ; index += 1) {
    const wanted = wide[index];
    const segment = narrow[index];
    if (wanted === '#') return true;
    if (segment === '#') {
      // The parent is in `inner` and too short for what `outer` still wants: unless it is none.
      const hasParent = index > 1 || (index === 1 && narrow[0] !== '');
      return !hasParent && restIsAny(wide, index);
    }
    if (wanted === undefined || segment === undefined) return wanted === segment;
    if (wanted !== '+' && wanted !== segment) return false;
  }
}

/**
 * True when some channel is matched by both. A session asks this of each two of its patterns, so
 * nothing is made for it.
 */
export function overlaps(a: string, b: string): boolean {
  if ((isGuarded(a) && isWildcardAt(b, 0)) || (isGuarded(b) && isWildcardAt(a, 0))) return false;
  if ((a === '+' && b === '/#') || (a === '/#' && b === '+')) return false; // The empty text.
  /** Bytes of the shortest channel that both match, a slash behind each segment included. */
  let size = 0;
  for (let atA = 0, atB = 0; ; ) {
    // From here on one of them takes whatever the other one wants, were it nothing more.
    if (isRest(a, atA)) return size + restSize(b, atB) <= CHANNEL_BYTES_MAX + 1;
    if (isRest(b, atB)) return size + restSize(a, atA) <= CHANNEL_BYTES_MAX + 1;
    if (atA > a.length || atB > b.length) {
      return atA > a.length && atB > b.length && size <= CHANNEL_BYTES_MAX + 1;
    }
    const endA = endOfSegment(a, atA);
    const endB = endOfSegment(b, atB);
    if (isWildcardAt(a, atA)) size += sizeOf(b, atB, endB);
    else if (isWildcardAt(b, atB) || isSame(a, b, { atA, endA, atB, endB })) {
      size += sizeOf(a, atA, endA);
    } else return false;
    size += 1;
    atA = endA + 1;
    atB = endB + 1;
  }
}

/**
 * The pattern that matches exactly the channels that both match; `undefined` when there is none. It
 * may have more bytes than a pattern may have that comes from outside.
 */
export function commonPattern(a: string, b: string): string | undefined {
  const left = a.split('/');
  const right = b.split('/');
  if (isGuardedFrom(left[0], right[0]) || isGuardedFrom(right[0], left[0])) return undefined;
  const common: string[] = [];
  for (let index = 0; ; index += 1) {
    const one = left[index];
    const other = right[index];
    // From here on one of them takes whatever the other one wants, were it nothing more.
    if (one === '#') return inhabited([...common, ...right.slice(index)]);
    if (other === '#') return inhabited([...common, ...left.slice(index)]);
    if (one === undefined && other === undefined) return inhabited(common);
    if (one === undefined || other === undefined) return undefined;
    if (one !== other && one !== '+' && other !== '+') return undefined;
    common.push(one === '+' ? other : one);
  }
}

/** A leading wildcard never matches a first segment that begins with `@` or `$`. */
function isGuardedFrom(wildcard: string | undefined, segment: string | undefined): boolean {
  if (wildcard !== '+' && wildcard !== '#') return false;
  return segment?.startsWith('@') === true || segment?.startsWith('$') === true;
}

/** True when the segment that begins here is the end of a pattern that takes the rest. */
function isRest(pattern: string, start: number): boolean {
  return pattern.charCodeAt(start) === HASH;
}

/** Two segments, each with its text around it. */
interface Pair {
  readonly atA: number;
  readonly endA: number;
  readonly atB: number;
  readonly endB: number;
}

function isSame(a: string, b: string, { atA, endA, atB, endB }: Pair): boolean {
  if (endA - atA !== endB - atB) return false;
  for (let index = 0; atA + index < endA; index += 1) {
    if (a.charCodeAt(atA + index) !== b.charCodeAt(atB + index)) return false;
  }
  return true;
}

/** As `sizeOf` of all segments from `start` on, a slash behind each included; `#` needs none. */
function restSize(pattern: string, start: number): number {
  let size = 0;
  for (let at = start; at <= pattern.length; ) {
    if (isRest(pattern, at)) break;
    const end = endOfSegment(pattern, at);
    size += sizeOf(pattern, at, end) + 1;
    at = end + 1;
  }
  return size;
}

/** UTF-8 bytes of the shortest segment that this one matches. */
function sizeOf(pattern: string, start: number, end: number): number {
  if (isWildcardAt(pattern, start)) return 0;
  let size = end - start;
  for (let at = start; at < end; at += 1) {
    const code = pattern.charCodeAt(at);
    // Each half of a pair of surrogates has two of its four bytes.
    if (code >= 0x800 && !(code >= 0xd800 && code <= 0xdfff)) size += 2;
    else if (code >= 0x80) size += 1;
  }
  return size;
}

/** True for `+/#` at `index`: any one segment and any rest. */
function restIsAny(segments: readonly string[], index: number): boolean {
  return segments[index] === '+' && segments[index + 1] === '#';
}

/** The pattern of these segments, or `undefined` when no channel can match it. */
function inhabited(segments: readonly string[]): string | undefined {
  const pattern = segments.join('/');
  if (pattern === '') return undefined;
  if (pattern.length * 3 <= CHANNEL_BYTES_MAX) return pattern;
  // The shortest it matches: nothing for `+`, and the parent for `#`.
  const named = segments.at(-1) === '#' ? segments.slice(0, -1) : segments;
  const shortest = named.map((segment) => (segment === '+' ? '' : segment)).join('/');
  const size = new TextEncoder().encode(shortest).length;
  return size <= CHANNEL_BYTES_MAX ? pattern : undefined;
}

/**
 * Pattern algebra: what patterns say of each other ([CH-3], [AUTH-7]), as sets of channel names.
 *
 * All of it is exact for valid patterns, of which a plain name is the simplest. Two corners look
 * odd and follow from what a channel is: the empty text is none, so that `/#` has no parent to
 * match, and a name has at most `CHANNEL_BYTES_MAX` bytes.
 */
import { CHANNEL_BYTES_MAX } from './channel.ts';

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

/** True when some channel is matched by both. */
export function overlaps(a: string, b: string): boolean {
  return commonPattern(a, b) !== undefined;
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

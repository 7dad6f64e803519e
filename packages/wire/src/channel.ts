/**
 * Channel names and patterns ([CH-1] to [CH-3]). The same name is the MQTT topic, so a channel has one
 * name in every protocol, and patterns are MQTT's: `+` one segment, `#` the rest and the parent.
 */

/** UTF-8 bytes a channel name or pattern may have. */
export const CHANNEL_BYTES_MAX = 255;

const SLASH = 0x2f;
const PLUS = 0x2b;
const HASH = 0x23;
const AT = 0x40;
const DOLLAR = 0x24;

// C0, DEL and C1 controls; a lone surrogate has no UTF-8 form.
// oxlint-disable-next-line no-control-regex
const FORBIDDEN = /[\u0000-\u001f\u007f-\u009f]|\p{Surrogate}/u;

/** Why `name` is no channel a client may use, or `undefined` when it is one. */
export function channelNameFault(name: string): string | undefined {
  const fault = textFault(name);
  if (fault !== undefined) return fault;
  if (name.includes('+') || name.includes('#')) return 'must not contain + or #';
  if (name.startsWith('$')) return 'must not begin with $ (reserved for the server)';
  return undefined;
}

/** True when the text holds a wildcard and is to be read as a pattern. */
export function isWildcard(text: string): boolean {
  return text.includes('+') || text.includes('#');
}

/** Why `pattern` is no channel pattern, or `undefined` when it is one (MQTT 5.0 §4.7.1). */
export function patternFault(pattern: string): string | undefined {
  const fault = textFault(pattern);
  if (fault !== undefined) return fault;
  const segments = pattern.split('/');
  for (const [index, segment] of segments.entries()) {
    if (segment.includes('#') && (segment !== '#' || index !== segments.length - 1)) {
      return '# must be the whole last segment';
    }
    if (segment.includes('+') && segment !== '+') return '+ must be a whole segment';
  }
  if (pattern.startsWith('$')) return 'must not begin with $ (reserved for the server)';
  return undefined;
}

/**
 * True when `pattern` matches the channel `name`. A wildcard never matches a first segment that
 * begins with `@` or `$`: private and reserved channels are named, not found.
 */
export function matchesPattern(pattern: string, name: string): boolean {
  if (isGuarded(name) && isWildcardAt(pattern, 0)) return false;
  // Compared where they stand: this is asked of every message by whoever may or may not read it.
  let at = 0;
  for (let wanted = 0; ; wanted += 1, at += 1) {
    // A `#` takes the rest, also when there is none: that is the parent.
    if (pattern.charCodeAt(wanted) === HASH) return true;
    if (at > name.length) return false;
    if (pattern.charCodeAt(wanted) === PLUS) {
      wanted += 1;
      at = endOfSegment(name, at);
    } else {
      const end = endOfSegment(pattern, wanted);
      for (; wanted < end; wanted += 1, at += 1) {
        if (pattern.charCodeAt(wanted) !== name.charCodeAt(at)) return false;
      }
      if (at < name.length && name.charCodeAt(at) !== SLASH) return false;
    }
    if (wanted === pattern.length) return at === name.length;
  }
}

/** True for names that no leading wildcard matches. */
export function isGuarded(text: string): boolean {
  const first = text.charCodeAt(0);
  return first === AT || first === DOLLAR;
}

/** True when the segment that begins here is a wildcard, in a valid pattern. */
export function isWildcardAt(pattern: string, start: number): boolean {
  const first = pattern.charCodeAt(start);
  return first === PLUS || first === HASH;
}

/** Where the segment ends that begins here: at a slash or at the end of the text. */
export function endOfSegment(text: string, start: number): number {
  let end = start;
  // Segments are short: a search that is called costs more than it finds.
  while (end < text.length && text.charCodeAt(end) !== SLASH) end += 1;
  return end;
}

/**
 * Orders patterns so that the most specific comes first: segment by segment a literal beats `+`,
 * `+` beats the end, and the end beats `#`. So for the channel `a`, `a` comes before `a/#`.
 */
export function compareSpecificity(a: string, b: string): number {
  const left = a.split('/');
  const right = b.split('/');
  const count = Math.max(left.length, right.length);
  for (let index = 0; index < count; index += 1) {
    const difference = segmentRank(left[index]) - segmentRank(right[index]);
    if (difference !== 0) return difference;
  }
  return 0;
}

function segmentRank(segment: string | undefined): number {
  if (segment === '#') return 3;
  if (segment === undefined) return 2;
  if (segment === '+') return 1;
  return 0;
}

function textFault(text: string): string | undefined {
  if (text.length === 0) return 'must not be empty';
  if (FORBIDDEN.test(text)) return 'must not contain control characters or lone surrogates';
  // Three bytes at most per UTF-16 unit: short names need no encoding to be measured.
  if (text.length * 3 > CHANNEL_BYTES_MAX) {
    const size = new TextEncoder().encode(text).length;
    if (size > CHANNEL_BYTES_MAX) {
      return `must have at most ${CHANNEL_BYTES_MAX} bytes of UTF-8, got ${size}`;
    }
  }
  return undefined;
}

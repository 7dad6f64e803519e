/** JSON texts for fuzzing: valid ones with every freedom the grammar leaves, and damaged ones. */
import type { Seeded } from '../support/seeded.ts';

const NUMBERS = ['0', '-0', '1', '42', '-1', '1.0', '0.10', '1e2', '1E-7', '12345678901234567890'];
const PIECES = [
  'a',
  '"',
  '\\',
  '\n',
  '\u2028',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  'ä',
  '😀',
  '\ud800',
  ' ',
];
const SPACES = ['', '', '', ' ', '\n', '\r\n', '\t', '  '];
const DEPTH_MAX = 4;
const COUNT_MAX = 4;

/** Member names, biased to what commands use. */
export const NAMES = [
  ...['type', 'id', 'channel', 'channels', 'data', 'bytes', 'contentType', 'event', 'key', 'after'],
  ...['before', 'last', 'limit', 'partial', 'token', 'a', '', '__proto__', 'constructor', 'toJSON'],
];

/** A JSON text of one value. */
export function jsonValue(random: Seeded, depth = 0): string {
  const kind = random.below(depth < DEPTH_MAX ? 8 : 5);
  if (kind === 0) return random.pick(['null', 'true', 'false']);
  if (kind === 1) return random.pick(NUMBERS);
  if (kind <= 4) return jsonString(random, text(random));
  const items = Array.from({ length: random.below(COUNT_MAX) }, () =>
    kind === 5 ? jsonMember(random, depth + 1) : spaced(random, jsonValue(random, depth + 1)),
  );
  return kind === 5 ? jsonObject(random, items) : `[${items.join(',') || random.pick(SPACES)}]`;
}

/** A JSON object of these members. */
export function jsonObject(random: Seeded, members: readonly string[]): string {
  return `{${members.join(',') || random.pick(SPACES)}}`;
}

/** A member with a name out of {@link NAMES}. */
export function jsonMember(random: Seeded, depth = 0, name = random.pick(NAMES)): string {
  const value = spaced(random, jsonValue(random, depth));
  return `${spaced(random, jsonString(random, name))}:${value}`;
}

/** A JSON text with a few characters removed, doubled or replaced. */
export function damaged(random: Seeded, json: string): string {
  let result = json;
  for (let count = 1 + random.below(3); count > 0; count -= 1) {
    const at = random.below(result.length + 1);
    const middle = random.pick(['', random.pick(PIECES), result.slice(at, at + 5).repeat(2)]);
    result = result.slice(0, at) + middle + result.slice(at + random.below(3));
  }
  return result;
}

function jsonString(random: Seeded, value: string): string {
  if (!random.once(4)) return JSON.stringify(value);
  const units = Array.from({ length: value.length }, (_, at) => value.charCodeAt(at));
  return `"${units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')}"`;
}

function text(random: Seeded): string {
  return Array.from({ length: random.below(6) }, () => random.pick(PIECES)).join('');
}

function spaced(random: Seeded, json: string): string {
  return random.pick(SPACES) + json + random.pick(SPACES);
}

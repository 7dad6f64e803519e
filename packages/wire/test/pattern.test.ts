import { Seeded } from './support/seeded.ts';
import { describe, expect, test } from 'vitest';
import { channelNameFault, matchesPattern, patternFault } from '../src/channel.ts';
import { commonPattern, containsPattern, overlaps } from '../src/pattern.ts';
import { readVectors } from './support/vectors.ts';

interface AlgebraVectors {
  readonly contains: { outer: string; inner: string; contains: boolean }[];
  readonly overlaps: { a: string; b: string; common: string | null }[];
}

const vectors = readVectors<AlgebraVectors>('channels');

/** All texts of 1 to `depth` segments of `middle`, the last one out of `last`. */
function texts(depth: number, middle: readonly string[], last = middle): string[] {
  if (depth === 0) return [];
  const shorter = texts(depth - 1, middle);
  const heads = depth === 1 ? [''] : shorter.filter((one) => one.split('/').length === depth - 1);
  const longest = heads.flatMap((head) =>
    last.map((segment) => (depth === 1 ? segment : `${head}/${segment}`)),
  );
  return [...texts(depth - 1, middle, last), ...longest];
}

/**
 * Every pattern up to a depth and, for each, whether it matches each of the channels: those one
 * segment deeper than the patterns, with a segment that no pattern names.
 */
function universe(depth: number, segments: readonly string[]) {
  const patterns = texts(depth, [...segments, '+'], [...segments, '+', '#']);
  const names = texts(depth + 1, [...segments, 'other']);
  const valid = patterns.filter((pattern) => patternFault(pattern) === undefined);
  const channels = names.filter((name) => channelNameFault(name) === undefined);
  return valid.map((pattern) => ({
    pattern,
    matched: channels.map((name) => matchesPattern(pattern, name)),
  }));
}

describe.each([
  { name: 'with guarded segments', depth: 3, segments: ['', 'a', '@', '$b'] },
  { name: 'deeper', depth: 4, segments: ['', 'a'] },
])('[CH-3] the algebra of all small patterns, $name', ({ depth, segments }) => {
  const all = universe(depth, segments);

  test('says that one contains another when it matches all the other matches', () => {
    const wrong: string[] = [];
    for (const outer of all) {
      for (const inner of all) {
        const truth = inner.matched.every((hit, index) => !hit || outer.matched[index] === true);
        if (containsPattern(outer.pattern, inner.pattern) === truth) continue;
        wrong.push(`${outer.pattern} contains ${inner.pattern}: ${truth}`);
      }
    }
    expect(wrong).toEqual([]);
    expect(all.length).toBeGreaterThan(100);
  });

  test('says that two overlap when one channel is matched by both', () => {
    const wrong: string[] = [];
    for (const one of all) {
      for (const other of all) {
        const truth = one.matched.some((hit, index) => hit && other.matched[index] === true);
        if (overlaps(one.pattern, other.pattern) === truth) continue;
        wrong.push(`${one.pattern} overlaps ${other.pattern}: ${truth}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test('has one pattern for what two have in common', () => {
    const matched = new Map(all.map((one) => [one.pattern, one.matched]));
    const wrong: string[] = [];
    for (const one of all) {
      for (const other of all) {
        const common = commonPattern(one.pattern, other.pattern);
        if (common === undefined) continue;
        const found = matched.get(common);
        if (one.matched.every((hit, at) => (hit && other.matched[at] === true) === found?.[at])) {
          continue;
        }
        wrong.push(`${one.pattern} and ${other.pattern}: ${common}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});

describe('[AUTH-7] the algebra of patterns', () => {
  test.each(vectors.contains)('$outer contains $inner: $contains', (vector) => {
    expect(containsPattern(vector.outer, vector.inner)).toBe(vector.contains);
  });

  test.each(vectors.overlaps)('what $a and $b share is $common', ({ a, b, common }) => {
    expect(commonPattern(a, b)).toBe(common ?? undefined);
    expect(commonPattern(b, a)).toBe(common ?? undefined);
    expect(overlaps(a, b)).toBe(common !== null);
  });

  test('finds nothing in common where every shared name would be too long', () => {
    const left = `${'x'.repeat(127)}/+`;
    expect(overlaps(left, `+/${'y'.repeat(127)}`)).toBe(true);
    expect(overlaps(left, `+/${'y'.repeat(128)}`)).toBe(false);
    expect(overlaps(`${left}/#`, `+/${'y'.repeat(127)}/#`)).toBe(true);
    // The same in bytes: each of these letters has two.
    expect(overlaps(left, `+/${'ä'.repeat(63)}`)).toBe(true);
    expect(overlaps(left, `+/${'ä'.repeat(64)}`)).toBe(false);
  });

  test('says that two overlap where and only where they have something in common', () => {
    const random = new Seeded(11);
    const segments = ['', '+', '+', 'a', 'b', 'é', '€', '😀', '@', 'x'.repeat(40), '€'.repeat(30)];
    const pick = (): string => {
      const count = 1 + random.below(random.below(8) === 0 ? 120 : 5);
      const taken = Array.from({ length: count }, () => random.pick(segments));
      if (random.below(3) === 0) taken.push('#');
      return taken.join('/');
    };
    let shared = 0;
    for (let round = 0; round < 20_000; round += 1) {
      const [a, b] = [pick(), pick()];
      if (a === '' || b === '') continue;
      const isShared = commonPattern(a, b) !== undefined;
      if (isShared) shared += 1;
      expect([a, b, overlaps(a, b)]).toEqual([a, b, isShared]);
    }
    expect(shared).toBeGreaterThan(1_000);
  });

  test('takes patterns of as many segments as their length allows', () => {
    const deep = '+/'.repeat(127);
    expect(containsPattern(`${deep}#`, `${deep}+`)).toBe(true);
    expect(containsPattern(`${deep}+`, `${deep}#`)).toBe(false);
    expect(overlaps(`${deep}+`, '/'.repeat(255))).toBe(false);
    expect(overlaps(`${deep}#`, '/'.repeat(255))).toBe(true);
  });
});

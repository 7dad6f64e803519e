import { expect, test } from 'vitest';
import {
  inPieces,
  matchesAny,
  splitFilter,
} from '../../../src/backplanes/embedded/channel-filter.ts';

test('divides names from patterns, each once', () => {
  expect(splitFilter(['a', '#', 'a/b', 'a', 'a/+', '#'])).toEqual({
    names: ['a', 'a/b'],
    patterns: ['#', 'a/+'],
  });
});

test('accepts what one of the patterns matches', () => {
  expect(matchesAny(['a/+', 'b'], 'a/1')).toBe(true);
  expect(matchesAny(['a/+', '#'], '@alice')).toBe(false);
  expect(matchesAny([], 'a')).toBe(false);
});

test('gives a list in pieces, and nothing of an empty one', () => {
  expect([...inPieces([1, 2, 3, 4, 5], 2)]).toEqual([[1, 2], [3, 4], [5]]);
  expect([...inPieces([], 2)]).toEqual([]);
});

import { expect, test } from 'vitest';
import { Tally } from '@trunkline/server/internal/http/tally.ts';

test('a tally counts each by itself, and none less than none', () => {
  const tally = new Tally();
  expect([tally.add('a'), tally.add('a'), tally.add('b')]).toEqual([1, 2, 1]);
  expect([tally.of('a'), tally.of('b'), tally.of('c')]).toEqual([2, 1, 0]);
  for (const key of ['a', 'b', 'b', 'c']) tally.remove(key);
  expect([tally.of('a'), tally.of('b'), tally.of('c')]).toEqual([1, 0, 0]);
});

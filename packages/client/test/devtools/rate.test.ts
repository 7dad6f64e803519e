import { expect, test } from 'vitest';
import { Rate, SECONDS } from '../../src/devtools/rate.ts';

/** Adds so many in the middle of each second, beginning with the first. */
function rateOf(...counts: readonly number[]): Rate {
  const rate = new Rate(0);
  counts.forEach((count, second) => {
    for (let index = 0; index < count; index += 1) rate.add(second * 1000 + 500);
  });
  return rate;
}

test('is the mean of the last five whole seconds', () => {
  const rate = rateOf(9, 1, 2, 3, 4, 5, 7);
  expect(rate.perSecond(6900)).toBe(3);
  expect(rate.perSecond(7000)).toBe(4.2);
});

test('is the mean of what there was, in the beginning', () => {
  const rate = rateOf(4, 2);
  expect([0, 999, 1000, 2000].map((nowMs) => rateOf(4, 2).perSecond(nowMs))).toEqual([0, 0, 4, 3]);
  expect(rate.perSecond(2000)).toBe(3);
});

test('tells each second, the oldest first', () => {
  const each = rateOf(1, 0, 3).each(3000);
  expect(each).toHaveLength(SECONDS);
  expect(each.slice(-4)).toEqual([0, 1, 0, 3]);
});

test('forgets what is older, in one step or in many', () => {
  const rate = rateOf(1, 2);
  expect(rate.each(SECONDS * 1000).slice(0, 2)).toEqual([1, 2]);
  expect(rate.each((SECONDS + 1) * 1000)[0]).toBe(2);
  expect(rate.each((SECONDS + 2) * 1000)).toEqual(Array.from({ length: SECONDS }, () => 0));
  rate.add(10 * SECONDS * 1000);
  const each = rate.each((10 * SECONDS + 1) * 1000);
  expect(each.at(-1)).toBe(1);
  expect(each.reduce((sum, count) => sum + count)).toBe(1);
});

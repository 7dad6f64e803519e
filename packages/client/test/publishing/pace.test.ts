import { describe, expect, test } from 'vitest';
import { paceOf } from '../../src/publishing/pace.ts';

/** How many it gives within a time, asked whenever it says so. */
function taken(take: (nowMs: number) => number, untilMs: number): number {
  let count = 0;
  for (let nowMs = 0; nowMs < untilMs; ) {
    const waitMs = take(nowMs);
    if (waitMs === 0) count += 1;
    nowMs += waitMs;
  }
  return count;
}

describe('a pace', () => {
  test.each([undefined, 0])('does not hold when the server has none: %s', (perSecond) => {
    const take = paceOf(perSecond, 0.5);
    expect(Array.from({ length: 100 }, () => take(7))).toEqual(
      Array.from({ length: 100 }, () => 0),
    );
  });

  test.each([
    [100, 0.5, 1025],
    [100, 1, 2050],
    [1, 0.5, 11],
  ])(
    'lets through its part of %i a second and half a second more [WS-12]',
    (rate, share, count) => {
      const all = taken(paceOf(rate, share), 20_000);
      expect(all).toBeGreaterThanOrEqual(20 * rate * share);
      expect(all).toBeLessThanOrEqual(count);
    },
  );

  test('saves up half a second and one', () => {
    const take = paceOf(100, 0.5);
    expect(taken(take, 1)).toBe(26);
    let count = 0;
    while (take(1_000_000) === 0) count += 1;
    expect(count).toBe(26);
  });
});

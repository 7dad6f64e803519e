import { describe, expect, test } from 'vitest';
import { Rate } from '../../../src/protocols/native/rate.ts';

describe('Rate', () => {
  test('lets a burst through and then its rate', () => {
    const rate = new Rate(10, 2, 0);
    for (let count = 0; count < 20; count += 1) expect(rate.take(0)).toBe(0);
    expect(rate.take(0)).toBe(100);
    expect(rate.take(50)).toBe(50);
    expect(rate.take(100)).toBe(0);
    expect(rate.take(100)).toBeGreaterThan(0);
  });

  test('never saves more than its burst', () => {
    const rate = new Rate(1, 2, 0);
    expect([rate.take(1e9), rate.take(1e9), rate.take(1e9)]).toEqual([0, 0, 1000]);
  });

  test('knows no limit at rate 0', () => {
    const rate = new Rate(0, 2, 0);
    for (let count = 0; count < 1_000; count += 1) expect(rate.take(0)).toBe(0);
  });
});

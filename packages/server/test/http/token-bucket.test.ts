import { describe, expect, test } from 'vitest';
import { TokenBucket } from '@trunkline/server/internal/http/token-bucket.ts';

describe('TokenBucket', () => {
  test('gives so many at once and no more', () => {
    const bucket = new TokenBucket(3, 1, 1000);
    expect([1, 2, 3, 4].map(() => bucket.take(1000))).toEqual([true, true, true, false]);
  });

  test('fills again with time, up to what it holds', () => {
    const bucket = new TokenBucket(2, 10, 0);
    bucket.take(0);
    bucket.take(0);
    expect(bucket.take(99)).toBe(false);
    expect(bucket.take(100)).toBe(true);
    expect(bucket.take(60_000)).toBe(true);
    expect(bucket.take(60_000)).toBe(true);
    expect(bucket.take(60_000)).toBe(false);
  });

  test('gains nothing when time stands still or goes back', () => {
    const bucket = new TokenBucket(1, 1000, 1000);
    bucket.take(1000);
    expect(bucket.take(0)).toBe(false);
  });
});

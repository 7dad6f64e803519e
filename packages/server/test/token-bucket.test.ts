import { describe, expect, test } from 'vitest';
import { TokenBucket } from '@trunkline/server/internal/token-bucket.ts';

describe('TokenBucket', () => {
  test('gives so many at once, and then tells when the next is there', () => {
    const bucket = new TokenBucket(20, 10, 0);
    for (let count = 0; count < 20; count += 1) expect(bucket.take(0)).toBe(0);
    expect(bucket.take(0)).toBe(100);
    expect(bucket.take(50)).toBe(50);
    expect(bucket.take(100)).toBe(0);
    expect(bucket.take(100)).toBeGreaterThan(0);
  });

  test('never holds more than its burst', () => {
    const bucket = new TokenBucket(2, 1, 0);
    expect([bucket.take(1e9), bucket.take(1e9), bucket.take(1e9)]).toEqual([0, 0, 1000]);
  });

  test('knows no limit at a rate of 0', () => {
    const bucket = new TokenBucket(0, 0, 0);
    for (let count = 0; count < 1_000; count += 1) expect(bucket.take(0)).toBe(0);
  });
});

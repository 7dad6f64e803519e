import { describe, expect, test } from 'vitest';
import { BACKOFF_BASE_MS, BACKOFF_CAP_MS, backoffMs } from '../../src/lines/backoff.ts';

const ALMOST_ONE = 1 - Number.EPSILON;

describe('backoffMs', () => {
  test('is full jitter: anything from nothing up to the ceiling', () => {
    expect(backoffMs(3, 0)).toBe(0);
    expect(backoffMs(3, 0.5)).toBe(400);
    expect(backoffMs(3, ALMOST_ONE)).toBeLessThan(800);
  });

  test('doubles its ceiling from the base until the cap', () => {
    const halves = [0, 1, 2, 3, 4, 5, 6, 7].map((attempt) => backoffMs(attempt, 0.5));
    expect(halves).toEqual([50, 100, 200, 400, 800, 1_600, 2_500, 2_500]);
    expect(BACKOFF_BASE_MS).toBe(100);
    expect(BACKOFF_CAP_MS).toBe(5_000);
  });

  test('stays at the cap however long a server is away', () => {
    expect(backoffMs(5_000, ALMOST_ONE)).toBeLessThanOrEqual(BACKOFF_CAP_MS);
  });

  test('adds jitter to what the server asked for, and never returns sooner', () => {
    expect(backoffMs(0, 0, 2_000)).toBe(2_000);
    expect(backoffMs(0, 0.5, 2_000)).toBe(2_050);
    expect(backoffMs(0, 0.5, -10)).toBe(50);
  });
});

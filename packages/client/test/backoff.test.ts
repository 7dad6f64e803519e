import { describe, expect, test } from 'vitest';
import { backoffMs } from '../src/backoff.ts';

describe('backoff', () => {
  test.each([
    [0, 100],
    [1, 200],
    [5, 3200],
    [6, 5000],
    [1000, 5000],
  ])('after %i losses waits anything up to %i ms', (losses, ceiling) => {
    expect(backoffMs(losses, 0)).toBe(0);
    expect(backoffMs(losses, 0.5)).toBe(ceiling / 2);
    expect(backoffMs(losses, 1 - Number.EPSILON)).toBe(ceiling);
  });

  test('comes back at a random moment inside the time the server gave', () => {
    expect(backoffMs(7, 0.25, { withinMs: 8000 })).toBe(2000);
    expect(backoffMs(0, 0.9, { withinMs: 0 })).toBe(0);
  });

  test('waits as usual when it is sent away again and again', () => {
    expect(backoffMs(1, 0.5, { withinMs: 0 })).toBe(100);
    expect(backoffMs(9, 0.5, { withinMs: 0 })).toBe(2500);
  });

  test('does not come back before the server said, nor all at that moment', () => {
    expect(backoffMs(0, 0, { notBeforeMs: 3000 })).toBe(3000);
    expect(backoffMs(3, 0.5, { notBeforeMs: 3000 })).toBe(3400);
  });

  test.each([Number.POSITIVE_INFINITY, Number.NaN, -5])('takes %d for no hint', (ms) => {
    expect(backoffMs(0, 0.5, { notBeforeMs: ms })).toBe(50);
  });

  test('never waits longer than five minutes for a hint', () => {
    expect(backoffMs(0, 0, { notBeforeMs: 1e12 })).toBe(300_000);
  });
});

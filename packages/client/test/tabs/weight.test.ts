import { expect, test } from 'vitest';
import { DEPTH_MAX, weigh } from '../../src/tabs/weight.ts';

test('what is heavy weighs more than its bytes, whatever its shape', () => {
  expect(weigh({ bytes: new Uint8Array(5000) }).bytes).toBeGreaterThan(5000);
  expect(weigh('x'.repeat(5000)).bytes).toBeGreaterThan(5000);
  expect(weigh({ a: [{ b: 'x'.repeat(5000) }] }).bytes).toBeGreaterThan(5000);
  expect(weigh({ ['x'.repeat(5000)]: 1 }).bytes).toBeGreaterThan(5000);
  expect(weigh(Array.from({ length: 1000 }, (_, index) => index)).bytes).toBeGreaterThan(8000);
  expect(weigh({ a: 1 }).bytes).toBeLessThan(100);
});

test('what is nested deeper than a clone can be is told so', () => {
  const nested = (depth: number): unknown => JSON.parse(`${'['.repeat(depth)}${']'.repeat(depth)}`);
  expect(weigh(nested(100_000)).isDeep).toBe(true);
  expect(weigh(nested(DEPTH_MAX + 1)).isDeep).toBe(true);
  expect(weigh(nested(DEPTH_MAX)).isDeep).toBe(false);
  expect(() => structuredClone(nested(DEPTH_MAX))).not.toThrow();
});

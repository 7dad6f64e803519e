import { LATENCY_BOUNDS, LatencyCounts } from '@trunkline/server/internal/observe/latency.ts';
import { expect, test } from 'vitest';

test('durations are counted by the class whose bound they do not exceed', () => {
  const latency = new LatencyCounts();
  for (const ms of [0, 0.5, 0.6, 1, 30_000, 30_001, 1e9]) latency.add(ms);
  const counts = [...latency.counts];
  expect(counts.slice(0, 3)).toEqual([2, 2, 0]);
  expect(counts.slice(-3)).toEqual([0, 1, 2]);
  expect(counts).toHaveLength(LATENCY_BOUNDS.length + 1);
  expect(latency.sumSeconds).toBeCloseTo(1_000_060.0031, 3);
  expect([...LATENCY_BOUNDS].sort((a, b) => a - b)).toEqual(LATENCY_BOUNDS);
});

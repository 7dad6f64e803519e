import { expect, test } from 'vitest';
import { formatBytes, formatCount, formatPercent, formatShort } from '../src/format.ts';

test('numbers read as people write them', () => {
  expect(formatCount(12_345)).toBe('12,345');
  expect(formatShort(9_999)).toBe('9,999');
  expect(formatShort(1_234_567)).toBe('1.2M');
  expect(formatPercent(0.374)).toBe('37%');
  expect(formatBytes(212_400_000)).toBe('212 MB');
  expect(formatBytes(1_600_000_000)).toBe('1.6 GB');
});

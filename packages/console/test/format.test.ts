import { expect, test } from 'vitest';
import {
  formatBytes,
  formatCount,
  formatPercent,
  formatProtocol,
  formatShort,
  formatSize,
  formatTime,
} from '../src/format.ts';

test('numbers read as people write them', () => {
  expect(formatCount(12_345)).toBe('12,345');
  expect(formatShort(9_999)).toBe('9,999');
  expect(formatShort(1_234_567)).toBe('1.2M');
  expect(formatPercent(0.374)).toBe('37%');
  expect(formatBytes(212_400_000)).toBe('212 MB');
  expect(formatBytes(1_600_000_000)).toBe('1.6 GB');
  expect([96.4, 12_400, 3_100_000].map(formatSize)).toEqual(['96 B', '12.4 KB', '3.1 MB']);
});

test('versions of HTTP have the names that people know', () => {
  expect(['http/1.1', 'h2', 'h3', ''].map(formatProtocol)).toEqual([
    'HTTP/1.1',
    'HTTP/2',
    'HTTP/3',
    '',
  ]);
});

test('a time is hours and minutes', () => {
  expect(formatTime(new Date(2026, 0, 1, 13, 4, 59))).toMatch(/^(?:13|01):04/);
});

import { expect, test } from 'vitest';
import {
  formatCount,
  formatMs,
  formatPlace,
  formatRate,
  formatTime,
  formatWord,
} from '../../src/devtools/format.ts';

test.each([
  [0, '0 ms'],
  [7.6, '8 ms'],
  [1234, '1.2 s'],
  [59_400, '59 s'],
  [240_000, '4 min'],
  [7_500_000, '2 h 5 min'],
])('%d ms is %s', (ms, text) => {
  expect(formatMs(ms)).toBe(text);
});

test.each([
  [0, '0/s'],
  [0.4, '0.4/s'],
  [3, '3/s'],
  [12.34, '12/s'],
])('%d in a second is %s', (perSecond, text) => {
  expect(formatRate(perSecond)).toBe(text);
});

test('places keep their offset and lose what tells nothing', () => {
  expect(formatPlace('CvWIV1xyzabc:1042')).toBe('CvWIV1…:1042');
  expect(formatPlace('e:2')).toBe('e:2');
  expect(formatPlace('~e.cxABCDEF')).toBe('~e.cxA…');
  expect(formatWord('1234567')).toBe('1234567');
  expect(formatWord('12345678')).toBe('123456…');
});

test('one is one and others are many', () => {
  expect([0, 1, 2].map((count) => formatCount(count, 'gap'))).toEqual([
    '0 gaps',
    '1 gap',
    '2 gaps',
  ]);
});

test('times are those of the day', () => {
  expect(formatTime(1_700_000_000_000)).toMatch(/^\d\d:\d\d:\d\d$/);
});

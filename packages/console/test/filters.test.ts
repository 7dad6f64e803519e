import { describe, expect, test } from 'vitest';
import { FILTERS_MAX, formatFilters, isMany, parseFilters } from '../src/filters.ts';

describe('parseFilters', () => {
  test.each([
    ['room/42', ['room/42']],
    ['room/+', ['room/+']],
    [' a ,  b, c/# ,', ['a', 'b', 'c/#']],
    ['a, a', ['a']],
    [String.raw`a\,b, c`, ['a,b', 'c']],
  ])('reads %o', (text, filters) => {
    expect(parseFilters(text)).toEqual({ ok: true, filters });
  });

  test.each([
    ['', /Name a channel/],
    [' , ', /Name a channel/],
    ['a/#/b', /a\/#\/b # must be/],
    ['a+', /whole segment/],
    ['$system', /reserved/],
    [Array.from({ length: FILTERS_MAX + 1 }, (_, index) => `c${index}`).join(), /At most 16/],
  ])('says what is wrong with %o', (text, fault) => {
    expect(parseFilters(text)).toMatchObject({ ok: false, fault: expect.stringMatching(fault) });
  });

  test('reads what formatFilters wrote', () => {
    const filters = ['a,b', 'room/+', '#'];
    expect(parseFilters(formatFilters(filters))).toEqual({ ok: true, filters });
  });
});

test('several names or one pattern may bring more than one channel', () => {
  expect(isMany(['a'])).toBe(false);
  expect(isMany(['a', 'b'])).toBe(true);
  expect(isMany(['a/+'])).toBe(true);
});

import { Query, show } from '@trunkline/server/internal/api/query.ts';
import { describe, expect, test } from 'vitest';

const bad = (message: string): unknown =>
  expect.objectContaining({ code: 'bad_request', message: expect.stringContaining(message) });

describe('Query', () => {
  test('decodes as forms are', () => {
    const query = new Query('channel=a%2Fb&after=a%3De%3A1%26b%3De%3A2&x=a+b&empty');
    expect(query.channel()).toBe('a/b');
    expect(query.text('after')).toBe('a=e:1&b=e:2');
    expect(query.text('x')).toBe('a b');
    expect(query.text('empty')).toBe('');
    expect(query.text('nothing')).toBeUndefined();
    expect([query.has('empty'), query.has('nothing')]).toEqual([true, false]);
  });

  test('refuses what it cannot decode instead of replacing it', () => {
    for (const search of ['%', 'a=%f', 'a=%ff', 'a=%c0%80', 'a=%ed%a0%80', 'a=%zz']) {
      expect(() => new Query(search)).toThrow(bad('percent-encoded UTF-8'));
    }
  });

  test('has a bound', () => {
    expect(() => new Query('x'.repeat(65_537))).toThrow(bad('at most 65536'));
  });

  test('reads whole numbers in their one spelling', () => {
    const bounds = { min: 0, max: 100 };
    const read = (text: string): number | undefined => new Query(`n=${text}`).whole('n', bounds);
    expect([read('0'), read('7'), read('100')]).toEqual([0, 7, 100]);
    expect(new Query('').whole('n', bounds)).toBeUndefined();
    for (const text of [
      '',
      '-0',
      '00',
      '07',
      '1.0',
      '1e2',
      '0x1',
      '١',
      '101',
      ' 1',
      'NaN',
      '1,0',
    ]) {
      expect(() => read(encodeURIComponent(text))).toThrow(
        bad('n must be a whole number from 0 to 100, got '),
      );
    }
    // Above the safe integers two spellings would be one number.
    expect(() =>
      new Query('n=9007199254740993').whole('n', { min: 0, max: Number.MAX_SAFE_INTEGER }),
    ).toThrow(bad('n must be'));
  });

  test('reads seconds as milliseconds', () => {
    const read = (text: string): number | undefined => new Query(`s=${text}`).seconds('s', 60_000);
    expect([read('0'), read('0.001'), read('1.1'), read('60'), read('60.000')]).toEqual([
      0, 1, 1_100, 60_000, 60_000,
    ]);
    for (const text of ['60.001', '.5', '1.', '1.0001', '-1', '1e1', '01']) {
      expect(() => read(text)).toThrow(bad('s must be a number of seconds from 0 to 60'));
    }
  });

  test('reads flags', () => {
    const read = (search: string): boolean => new Query(search).flag('f');
    expect([read('f=1'), read('f=true'), read('f=0'), read('f=false'), read('')]).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
    expect(() => read('f')).toThrow(bad('f must be 1, true, 0 or false, got ""'));
  });
});

describe('show', () => {
  test('is short and quoted', () => {
    expect(show('a\n"b"')).toBe('"a\\n\\"b\\""');
    expect(show('x'.repeat(1_000))).toHaveLength(63);
  });
});

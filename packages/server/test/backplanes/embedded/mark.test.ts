import { describe, expect, test } from 'vitest';
import { formatMark, parseMark } from '@trunkline/server/internal/backplanes/embedded/mark.ts';
import { isMark } from '@trunkline/wire';

describe('a mark', () => {
  test.each([
    { id: 'a', run: 1, sequence: 0, memory: 0 },
    { id: 'Zz9', run: 12, sequence: 999_999_999_999_999, memory: 34 },
  ])('is read as it was written', (mark) => {
    const text = formatMark(mark);
    expect(isMark(text)).toBe(true);
    expect(parseMark(text)).toEqual(mark);
  });

  test.each([
    '',
    '~',
    '~e',
    '~e.a.1.2',
    '~e.a.1.2.3.4',
    '~e.a.01.2.3',
    '~e.a.-1.2.3',
    '~e..1.2.3',
    '~e.a.1.1e3.3',
    '~e.a.1.2.9999999999999999',
    ' ~e.a.1.2.3',
    '~e.a.1.2.3\n',
    '~x.a.1.2.3',
  ])('is not %j', (text) => {
    expect(parseMark(text)).toBeUndefined();
  });
});

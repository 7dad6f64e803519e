import { expect, test } from 'vitest';
import { codesPage, CODES_PAGE } from '../codes.ts';
import { readText, ROOT } from '../source.ts';

test('the page of codes is what the registry says', () => {
  expect(readText(ROOT, CODES_PAGE)).toBe(codesPage());
});

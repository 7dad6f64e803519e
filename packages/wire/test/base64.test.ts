import { describe, expect, test } from 'vitest';
import { decodeBase64, encodeBase64 } from '../src/base64.ts';

describe('base64', () => {
  // RFC 4648 §10
  test.each([
    ['', ''],
    ['f', 'Zg=='],
    ['fo', 'Zm8='],
    ['foo', 'Zm9v'],
    ['foob', 'Zm9vYg=='],
    ['fooba', 'Zm9vYmE='],
    ['foobar', 'Zm9vYmFy'],
  ])('writes %j as %j and back', (text, base64) => {
    const bytes = new TextEncoder().encode(text);
    expect(encodeBase64(bytes)).toBe(base64);
    expect(decodeBase64(base64)).toEqual(bytes);
  });

  test.each([
    'Zg',
    'Zg=',
    'Z',
    '====',
    '=',
    'Zg==Zg==',
    'Zm9v\n',
    ' Zm9v',
    'Zm-_',
    'Zm9vä',
    'Z===',
    'Zm=v',
  ])('refuses %j', (text) => {
    expect(decodeBase64(text)).toBeUndefined();
  });

  test('keeps every byte value, also across its chunks', () => {
    const bytes = Uint8Array.from({ length: 20_000 }, (_, index) => index % 256);
    expect(decodeBase64(encodeBase64(bytes))).toEqual(bytes);
  });

  test('reads many megabytes', () => {
    expect(decodeBase64('////'.repeat(4_000_000))?.length).toBe(12_000_000);
    expect(decodeBase64(`${'////'.repeat(4_000_000)}//!/`)).toBeUndefined();
  });
});

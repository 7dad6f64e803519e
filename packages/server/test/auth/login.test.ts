import { isTokenShaped, passwordText } from '@trunkline/server/internal/auth/login.ts';
import { TOKEN_LENGTH_MAX } from '@trunkline/server/internal/auth/tokens.ts';
import { describe, expect, test } from 'vitest';

const base64url = (text: string): string => Buffer.from(text).toString('base64url');

describe('passwordText', () => {
  test('reads UTF-8, a byte order mark included', () => {
    expect(passwordText(Buffer.from('pässwörd'))).toBe('pässwörd');
    expect(passwordText(Buffer.from('\u{feff}x'))).toBe('\u{feff}x');
    expect(passwordText(new Uint8Array())).toBe('');
  });

  test.each([
    ['half a character', [0xc3]],
    ['a lone surrogate', [0xed, 0xa0, 0x80]],
    ['bytes that are no text', [0xff, 0xfe]],
  ])('[AUTH-9] refuses %s', (_what, bytes) => {
    expect(() => passwordText(Uint8Array.from(bytes))).toThrow('a password must be UTF-8');
  });

  test('refuses what is longer than every token', () => {
    expect(passwordText(new Uint8Array(TOKEN_LENGTH_MAX))).toHaveLength(TOKEN_LENGTH_MAX);
    const most = new Uint8Array(4 * TOKEN_LENGTH_MAX + 1);
    expect(() => passwordText(most)).toThrow('at most 16384 characters');
  });
});

describe('isTokenShaped', () => {
  test.each([
    ['a signed token', `${base64url('{"alg":"HS256"}')}.${base64url('{}')}.c2ln`],
    ['one whose signature was cut off', `${base64url('{"alg":"none"}')}.${base64url('{}')}.`],
    ['one of an algorithm nobody knows', `${base64url('{"alg":7}')}..`],
  ])('knows %s', (_what, text) => {
    expect(isTokenShaped(text)).toBe(true);
  });

  test.each([
    ['nothing', ''],
    ['a word', 'hunter2'],
    ['words with dots between them', 'correct.horse.battery'],
    ['two parts', `${base64url('{"alg":"HS256"}')}.x`],
    ['four parts', `${base64url('{"alg":"HS256"}')}.x.y.z`],
    ['a header that is no object', `${base64url('"alg"')}.x.y`],
    ['a header that is null', `${base64url('null')}.x.y`],
    ['a header without an algorithm', `${base64url('{}')}.x.y`],
    ['spaces around a token', ` ${base64url('{"alg":"HS256"}')}.x.y`],
  ])('takes %s for a password', (_what, text) => {
    expect(isTokenShaped(text)).toBe(false);
  });
});

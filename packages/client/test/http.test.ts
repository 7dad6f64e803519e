import { describe, expect, test } from 'vitest';
import { addressOf, networkError, refusalOf } from '../src/http.ts';

describe('addresses', () => {
  test.each([
    ['http://a', 'http', 'http://a/v1/x'],
    ['http://a', 'ws', 'ws://a/v1/x'],
    ['https://a:9/base', 'ws', 'wss://a:9/base/v1/x'],
    ['https://a/base/', 'http', 'https://a/base/v1/x'],
    ['ws://a', 'http', 'http://a/v1/x'],
    ['wss://a', 'http', 'https://a/v1/x'],
    ['http://[::1]:8080', 'ws', 'ws://[::1]:8080/v1/x'],
  ] as const)('%s for %s is %s', (base, scheme, address) => {
    expect(addressOf(base, scheme, 'x')).toBe(address);
  });

  test('carry what is known of the query, encoded', () => {
    const query = { channel: 'a&b=c/ä', after: undefined, limit: 0 };
    const address = new URL(addressOf('http://a', 'http', 'x', query));
    expect(Object.fromEntries(address.searchParams)).toEqual({ channel: 'a&b=c/ä', limit: '0' });
  });

  test.each(['', 'a', 'ftp://a', 'file:///a', 'javascript:1'])('refuse %j', (base) => {
    expect(() => addressOf(base, 'http', 'x')).toThrow(/url must be like/);
  });
});

describe('refusals', () => {
  const refusal = (status: number, body: string, headers = {}) =>
    refusalOf(new Response(body, { status, headers }));

  test('are read from problem details', async () => {
    const body = '{"code":"too_large","title":"over","detail":"why","retryAfter":5,"stored":false}';
    expect(await refusal(413, body)).toMatchObject({
      code: 'too_large',
      message: 'why',
      retryAfter: 5,
      stored: false,
    });
  });

  test.each([
    [401, 'unauthenticated'],
    [404, 'not_found'],
    [418, 'bad_request'],
    [500, 'internal'],
    [502, 'unavailable'],
    [503, 'unavailable'],
    [504, 'unavailable'],
  ])('with status %i alone are %s', async (status, code) => {
    expect(await refusal(status, '<html>')).toMatchObject({ code });
  });

  test('take seconds from Retry-After, and ignore a date', async () => {
    expect((await refusal(503, '', { 'retry-after': '2' })).retryAfter).toBe(2000);
    const date = 'Wed, 21 Oct 2026 07:28:00 GMT';
    expect((await refusal(503, '', { 'retry-after': date })).retryAfter).toBeUndefined();
  });

  test('never name a code that the registry does not have', async () => {
    expect(await refusal(500, '{"code":"constructor"}')).toMatchObject({ code: 'internal' });
  });
});

test('a network error tells the cause that fetch hides', () => {
  const error = new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED') });
  expect(networkError(error)).toMatchObject({ message: 'connect ECONNREFUSED' });
  expect(networkError('odd').message).toBe('odd');
});

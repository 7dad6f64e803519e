import { describe, expect, test } from 'vitest';
import { addressOf, bytesOf, networkError, refusalOf, textOf } from '../src/http.ts';

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
    [400, 'not_found'],
    [403, 'not_found'],
    [407, 'not_found'],
    [409, 'not_found'],
    [413, 'too_large'],
    [429, 'rate_limited'],
    [404, 'not_found'],
    [418, 'not_found'],
    [500, 'internal'],
    [502, 'unavailable'],
    [503, 'unavailable'],
    [504, 'unavailable'],
  ])('with status %i alone, as of a proxy, are %s', async (status, code) => {
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

describe('answers', () => {
  const pieces = (...texts: string[]) => {
    const encoder = new TextEncoder();
    const queue = texts.map((text) => encoder.encode(text));
    return new ReadableStream<Uint8Array>({
      pull(controller) {
        const piece = queue.shift();
        if (piece === undefined) controller.close();
        else controller.enqueue(piece);
      },
    });
  };

  test.each([[[]], [['ab']], [['a', '\u00e4', 'b']]])('are read whole from %j', async (texts) => {
    expect(await textOf(new Response(pieces(...texts)))).toBe(texts.join(''));
    expect(await textOf(new Response(texts.join('')))).toBe(texts.join(''));
  });

  test('without end are given up at the bound, and not read on', async () => {
    let given = 0;
    let isCancelled = false;
    const piece = new Uint8Array(1024 * 1024);
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        given += 1;
        controller.enqueue(piece);
      },
      cancel() {
        isCancelled = true;
      },
    });
    await expect(bytesOf(new Response(body))).rejects.toMatchObject({ code: 'too_large' });
    expect(given).toBeLessThan(70);
    expect(isCancelled).toBe(true);
  });

  test('are read where nothing streams', async () => {
    const response = new Response('ab');
    Object.defineProperty(response, 'body', { value: undefined });
    expect(await textOf(response)).toBe('ab');
  });
});

test('a network error tells the cause that fetch hides', () => {
  const error = new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED') });
  expect(networkError(error)).toMatchObject({ message: 'connect ECONNREFUSED' });
  expect(networkError('odd').message).toBe('odd');
});

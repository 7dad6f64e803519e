import { describe, expect, test } from 'vitest';
import { publish, publishBatch } from '../../src/single/publish.ts';
import type { Outgoing } from '../../src/single/publish.ts';
import { fakePlatform } from '../support/fakes.ts';

const url = 'http://server.example';
const PUBLISHED = { channel: 'a', offset: 1, epoch: 'e', position: 'e:1' };

function begin(message: Outgoing, options = {}) {
  const platform = fakePlatform();
  const result = publish({ url, ...platform, ...options }, 'a', message);
  // Looked at by the test, perhaps after it failed.
  result.catch(() => {});
  return { platform, result };
}

describe('publishing over HTTP', () => {
  test.each<[string, Outgoing, string]>([
    ['a value', { data: { x: 1 } }, '{"channel":"a","data":{"x":1}}'],
    ['null', { data: null }, '{"channel":"a","data":null}'],
    ['JSON as written', { source: '[1.0, 2e400]' }, '{"channel":"a","data":[1.0, 2e400]}'],
    ['bytes', { bytes: new Uint8Array([0, 1]) }, '{"channel":"a","bytes":"AAE="}'],
    [
      'everything',
      { data: 'x', contentType: 'text/plain', event: 'said', key: 'k' },
      '{"channel":"a","data":"x","contentType":"text/plain","event":"said","key":"k"}',
    ],
  ])('sends %s', async (_, message, body) => {
    const { platform, result } = begin(message, { token: () => 'fresh' });
    await platform.clock.settle();
    const [request] = platform.requests;
    expect(request?.body).toBe(body);
    expect(request?.method).toBe('POST');
    expect(request?.url.href).toBe('http://server.example/v1/publish');
    expect(request?.headers).toMatchObject({
      authorization: 'Bearer fresh',
      'content-type': 'application/json',
    });
    request?.answer(200, PUBLISHED);
    expect(await result).toEqual(PUBLISHED);
    expect(platform.clock.timerCount).toBe(0);
  });

  test.each<[string, Outgoing]>([
    ['nothing', {}],
    ['what has no JSON', { data: () => 1 }],
    ['two payloads', { data: 1, source: '1' }],
    ['source that is no JSON', { source: '1},"channel":"b"' }],
  ])('refuses %s before anything is sent', async (_, message) => {
    const { platform, result } = begin(message);
    await expect(result).rejects.toMatchObject({ code: 'bad_request', stored: false });
    expect(platform.requests).toHaveLength(0);
  });

  test.each([
    [403, { code: 'forbidden', detail: 'no' }, { code: 'forbidden', stored: false }],
    [409, { code: 'conflict', stored: false }, { code: 'conflict', stored: false }],
    [503, { code: 'unavailable', stored: false }, { code: 'unavailable', stored: false }],
    [503, { code: 'unavailable', stored: 'unknown' }, { stored: 'unknown' }],
    [502, '<html>', { code: 'unavailable', stored: 'unknown' }],
    [429, { code: 'rate_limited', retryAfter: 50 }, { retryAfter: 50, stored: false }],
    [200, { nonsense: true }, { code: 'internal', stored: 'unknown' }],
  ])('tells of an answer %i %j whether it may be stored', async (status, body, error) => {
    const { platform, result } = begin({ data: 1 });
    await platform.clock.settle();
    platform.requests[0]?.answer(status, body);
    await expect(result).rejects.toMatchObject(error);
  });

  test('does not know whether it is stored when the connection breaks', async () => {
    const { platform, result } = begin({ data: 1 });
    await platform.clock.settle();
    platform.requests[0]?.fail('socket hang up');
    await expect(result).rejects.toMatchObject({
      code: 'unavailable',
      message: 'socket hang up',
      stored: 'unknown',
    });
  });

  test('gives up after 30 s, and when aborted', async () => {
    const late = begin({ data: 1 });
    await late.platform.clock.pass(30_000);
    await expect(late.result).rejects.toMatchObject({ code: 'timeout', stored: 'unknown' });
    const aborter = new AbortController();
    const aborted = begin({ data: 1 }, { signal: aborter.signal });
    await aborted.platform.clock.settle();
    aborter.abort();
    await expect(aborted.result).rejects.toMatchObject({ stored: 'unknown' });
    expect(aborted.platform.clock.timerCount).toBe(0);
  });
});

describe('publishing a batch', () => {
  const items = [1, 2, 3].map((data) => ({ channel: 'a', message: { data } }));

  test('gives each message its answer or its error', async () => {
    const platform = fakePlatform();
    const result = publishBatch({ url, ...platform }, items);
    await platform.clock.settle();
    expect(JSON.parse(platform.requests[0]?.body ?? '')).toEqual(
      [1, 2, 3].map((data) => ({ channel: 'a', data })),
    );
    const refusal = { code: 'too_large', message: 'too large' };
    platform.requests[0]?.answer(200, [PUBLISHED, refusal, { code: 'unavailable' }]);
    expect(await result).toEqual([
      PUBLISHED,
      expect.objectContaining({ code: 'too_large', message: 'too large', stored: false }),
      expect.objectContaining({ code: 'unavailable', stored: 'unknown' }),
    ]);
  });

  test('refuses an answer of another length', async () => {
    const platform = fakePlatform();
    const result = publishBatch({ url, ...platform }, items);
    await platform.clock.settle();
    platform.requests[0]?.answer(200, [PUBLISHED]);
    await expect(result).rejects.toMatchObject({ code: 'internal', stored: 'unknown' });
  });
});

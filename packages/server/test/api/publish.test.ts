import { CodedError } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { expectProblem } from './expectations.ts';
import type { RequestSketch } from './requests.ts';
import { jsonOf, textOf } from './requests.ts';
import { setUp } from './set-up.ts';

const JSON_TYPE = { 'content-type': 'application/json' };

function publishOf(body: unknown, headers: Record<string, string> = {}): RequestSketch {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return { method: 'POST', url: '/v1/publish', headers: { ...JSON_TYPE, ...headers }, body: text };
}

function rawOf(
  search: string,
  type: string | undefined,
  body: string | Uint8Array,
  headers: Record<string, string> = {},
): RequestSketch {
  const typed = type === undefined ? headers : { 'content-type': type, ...headers };
  return { method: 'POST', url: `/v1/publish?${search}`, headers: typed, body };
}

describe('publishing one message', () => {
  test('answers where it went, and nothing else', async () => {
    const { askAsServer } = setUp();
    const answer = await askAsServer(publishOf({ channel: 'room/42', data: { hello: 1 } }));
    expect(answer).toEqual({
      status: 200,
      headers: {
        'content-type': 'application/json',
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        vary: 'Origin',
      },
      body: '{"channel":"room/42","offset":1,"epoch":"k3f9","position":"k3f9:1"}',
    });
  });

  test('hands payload, event and key to the hub as they came', async () => {
    const { askAsServer, hub } = setUp();
    const data = '{"n": 12345678901234567890.10,\r\n "e":1e400}';
    await askAsServer(publishOf(`{"channel":"a","event":"tick","key":"k1","data":${data}}`));
    expect(hub.published).toHaveLength(1);
    const [{ channel, request } = { channel: '', request: undefined }] = hub.published;
    expect(channel).toBe('a');
    expect(Buffer.from(request?.payload ?? []).toString()).toBe(data);
    expect(request).toMatchObject({ event: 'tick', key: 'k1' });
    expect(request).not.toHaveProperty('contentType');
    // An application's message is from no session.
    expect(request).not.toHaveProperty('from');
  });

  test('says who a user is', async () => {
    const { ask, hub, token } = setUp();
    const authorization = `Bearer ${await token('alice')}`;
    await ask(publishOf({ channel: 'a', data: 1 }, { authorization }));
    await ask(publishOf({ channel: 'a', data: 1 }, { authorization }));
    const sessions = hub.published.map(({ caller, request }) => {
      expect(request.from).toEqual({ user: 'alice', session: caller.session });
      return caller.session;
    });
    expect(new Set(sessions).size).toBe(2);
  });

  test('takes bytes and text', async () => {
    const { askAsServer, hub } = setUp();
    await askAsServer(publishOf({ channel: 'a', bytes: 'AAEC' }));
    await askAsServer(publishOf({ channel: 'a', data: 'hé', contentType: 'text/plain' }));
    expect(hub.published.map(({ request }) => [request.contentType, ...request.payload])).toEqual([
      ['application/octet-stream', 0, 1, 2],
      ['text/plain', ...Buffer.from('hé')],
    ]);
  });

  test('takes JSON without being told that it is', async () => {
    const { askAsServer } = setUp();
    for (const type of ['application/x-www-form-urlencoded', 'text/plain;charset=UTF-8']) {
      const answer = await askAsServer(
        publishOf({ channel: 'a', data: 1 }, { 'content-type': type }),
      );
      expect(answer.status).toBe(200);
    }
  });

  test('takes Idempotency-Key as key', async () => {
    const { askAsServer, hub } = setUp();
    const headers = { 'idempotency-key': 'k1' };
    await askAsServer(publishOf({ channel: 'a', data: 1 }, headers));
    await askAsServer(publishOf({ channel: 'a', data: 1, key: 'k1' }, headers));
    await askAsServer(publishOf({ channels: ['a', 'b'], data: 1 }, headers));
    expect(hub.published.map(({ request }) => request.key)).toEqual(['k1', 'k1', 'k1', 'k1']);
    const differs = await askAsServer(publishOf({ channel: 'a', data: 1, key: 'k2' }, headers));
    expectProblem(differs, 400, 'bad_request', 'key and Idempotency-Key differ: "k2" and "k1"');
    for (const key of ['', 'x'.repeat(257)]) {
      const sketch = publishOf({ channel: 'a', data: 1 }, { 'idempotency-key': key });
      expectProblem(await askAsServer(sketch), 400, 'bad_request', 'Idempotency-Key must');
    }
  });

  test.each([
    ['', 'not valid JSON'],
    ['{', 'not valid JSON'],
    ['"text"', 'expected a JSON object'],
    ['{"data":1}', 'channel must be a string, got nothing'],
    ['{"channel":7,"data":1}', 'got 7'],
    ['{"channel":"","data":1}', 'channel must not be empty'],
    ['{"channel":"a/+","data":1}', 'must not contain \\+ or #'],
    ['{"channel":"$SYS","data":1}', 'must not begin with \\$'],
    ['{"channel":"a\\u0000","data":1}', 'control characters'],
    ['{"channel":"a"}', 'give either data or bytes'],
    ['{"channel":"a","data":1,"bytes":"AA=="}', 'give either data or bytes'],
    ['{"channel":"a","bytes":"*"}', 'bytes must be base64'],
    ['{"channel":"a","data":1,"event":"open"}', 'event must not be open'],
    ['{"channel":"a","data":1,"event":"a\\nb"}', 'event must not contain control'],
    ['{"channel":"a","data":1,"key":""}', 'key must not be empty'],
    ['{"channel":"a","data":1,"contentType":"text/plain"}', 'data must be a string'],
    ['{"channel":"a","data":1,"contentType":"no"}', 'contentType must look like'],
    ['{"channel":"a","channels":["b"],"data":1}', 'channel or channels, not both'],
    ['{"channels":[],"data":1}', 'at least one channel'],
    ['{"channels":["a","+"],"data":1}', 'must not contain \\+'],
  ])('refuses %s', async (body, detail) => {
    const { askAsServer, hub } = setUp();
    const answer = await askAsServer(publishOf(body));
    expectProblem(answer, 400, 'bad_request', new RegExp(detail));
    expect(jsonOf(answer)).toMatchObject({ stored: false });
    expect(hub.published).toEqual([]);
  });

  test('refuses a body that is no UTF-8', async () => {
    const { askAsServer } = setUp();
    const body = Buffer.from('{"channel":"a","data":"\xe9"}', 'latin1');
    const answer = await askAsServer({ ...publishOf(''), body });
    expectProblem(answer, 400, 'bad_request', 'the body must be JSON in UTF-8');
  });

  test('refuses a body over the limit, and a message over the hub’s', async () => {
    const { askAsServer } = setUp();
    const big = 'x'.repeat(1024 * 1024);
    const body = await askAsServer(publishOf({ channel: 'a', data: big }));
    expectProblem(body, 413, 'too_large');
    expect(jsonOf(body)).toMatchObject({ stored: false });
    const message = await askAsServer(publishOf({ channel: 'a', data: 'x'.repeat(65_536) }));
    expectProblem(message, 413, 'too_large', 'a message may have 65536 bytes');
  });
});

describe('publishing to several channels', () => {
  test('answers for each in order', async () => {
    const { askAsServer, hub } = setUp();
    const answer = await askAsServer(publishOf({ channels: ['a', 'b', 'a'], data: { n: 1 } }));
    expect(jsonOf(answer)).toEqual([
      { channel: 'a', offset: 1, epoch: 'k3f9', position: 'k3f9:1' },
      { channel: 'b', offset: 1, epoch: 'k3f9', position: 'k3f9:1' },
      { channel: 'a', offset: 2, epoch: 'k3f9', position: 'k3f9:2' },
    ]);
    expect(hub.published.map(({ channel }) => channel)).toEqual(['a', 'b', 'a']);
  });

  test('lets one fail alone, and says whether it may be stored', async () => {
    const { askAsServer, hub, errors } = setUp();
    const lost = { retryAfter: 500, stored: 'unknown' } as const;
    hub.failures.set('b', new CodedError('unavailable', 'the log is away', lost));
    hub.failures.set('c', new CodedError('forbidden', 'not in c'));
    hub.failures.set('d', new Error('a secret of the inside'));
    const answer = await askAsServer(publishOf({ channels: ['a', 'b', 'c', 'd'], data: 1 }));
    expect(answer.status).toBe(200);
    expect(jsonOf(answer)).toEqual([
      { channel: 'a', offset: 1, epoch: 'k3f9', position: 'k3f9:1' },
      { type: 'error', code: 'unavailable', message: 'the log is away', ...lost },
      { type: 'error', code: 'forbidden', message: 'not in c', stored: false },
      { type: 'error', code: 'internal', message: 'internal error', stored: 'unknown' },
    ]);
    expect(errors).toHaveLength(1);
  });
});

describe('publishing a batch', () => {
  test('answers in the order of its elements, faulty ones in their place', async () => {
    const { askAsServer, hub } = setUp();
    const body =
      '[{"channel":"a","data":1},{"channel":"+","data":2}, 7 ,{"channels":["a","b"],"data":3},' +
      '{"channel":"a","data":10000000000000000000001}]';
    const answer = await askAsServer(publishOf(body));
    expect(jsonOf(answer)).toEqual([
      expect.objectContaining({ channel: 'a', offset: 1 }),
      expect.objectContaining({ type: 'error', code: 'bad_request', stored: false }),
      expect.objectContaining({ type: 'error', code: 'bad_request', stored: false }),
      [
        expect.objectContaining({ channel: 'a', offset: 2 }),
        expect.objectContaining({ channel: 'b', offset: 1 }),
      ],
      expect.objectContaining({ channel: 'a', offset: 3 }),
    ]);
    const payloads = hub.published.map(({ request }) => Buffer.from(request.payload).toString());
    expect(payloads).toEqual(['1', '3', '3', '10000000000000000000001']);
  });

  test('may be empty', async () => {
    const { askAsServer } = setUp();
    expect(textOf(await askAsServer(publishOf('[]')))).toBe('[]');
  });

  test('has a bound, counted before anything is published', async () => {
    const { askAsServer, hub } = setUp();
    const channels = Array.from({ length: 600 }, (_, index) => `c${index}`);
    const body = [
      { channels, data: 1 },
      { channels, data: 1 },
    ];
    expectProblem(await askAsServer(publishOf(body)), 413, 'too_large', 'at most 1000');
    expect(hub.published).toEqual([]);
  });

  test('has its keys in its elements', async () => {
    const { askAsServer } = setUp();
    const sketch = publishOf([{ channel: 'a', data: 1 }], { 'idempotency-key': 'k' });
    expectProblem(await askAsServer(sketch), 400, 'bad_request', 'each element has its own key');
  });
});

describe('publishing a raw body', () => {
  test('keeps its bytes and its type', async () => {
    const { askAsServer, hub } = setUp();
    const body = Uint8Array.of(0, 255, 13, 10);
    const answer = await askAsServer(rawOf('channel=a%2Fb', 'image/png', body));
    expect(jsonOf(answer)).toMatchObject({ channel: 'a/b', offset: 1 });
    await askAsServer(rawOf('channel=a', 'text/plain; charset=utf-8', 'hé'));
    await askAsServer(rawOf('channel=a', undefined, 'x'));
    await askAsServer(rawOf('channel=a', 'text/plain', ''));
    expect(hub.published.map(({ request }) => [request.contentType, ...request.payload])).toEqual([
      ['image/png', 0, 255, 13, 10],
      ['text/plain; charset=utf-8', ...Buffer.from('hé')],
      ['application/octet-stream', 120],
      ['text/plain'],
    ]);
  });

  test('takes event and key from the query, and the key from the header too', async () => {
    const { askAsServer, hub } = setUp();
    await askAsServer(rawOf('channel=a&event=tick&key=k', 'text/plain', 'x'));
    await askAsServer(rawOf('channel=a', 'text/plain', 'x', { 'idempotency-key': 'k' }));
    expect(hub.published.map(({ request }) => [request.event, request.key])).toEqual([
      ['tick', 'k'],
      [undefined, 'k'],
    ]);
    const both = rawOf('channel=a&key=x', 'text/plain', 'x', { 'idempotency-key': 'k' });
    expectProblem(await askAsServer(both), 400, 'bad_request', 'differ');
  });

  test.each([
    ['channel=a', 'application/json', 'the channel stands in the body'],
    ['channel=a', 'application/json; charset=utf-8', 'the channel stands in the body'],
    ['channel=a', 'nonsense', 'Content-Type must look like'],
    ['channel=a&channel=b', 'text/plain', 'give channel once, got it 2 times'],
    ['channel=', 'text/plain', 'channel must not be empty'],
    ['channel=%23', 'text/plain', 'must not contain \\+ or #'],
    ['channel=%ff', 'text/plain', 'percent-encoded UTF-8'],
    ['channel=a&event=close', 'text/plain', 'event must not be'],
    ['channel=a&key=', 'text/plain', 'key must not be empty'],
  ])('refuses ?%s of type %s', async (search, type, detail) => {
    const { askAsServer, hub } = setUp();
    expectProblem(
      await askAsServer(rawOf(search, type, 'x')),
      400,
      'bad_request',
      new RegExp(detail),
    );
    expect(hub.published).toEqual([]);
  });
});

describe('a refused publish', () => {
  test.each([
    [new CodedError('forbidden', 'not you'), 403, false, undefined],
    [new CodedError('conflict', 'other payload', { stored: false }), 409, false, undefined],
    [new CodedError('rate_limited', 'slowly', { retryAfter: 1_200 }), 429, false, '2'],
    [new CodedError('unavailable', 'away', { stored: 'unknown' }), 503, 'unknown', '1'],
    [new CodedError('draining', 'going', { stored: false, retryAfter: 10 }), 503, false, '1'],
  ] as const)('is told as %s', async (error, status, stored, retryAfter) => {
    const { askAsServer, hub } = setUp();
    hub.failure = error;
    const answer = await askAsServer(publishOf({ channel: 'a', data: 1 }));
    expectProblem(answer, status, error.code, error.message);
    expect(jsonOf(answer)).toMatchObject({ stored });
    expect(answer.headers?.['retry-after']).toBe(retryAfter);
  });

  test('keeps what broke inside to the log', async () => {
    const { askAsServer, hub, errors } = setUp();
    hub.failure = new Error('a secret of the inside');
    const answer = await askAsServer(publishOf({ channel: 'a', data: 1 }));
    expectProblem(answer, 500, 'internal');
    expect(jsonOf(answer)).toMatchObject({ stored: 'unknown' });
    expect(textOf(answer)).not.toContain('secret');
    expect(errors).toEqual([{ error: hub.failure, method: 'POST', path: '/v1/publish' }]);
  });

  test('says so without a token too', async () => {
    const { ask, token } = setUp();
    const answer = await ask(publishOf({ channel: 'a', data: 1 }));
    expectProblem(answer, 401, 'unauthenticated', 'a token is needed');
    expect(jsonOf(answer)).toMatchObject({ stored: false });
    const authorization = `Bearer ${await token('alice', { b: ['publish'] })}`;
    const forbidden = await ask(publishOf({ channel: 'a', data: 1 }, { authorization }));
    expectProblem(forbidden, 403, 'forbidden', 'may not publish a');
  });
});

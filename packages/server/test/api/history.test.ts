import { decodeServerRecords } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { expectProblem } from './expectations.ts';
import { jsonOf, textOf } from './requests.ts';
import { API_KEY, setUp } from './set-up.ts';

async function world(count: number) {
  const made = setUp();
  for (let n = 1; n <= count; n += 1) {
    const body = `{"channel":"a","data":1234567890123456789${n}}`;
    await made.askAsServer({ method: 'POST', url: '/v1/publish', body });
  }
  return made;
}

describe('GET /v1/history', () => {
  test('answers a page, its payloads as published', async () => {
    const { askAsServer } = await world(2);
    const answer = await askAsServer({ url: '/v1/history?channel=a&after=k3f9:1' });
    expect(answer).toEqual({
      status: 200,
      headers: {
        'content-type': 'application/json',
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        vary: 'Origin, Accept',
      },
      body:
        '{"messages":[{"channel":"a","offset":2,"epoch":"k3f9","time":1700000000000,' +
        '"data":12345678901234567892}],"position":"k3f9:2","oldest":"k3f9:1","newest":"k3f9:2"}',
    });
  });

  test('answers in binary to who asks for it [BIN-2] [BIN-8]', async () => {
    const { askAsServer } = await world(2);
    const headers = {
      authorization: `Bearer ${API_KEY}`,
      accept: 'application/vnd.trunkline.v1+bin',
    };
    const url = '/v1/history?channel=a&after=k3f9:1';
    const answer = await askAsServer({ url, headers });
    expect(answer.headers).toEqual({
      'content-type': 'application/vnd.trunkline.v1+bin',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      vary: 'Origin, Accept',
    });
    expect(decodeServerRecords(Buffer.from(answer.body ?? ''))).toMatchObject([
      {
        kind: 'page',
        json: '{"position":"k3f9:2","oldest":"k3f9:1","newest":"k3f9:2"}',
        messages: [{ channel: 'a', offset: 2, payload: Buffer.from('12345678901234567892') }],
      },
    ]);
    const problem = await askAsServer({ url: '/v1/history?channel=%2B', headers });
    expectProblem(problem, 400, 'bad_request');
  });

  test('says that there is more, and that a place is not known', async () => {
    const { askAsServer } = await world(3);
    const page = jsonOf(await askAsServer({ url: '/v1/history?channel=a&limit=2' }));
    expect(page).toMatchObject({ position: 'k3f9:2', more: true });
    const gap = textOf(await askAsServer({ url: '/v1/history?channel=a&after=x' }));
    expect(gap).toContain('"gap":{"reason":"unknown"}');
  });

  test('hands on what was asked', async () => {
    const { askAsServer, hub } = setUp();
    const position = (offset: number) => ({ kind: 'position', position: { epoch: 'e', offset } });
    const asked = [
      ['after=e:1&limit=5', { after: position(1), countMax: 5 }],
      ['before=e:9', { before: position(9), countMax: 100 }],
      ['last=3', { last: 3, countMax: 1000 }],
      ['last=3&limit=2', { last: 3, countMax: 2 }],
      ['', { countMax: 100 }],
      ['after=start', { after: { kind: 'start' }, countMax: 100 }],
    ] as const;
    for (const [search] of asked) await askAsServer({ url: `/v1/history?channel=a&${search}` });
    expect(hub.histories).toEqual(asked.map(([, request]) => ({ channel: 'a', request })));
  });

  test.each([
    ['', 'channel is missing'],
    ['channel=a&channel=b', 'give channel once'],
    ['channel=%2B', 'must not contain \\+'],
    ['channel=a&after=e:1&before=e:2', 'give one of after, before and last'],
    ['channel=a&after=e:1&last=2', 'give one of after, before and last'],
    ['channel=a&limit=1001', 'limit must be a whole number from 1 to 1000, got "1001"'],
    ['channel=a&last=x', 'last must be a whole number'],
  ])('refuses ?%s', async (search, detail) => {
    const { askAsServer } = setUp();
    const answer = await askAsServer({ url: `/v1/history?${search}` });
    expectProblem(answer, 400, 'bad_request', new RegExp(detail));
  });

  test('is for those who may', async () => {
    const { ask, token } = setUp();
    expectProblem(await ask({ url: '/v1/history?channel=a' }), 401, 'unauthenticated');
    const authorization = `Bearer ${await token('alice', { a: ['subscribe'] })}`;
    const answer = await ask({ url: '/v1/history?channel=a', headers: { authorization } });
    expectProblem(answer, 403, 'forbidden');
  });
});

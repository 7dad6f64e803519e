import type { Draft } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { expectProblem } from './expectations.ts';
import { jsonOf, textOf } from './requests.ts';
import { setUp } from './set-up.ts';
import type { SetUp } from './set-up.ts';

/** Retains text in channels, as their publishes would have. */
async function retain(api: SetUp, channels: readonly string[], more: Partial<Draft> = {}) {
  for (const channel of channels) {
    const payload = Buffer.from(JSON.stringify(channel));
    const place = { position: { epoch: 'k3f9', offset: 7 }, time: 1_700_000_000_000 };
    await api.hub.beside.retained.retain(channel, { payload, ...more }, place);
  }
}

describe('GET /v1/retained', () => {
  test('[RET-5] answers what is retained as a message', async () => {
    const api = setUp();
    await retain(api, ['a'], { event: 'e' });
    const answer = await api.askAsServer({ url: '/v1/retained?channel=a' });
    expect(textOf(answer)).toBe(
      '{"messages":[{"channel":"a","offset":7,"epoch":"k3f9","time":1700000000000,"data":"a","event":"e"}]}',
    );
    expect(answer.headers).toMatchObject({ 'content-type': 'application/json' });
  });

  test('[RET-5] answers those that match a pattern, and where there is more', async () => {
    const api = setUp();
    await retain(api, ['a', 'a/1', 'a/2', 'b']);
    const ask = async (query: string) =>
      jsonOf(await api.askAsServer({ url: `/v1/retained?${query}` }));
    const named = (...names: string[]) =>
      names.map((channel) => expect.objectContaining({ channel }));
    expect(await ask('channel=a/%23')).toEqual({ messages: named('a', 'a/1', 'a/2') });
    expect(await ask('channel=%23&limit=2')).toEqual({ messages: named('a', 'a/1'), more: true });
    expect(await ask('channel=%23&limit=2&after=a/1')).toEqual({
      messages: named('a/2', 'b'),
      more: true,
    });
    expect(await ask('channel=%23&after=b')).toEqual({ messages: [] });
    expect(await ask('channel=c')).toEqual({ messages: [] });
  });

  test('has no position where the channel has no log', async () => {
    const api = setUp();
    const payload = Buffer.from('1');
    await api.hub.beside.retained.retain('v', { payload }, { time: 5 });
    const answer = await api.askAsServer({ url: '/v1/retained?channel=v' });
    expect(textOf(answer)).toBe('{"messages":[{"channel":"v","time":5,"data":1}]}');
  });

  test('refuses a search through too much for nothing', async () => {
    const api = setUp();
    const payload = Buffer.alloc(1_000_000, '1');
    for (let index = 0; index < 70; index += 1) {
      await api.hub.beside.retained.retain(`c/${index}`, { payload }, { time: 1 });
    }
    const answer = await api.askAsServer({ url: '/v1/retained?channel=%2B/x' });
    expectProblem(answer, 413, 'too_large', /to search it for "\+\/x"/);
  });

  test('needs the permission to subscribe', async () => {
    const api = setUp();
    await retain(api, ['a']);
    expectProblem(await api.ask({ url: '/v1/retained?channel=a' }), 401, 'unauthenticated');
    const authorization = `Bearer ${await api.token('alice', { a: ['publish'] })}`;
    const answer = await api.ask({ url: '/v1/retained?channel=a', headers: { authorization } });
    expectProblem(answer, 403, 'forbidden', 'may not subscribe a');
  });

  test.each([
    ['', 'channel is missing'],
    ['channel=a/%23/b', 'channel # must be the whole last segment, got "a/#/b"'],
    ['channel=%24SYS', 'channel must not begin with'],
    ['channel=a&limit=0', 'limit must be a whole number from 1 to 1000'],
    ['channel=a&channel=b', 'give channel once'],
  ])('refuses %j', async (query, detail) => {
    const { askAsServer } = setUp();
    expectProblem(await askAsServer({ url: `/v1/retained?${query}` }), 400, 'bad_request', detail);
  });
});

describe('DELETE /v1/retained', () => {
  test('[RET-5] clears what is retained, for those who may publish', async () => {
    const api = setUp();
    await retain(api, ['a']);
    const ask = { method: 'DELETE', url: '/v1/retained?channel=a' };
    const reader = `Bearer ${await api.token('alice', { a: ['subscribe'] })}`;
    const refused = await api.ask({ ...ask, headers: { authorization: reader } });
    expectProblem(refused, 403, 'forbidden');
    const writer = `Bearer ${await api.token('bob', { a: ['publish'] })}`;
    expect(await api.ask({ ...ask, headers: { authorization: writer } })).toMatchObject({
      status: 204,
    });
    expectProblem(await api.askAsServer(ask), 404, 'not_found', 'nothing is retained in "a"');
    const found = await api.askAsServer({ url: '/v1/retained?channel=a' });
    expect(jsonOf(found)).toEqual({ messages: [] });
  });
});

import { describe, expect, test } from 'vitest';
import { expectProblem } from './expectations.ts';
import { jsonOf } from './requests.ts';
import { setUp } from './set-up.ts';

describe('GET /v1/channels', () => {
  test('lists active channels that match, for applications', async () => {
    const { askAsServer, hub } = setUp();
    hub.active = [
      { channel: 'room/1', subscribers: 3 },
      { channel: 'news', subscribers: 1 },
    ];
    expect(jsonOf(await askAsServer({ url: '/v1/channels' }))).toEqual({ channels: hub.active });
    const rooms = await askAsServer({ url: '/v1/channels?match=room/%2B' });
    expect(jsonOf(rooms)).toEqual({ channels: [{ channel: 'room/1', subscribers: 3 }] });
  });

  test('says that there are more than it lists', async () => {
    const { askAsServer, hub } = setUp();
    hub.active = Array.from({ length: 1_001 }, (_, index) => ({
      channel: `c${index}`,
      subscribers: 1,
    }));
    expect(jsonOf(await askAsServer({ url: '/v1/channels' }))).toEqual({
      channels: hub.active.slice(0, 1_000),
      more: true,
    });
    const one = await askAsServer({ url: '/v1/channels?limit=1' });
    expect(jsonOf(one)).toEqual({ channels: hub.active.slice(0, 1), more: true });
  });

  test('is for API keys only', async () => {
    const { ask, token } = setUp();
    expectProblem(await ask({ url: '/v1/channels' }), 401, 'unauthenticated');
    const authorization = `Bearer ${await token('alice')}`;
    const user = await ask({ url: '/v1/channels', headers: { authorization } });
    expectProblem(user, 403, 'forbidden', 'an API key is needed');
    const { ask: askOpen } = setUp({ auth: { anonymous: true } });
    expectProblem(await askOpen({ url: '/v1/channels' }), 403, 'forbidden', 'an API key is needed');
  });

  test.each([
    ['match=a/%23/b', 'match # must be the whole last segment, got "a/#/b"'],
    ['match=', 'match must not be empty'],
    ['match=%24SYS', 'match must not begin with'],
    ['limit=0', 'limit must be'],
  ])('refuses ?%s', async (search, detail) => {
    const { askAsServer } = setUp();
    expectProblem(await askAsServer({ url: `/v1/channels?${search}` }), 400, 'bad_request', detail);
  });
});

import { expect, test } from 'vitest';
import { expectProblem } from './expectations.ts';
import { jsonOf } from './requests.ts';
import { setUp } from './set-up.ts';

test('answers a page of the members of a channel [PRES-8]', async () => {
  const { askAsServer, hub } = setUp();
  const answer = await askAsServer({ url: '/v1/presence?channel=room/1' });
  expect(answer.status).toBe(200);
  expect(jsonOf(answer)).toEqual({
    members: [{ session: 's1', user: 'ann', since: 5 }],
    count: 1,
    next: 'later',
  });
  await askAsServer({ url: '/v1/presence?channel=room/1&limit=7&after=later' });
  expect(hub.pages.map(({ request }) => request)).toEqual([
    { countMax: 100 },
    { countMax: 7, after: 'later' },
  ]);
});

test('is for those who may know who is there', async () => {
  const { ask, token } = setUp();
  const authorization = `Bearer ${await token('ann', { '#': ['subscribe'] })}`;
  const refused = await ask({ url: '/v1/presence?channel=a', headers: { authorization } });
  expectProblem(refused, 403, 'forbidden', 'may not presence a');
});

test.each([
  ['', 'channel is missing'],
  ['channel=a/%23', 'must not contain \\+ or #'],
  ['channel=a&limit=0', 'limit must be a whole number from 1 to 1000'],
  ['channel=a&limit=1001', 'got "1001"'],
  ['channel=a&after=x&after=y', 'give after once'],
])('refuses ?%s', async (search, detail) => {
  const { askAsServer } = setUp();
  const answer = await askAsServer({ url: `/v1/presence?${search}` });
  expectProblem(answer, 400, 'bad_request', new RegExp(detail));
});

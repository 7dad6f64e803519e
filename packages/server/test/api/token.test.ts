import { describe, expect, test } from 'vitest';
import { expectProblem } from './expectations.ts';
import { jsonOf } from './requests.ts';
import type { RequestSketch } from './requests.ts';
import { setUp } from './set-up.ts';

const tokenFor = (body: unknown): RequestSketch => ({
  method: 'POST',
  url: '/v1/token',
  body: typeof body === 'string' ? body : JSON.stringify(body),
});

describe('POST /v1/token in development mode', () => {
  test('mints a token that says what was asked', async () => {
    const { ask, hub, clock } = setUp({ auth: { development: true } });
    const asked = { user: 'alice', info: { name: 'Al' }, channels: { 'room/+': ['subscribe'] } };
    const answer = await ask(tokenFor(asked));
    expect(answer.headers?.['cache-control']).toBe('no-store');
    const { token, expires } = jsonOf(answer) as { token: string; expires: number };
    expect(expires).toBeGreaterThan(clock.unixMs() + 3_600_000 - 1);
    const headers = { authorization: `Bearer ${token}` };
    expect((await ask({ url: '/v1/poll?channel=room/1', headers })).status).toBe(200);
    expectProblem(await ask({ url: '/v1/poll?channel=x', headers }), 403, 'forbidden');
    expect(hub.reads[0]?.caller.identity).toMatchObject({
      ...{ user: 'alice', info: { name: 'Al' }, expiresAt: expires },
    });
  });

  test('grants as much as no token does where nothing is said of channels', async () => {
    const { ask } = setUp({ auth: { development: true } });
    const { token } = jsonOf(await ask(tokenFor({ user: 'alice' }))) as { token: string };
    const headers = { authorization: `Bearer ${token}` };
    expect((await ask({ url: '/v1/history?channel=any', headers })).status).toBe(200);
    expectProblem(await ask({ url: '/v1/history?channel=@bob', headers }), 403, 'forbidden');
  });

  test('mints one that lives as long as asked', async () => {
    const { ask, clock } = setUp({ auth: { development: true } });
    const { token } = jsonOf(await ask(tokenFor({ user: 'a', ttl: 2_000 }))) as { token: string };
    const headers = { authorization: `Bearer ${token}` };
    expect((await ask({ url: '/v1/poll?channel=a', headers })).status).toBe(200);
    clock.advance(3_000);
    expectProblem(
      await ask({ url: '/v1/poll?channel=a', headers }),
      401,
      'unauthenticated',
      'expired',
    );
  });

  test.each([
    ['', 'expected a JSON object'],
    ['[]', 'expected a JSON object'],
    ['{}', 'user must be a string that names the user, got nothing'],
    ['{"user":""}', 'user must not be empty'],
    [`{"user":"a","info":"${'x'.repeat(2000)}"}`, 'info must have at most 1024 bytes'],
    ['{"user":"a","channels":[]}', 'channels must map patterns'],
    [
      '{"user":"a","channels":{"a":["fly"]}}',
      'may list subscribe, publish, history, presence, got "fly"',
    ],
    ['{"user":"a","ttl":0}', 'ttl must be a number of milliseconds'],
    ['{"user":"a","ttl":1e300}', 'ttl must be a number of milliseconds'],
    ['{"user":"a","ttl":"1"}', 'ttl must be a number of milliseconds'],
  ])('refuses %s', async (body, detail) => {
    const { ask } = setUp({ auth: { development: true } });
    expectProblem(await ask(tokenFor(body)), 400, 'bad_request', detail);
  });
});

describe('POST /v1/token outside development mode', () => {
  test('is not there, for applications neither', async () => {
    const { askAsServer } = setUp();
    expectProblem(await askAsServer(tokenFor({ user: 'alice' })), 404, 'not_found');
  });
});

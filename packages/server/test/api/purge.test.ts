import { describe, expect, test } from 'vitest';
import { expectProblem } from './expectations.ts';
import { jsonOf } from './requests.ts';
import { FOREIGN, setUp } from './set-up.ts';

const PURGE = { method: 'DELETE', url: '/v1/channels?channel=a' };

describe('DELETE /v1/channels', () => {
  test('[PURGE-1] removes all that is kept of a channel', async () => {
    const { askAsServer } = setUp();
    const body = JSON.stringify({ channel: 'a', data: 1 });
    await askAsServer({ method: 'POST', url: '/v1/publish', body });
    const snapshot = '/v1/snapshot?channel=a';
    await askAsServer({ method: 'PUT', url: `${snapshot}&position=k3f9:1`, body: '{}' });
    expect(await askAsServer(PURGE)).toMatchObject({ status: 204 });
    expect(jsonOf(await askAsServer({ url: '/v1/history?channel=a' }))).toMatchObject({
      messages: [],
    });
    expect((await askAsServer({ url: snapshot })).status).toBe(404);
    expect(await askAsServer(PURGE)).toMatchObject({ status: 204 });
  });

  test('[PURGE-1] is for API keys only', async () => {
    const { ask, token } = setUp();
    expectProblem(await ask(PURGE), 401, 'unauthenticated');
    const authorization = `Bearer ${await token('alice')}`;
    const answer = await ask({ ...PURGE, headers: { authorization } });
    expectProblem(answer, 403, 'forbidden', 'an API key is needed to purge channels');
  });

  test('names one channel', async () => {
    const { askAsServer } = setUp();
    const all = await askAsServer({ ...PURGE, url: '/v1/channels?channel=%23' });
    expectProblem(all, 400, 'bad_request', 'channel must not contain');
    expectProblem(await askAsServer({ ...PURGE, url: '/v1/channels' }), 400, 'bad_request');
  });

  test('[HTTP-3] is nothing that a page of a foreign origin can bring about', async () => {
    const { ask } = setUp({ auth: { anonymous: true } });
    const answer = await ask({ ...PURGE, headers: { origin: FOREIGN } });
    expectProblem(answer, 403, 'forbidden', 'is not an allowed origin');
  });
});

import { describe, expect, test } from 'vitest';
import { expectProblem } from './expectations.ts';
import { textOf } from './requests.ts';
import { setUp } from './set-up.ts';

const page = async () => ({ contentType: 'text/plain; version=0.0.4', text: 'a 1\n' });

describe('GET /metrics', () => {
  test('[MET-2] needs an API key', async () => {
    const { ask, askAsServer, token } = setUp({ parts: { metrics: { open: false, page } } });
    expectProblem(await ask({ url: '/metrics' }), 401, 'unauthenticated');
    const authorization = `Bearer ${await token('alice')}`;
    const answer = await ask({ url: '/metrics', headers: { authorization } });
    expectProblem(answer, 403, 'forbidden', 'an API key is needed to read metrics');
    const good = await askAsServer({ url: '/metrics' });
    expect(good).toMatchObject({
      status: 200,
      headers: { 'content-type': 'text/plain; version=0.0.4', 'cache-control': 'no-store' },
    });
    expect(textOf(good)).toBe('a 1\n');
  });

  test('[MET-2] needs none where it is open', async () => {
    const { ask } = setUp({ parts: { metrics: { open: true, page } } });
    expect((await ask({ url: '/metrics' })).status).toBe(200);
    expectProblem(await ask({ method: 'POST', url: '/metrics' }), 405, 'bad_request');
  });

  test('is not there where nothing is counted', async () => {
    expectProblem(await setUp().askAsServer({ url: '/metrics' }), 404, 'not_found');
  });
});

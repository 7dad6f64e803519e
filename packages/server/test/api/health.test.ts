import { describe, expect, test } from 'vitest';
import { expectProblem } from './expectations.ts';
import { jsonOf } from './requests.ts';
import { setUp } from './set-up.ts';

describe('health', () => {
  test('is asked without a token', async () => {
    const { ask } = setUp();
    expect(jsonOf(await ask({ url: '/healthz' }))).toEqual({ status: 'ok' });
    expect(jsonOf(await ask({ url: '/readyz' }))).toEqual({ status: 'ready' });
    expect((await ask({ method: 'HEAD', url: '/readyz' })).status).toBe(200);
  });

  test('tells a draining node from a dead one', async () => {
    const { ask } = setUp({ parts: { readiness: () => 'draining' } });
    expect((await ask({ url: '/healthz' })).status).toBe(200);
    const answer = await ask({ url: '/readyz' });
    expectProblem(answer, 503, 'draining');
    expect(answer.headers?.['retry-after']).toBe('1');
  });

  test('is not ready before it can serve', async () => {
    const { ask } = setUp({ parts: { readiness: () => 'starting' } });
    expectProblem(await ask({ url: '/readyz' }), 503, 'unavailable');
  });
});

import { describe, expect, test } from 'vitest';
import { refusalOf } from '../../src/lines/refusal.ts';

function answer(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}) {
  return refusalOf(new Response(JSON.stringify(body), { status, headers }));
}

describe('refusalOf', () => {
  test.each([
    [400, 'bad_request'],
    [401, 'unauthenticated'],
    [403, 'forbidden'],
    [404, undefined],
    [413, 'too_large'],
  ])('takes %i for good', async (status, code) => {
    expect(await answer(status, { code, detail: 'no' })).toEqual({ kind: 'refused', reason: 'no' });
  });

  test.each([
    [408, undefined],
    [429, 'rate_limited'],
    [500, 'internal'],
    [502, undefined],
    [503, 'unavailable'],
    [503, 'draining'],
  ])('takes %i for a while', async (status, code) => {
    const refusal = await answer(status, { code, detail: 'later' }, { 'retry-after': '2' });
    expect(refusal).toEqual({ kind: 'lost', reason: 'later', retryAfterMs: 2_000 });
  });

  test('says the status when the answer says nothing', async () => {
    const html = await refusalOf(new Response('<html>', { status: 502 }));
    expect(html).toMatchObject({ reason: 'the server answered 502', retryAfterMs: 0 });
    const dated = await answer(503, {}, { 'retry-after': 'Fri, 20 Nov 2026 13:00:00 GMT' });
    expect(dated).toMatchObject({ retryAfterMs: 0 });
  });
});

/** Which answers of the API are compressed [COMP-5]. How, is in `http/gzip.test.ts`. */
import { gunzipSync } from 'node:zlib';
import { AnswerGzip } from '@trunkline/server/internal/http/gzip.ts';
import { describe, expect, test } from 'vitest';
import { setUp } from './set-up.ts';

const ASKS = { 'accept-encoding': 'gzip' };

function compressing() {
  const gzip = new AnswerGzip({ payloadBytesMin: 0, level: 6 });
  return setUp({ auth: { development: true }, parts: { gzip } });
}

describe('an answer for a client that takes gzip', () => {
  test('is not compressed unless that is configured', async () => {
    const { askAsServer } = setUp();
    const answer = await askAsServer({ url: '/v1/poll?channel=a', headers: ASKS });
    expect(answer.status).toBe(200);
    expect(answer.headers).not.toHaveProperty('content-encoding');
    expect(answer.headers?.['vary'] ?? '').not.toContain('Accept-Encoding');
  });

  test.each(['GET', 'HEAD'])('is compressed for a call by %s', async (method) => {
    const { askAsServer } = compressing();
    const channels = Array.from({ length: 20 }, (_, index) => `channel=c${index}`).join('&');
    const answer = await askAsServer({ method, url: `/v1/poll?${channels}`, headers: ASKS });
    expect(answer.headers).toMatchObject({
      'content-encoding': 'gzip',
      vary: expect.stringContaining('Accept-Encoding') as unknown,
    });
    expect(JSON.parse(gunzipSync(answer.body ?? '').toString())).toHaveProperty('messages');
    const plain = await askAsServer({ method, url: `/v1/poll?${channels}` });
    expect(plain.headers).not.toHaveProperty('content-encoding');
    expect(plain.headers?.['vary']).toContain('Accept-Encoding');
  });

  test.each([
    ['a token', { method: 'POST', url: '/v1/token', body: '{"user":"alice"}' }],
    ['a publish', { method: 'POST', url: '/v1/publish', body: '{"channel":"a","data":1}' }],
    ['a problem', { url: '/v1/poll?channel=%23' }],
    ['a problem of no call', { url: '/v1/nothing' }],
    ['what anybody may ask', { url: '/healthz' }],
  ])('is never compressed for %s', async (_, sketch) => {
    const { askAsServer } = compressing();
    const answer = await askAsServer({ ...sketch, headers: ASKS });
    expect(answer.headers ?? {}).not.toHaveProperty('content-encoding');
    expect(typeof answer.body).toBe('string');
  });
});

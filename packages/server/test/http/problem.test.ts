import { describe, expect, test } from 'vitest';
import { CODES, type CodeName } from '@trunkline/wire';
import { problemAnswer } from '@trunkline/server/internal/http/problem.ts';
import type { HttpAnswer } from '@trunkline/server/internal/http/request.ts';

function bodyOf(answer: HttpAnswer): unknown {
  return JSON.parse(String(answer.body));
}

describe('problemAnswer', () => {
  test.each(Object.keys(CODES) as CodeName[])('%s has the status of its code', (code) => {
    const answer = problemAnswer(code, 'Why.');
    expect(answer.status).toBe(CODES[code].http);
    expect(answer.headers).toMatchObject({ 'content-type': 'application/problem+json' });
    expect(bodyOf(answer)).toEqual({
      type: 'about:blank',
      title: expect.stringMatching(/^[A-Z]/),
      status: CODES[code].http,
      code,
      detail: 'Why.',
    });
  });

  test('tells when to come back in whole seconds and in milliseconds', () => {
    const answer = problemAnswer('rate_limited', 'Why.', { retryAfter: 1_001 });
    expect(answer.headers).toMatchObject({ 'retry-after': '2' });
    expect(bodyOf(answer)).toMatchObject({ retryAfter: 1_001 });
  });

  test('takes a more exact status and more headers', () => {
    const answer = problemAnswer('bad_request', 'Why.', { status: 405, headers: { allow: 'GET' } });
    expect(answer).toMatchObject({ status: 405, headers: { allow: 'GET' } });
    expect(bodyOf(answer)).toMatchObject({ status: 405, title: 'Method Not Allowed' });
  });
});

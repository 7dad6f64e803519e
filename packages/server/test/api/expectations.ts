/** What tests of the API expect, in their own words. */
import type { HttpAnswer } from '@trunkline/server/internal/http/request.ts';
import { expect } from 'vitest';
import { jsonOf } from './requests.ts';

/** The answer is a problem of this code whose detail says so. */
export function expectProblem(
  answer: HttpAnswer,
  status: number,
  code: string,
  detail: string | RegExp = '',
): void {
  expect(jsonOf(answer)).toMatchObject({ status, code, detail: expect.stringMatching(detail) });
  expect(answer.status).toBe(status);
  expect(answer.headers).toMatchObject({
    'content-type': 'application/problem+json',
    'cache-control': 'no-store',
  });
}

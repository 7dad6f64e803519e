import { CodedError } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { endingOf, endingOfClose } from '../src/ending.ts';

describe('endings', () => {
  test.each([
    [1000, 'refused'],
    [1001, 'lost'],
    [1002, 'refused'],
    [1003, 'refused'],
    [1005, 'lost'],
    [1006, 'lost'],
    [1007, 'refused'],
    [1009, 'refused'],
    [1011, 'lost'],
    [1012, 'lost'],
    [1013, 'lost'],
    [4400, 'refused'],
    [4401, 'stale'],
    [4403, 'refused'],
    [4404, 'refused'],
    [4409, 'refused'],
    [4429, 'lost'],
    [4499, 'refused'],
    [4500, 'lost'],
    [4508, 'lost'],
    [4510, 'lost'],
    [4999, 'lost'],
  ])('close %i is %s', (close, kind) => {
    expect(endingOfClose(close, '').kind).toBe(kind);
  });

  test('names the code of a close', () => {
    const codeOf = (close: number) => {
      const ending = endingOfClose(close, '');
      return ending.kind === 'lost' ? undefined : ending.error.code;
    };
    expect(codeOf(4403)).toBe('forbidden');
    // A conflict refuses a publish, and ends no connection.
    expect(codeOf(4409)).toBe('replaced');
    expect(codeOf(4477)).toBe('bad_request');
  });

  test('keeps what the server said about coming back', () => {
    expect(endingOfClose(1001, '', { withinMs: 500 })).toMatchObject({ hint: { withinMs: 500 } });
    const error = new CodedError('rate_limited', 'slow down', { retryAfter: 700 });
    expect(endingOf(error, { notBeforeMs: 100 })).toMatchObject({
      kind: 'lost',
      hint: { notBeforeMs: 700 },
    });
  });

  test.each([
    ['unauthenticated', 'stale'],
    ['forbidden', 'refused'],
    ['bad_request', 'refused'],
    ['unavailable', 'lost'],
    ['draining', 'lost'],
    ['internal', 'lost'],
  ] as const)('an error %s is %s', (code, kind) => {
    expect(endingOf(new CodedError(code, 'x')).kind).toBe(kind);
  });
});

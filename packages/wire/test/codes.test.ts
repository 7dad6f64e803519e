import { describe, expect, test } from 'vitest';
import { CodedError, CODES, isCodeName, reconnectAfterClose } from '../src/codes.ts';
import type { Code } from '../src/codes.ts';

const codes: [string, Code][] = Object.entries(CODES);

describe('the registry', () => {
  // RFC 6455 §5.5: a control frame holds 125 bytes, of which the code takes two.
  test.each(codes)('the reason of %s fits into a close frame', (_name, { reason }) => {
    expect(new TextEncoder().encode(reason).length).toBeLessThanOrEqual(123);
  });

  test.each(codes)('the close of %s says itself whether to come back', (_name, code) => {
    const comesBack = reconnectAfterClose(code.close) !== 'stay';
    // A fresh token is another input, so 4401 comes back although the same input would not work.
    expect(comesBack).toBe(code.temporary || code.close === 4401);
  });

  test('narrows names', () => {
    expect(isCodeName('forbidden')).toBe(true);
    for (const text of ['Forbidden', 'toString', '__proto__', '', 4403, null, undefined]) {
      expect(isCodeName(text)).toBe(false);
    }
  });
});

describe('reconnectAfterClose', () => {
  test.each([
    { after: 'stay', closes: [1000, 1002, 1003, 1007, 1009, 4400, 4403, 4404, 4409, 4450, 4499] },
    { after: 'refresh', closes: [4401] },
    { after: 'wait', closes: [4429] },
    { after: 'reconnect', closes: [1001, 1005, 1006, 1011, 1012, 1013, 4500, 4508, 4510, 4999] },
  ] as const)('$closes mean $after', ({ after, closes }) => {
    expect(closes.map(reconnectAfterClose)).toEqual(closes.map(() => after));
  });
});

describe('CodedError', () => {
  test('tells only what it was given', () => {
    const plain = new CodedError('forbidden', 'no');
    expect(plain).toMatchObject({ name: 'CodedError', code: 'forbidden', message: 'no' });
    expect([plain.retryAfter, plain.stored, plain.cause]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    const cause = new Error('disk');
    const full = new CodedError('unavailable', 'no', { retryAfter: 5, stored: 'unknown', cause });
    expect(full).toMatchObject({ retryAfter: 5, stored: 'unknown', cause });
  });
});

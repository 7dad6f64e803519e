import { CodedError } from '@trunkline/wire';
import { expect, test } from 'vitest';
import { describeError } from '../src/describe-error.ts';

test.each<[unknown, string]>([
  [new Error('why'), 'why'],
  ['why', 'why'],
  [new CodedError('forbidden', 'no'), 'forbidden: no'],
  [
    new CodedError('timeout', 'late', { stored: 'unknown' }),
    'timeout: late (it may have been stored)',
  ],
  [
    Object.assign(new Error('listen EADDRINUSE: in use'), { code: 'EADDRINUSE' }),
    'listen EADDRINUSE: in use',
  ],
])('%s is described as %s', (error, text) => {
  expect(describeError(error)).toBe(text);
});

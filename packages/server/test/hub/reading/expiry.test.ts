import { expect, test } from 'vitest';
import { withoutExpired } from '../../../src/hub/reading/expiry.ts';
import { message } from '../messages.ts';

test('messages that expire are left out from their moment on, in an array that is shared', () => {
  const all = [message(1), { ...message(2), expiresAt: 10 }, { ...message(3), expiresAt: 20 }];
  expect(withoutExpired(all, 9)).toBe(all);
  const alive = withoutExpired(all, 10);
  expect(alive.map(({ offset }) => offset)).toEqual([1, 3]);
  expect(withoutExpired(all, 19)).toBe(alive);
  expect(withoutExpired(all, 20).map(({ offset }) => offset)).toEqual([1]);
});

import { expect, test } from 'vitest';
import { needed } from '../src/features.ts';
import { history } from '../src/reading/history.ts';

test('a feature that is there is used', () => {
  expect(needed({ history }, 'history')).toBe(history);
});

test('says what to give when a feature is missing', () => {
  expect(() => needed({ history }, 'members')).toThrow(
    'give the line features: { members }, which @trunkline/client exports',
  );
});

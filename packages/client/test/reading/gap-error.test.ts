import { expect, test } from 'vitest';
import { GapError } from '../../src/reading/gap-error.ts';

test('says what was lost and where one may go on', () => {
  const event = { kind: 'gap', channel: 'a', gap: { reason: 'trimmed' }, position: 'e:4' } as const;
  const error = new GapError(event);
  expect(error).toMatchObject({ name: 'GapError', event });
  expect(error.message).toBe('messages of a were lost (trimmed); it goes on after e:4');
});

import { expect, test } from 'vitest';
import { ManualClock } from '@trunkline/testkit';
import { HttpDate } from '@trunkline/server/internal/http/date.ts';

test('tells the second, also when the time jumps back', () => {
  const clock = new ManualClock({ unixMs: Date.UTC(2026, 10, 20, 9, 5, 7, 400) });
  const date = new HttpDate(clock);
  expect(date.text()).toBe('Fri, 20 Nov 2026 09:05:07 GMT');
  clock.advance(500);
  expect(date.text()).toBe('Fri, 20 Nov 2026 09:05:07 GMT');
  clock.advance(100);
  expect(date.text()).toBe('Fri, 20 Nov 2026 09:05:08 GMT');
  clock.stepUnix(-3_600_000);
  expect(date.text()).toBe('Fri, 20 Nov 2026 08:05:08 GMT');
});

import { ManualClock } from '@trunkline/testkit';
import { expect, test } from 'vitest';
import { Watchdog } from '../src/watchdog.ts';

test('barks once, when the silence has lasted', () => {
  const clock = new ManualClock();
  let barks = 0;
  const watchdog = new Watchdog(clock, 100, () => (barks += 1));
  clock.advance(90);
  watchdog.touch();
  clock.advance(99);
  expect(barks).toBe(0);
  clock.advance(1);
  expect(barks).toBe(1);
  clock.advance(1000);
  expect(barks).toBe(1);
  expect(clock.timerCount).toBe(0);
});

test('has one timer, however often it is touched, and none once it is stopped', () => {
  const clock = new ManualClock();
  const watchdog = new Watchdog(clock, 100, () => expect.unreachable());
  for (let count = 0; count < 50; count += 1) {
    clock.advance(10);
    watchdog.touch();
    expect(clock.timerCount).toBe(1);
  }
  watchdog.stop();
  watchdog.stop();
  expect(clock.timerCount).toBe(0);
});

import { expect, test } from 'vitest';
import { Lag, Skew } from '../../src/devtools/lag.ts';

const START = 1_700_000_000_000;

/** A lag since `START`; messages are told by how long after it they came, and their way. */
function setUp() {
  const skew = new Skew();
  const lag = new Lag(skew, START);
  const come = (afterMs: number, wayMs: number): void =>
    lag.add(START + afterMs - wayMs, START + afterMs);
  return { skew, lag, come };
}

test('is the median way of the newest', () => {
  const { lag, skew, come } = setUp();
  expect(lag.read()).toBeUndefined();
  for (let index = 0; index < 30; index += 1) come(10_000 + index, 500);
  for (const wayMs of [5, 7, 900, 6, 8]) for (let one = 0; one < 4; one += 1) come(20_000, wayMs);
  expect(lag.read()).toBe(7);
  expect(skew.ms).toBeUndefined();
});

test('leaves out what waited in the log', () => {
  const { lag, come, skew } = setUp();
  for (let index = 0; index < 20; index += 1) come(40, 3_600_000 - index);
  expect([lag.read(), skew.ms]).toEqual([undefined, undefined]);
  come(1000, 9);
  expect([lag.read(), skew.ms]).toEqual([9, undefined]);
  lag.opened(START + 60_000);
  come(60_010, 20_000);
  expect(lag.read()).toBe(9);
});

test('a way that ended before it began proves a clock that is behind', () => {
  const { lag, skew, come } = setUp();
  come(1000, -300);
  come(1100, -290);
  come(1200, -280);
  expect([lag.read(), skew.ms]).toEqual([10, -300]);
});

test('ways that are all too long mean a clock that is ahead', () => {
  const { lag, skew, come } = setUp();
  come(4000, 60_004);
  expect([lag.read(), skew.ms]).toEqual([undefined, undefined]);
  come(6000, 60_001);
  come(6100, 60_005);
  come(6200, 60_003);
  expect([lag.read(), skew.ms]).toEqual([3, 60_001]);
});

test('the channels of a line share what is known of the clocks', () => {
  const { skew, come } = setUp();
  const other = new Lag(skew, START);
  come(1000, -50);
  other.add(START + 1000, START + 1010);
  expect(other.read()).toBe(60);
});

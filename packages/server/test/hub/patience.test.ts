import { ManualClock } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';
import { OPEN_NAMESPACE } from '../../src/config/namespace-rules.ts';
import { Channel } from '../../src/hub/channel.ts';
import { Patience, Waits } from '../../src/hub/patience.ts';
import { Wheel } from '../../src/wheel.ts';

function setUp(waitMs: number, waits = new Waits()) {
  const clock = new ManualClock();
  const wheel = new Wheel(clock);
  const parts = { rules: OPEN_NAMESPACE, kept: { size: 0 }, onAlarm() {} };
  const channels = ['a', 'b'].map((name) => new Channel(name, parts));
  let cancel: (() => void) | undefined;
  const patience = new Patience(wheel, waits, { waitMs, onWait: (end) => (cancel = end) });
  let woken = 0;
  const wait = (): void => void patience.news(channels).then(() => (woken += 1));
  return {
    cancel: () => cancel?.(),
    channels,
    clock,
    patience,
    wait,
    waits,
    wheel,
    woken: () => woken,
  };
}

describe('a read that waits', () => {
  test('is woken once by news of any of its channels, and by none of the others then', async () => {
    const { channels, clock, patience, wait, woken } = setUp(5_000);
    wait();
    channels[1]?.wakeWaiters();
    channels[0]?.wakeWaiters();
    await clock.settle();
    expect(woken()).toBe(1);
    expect(patience.isOver).toBe(false);
    channels[0]?.wakeWaiters();
    await clock.settle();
    expect(woken()).toBe(1);
  });

  test('waits no longer than it said, over all its waits together', async () => {
    const { channels, clock, patience, wait, woken } = setUp(5_000);
    wait();
    await clock.pass(3_000);
    channels[0]?.wakeWaiters();
    await clock.settle();
    wait();
    await clock.pass(2_500);
    expect(woken()).toBe(2);
    expect(patience.isOver).toBe(true);
    wait();
    await clock.settle();
    expect(woken()).toBe(3);
  });

  test('is ended by its peer, and by the node', async () => {
    const gone = setUp(5_000);
    gone.wait();
    gone.cancel();
    await gone.clock.settle();
    expect([gone.woken(), gone.patience.isOver]).toEqual([1, true]);
    const drained = setUp(5_000);
    drained.wait();
    expect(drained.waits.count).toBe(1);
    drained.waits.end();
    await drained.clock.settle();
    expect([drained.woken(), drained.patience.isOver]).toEqual([1, true]);
    // Who comes later does not begin to wait.
    expect(setUp(5_000, drained.waits).patience.isOver).toBe(true);
  });

  test('leaves nothing behind when it is over', () => {
    const { patience, waits, wheel } = setUp(5_000);
    patience.end();
    expect([waits.count, wheel.armedCount]).toEqual([0, 0]);
  });
});

test('a read without patience is over from the start and waits for nothing', () => {
  const { patience, waits, wheel } = setUp(0);
  expect([patience.isOver, waits.count, wheel.armedCount]).toEqual([true, 0, 0]);
});

import { describe, expect, test } from 'vitest';
import { ManualClock } from '../src/manual-clock.ts';

describe('ManualClock', () => {
  test('stands still until it is moved', () => {
    const clock = new ManualClock({ monotonicMs: 5, unixMs: 1000 });
    expect(clock.monotonicMs()).toBe(5);
    clock.advance(20);
    expect(clock.monotonicMs()).toBe(25);
    expect(clock.unixMs()).toBe(1020);
  });

  test('runs timers by due time, and those of one moment in the order they were set', () => {
    const clock = new ManualClock();
    const ran: string[] = [];
    const note = (name: string) => () => void ran.push(`${name}@${clock.monotonicMs()}`);
    clock.after(20, note('late'));
    clock.after(10, note('first'));
    clock.after(10, note('second'));
    clock.after(30, note('never'));
    clock.advance(20);
    expect(ran).toEqual(['first@10', 'second@10', 'late@20']);
    expect(clock.timerCount).toBe(1);
    expect(clock.nextTimerMs).toBe(10);
  });

  test('runs timers that timers set, if they come due in the same span', () => {
    const clock = new ManualClock();
    const ran: number[] = [];
    const again = (): void => {
      ran.push(clock.monotonicMs());
      clock.after(10, again);
    };
    clock.after(10, again);
    clock.advance(35);
    expect(ran).toEqual([10, 20, 30]);
    expect(clock.monotonicMs()).toBe(35);
  });

  test('does not run a cancelled timer, however often it is cancelled', () => {
    const clock = new ManualClock();
    const timer = clock.after(1, () => expect.unreachable());
    timer.cancel();
    timer.cancel();
    clock.advance(10);
    expect(clock.timerCount).toBe(0);
    expect(clock.nextTimerMs).toBeUndefined();
  });

  test('gives what a deferred task defers to the next turn', () => {
    const clock = new ManualClock();
    const ran: string[] = [];
    clock.defer(() => {
      ran.push('one');
      clock.defer(() => ran.push('two'));
    });
    expect(clock.runDeferred()).toBe(1);
    expect(ran).toEqual(['one']);
    expect(clock.runDeferred()).toBe(1);
    expect(clock.runDeferred()).toBe(0);
    expect(ran).toEqual(['one', 'two']);
  });

  test('ends a turn after each timer', () => {
    const clock = new ManualClock();
    const ran: string[] = [];
    clock.after(1, () => clock.defer(() => ran.push('end of turn')));
    clock.after(1, () => ran.push('second timer'));
    clock.advance(1);
    expect(ran).toEqual(['end of turn', 'second timer']);
  });

  test('settles chains of promises and deferred tasks', async () => {
    const clock = new ManualClock();
    const ran: string[] = [];
    const chain = async (): Promise<void> => {
      for (let index = 0; index < 3; index += 1) {
        await Promise.resolve();
        await new Promise<void>((resolve) => clock.defer(resolve));
        ran.push(`step ${index}`);
      }
    };
    void chain();
    await clock.settle();
    expect(ran).toEqual(['step 0', 'step 1', 'step 2']);
  });

  test('moves promises between the deferred tasks of one turn, as Node does', async () => {
    const clock = new ManualClock();
    const ran: string[] = [];
    clock.defer(() => void Promise.resolve().then(() => ran.push('promise')));
    clock.defer(() => ran.push('second task'));
    await clock.settle();
    expect(ran).toEqual(['promise', 'second task']);
  });

  test('says so when nothing ever settles', async () => {
    const clock = new ManualClock();
    const again = (): void => clock.defer(again);
    again();
    await expect(clock.settle()).rejects.toThrow('expected quiet within 10000 turns');
  });

  test('settles between timers when time passes', async () => {
    const clock = new ManualClock();
    const ran: string[] = [];
    const loop = async (): Promise<void> => {
      for (let index = 0; index < 3; index += 1) {
        await new Promise<void>((resolve) => clock.after(10, resolve));
        ran.push(`${clock.monotonicMs()}`);
      }
    };
    void loop();
    await clock.pass(100);
    expect(ran).toEqual(['10', '20', '30']);
    expect(clock.monotonicMs()).toBe(100);
  });

  test('lets Unix time jump and drift while monotonic time and timers go on', () => {
    const clock = new ManualClock({ unixMs: 10_000 });
    let ranAt = -1;
    clock.after(100, () => {
      ranAt = clock.monotonicMs();
    });
    clock.stepUnix(-5_000);
    expect(clock.unixMs()).toBe(5_000);
    clock.setUnixDrift(100_000);
    clock.advance(100);
    expect(ranAt).toBe(100);
    expect(clock.unixMs()).toBe(5_110);
    clock.setUnixDrift(0);
    clock.advance(10);
    expect(clock.unixMs()).toBe(5_120);
  });

  test('goes on with the other tasks after one has thrown', () => {
    const clock = new ManualClock();
    const ran: string[] = [];
    clock.defer(() => {
      throw new Error('broken');
    });
    clock.defer(() => ran.push('other'));
    expect(() => clock.runDeferred()).toThrow('broken');
    clock.advance(0);
    expect(ran).toEqual(['other']);
  });

  test('refuses delays that the system clock would not keep', () => {
    const clock = new ManualClock();
    expect(() => clock.after(2 ** 31, () => {})).toThrow('at most 2147483647 ms');
    expect(() => clock.after(Number.NaN, () => {})).toThrow('got NaN');
    expect(() => clock.advance(-1)).toThrow('got -1');
  });

  test('refuses to be moved from inside a task', () => {
    const clock = new ManualClock();
    clock.after(1, () => clock.advance(1));
    expect(() => clock.advance(1)).toThrow('move it from the test only');
  });
});

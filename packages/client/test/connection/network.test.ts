import { ManualClock } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';
import { network, watchNetwork, watchSleep } from '../../src/connection/network.ts';
import type { NetworkHandlers, NetworkTarget } from '../../src/connection/network.ts';
import { fakePlatform } from '../support/fakes.ts';

class Page extends EventTarget {
  visibilityState = 'visible';
}

class Window extends EventTarget {
  readonly document = new Page();

  show(persisted: boolean): void {
    this.dispatchEvent(Object.assign(new Event('pageshow'), { persisted }));
  }

  see(visibilityState: string): void {
    this.document.visibilityState = visibilityState;
    this.document.dispatchEvent(new Event('visibilitychange'));
  }
}

/** What a line hands over is an object with methods of its own. */
class Handlers implements NetworkHandlers {
  readonly told: string[] = [];

  onOnline(): void {
    this.told.push('online');
  }

  onOffline(): void {
    this.told.push('offline');
  }

  onWake(): void {
    this.told.push('wake');
  }

  onFreeze(): void {
    this.told.push('freeze');
  }
}

function watch(target: NetworkTarget) {
  const handlers = new Handlers();
  return { told: handlers.told, stop: watchNetwork(target, handlers) };
}

describe('watchNetwork', () => {
  test('tells what a window and its document say', () => {
    const window = new Window();
    const { told, stop } = watch(window);
    window.dispatchEvent(new Event('offline'));
    window.dispatchEvent(new Event('online'));
    window.document.dispatchEvent(new Event('freeze'));
    window.document.dispatchEvent(new Event('resume'));
    expect(told.splice(0)).toEqual(['offline', 'online', 'freeze', 'wake']);
    window.see('hidden');
    window.see('visible');
    expect(told.splice(0)).toEqual(['wake']);
    window.show(false);
    window.show(true);
    expect(told.splice(0)).toEqual(['wake']);
    stop();
    stop();
    window.dispatchEvent(new Event('online'));
    window.document.dispatchEvent(new Event('resume'));
    window.show(true);
    expect(told).toEqual([]);
  });

  test('tells of the network alone in a worker, which has no document', () => {
    const worker = new EventTarget();
    const { told } = watch(worker);
    worker.dispatchEvent(new Event('offline'));
    worker.dispatchEvent(new Event('online'));
    expect(told).toEqual(['offline', 'online']);
  });

  test('does nothing where there are no such events', () => {
    for (const target of [{}, { document: {} }] as NetworkTarget[]) {
      const { told, stop } = watch(target);
      stop();
      expect(told).toEqual([]);
    }
  });
});

describe('watchSleep', () => {
  function sleeper() {
    const clock = new ManualClock();
    let wakes = 0;
    const stop = watchSleep(
      clock,
      () => clock.unixMs(),
      () => {
        wakes += 1;
        if (wakes === 100) stop();
      },
    );
    return { clock, stop, wakes: () => wakes };
  }

  test('is quiet while ticks come in time, and with one timer', () => {
    const { clock, stop, wakes } = sleeper();
    clock.advance(3_600_000);
    expect(wakes()).toBe(0);
    expect(clock.timerCount).toBe(1);
    stop();
    stop();
    expect(clock.timerCount).toBe(0);
  });

  test('tells once when time stood still for the page but not for the world', () => {
    const { clock, wakes } = sleeper();
    clock.advance(10_000);
    clock.stepUnix(600_000);
    clock.advance(10_000);
    expect(wakes()).toBe(1);
    clock.advance(600_000);
    expect(wakes()).toBe(1);
  });

  test('tells once when a tick comes late', () => {
    const tasks: (() => void)[] = [];
    let nowMs = 0;
    let wakes = 0;
    const clock = {
      monotonicMs: () => nowMs,
      after: (_delayMs: number, task: () => void) => {
        tasks.push(task);
        return { cancel: () => tasks.splice(0) };
      },
    };
    watchSleep(
      clock,
      () => 7,
      () => (wakes += 1),
    );
    for (const { lateMs, expected } of [
      { lateMs: 0, expected: 0 },
      // Timers of a page in the background come once a minute.
      { lateMs: 60_000, expected: 0 },
      { lateMs: 66_000, expected: 1 },
      { lateMs: 0, expected: 1 },
      { lateMs: 3_600_000, expected: 2 },
    ]) {
      nowMs += 20_000 + lateMs;
      tasks.shift()?.();
      expect(wakes).toBe(expected);
      expect(tasks).toHaveLength(1);
    }
  });

  test('is not misled by a time that is set back', () => {
    const { clock, wakes } = sleeper();
    clock.stepUnix(-3_600_000);
    clock.advance(3_600_000);
    expect(wakes()).toBe(0);
  });

  test('may be stopped by whom it wakes', () => {
    const clock = new ManualClock();
    let wakes = 0;
    const stop = watchSleep(
      clock,
      () => clock.unixMs(),
      () => {
        wakes += 1;
        stop();
      },
    );
    clock.stepUnix(600_000);
    clock.advance(60_000);
    expect(wakes).toBe(1);
    expect(clock.timerCount).toBe(0);
  });
});

test('the feature of a line tells it of sleep, and ends', () => {
  const clock = new ManualClock();
  const handlers = new Handlers();
  let sleptMs = 0;
  const stop = network(
    { ...fakePlatform(), clock, unixMs: () => clock.unixMs() + sleptMs },
    handlers,
  );
  sleptMs = 600_000;
  clock.advance(20_000);
  expect(handlers.told).toEqual(['wake']);
  stop();
  expect(clock.timerCount).toBe(0);
});

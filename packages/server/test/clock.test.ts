import { describe, expect, test } from 'vitest';
import { systemClock } from '../src/clock.ts';

describe('the machine’s time', () => {
  test('goes on, and is that of the world', () => {
    const before = systemClock.monotonicMs();
    expect(systemClock.monotonicMs()).toBeGreaterThanOrEqual(before);
    expect(Math.abs(systemClock.unixMs() - Date.now())).toBeLessThan(1_000);
  });

  test('runs what is due in its order, and not what was cancelled', async () => {
    const ran: string[] = [];
    await new Promise<void>((resolve) => {
      systemClock.after(20, () => {
        ran.push('later');
        resolve();
      });
      const cancelled = systemClock.after(1, () => ran.push('cancelled'));
      systemClock.after(1, () => ran.push('sooner'));
      cancelled.cancel();
      cancelled.cancel();
    });
    expect(ran).toEqual(['sooner', 'later']);
  });

  test('defers to the end of the turn, after what is ready now', async () => {
    const ran: string[] = [];
    await new Promise<void>((resolve) => {
      systemClock.defer(() => {
        ran.push('deferred');
        resolve();
      });
      queueMicrotask(() => ran.push('microtask'));
      ran.push('now');
    });
    expect(ran).toEqual(['now', 'microtask', 'deferred']);
  });
});

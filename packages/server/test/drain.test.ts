import { ManualClock, seededRandom } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';
import { drain } from '../src/drain.ts';
import type { Close } from '../src/link/link.ts';

interface World {
  readonly links?: number;
  readonly sessions?: number;
  readonly windowMs?: number;
  readonly deadlineMs?: number;
  /** What becomes of a connection whose link is closed. */
  readonly leaves?: boolean;
}

function setUp({
  links = 3,
  sessions = 0,
  windowMs = 10_000,
  deadlineMs = 30_000,
  leaves = true,
}: World = {}) {
  const clock = new ManualClock();
  const events: string[] = [];
  const closes: { readonly atMs: number; readonly close: Close }[] = [];
  const warnings: number[] = [];
  const connections = { count: links };
  const listener = {
    stop() {
      events.push('stop');
      return Promise.resolve();
    },
  };
  const link = {
    close(close: Close) {
      closes.push({ atMs: clock.monotonicMs(), close });
      if (leaves) connections.count -= 1;
    },
  };
  let isOver = false;
  const start = (): void => {
    void drain({
      listeners: [listener],
      connections,
      clock,
      random: seededRandom(5),
      sessions: Array.from({ length: sessions }, () => ({
        sayGoaway: (withinMs: number) => void warnings.push(withinMs),
      })),
      links: () => Array.from({ length: links }, () => link),
      endWaits: () => void events.push('answer polls'),
      windowMs,
      deadlineMs,
    }).then(() => (isOver = true));
  };
  return { clock, closes, events, start, warnings, isOver: () => isOver };
}

describe('a drain', () => {
  test('takes nobody in any more, answers who waits, then says goodbye', async () => {
    const { clock, closes, events, start, isOver } = setUp();
    start();
    await clock.settle();
    expect(events).toEqual(['stop', 'answer polls']);
    await clock.pass(1_000);
    expect(closes.map(({ close }) => close.code)).toEqual(['draining', 'draining', 'draining']);
    expect(isOver()).toBe(true);
  });

  test('spreads the goodbyes of many over its window, each with a time of its own', async () => {
    const { clock, closes, start, warnings } = setUp({
      links: 4_000,
      sessions: 2,
      windowMs: 10_000,
    });
    start();
    await clock.pass(5_000);
    expect(closes.length).toBeGreaterThan(1_700);
    expect(closes.length).toBeLessThan(2_300);
    await clock.pass(5_000);
    expect(closes).toHaveLength(4_000);
    expect(warnings).toEqual([10_000, 10_000]);
    const waits = new Set(closes.map(({ close }) => close.retryAfter));
    expect(waits.size).toBeGreaterThan(1_000);
    expect(Math.max(...[...waits].map(Number))).toBeLessThanOrEqual(10_000);
  });

  test('takes no more time than its clients need', async () => {
    const { clock, start, warnings, isOver } = setUp({ links: 10, sessions: 1 });
    start();
    await clock.pass(100);
    expect(warnings).toEqual([50]);
    expect(isOver()).toBe(true);
  });

  test('leaves who does not go to be cut, at its deadline', async () => {
    const { clock, closes, start, isOver } = setUp({ leaves: false });
    start();
    await clock.pass(29_000);
    expect(closes).toHaveLength(3);
    expect(isOver()).toBe(false);
    await clock.pass(2_000);
    expect(isOver()).toBe(true);
  });

  test('has said every goodbye well before its deadline, however long the window', async () => {
    const { clock, closes, start, warnings } = setUp({
      links: 10_000,
      sessions: 1,
      windowMs: 60_000,
      deadlineMs: 4_000,
    });
    start();
    await clock.pass(2_100);
    expect(warnings).toEqual([2_000]);
    expect(closes).toHaveLength(10_000);
  });

  test('of nobody is over at once', async () => {
    const { clock, start, isOver } = setUp({ links: 0 });
    start();
    await clock.settle();
    expect(isOver()).toBe(true);
  });

  test('says goodbye to those too who were let in just before it began', async () => {
    const clock = new ManualClock();
    const links: { close(): void }[] = [];
    const closed: string[] = [];
    let count = 1;
    void drain({
      listeners: [{ stop: () => Promise.resolve() }],
      connections: {
        get count() {
          return count;
        },
      },
      clock,
      random: seededRandom(5),
      sessions: [],
      links: () => links,
      endWaits() {},
      windowMs: 0,
      deadlineMs: 1_000,
    });
    // An admission that had been decided becomes a link some promises later.
    for (let step = 0; step < 10; step += 1) await Promise.resolve();
    links.push({
      close() {
        closed.push('late');
        count = 0;
      },
    });
    await clock.pass(100);
    expect(closed).toEqual(['late']);
  });
});

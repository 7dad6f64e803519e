import { SWEEP_COUNT_MAX } from '@trunkline/server/internal/hub/presence/config.ts';
import { DelayQueue } from '@trunkline/server/internal/hub/presence/delay-queue.ts';
import type { Delayed } from '@trunkline/server/internal/hub/presence/delay-queue.ts';
import { Turn } from '@trunkline/server/internal/link/turn.ts';
import { Wheel } from '@trunkline/server/internal/wheel.ts';
import { ManualClock } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';

const DELAY_MS = 1_000;
const TICK_MS = 50;

class Thing implements Delayed<Thing> {
  readonly name: string;
  dueMs = 0;
  earlier: Thing | undefined = undefined;
  later: Thing | undefined = undefined;

  constructor(name: string) {
    this.name = name;
  }
}

function setUp(onDue?: (thing: Thing) => void) {
  const clock = new ManualClock({ monotonicMs: 77.75 });
  const wheel = new Wheel(clock, TICK_MS);
  const due: { name: string; atMs: number }[] = [];
  const queue = new DelayQueue<Thing>(
    { clock, wheel, turn: new Turn(clock) },
    DELAY_MS,
    (thing) => {
      due.push({ name: thing.name, atMs: clock.monotonicMs() });
      onDue?.(thing);
    },
  );
  return { clock, wheel, queue, due };
}

describe('DelayQueue', () => {
  test('hands out each thing after its delay, never early, in order', () => {
    const { clock, wheel, queue, due } = setUp();
    const addedMs = new Map<string, number>();
    for (let index = 0; index < 40; index += 1) {
      addedMs.set(`${index}`, clock.monotonicMs());
      queue.add(new Thing(`${index}`));
      clock.advance(33.25);
    }
    clock.advance(DELAY_MS + 2 * TICK_MS);
    expect(due.map(({ name }) => name)).toEqual([...addedMs.keys()]);
    for (const { name, atMs } of due) {
      const waitedMs = atMs - (addedMs.get(name) ?? 0);
      expect(waitedMs).toBeGreaterThanOrEqual(DELAY_MS);
      expect(waitedMs).toBeLessThanOrEqual(DELAY_MS + 2 * TICK_MS);
    }
    expect(wheel.armedCount).toBe(0);
  });

  test('arms one alarm, however many wait', () => {
    const { wheel, queue } = setUp();
    for (let index = 0; index < 100; index += 1) queue.add(new Thing(`${index}`));
    expect(wheel.armedCount).toBe(1);
  });

  test('forgets what was removed, wherever it stood, and takes it again', () => {
    for (const gone of ['a', 'b', 'c']) {
      const { clock, queue, due } = setUp();
      const things = ['a', 'b', 'c'].map((name) => new Thing(name));
      for (const thing of things) queue.add(thing);
      const removed = things.find(({ name }) => name === gone);
      if (removed === undefined) throw new Error('it is one of them');
      queue.remove(removed);
      queue.remove(removed);
      expect(removed).toMatchObject({ dueMs: 0, earlier: undefined, later: undefined });
      clock.advance(500);
      queue.add(removed);
      clock.advance(DELAY_MS - 1);
      expect(due.map(({ name }) => name)).toEqual(['a', 'b', 'c'].filter((name) => name !== gone));
      clock.advance(2 * TICK_MS);
      expect(due.at(-1)?.name).toBe(gone);
    }
  });

  test('lets what is due be added and removed meanwhile', () => {
    const other = new Thing('other');
    const again = new Thing('again');
    let rounds = 0;
    const { clock, wheel, queue, due } = setUp((thing) => {
      queue.remove(other);
      rounds += 1;
      if (thing === again && rounds < 3) queue.add(again);
    });
    queue.add(again);
    queue.add(other);
    clock.advance(10 * DELAY_MS);
    expect(due.map(({ name }) => name)).toEqual(['again', 'again', 'again']);
    expect(wheel.armedCount).toBe(0);
  });

  test('hands out very many over several turns', () => {
    const { clock, queue, due } = setUp();
    for (let index = 0; index < 3 * SWEEP_COUNT_MAX; index += 1) queue.add(new Thing(`${index}`));
    clock.advance(DELAY_MS + TICK_MS);
    expect(due).toHaveLength(SWEEP_COUNT_MAX);
    clock.runDeferred();
    clock.runDeferred();
    expect(due).toHaveLength(2 * SWEEP_COUNT_MAX);
    for (let turn = 0; turn < 8; turn += 1) clock.runDeferred();
    expect(due).toHaveLength(3 * SWEEP_COUNT_MAX);
    queue.add(new Thing('later'));
    clock.advance(DELAY_MS + 2 * TICK_MS);
    expect(due.at(-1)?.name).toBe('later');
  });

  test('hands out nothing after it was cleared, and works again', () => {
    const { clock, wheel, queue, due } = setUp();
    for (let index = 0; index < 2 * SWEEP_COUNT_MAX; index += 1) queue.add(new Thing(`${index}`));
    clock.advance(DELAY_MS + TICK_MS);
    queue.clear();
    clock.advance(10 * DELAY_MS);
    expect(due).toHaveLength(SWEEP_COUNT_MAX);
    expect(wheel.armedCount).toBe(0);
    queue.add(new Thing('later'));
    clock.advance(2 * DELAY_MS);
    expect(due.at(-1)?.name).toBe('later');
  });
});

import type { Clock } from '@trunkline/server/internal/clock.ts';
import { Wheel } from '@trunkline/server/internal/wheel.ts';
import type { Alarm, AlarmMarks } from '@trunkline/server/internal/wheel.ts';
import { ManualClock, seededRandom } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';

const RESOLUTION_MS = 100;

class Probe implements Alarm {
  alarmTick = 0;
  alarmBefore: AlarmMarks | undefined = undefined;
  alarmAfter: AlarmMarks | undefined = undefined;
  readonly calledAtMs: number[] = [];
  readonly #clock: ManualClock;
  readonly #then: () => void;

  constructor(clock: ManualClock, then: () => void = () => {}) {
    this.#clock = clock;
    this.#then = then;
  }

  onAlarm(): void {
    this.calledAtMs.push(this.#clock.monotonicMs());
    this.#then();
  }
}

function setUp(): { clock: ManualClock; wheel: Wheel } {
  const clock = new ManualClock({ monotonicMs: 12_345.678 });
  return { clock, wheel: new Wheel(clock, RESOLUTION_MS) };
}

describe('Wheel', () => {
  test.each([0, 1, 99, 100, 101, 10_000, 51_200, 51_300, 200_000])(
    'calls an alarm of %i ms once, not early and at most a tick late',
    (delayMs) => {
      const { clock, wheel } = setUp();
      clock.advance(33.3);
      const probe = new Probe(clock);
      const startMs = clock.monotonicMs();
      wheel.arm(probe, delayMs);
      clock.advance(delayMs + RESOLUTION_MS);
      clock.advance(300_000);
      expect(probe.calledAtMs).toHaveLength(1);
      const tookMs = (probe.calledAtMs[0] ?? 0) - startMs;
      expect(tookMs).toBeGreaterThanOrEqual(delayMs);
      expect(tookMs).toBeLessThanOrEqual(delayMs + RESOLUTION_MS + 0.001);
    },
  );

  test('calls nothing that was cancelled, and takes a second cancel', () => {
    const { clock, wheel } = setUp();
    const probe = new Probe(clock);
    wheel.arm(probe, 1000);
    wheel.cancel(probe);
    wheel.cancel(probe);
    clock.advance(10_000);
    expect(probe.calledAtMs).toEqual([]);
    expect(wheel.armedCount).toBe(0);
  });

  test('replaces the delay of an alarm that is armed again', () => {
    const { clock, wheel } = setUp();
    const probe = new Probe(clock);
    wheel.arm(probe, 1000);
    clock.advance(900);
    wheel.arm(probe, 1000);
    clock.advance(900);
    expect(probe.calledAtMs).toEqual([]);
    clock.advance(200);
    expect(probe.calledAtMs).toHaveLength(1);
  });

  test('holds one timer for all alarms, and none when there are none', () => {
    const { clock, wheel } = setUp();
    expect(clock.timerCount).toBe(0);
    for (let index = 0; index < 1000; index += 1) wheel.arm(new Probe(clock), index * 10);
    expect(clock.timerCount).toBe(1);
    clock.advance(10_200);
    expect(wheel.armedCount).toBe(0);
    expect(clock.timerCount).toBe(0);
  });

  test('lets an alarm arm itself and others, and cancel those due with it', () => {
    const { clock, wheel } = setUp();
    const victim = new Probe(clock);
    const later = new Probe(clock);
    const first: Probe = new Probe(clock, () => {
      wheel.cancel(victim);
      wheel.arm(later, 0);
      if (first.calledAtMs.length < 3) wheel.arm(first, 0);
    });
    wheel.arm(first, 500);
    wheel.arm(victim, 500);
    clock.advance(2000);
    expect(first.calledAtMs).toHaveLength(3);
    expect(victim.calledAtMs).toEqual([]);
    expect(new Set(first.calledAtMs).size).toBe(3);
    expect(later.calledAtMs.length).toBeGreaterThan(0);
  });

  test('calls each alarm once when the timer comes hours late, as after sleep', () => {
    const clock = new ManualClock();
    let asleepMs = 0;
    const sleepy: Clock = {
      monotonicMs: () => clock.monotonicMs() + asleepMs,
      unixMs: () => clock.unixMs(),
      after: (delayMs, task) => clock.after(delayMs, task),
      defer: (task) => clock.defer(task),
    };
    const wheel = new Wheel(sleepy, RESOLUTION_MS);
    const probes = Array.from({ length: 2000 }, () => new Probe(clock));
    for (const [index, probe] of probes.entries()) wheel.arm(probe, index * 100);
    asleepMs = 10_000_000;
    clock.advance(RESOLUTION_MS);
    for (const probe of probes) expect(probe.calledAtMs).toEqual([RESOLUTION_MS]);
  });

  test('goes on with the others after an alarm that throws', () => {
    const { clock, wheel } = setUp();
    const failing = new Probe(clock, () => {
      throw new Error('planted');
    });
    const other = new Probe(clock);
    wheel.arm(failing, 100);
    wheel.arm(other, 100);
    expect(() => clock.advance(1000)).toThrow('planted');
    clock.advance(1000);
    expect(other.calledAtMs).toHaveLength(1);
    expect(wheel.armedCount).toBe(0);
  });

  test('is silent after close', () => {
    const { clock, wheel } = setUp();
    const probe = new Probe(clock);
    wheel.arm(probe, 100);
    wheel.close();
    wheel.close();
    wheel.arm(new Probe(clock), 100);
    clock.advance(10_000);
    expect(probe.calledAtMs).toEqual([]);
    expect(clock.timerCount).toBe(0);
  });

  test('refuses a resolution that is no time', () => {
    expect(() => new Wheel(new ManualClock(), 0)).toThrow(RangeError);
  });

  test('agrees with a plain list of deadlines over a random run', () => {
    const random = seededRandom(7);
    const { clock, wheel } = setUp();
    const probes = Array.from({ length: 50 }, () => new Probe(clock));
    const dueMs = new Map<Probe, number>();
    for (let step = 0; step < 5000; step += 1) {
      const probe = random.pick(probes);
      if (random.chance(0.6)) {
        const delayMs = random.integer(80_000);
        wheel.arm(probe, delayMs);
        dueMs.set(probe, clock.monotonicMs() + delayMs);
      } else {
        wheel.cancel(probe);
        dueMs.delete(probe);
      }
      clock.advance(random.integer(400));
      for (const one of probes) {
        for (const calledAtMs of one.calledAtMs.splice(0)) {
          const expectedMs = dueMs.get(one) ?? Number.NaN;
          expect(calledAtMs - expectedMs).toBeGreaterThanOrEqual(-0.001);
          expect(calledAtMs - expectedMs).toBeLessThanOrEqual(RESOLUTION_MS + 0.001);
          dueMs.delete(one);
        }
      }
      for (const deadlineMs of dueMs.values()) {
        expect(clock.monotonicMs() - deadlineMs).toBeLessThan(RESOLUTION_MS + 0.001);
      }
      expect(wheel.armedCount).toBe(dueMs.size);
    }
  });
});

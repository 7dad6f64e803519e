import { describe, expect, test } from 'vitest';
import { formatMqttViolation } from '../src/mqtt-checker.ts';
import { runMqttSimulation } from '../src/mqtt-simulation.ts';
import type { MqttPromise } from '../src/mqtt-simulation/mqtt-history.ts';
import type { MqttSiteParts } from '../src/mqtt-simulation/mqtt-site.ts';
import { ServedSite } from '../src/mqtt-simulation/served-site.ts';
import { DoubleSite } from './mqtt-simulation/broker-double.ts';
import type { Flaw } from './mqtt-simulation/broker-double.ts';

const STEPS = 300;

/** Runs before a mistake has to show. */
const FLAWED_SEEDS_MAX = 30;

function run(seed: number, flaw?: Flaw) {
  const createSite = (parts: MqttSiteParts): DoubleSite => new DoubleSite(parts, flaw);
  return runMqttSimulation({ seed, steps: STEPS, createSite });
}

describe('runMqttSimulation with a broker that does nothing wrong', () => {
  test.each([1, 11, 21])('finds nothing in ten seeds from %i', async (from) => {
    for (let seed = from; seed < from + 10; seed += 1) {
      const { violations } = await run(seed);
      expect(violations.map(formatMqttViolation), `seed ${seed}`).toEqual([]);
    }
  });

  test('makes enough happen to mean something', async () => {
    const totals = { acknowledged: 0, arrived: 0, repeated: 0, resumed: 0, crashes: 0 };
    for (let seed = 1; seed <= 20; seed += 1) {
      const { summary } = await run(seed);
      totals.acknowledged += summary.acknowledged;
      totals.arrived += summary.arrived;
      totals.repeated += summary.repeated;
      totals.resumed += summary.resumed;
      totals.crashes += summary.crashes;
    }
    expect(totals.acknowledged).toBeGreaterThan(500);
    expect(totals.arrived).toBeGreaterThan(1_000);
    expect(totals.repeated).toBeGreaterThan(50);
    expect(totals.resumed).toBeGreaterThan(100);
    expect(totals.crashes).toBeGreaterThan(10);
  });

  test('gives the same run for the same seed', async () => {
    const { events } = await run(7);
    expect((await run(7)).events).toEqual(events);
  });
});

describe('runMqttSimulation with the real server', () => {
  test.each([
    { from: 1, overlapping: true, faulty: false },
    { from: 31, overlapping: true, faulty: true },
    { from: 61, overlapping: false, faulty: false },
    { from: 91, overlapping: false, faulty: true },
    { from: 121, overlapping: true, faulty: true },
  ])('keeps all promises in thirty seeds: %o', async ({ from, overlapping, faulty }) => {
    const totals = { arrived: 0, repeated: 0, resumed: 0, losses: 0, crashes: 0 };
    for (let seed = from; seed < from + 30; seed += 1) {
      const createSite = (parts: MqttSiteParts): ServedSite => new ServedSite(parts, { faulty });
      const options = { seed, steps: STEPS, overlapping, createSite };
      const { violations, summary } = await runMqttSimulation(options);
      expect(violations.map(formatMqttViolation), `seed ${seed}`).toEqual([]);
      totals.arrived += summary.arrived;
      totals.repeated += summary.repeated;
      totals.resumed += summary.resumed;
      totals.losses += summary.losses;
      totals.crashes += summary.crashes;
    }
    expect(totals.arrived).toBeGreaterThan(2_000);
    expect(totals.repeated).toBeGreaterThan(100);
    expect(totals.resumed).toBeGreaterThan(200);
    expect(totals.losses).toBeGreaterThan(10);
    expect(totals.crashes).toBeGreaterThan(20);
  });

  test('gives the same run for the same seed', async () => {
    const createSite = (parts: MqttSiteParts): ServedSite => new ServedSite(parts);
    const { events } = await runMqttSimulation({ seed: 7, steps: STEPS, createSite });
    const again = await runMqttSimulation({ seed: 7, steps: STEPS, createSite });
    expect(again.events).toEqual(events);
  });
});

describe('runMqttSimulation notices a broker that would', () => {
  const flawed: [flaw: Flaw, promise: MqttPromise][] = [
    ['forget which QoS 2 it has received', 'twice'],
    ['acknowledge before it stores', 'stored'],
    ['forget what is not acknowledged', 'loss'],
    ['send again without DUP', 'conduct'],
    ['send again under other identifiers', 'twice'],
    ['send again in another order', 'conduct'],
    ['publish again what was received', 'conduct'],
    ['say that no session is present', 'session'],
    ['keep a session over a clean start', 'session'],
    ['forget subscriptions when it is killed', 'loss'],
    ['raise the QoS', 'unasked'],
    ['deliver for each subscription', 'twice'],
    ['answer out of order', 'conduct'],
    ['send more than the client takes', 'conduct'],
    ['lose a message now and then', 'loss'],
    ['swap two messages', 'order'],
    ['deliver after the end of a subscription', 'unasked'],
    ['leave PUBCOMP out', 'stuck'],
    ['tell of a loss that is none', 'alarm'],
    ['store twice', 'twice'],
    ['store in another order', 'order'],
  ];
  test.each(flawed)('%s', async (flaw, promise) => {
    const broken = new Set<MqttPromise>();
    for (let seed = 1; seed <= FLAWED_SEEDS_MAX && !broken.has(promise); seed += 1) {
      const { violations } = await run(seed, flaw);
      for (const violation of violations) broken.add(violation.promise);
    }
    expect(broken).toContain(promise);
  });
});

import { describe, expect, test } from 'vitest';
import { formatViolation } from '../src/history-checker.ts';
import type { BrokenPromise } from '../src/history.ts';
import { runSimulation } from '../src/simulation.ts';
import type { Plant } from '../src/simulation.ts';

const STEPS = 300;

/** Some mistakes show in few runs: hardly anybody stays away for as long as presence waits. */
const PLANTED_SEEDS_MAX = 100;

/** Runs seeds until one shows that a promise is broken; answers with all that were broken. */
async function promisesBrokenBy(
  plant: Plant,
  promise: BrokenPromise,
  options: { readonly following: boolean },
): Promise<Set<BrokenPromise>> {
  const broken = new Set<BrokenPromise>();
  for (let seed = 1; seed <= PLANTED_SEEDS_MAX && !broken.has(promise); seed += 1) {
    const { violations } = await runSimulation({ seed, steps: STEPS, plant, ...options });
    for (const violation of violations) broken.add(violation.promise);
  }
  return broken;
}

describe('runSimulation', () => {
  test.each([1, 11, 21, 31, 41, 51])('keeps all promises in ten seeds from %i', async (from) => {
    for (let seed = from; seed < from + 10; seed += 1) {
      const { violations } = await runSimulation({ seed, steps: STEPS, following: false });
      expect(violations.map(formatViolation), `seed ${seed}`).toEqual([]);
    }
  });

  test('makes enough happen to mean something', async () => {
    const totals = { acknowledged: 0, refused: 0, recovered: 0, delivered: 0, gaps: 0, crashes: 0 };
    for (let seed = 1; seed <= 10; seed += 1) {
      const { summary } = await runSimulation({ seed, steps: STEPS, following: false });
      totals.acknowledged += summary.acknowledged;
      totals.refused += summary.refused;
      totals.recovered += summary.recovered;
      totals.delivered += summary.delivered;
      totals.gaps += summary.gaps;
      totals.crashes += summary.crashes;
    }
    expect(totals.acknowledged).toBeGreaterThan(500);
    expect(totals.delivered).toBeGreaterThan(1_000);
    expect(totals.recovered).toBeGreaterThan(500);
    expect(totals.refused).toBeGreaterThan(50);
    expect(totals.gaps).toBeGreaterThan(50);
    expect(totals.crashes).toBeGreaterThan(10);
  });

  test('gives the same run for the same seed', async () => {
    const first = await runSimulation({ seed: 7, steps: STEPS });
    expect(await runSimulation({ seed: 7, steps: STEPS })).toEqual(first);
    const other = await runSimulation({ seed: 8, steps: STEPS });
    expect(other.summary).not.toEqual({ ...first.summary, seed: 8 });
  });
});

describe('runSimulation notices a server that', () => {
  const planted: [plant: Plant, promise: BrokenPromise][] = [
    ['skip a message at the hand-over from history to live', 2],
    ['acknowledge before the commit', 'offset'],
    ['reuse an offset', 'offset'],
    ['take a lost position for caught up', 2],
    ['deliver a message twice', 3],
    ['swap two deliveries', 1],
    ['forget keys', 6],
  ];
  test.each(planted)('would %s', async (plant, promise) => {
    const broken = await promisesBrokenBy(plant, promise, { following: false });
    expect(broken).toContain(promise);
  });

  const plantedForFollowers: [plant: Plant, promise: BrokenPromise][] = [
    ['tell a mark that is too new', 2],
    ['skip a leg of a catch-up', 2],
    ['miss a channel that was born meanwhile', 2],
    ['deliver for each of several patterns', 3],
    ['deliver what is over', 'expired'],
    ['lose the newest of a slot', 'volatile'],
    ['tell nobody who has gone', 'presence'],
    ['compare those that stand apart', 2],
  ];
  test.each(plantedForFollowers)('would %s', async (plant, promise) => {
    const broken = await promisesBrokenBy(plant, promise, { following: true });
    expect(broken).toContain(promise);
  });
});

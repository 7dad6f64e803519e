import { describe, expect, test } from 'vitest';
import { formatViolation } from '../../src/history-checker.ts';
import type { FollowingSummary } from '../../src/follow-summary.ts';
import { runSimulation } from '../../src/simulation.ts';

const STEPS = 300;

/** What happened in the runs of these seeds together. */
async function totalsOf(from: number, count: number): Promise<FollowingSummary> {
  const totals = {
    ...{ patterns: 0, marks: 0, resumes: 0, recovered: 0, given: 0 },
    ...{ gaps: 0, lapsed: 0, overlaps: 0, changes: 0, passing: 0, slow: 0, presence: 0 },
  };
  for (let seed = from; seed < from + count; seed += 1) {
    const { following } = (await runSimulation({ seed, steps: STEPS })).summary;
    for (const name of Object.keys(totals) as (keyof typeof totals)[]) {
      totals[name] += following[name];
    }
  }
  return totals;
}

describe('runSimulation of those who follow several channels', () => {
  test.each([1, 11, 21])('keeps all promises in ten seeds from %i', async (from) => {
    for (let seed = from; seed < from + 10; seed += 1) {
      const { violations } = await runSimulation({ seed, steps: STEPS });
      expect(violations.map(formatViolation), `seed ${seed}`).toEqual([]);
    }
  });

  test('makes enough happen to mean something [WILD-1] [WILD-3] [WILD-4] [WILD-5]', async () => {
    const totals = await totalsOf(1, 20);
    expect(totals.patterns).toBeGreaterThan(100);
    expect(totals.marks).toBeGreaterThan(500);
    expect(totals.resumes).toBeGreaterThan(80);
    expect(totals.recovered).toBeGreaterThan(30);
    expect(totals.given).toBeGreaterThan(1_000);
    expect(totals.gaps).toBeGreaterThan(60);
    expect(totals.lapsed).toBeGreaterThan(40);
    expect(totals.overlaps).toBeGreaterThan(100);
    expect(totals.changes).toBeGreaterThan(20);
    expect(totals.passing).toBeGreaterThan(200);
    expect(totals.slow).toBeGreaterThan(5);
    expect(totals.presence).toBeGreaterThan(10);
  });
});

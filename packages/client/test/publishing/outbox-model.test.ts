import { describe, expect, test } from 'vitest';
import { Model } from './outbox-model.ts';
import type { Faults, ModelCounts } from './outbox-model.ts';

const SEEDS = Array.from({ length: 60 }, (_, index) => index + 1);
const STEPS = 400;

/** Runs all seeds; a broken promise names its seed. */
async function runAll(faults: Faults): Promise<ModelCounts> {
  const sum: ModelCounts = { stored: 0, uncertain: 0, refused: 0, aborted: 0, late: 0 };
  for (const seed of SEEDS) {
    const counts = await new Model(seed, faults).run(STEPS).catch((error: unknown) => {
      throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
    });
    for (const name of Object.keys(sum) as (keyof ModelCounts)[]) sum[name] += counts[name];
  }
  return sum;
}

describe('whatever happens, an outbox keeps its promises [GUA-1] [GUA-6]', () => {
  test('when connections drop and keys are forgotten: strictly in order', async () => {
    const counts = await runAll({ losses: true, refusals: false });
    expect(counts.late).toBe(0);
    expect(counts.refused).toBe(0);
    expect(counts.uncertain).toBeGreaterThan(100);
    expect(counts.aborted).toBeGreaterThan(10);
    expect(counts.stored).toBeGreaterThan(2000);
  });

  test('when the server refuses for now, for good and in doubt', async () => {
    const counts = await runAll({ losses: false, refusals: true });
    expect(counts.refused).toBeGreaterThan(100);
    expect(counts.stored).toBeGreaterThan(2000);
    expect(counts.late).toBeLessThan(counts.stored / 5);
  });

  test('when everything goes wrong at once', async () => {
    const counts = await runAll({ losses: true, refusals: true });
    expect(counts.uncertain).toBeGreaterThan(100);
    expect(counts.refused).toBeGreaterThan(100);
    expect(counts.stored).toBeGreaterThan(1000);
  });
});

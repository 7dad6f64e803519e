/** Random readers of random patterns, against readers that check every frame with the log. */
import { describe, expect, test } from 'vitest';
import { runModel } from './model.ts';

describe('the model itself', () => {
  test.each(['lose', 'repeat'] as const)('finds a planted fault: %s', async (plant) => {
    expect(await runModel(1, { steps: 600, readers: 6, faults: false, plant })).not.toEqual([]);
  });
});

describe('readers of patterns and names, slow and fast, that come and go', () => {
  test.each(Array.from({ length: 20 }, (_, index) => index + 1))(
    'get what matches once and in order, with a good broker: seed %i',
    async (seed) => {
      expect(await runModel(seed, { steps: 600, readers: 6, faults: false })).toEqual([]);
    },
  );

  test.each(Array.from({ length: 20 }, (_, index) => 10000 + index))(
    'the same while the broker fails, is in doubt and lags: seed %i',
    async (seed) => {
      expect(await runModel(seed, { steps: 600, readers: 6, faults: true })).toEqual([]);
    },
  );
});

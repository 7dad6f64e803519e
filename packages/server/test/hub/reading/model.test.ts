/**
 * A seeded model: messages are published to many channels at random, and a client follows them over
 * polls, WebSockets and event streams, going on by mark from one to the other.
 */
import { seededRandom } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';
import { Model } from './model.ts';

const SEEDS = Array.from({ length: 40 }, (_, index) => index + 1);

describe('whoever goes on by marks over polls and streams', () => {
  test.each(SEEDS)('has each message once and in order: seed %i', async (seed) => {
    const model = await Model.begin(seededRandom(seed));
    for (let step = 0; step < 30; step += 1) await model.step();
    await model.catchUp();
    expect(model.faults).toEqual([]);
  });

  test.each(SEEDS)('is told of everything that retention took: seed %i', async (seed) => {
    const model = await Model.begin(seededRandom(seed), { trims: true });
    for (let step = 0; step < 30; step += 1) await model.step();
    await model.catchUp();
    expect(model.faults).toEqual([]);
  });
});

/**
 * A seeded model: messages are published to many channels at random, and a client follows them over
 * polls, WebSockets and event streams, going on by mark from one to the other.
 */
import { seededRandom } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';
import { Model } from './model.ts';
import type { ModelOptions } from './model.ts';

const SEEDS = Array.from({ length: 60 }, (_, index) => index + 1);

const KINDS: readonly (readonly [string, ModelOptions])[] = [
  ['has each message once and in order', {}],
  ['also where the log is ahead of what the node was told', { lags: true }],
  ['is told of everything that retention took', { trims: true }],
  ['is told of it also where the log is ahead', { trims: true, lags: true }],
  ['is told when a channel began anew', { purges: true, trims: true }],
];

describe.each(KINDS)('whoever goes on by marks over polls and streams %s', (_, options) => {
  test.each(SEEDS)('seed %i', async (seed) => {
    const model = await Model.begin(seededRandom(seed), options);
    for (let step = 0; step < 30; step += 1) await model.step();
    await model.catchUp();
    expect(model.faults).toEqual([]);
  });
});

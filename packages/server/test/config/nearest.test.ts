import { expect, test } from 'vitest';
import { nearest } from '@trunkline/server/internal/config/nearest.ts';

test.each([
  ['prot', ['host', 'port'], 'port'],
  ['pingIntervall', ['pingIntervalMs', 'pongMs'], 'pingIntervalMs'],
  ['PORT', ['port'], 'port'],
  ['x', ['host', 'port'], undefined],
  ['x'.repeat(65), ['x'.repeat(64)], undefined],
])('the nearest to %s of %j is %s', (word, candidates, expected) => {
  expect(nearest(word, candidates)).toBe(expected);
});

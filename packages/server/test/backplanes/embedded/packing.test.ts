import { describe, expect, test } from 'vitest';
import {
  packChanged,
  packOperations,
  packOutcomes,
  packSlice,
  unpackChanged,
  unpackOperations,
  unpackOutcomes,
  unpackSlice,
} from '@trunkline/server/internal/backplanes/embedded/packing.ts';
import type { Operation, Outcome } from '@trunkline/server/internal/backplanes/embedded/store.ts';
import { seededRandom } from '@trunkline/testkit';
import type { SeededRandom } from '@trunkline/testkit';

function maybe<K extends string, V>(random: SeededRandom, key: K, value: V): { [key in K]?: V } {
  return random.chance(0.5) ? ({ [key]: value } as { [key in K]: V }) : {};
}

function randomContent(random: SeededRandom) {
  return {
    payload: random.bytes(random.integer(20)),
    ...maybe(random, 'contentType', 'text/ü'),
    ...maybe(random, 'event', ''),
    ...maybe(random, 'attributes', random.bytes(random.integer(9))),
    ...maybe(random, 'from', { session: 's', ...maybe(random, 'user', 'u') }),
  };
}

function randomOperation(random: SeededRandom): Operation {
  const retention = { countMax: random.integer(9), sizeMax: Infinity, ageMsMax: 1.5 };
  const ifVersion = maybe(random, 'ifVersion', random.integer(3));
  switch (random.integer(5)) {
    case 0: {
      const idempotency = maybe(random, 'idempotency', { key: 'k', scope: '' });
      return {
        kind: 'append',
        channel: 'c',
        draft: { ...randomContent(random), ...maybe(random, 'ttl', 5) },
        retention,
        ...idempotency,
      };
    }
    case 1:
      return { kind: 'leave', channel: 'c' };
    case 2:
      return { kind: 'purge', channel: 'c' };
    case 3: {
      const value = random.bytes(5);
      return { kind: 'put', key: 'k', value, ...ifVersion, ...maybe(random, 'expiresAt', 0) };
    }
    default:
      return { kind: 'delete', key: '', ...ifVersion };
  }
}

describe('packing', () => {
  test.each([1, 2, 3])('gives operations back as they were (seed %i)', (seed) => {
    const random = seededRandom(seed);
    const operations = Array.from({ length: 200 }, () => randomOperation(random));
    const packed = packOperations(operations);
    const arrived = structuredClone(packed, { transfer: [packed.bytes.buffer] });
    expect(unpackOperations(arrived)).toEqual(operations);
  });

  test('gives outcomes back as they were', () => {
    const outcomes: Outcome[] = [
      { kind: 'appended', epoch: 'e', offset: 2 ** 50, time: 3, sequence: 4 },
      { kind: 'duplicate', epoch: 'e', offset: 1 },
      { kind: 'conflict' },
      { kind: 'left', sequence: 7 },
      { kind: 'purged', sequence: 8 },
      { kind: 'put', version: undefined },
      { kind: 'put', version: 8 },
      { kind: 'delete', deleted: false },
      { kind: 'delete', deleted: true },
    ];
    expect(unpackOutcomes(structuredClone(packOutcomes(outcomes)))).toEqual(outcomes);
  });

  test.each([1, 2, 3])('gives slices back as they were (seed %i)', (seed) => {
    const random = seededRandom(seed);
    const messages = Array.from({ length: 50 }, (_, index) => ({
      ...randomContent(random),
      ...maybe(random, 'expiresAt', 2 ** 41),
      offset: index + 5,
      time: index,
    }));
    const slice = { epoch: 'e', oldest: 5, top: 54, messages };
    expect(unpackSlice(structuredClone(packSlice(slice)))).toEqual(slice);
    const empty = { epoch: '0', oldest: 1, top: 0, messages: [] };
    expect(unpackSlice(structuredClone(packSlice(empty)))).toEqual(empty);
  });

  test('gives changed channels back as they were', () => {
    const changed = ['a', '', 'ü'].map((channel, index) => ({
      channel,
      position: { epoch: `p${index}`, offset: index },
      stream: { epoch: `s${index}`, oldest: index + 1, top: 2 ** 50 },
    }));
    expect(unpackChanged(structuredClone(packChanged(changed)))).toEqual(changed);
    expect(unpackChanged(structuredClone(packChanged([])))).toEqual([]);
  });
});

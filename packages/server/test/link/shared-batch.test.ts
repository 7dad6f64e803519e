import { describe, expect, test } from 'vitest';
import { SharedBatch } from '../../src/link/shared-batch.ts';
import type { Framing } from '../../src/link/shared-batch.ts';

/** Puts its sign before the payload, and counts how often. */
function framing(sign: number): Framing & { count: number } {
  return {
    name: `sign ${sign}`,
    count: 0,
    frame(payload, text) {
      this.count += 1;
      return Uint8Array.of(sign, text ? 1 : 0, ...payload);
    },
  };
}

describe('a shared batch', () => {
  test('is framed once for each framing, however many links it goes to', () => {
    const framings = [framing(7), framing(8), framing(9)];
    const batch = new SharedBatch(Uint8Array.of(1, 2), true);
    const rounds = [1, 2, 3].map(() => framings.map((one) => batch.framed(one)));
    expect(framings.map(({ count }) => count)).toEqual([1, 1, 1]);
    expect(rounds[0]?.map((bytes) => [...bytes])).toEqual([
      [7, 1, 1, 2],
      [8, 1, 1, 2],
      [9, 1, 1, 2],
    ]);
    // The very same bytes: a thousand links hold one buffer.
    for (const round of rounds) {
      for (const [index, bytes] of round.entries()) expect(bytes).toBe(rounds[0]?.[index]);
    }
  });

  test('tells its framing whether it is text', () => {
    const batch = new SharedBatch(Uint8Array.of(1), false);
    expect([...batch.framed(framing(7))]).toEqual([7, 0, 1]);
  });

  test('may be empty', () => {
    const empty = framing(0);
    const batch = new SharedBatch(new Uint8Array(0), true);
    expect(batch.framed({ ...empty, frame: (payload) => payload }).length).toBe(0);
  });
});

import { describe, expect, test } from 'vitest';
import { seededRandom } from '../src/random.ts';

describe('seededRandom', () => {
  test('gives the same for the same seed and something else for another', () => {
    const draw = (seed: number): unknown[] => {
      const random = seededRandom(seed);
      return [random.fraction(), random.integer(1000), random.word(12), random.bytes(4)];
    };
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
    expect(draw(-1)).not.toEqual(draw(1));
  });

  // A change of the generator would silently turn every seed on record into another run.
  test('keeps its sequence from release to release', () => {
    const random = seededRandom(42);
    expect([random.integer(1e9), random.integer(1e9), random.integer(1e9)]).toEqual([
      83_862_247, 205_010_595, 841_909_877,
    ]);
    expect(random.word(16)).toBe('Up87kJDwzJI7lr9I');
  });

  test('spreads evenly enough', () => {
    const random = seededRandom(1);
    const counts = Array.from({ length: 10 }, () => 0);
    for (let index = 0; index < 10_000; index += 1) {
      const bucket = random.integer(10);
      counts[bucket] = (counts[bucket] ?? 0) + 1;
    }
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });

  test('keeps fractions in [0, 1) and integers below their bound', () => {
    const random = seededRandom(3);
    for (let index = 0; index < 10_000; index += 1) {
      const fraction = random.fraction();
      expect(fraction >= 0 && fraction < 1).toBe(true);
      expect(random.integer(1)).toBe(0);
    }
  });

  test('gives a fork a sequence of its own', () => {
    const one = seededRandom(5);
    const other = seededRandom(5);
    const fork = one.fork();
    other.fork();
    for (let index = 0; index < 10; index += 1) fork.fraction();
    expect(one.fraction()).toBe(other.fraction());
  });

  test('takes chances between never and always', () => {
    const random = seededRandom(9);
    expect(random.chance(0)).toBe(false);
    expect(random.chance(1)).toBe(true);
  });

  test('picks every element of a list sooner or later', () => {
    const random = seededRandom(11);
    const seen = new Set(Array.from({ length: 100 }, () => random.pick(['a', 'b', 'c'])));
    expect(seen).toEqual(new Set(['a', 'b', 'c']));
  });

  test('says what it takes', () => {
    expect(() => seededRandom(0.5)).toThrow('whole number, got 0.5');
    expect(() => seededRandom(1).integer(0)).toThrow('got 0');
    expect(() => seededRandom(1).pick([])).toThrow('list with elements');
  });
});

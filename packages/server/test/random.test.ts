import { describe, expect, test } from 'vitest';
import { systemRandom } from '../src/random.ts';

describe('the operating system’s randomness', () => {
  test('draws fractions from 0 up to, and never, 1', () => {
    const drawn = Array.from({ length: 10_000 }, () => systemRandom.fraction());
    expect(Math.min(...drawn)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...drawn)).toBeLessThan(1);
    const mean = drawn.reduce((sum, one) => sum + one, 0) / drawn.length;
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.05);
  });

  test('makes words of letters and digits, as long as asked, and each another', () => {
    const words = Array.from({ length: 2_000 }, () => systemRandom.word(16));
    for (const word of words) expect(word).toMatch(/^[0-9A-Za-z]{16}$/);
    expect(new Set(words).size).toBe(words.length);
    expect(systemRandom.word(0)).toBe('');
  });

  test('favours no letter', () => {
    const counts = new Map<string, number>();
    for (const letter of systemRandom.word(62_000)) {
      counts.set(letter, (counts.get(letter) ?? 0) + 1);
    }
    expect(counts.size).toBe(62);
    // 1,000 of each expected; ten standard deviations are 316.
    for (const count of counts.values()) expect(Math.abs(count - 1_000)).toBeLessThan(316);
  });
});

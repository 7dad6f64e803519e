/**
 * Seeded random: chance that a seed reproduces, on every machine.
 *
 * The generator is xoshiro128** by Blackman and Vigna, its state filled by a SplitMix sequence.
 */
import type { Random } from '@trunkline/server/internal/random.ts';

const ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

/** A {@link Random} with what tests and simulations ask for beside. */
export interface SeededRandom extends Random {
  readonly seed: number;
  /** A whole number ≥ 0 and < `max`. */
  integer(max: number): number;
  /** One element of a list that is not empty. */
  pick<T>(list: readonly T[]): T;
  /** True with this probability. */
  chance(probability: number): boolean;
  bytes(count: number): Uint8Array;
  /** A generator of its own: how much one part draws does not change what another one gets. */
  fork(): SeededRandom;
}

/** Makes a generator whose output is a pure function of `seed` and the calls made. */
export function seededRandom(seed: number): SeededRandom {
  if (!Number.isSafeInteger(seed)) {
    throw new RangeError(`a seed is a whole number, got ${seed}`);
  }
  return new Xoshiro128(seed);
}

class Xoshiro128 implements SeededRandom {
  readonly seed: number;
  readonly #state: Uint32Array;

  constructor(seed: number) {
    this.seed = seed;
    this.#state = splitMix(seed);
  }

  fraction(): number {
    // 53 bits, as many as a number holds.
    const high = this.#next() >>> 5;
    const low = this.#next() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  word(length: number): string {
    let text = '';
    while (text.length < length) text += ALPHABET[this.integer(ALPHABET.length)];
    return text;
  }

  integer(max: number): number {
    if (!Number.isSafeInteger(max) || max < 1) {
      throw new RangeError(`integer(max) takes a whole number ≥ 1, got ${max}`);
    }
    return Math.floor(this.fraction() * max);
  }

  pick<T>(list: readonly T[]): T {
    if (list.length === 0) throw new RangeError('pick(list) takes a list with elements');
    return list[this.integer(list.length)] as T;
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.#next() >>> 24);
  }

  fork(): SeededRandom {
    return new Xoshiro128(this.#next());
  }

  #next(): number {
    const state = this.#state;
    const [a = 0, b = 0, c = 0, d = 0] = state;
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    state[0] = a ^ d ^ b;
    state[1] = b ^ c ^ a;
    state[2] = c ^ a ^ (b << 9);
    state[3] = rotate(d ^ b, 11);
    return result;
  }
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

/** Four words of SplitMix64, the upper half of each. */
function splitMix(seed: number): Uint32Array {
  let counter = BigInt.asUintN(64, BigInt(seed));
  return Uint32Array.from({ length: 4 }, () => {
    counter = BigInt.asUintN(64, counter + 0x9e3779b97f4a7c15n);
    let word = counter;
    word = BigInt.asUintN(64, (word ^ (word >> 30n)) * 0xbf58476d1ce4e5b9n);
    word = BigInt.asUintN(64, (word ^ (word >> 27n)) * 0x94d049bb133111ebn);
    return Number((word ^ (word >> 31n)) >> 32n);
  });
}

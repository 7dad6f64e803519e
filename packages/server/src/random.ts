/** Random: chance as a dependency, so that a seed reproduces a run. */
import { randomBytes } from 'node:crypto';

export interface Random {
  /** In [0, 1). For jitter; not for secrets. */
  fraction(): number;
  /** An unguessable word of letters and digits with `length` characters. */
  word(length: number): string;
}

const ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
/** Bytes are drawn many at a time; a system call for each word would cost more than the word. */
const POOL_SIZE = 4096;

let pool = Buffer.alloc(0);
let used = 0;

function nextByte(): number {
  if (used === pool.length) {
    pool = randomBytes(POOL_SIZE);
    used = 0;
  }
  const byte = pool[used] ?? 0;
  used += 1;
  return byte;
}

/** The operating system's randomness. */
export const systemRandom: Random = {
  fraction: () => (nextByte() * 2 ** 16 + nextByte() * 2 ** 8 + nextByte()) / 2 ** 24,
  word(length) {
    let text = '';
    while (text.length < length) {
      const byte = nextByte();
      // 248 is the largest multiple of 62 in a byte: larger values would favour some letters.
      if (byte < 248) text += ALPHABET[byte % ALPHABET.length];
    }
    return text;
  },
};

import { isUtf8 } from 'node:buffer';
import { incompleteTailSize } from '@trunkline/server/internal/transports/websocket/utf8.ts';
import { describe, expect, test } from 'vitest';

/** What may follow two bytes to make a character, or two. */
const ENDINGS = ['', '80', '8080', '808080', 'bf', 'bfbf', '9f', 'a0', 'a080', '90', '9080', '8f80']
  .concat(['8fbf', '9f80', 'a0bf', '41', '908080', '8f8080'])
  .map((text) => Buffer.from(text, 'hex'));

/** The borders of what a second byte may be. */
const SECOND_BYTES = Buffer.from('00417f808f909fa0bfc0c1c2dfe0edeff0f4f5ff', 'hex');

describe('incompleteTailSize', () => {
  test('finds exactly the beginnings that can still become a character', () => {
    // Pairs of bytes after a letter, and whether any ending completes them.
    for (let first = 0; first < 256; first += 1) {
      for (const second of SECOND_BYTES) {
        const bytes = Buffer.from([0x41, first, second]);
        const size = incompleteTailSize(bytes, 3);
        const isWhole = isUtf8(bytes);
        const canBecome = ENDINGS.some((ending) => isUtf8(Buffer.concat([bytes, ending])));
        expect(size > 0 && isUtf8(bytes.subarray(0, 3 - size))).toBe(canBecome && !isWhole);
        if (isWhole) expect(size).toBe(0);
      }
    }
  });

  test.each([
    { text: '', size: 0 },
    { text: '61', size: 0 },
    { text: 'f09f98', size: 3 },
    { text: 'f09f', size: 2 },
    { text: 'f0', size: 1 },
    { text: 'f09f9880', size: 0 },
    { text: '80808080', size: 0 },
    { text: 'e282ac', size: 0 },
    { text: 'e282', size: 2 },
    { text: 'eda0', size: 0 },
    { text: 'f490', size: 0 },
    { text: 'ff', size: 0 },
  ])('is $size at the end of $text', ({ text, size }) => {
    const bytes = Buffer.from(text, 'hex');
    expect(incompleteTailSize(bytes, bytes.length)).toBe(size);
  });
});

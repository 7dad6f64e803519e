import { inflateRawSync } from 'node:zlib';
import { deflate, FLUSH_TAIL_SIZE } from '@trunkline/server/internal/transports/deflate.ts';
import { seededRandom } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';

/** An empty last block, so that zlib sees a whole stream. */
const LAST_BLOCK = Buffer.from('010000ffff', 'hex');
const TAIL = Buffer.from('0000ffff', 'hex');

describe('deflate', () => {
  test.each([0, 1, 100, 16_384, 300_000])('ends on a whole byte after %i bytes', (size) => {
    const random = seededRandom(size + 1);
    for (const payload of [Buffer.alloc(size, 'ab'), Buffer.from(random.bytes(size))]) {
      const deflated = deflate(payload, { level: 6, windowBits: 15 });
      expect(deflated.subarray(-FLUSH_TAIL_SIZE)).toEqual(TAIL);
      expect(inflateRawSync(Buffer.concat([deflated, LAST_BLOCK]))).toEqual(payload);
    }
  });

  test('makes blocks that may stand one behind the other', () => {
    const pieces = ['one '.repeat(50), 'two '.repeat(50), ''];
    const blocks = pieces.map((text) => deflate(Buffer.from(text), { level: 1, windowBits: 15 }));
    expect(inflateRawSync(Buffer.concat([...blocks, LAST_BLOCK])).toString()).toBe(pieces.join(''));
  });

  test('refers to a dictionary, and no further back than the window', () => {
    const dictionary = Buffer.from(seededRandom(1).bytes(512));
    const payload = dictionary.subarray(0, 200);
    const near = deflate(dictionary.subarray(-200), { level: 9, windowBits: 9, dictionary });
    expect(near.length).toBeLessThan(30);
    const data = deflate(payload, { level: 9, windowBits: 9, dictionary });
    const whole = Buffer.concat([data, LAST_BLOCK]);
    expect(inflateRawSync(whole, { dictionary, windowBits: 9 })).toEqual(payload);
  });

  test('counts what it is given and what it makes', () => {
    const counts = { inBytes: 0, outBytes: 0 };
    const made = deflate(Buffer.from('abc '.repeat(99)), { level: 1, windowBits: 15, counts });
    expect(counts).toEqual({ inBytes: 396, outBytes: made.length });
  });
});

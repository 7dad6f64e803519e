import { constants, deflateRawSync } from 'node:zlib';
import {
  ContextInflater,
  PlainInflater,
} from '@trunkline/server/internal/transports/websocket/inflate.ts';
import { ProtocolError } from '@trunkline/server/internal/transports/websocket/receiver.ts';
import { seededRandom } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';

const SIZE_MAX = 1024 * 1024;
const TAIL_SIZE = 4;

/** A message as a peer sends it (RFC 7692 §7.2.1). */
function compressed(payload: Uint8Array | string, dictionary?: Uint8Array): Buffer {
  const options = { finishFlush: constants.Z_SYNC_FLUSH, ...(dictionary && { dictionary }) };
  return deflateRawSync(payload, options).subarray(0, -TAIL_SIZE);
}

function bytes(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(' ', ''), 'hex');
}

/** The close code for which a payload is refused. */
function faultOf(payload: Uint8Array, sizeMax = SIZE_MAX): number {
  try {
    new PlainInflater().inflate(payload, sizeMax);
  } catch (error) {
    expect(error).toBeInstanceOf(ProtocolError);
    return (error as ProtocolError).closeCode;
  }
  throw new Error('expected a fault');
}

describe('the examples of RFC 7692 §7.2.3', () => {
  test.each([
    ['one block', 'f2 48 cd c9 c9 07 00'],
    ['a block that is not compressed', '00 05 00 fa ff 48 65 6c 6c 6f 00'],
    ['a last block', 'f3 48 cd c9 c9 07 00 00'],
    ['two blocks', 'f2 48 05 00 00 00 ff ff ca c9 c9 07 00'],
  ])('%s', (_, hex) => {
    expect(new PlainInflater().inflate(bytes(hex), SIZE_MAX).toString()).toBe('Hello');
  });

  test('the window goes on with the next message', () => {
    const inflater = new ContextInflater(15);
    expect(inflater.inflate(bytes('f2 48 cd c9 c9 07 00'), SIZE_MAX).toString()).toBe('Hello');
    expect(inflater.inflate(bytes('f2 00 11 00 00'), SIZE_MAX).toString()).toBe('Hello');
  });

  test('an empty message', () => {
    expect(new PlainInflater().inflate(bytes('00'), SIZE_MAX)).toHaveLength(0);
  });
});

describe.each([
  ['PlainInflater', () => new PlainInflater()],
  ['ContextInflater', () => new ContextInflater(15)],
])('%s', (_, create) => {
  test.each([0, 1, 5, 1000, 16_384, 100_000, SIZE_MAX])('gives back %i bytes', (size) => {
    const inflater = create();
    for (const payload of [Buffer.alloc(size, 'abc'), Buffer.from(seededRandom(3).bytes(size))]) {
      expect(inflater.inflate(compressed(payload), SIZE_MAX).equals(payload)).toBe(true);
    }
  });

  test('counts what comes out', () => {
    const inflater = create();
    inflater.allowanceBytes = 1000;
    inflater.inflate(compressed('a'.repeat(300)), SIZE_MAX);
    inflater.inflate(compressed('b'.repeat(800)), SIZE_MAX);
    expect(inflater.allowanceBytes).toBe(-100);
  });
});

describe('a message over the limit [COMP-3]', () => {
  test.each([0, 1, 2, 1023, 1024, 1025, 16_384, 65_536])(
    'of %i bytes ends with 1009',
    (sizeMax) => {
      const fits = Buffer.alloc(sizeMax, 'z');
      expect(new PlainInflater().inflate(compressed(fits), sizeMax)).toHaveLength(sizeMax);
      expect(faultOf(compressed(Buffer.alloc(sizeMax + 1, 'z')), sizeMax)).toBe(1009);
    },
  );

  test('takes no more memory than the limit and a chunk', () => {
    // 64 MB in 64 KB: a thousand times as much.
    const bomb = compressed(Buffer.alloc(64 * 1024 * 1024));
    expect(bomb.length).toBeLessThan(70_000);
    const before = process.memoryUsage().arrayBuffers;
    const faults = Array.from({ length: 50 }, () => faultOf(bomb, 64 * 1024));
    // Nothing is collected between two of them: all that they took is counted.
    const each = (process.memoryUsage().arrayBuffers - before) / faults.length;
    expect(faults).toEqual(faults.map(() => 1009));
    expect(each).toBeLessThan(64 * 1024 + bomb.length + 2 * 16 * 1024);
  });

  test('counts the parts of a message together', () => {
    const part = deflateRawSync(Buffer.alloc(600));
    expect(new PlainInflater().inflate(Buffer.concat([part, part, part]), 1800)).toHaveLength(1800);
    expect(faultOf(Buffer.concat([part, part, part]), 1799)).toBe(1009);
  });
});

describe('what is not deflated data ends with 1007 [COMP-3]', () => {
  const good = compressed('something to inflate, something to inflate');

  test.each([
    ['nothing at all', ''],
    ['a reserved type of block', '07'],
    ['a length that does not agree with its complement', '00 05 00 fa fe 48 65 6c 6c 6f 00'],
    ['a reference to before the beginning', 'f2 00 11 00 00'],
    ['a code that can not be', 'ed fd 01 00 00 00'],
    ['a block that is not complete', '00 ff 00 00 ff 48'],
  ])('%s', (_, hex) => {
    expect(faultOf(bytes(hex))).toBe(1007);
  });

  test('a message that was cut', () => {
    for (let size = 1; size < good.length - 1; size += 1) {
      expect(faultOf(good.subarray(0, size))).toBe(1007);
    }
  });

  test('bytes after the data', () => {
    expect(faultOf(Buffer.concat([good, Buffer.from('xyz')]))).toBe(1007);
  });

  test('parts without end, each of which is nothing', () => {
    const nothing = bytes('03 00');
    const parts = (count: number): Buffer => Buffer.concat(Array<Buffer>(count).fill(nothing));
    expect(new PlainInflater().inflate(parts(7), SIZE_MAX)).toHaveLength(0);
    expect(faultOf(parts(100_000))).toBe(1007);
  });

  test('a reference beyond the window that was agreed on', () => {
    const inflater = new ContextInflater(9);
    const noise = Buffer.from(seededRandom(5).bytes(600));
    inflater.inflate(compressed(noise), SIZE_MAX);
    const near = compressed(noise.subarray(-300), noise.subarray(-512));
    expect(inflater.inflate(near, SIZE_MAX).equals(noise.subarray(-300))).toBe(true);
    const far = compressed(noise.subarray(0, 64), Buffer.concat([noise, noise.subarray(-300)]));
    expect(() => inflater.inflate(far, SIZE_MAX)).toThrow(ProtocolError);
  });
});

describe('a last block [COMP-3]', () => {
  test('may end a message, with or without the byte that RFC 7692 §7.2.3.4 adds', () => {
    const whole = deflateRawSync('the end');
    for (const payload of [whole, Buffer.concat([whole, bytes('00')])]) {
      expect(new PlainInflater().inflate(payload, SIZE_MAX).toString()).toBe('the end');
    }
  });

  test('does not end the window', () => {
    const inflater = new ContextInflater(15);
    const text = 'a text that is long enough to be referred to';
    const first = Buffer.concat([deflateRawSync(text), compressed(text, Buffer.from(text))]);
    expect(inflater.inflate(first, SIZE_MAX).toString()).toBe(text + text);
    const second = compressed(text, Buffer.from(text + text));
    expect(second.length).toBeLessThan(12);
    expect(inflater.inflate(second, SIZE_MAX).toString()).toBe(text);
  });
});

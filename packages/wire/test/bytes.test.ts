import { describe, expect, test } from 'vitest';
import { ByteReader, ByteWriter } from '../src/bytes.ts';
import { CodedError } from '../src/codes.ts';

function written(write: (writer: ByteWriter) => void, memory = new Uint8Array(0)): Uint8Array {
  const writer = new ByteWriter(memory);
  write(writer);
  return writer.written();
}

const MAX = Number.MAX_SAFE_INTEGER;

describe('varints', () => {
  test.each([
    [0, [0]],
    [1, [1]],
    [127, [0x7f]],
    [128, [0x80, 0x01]],
    [300, [0xac, 0x02]],
    [16_383, [0xff, 0x7f]],
    [16_384, [0x80, 0x80, 0x01]],
    [2 ** 31, [0x80, 0x80, 0x80, 0x80, 0x08]],
    [2 ** 32, [0x80, 0x80, 0x80, 0x80, 0x10]],
    [MAX, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]],
  ])('%i has one form', (value, bytes) => {
    expect([...written((writer) => writer.varint(value))]).toEqual(bytes);
    const reader = new ByteReader(new Uint8Array(bytes));
    expect(reader.varint('it')).toBe(value);
    expect(reader.isDone).toBe(true);
  });

  test.each([
    ['nothing', []],
    ['no end', [0x80]],
    ['a group of zeros', [0x80, 0x00]],
    ['a group of zeros behind others', [0xff, 0x80, 0x00]],
    ['2^53', [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10]],
    ['nine bytes', [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]],
  ])('refuses %s', (_, bytes) => {
    const reader = new ByteReader(new Uint8Array(bytes));
    expect(() => reader.varint('the id')).toThrow(CodedError);
    expect(() => new ByteReader(new Uint8Array(bytes)).varint('the id')).toThrow(/the id/);
  });

  test.each([-1, 1.5, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY])(
    'does not write %d',
    (value) => {
      expect(() => written((writer) => writer.varint(value))).toThrow(RangeError);
    },
  );

  test.each([
    [0, 0],
    [-1, 1],
    [1, 2],
    [-2, 3],
    [1_700_000_000_000, 3_400_000_000_000],
    [2 ** 52 - 1, MAX - 1],
    [-(2 ** 52), MAX],
  ])('%i with a sign stands as %i', (value, folded) => {
    expect(new ByteReader(written((writer) => writer.signed(value))).varint('it')).toBe(folded);
    expect(new ByteReader(written((writer) => writer.varint(folded))).signed('it')).toBe(value);
  });
});

describe('texts', () => {
  test.each(['', 'a', 'x'.repeat(32), 'x'.repeat(33), 'ä', `${'x'.repeat(200)}é`, '\ufeff😀\0'])(
    'come back: %j',
    (text) => {
      const bytes = written((writer) => writer.text(text));
      expect(bytes.length).toBeLessThan(text.length * 3 + 3);
      expect(new ByteReader(bytes).text('it')).toBe(text);
    },
  );

  test.each([
    ['a lone continuation', [1, 0x80]],
    ['a surrogate', [3, 0xed, 0xa0, 0x80]],
    ['a longer form', [2, 0xc0, 0xaf]],
    ['a half', [2, 0xf0, 0x9f]],
  ])('refuse what is no UTF-8: %s', (_, bytes) => {
    expect(() => new ByteReader(new Uint8Array(bytes)).text('event')).toThrow(
      /event must be UTF-8/,
    );
  });

  test('refuse what is cut off', () => {
    expect(() => new ByteReader(new Uint8Array([3, 97, 98])).text('event')).toThrow(/event/);
  });
});

describe('parts', () => {
  test.each([0, 1, 127, 128, 200, 16_383, 16_384, 100_000])(
    'of %i bytes stand behind their size',
    (size) => {
      const body = new Uint8Array(size).fill(7);
      for (const memory of [0, 10, 200_000]) {
        const bytes = written((writer) => {
          writer.byte(1);
          writer.part(() => writer.bytes(body));
          writer.byte(2);
        }, new Uint8Array(memory));
        const reader = new ByteReader(bytes);
        expect(reader.byte('first')).toBe(1);
        const part = reader.part('part');
        expect(part.rest()).toEqual(body);
        expect(part.isDone).toBe(true);
        expect(reader.byte('last')).toBe(2);
        expect(reader.isDone).toBe(true);
      }
    },
  );

  test('may hold parts', () => {
    const bytes = written((writer) =>
      writer.part(() => {
        writer.byte(1);
        writer.part(() => writer.text('x'.repeat(300)));
      }),
    );
    const outer = new ByteReader(bytes).part('outer');
    expect(outer.byte('first')).toBe(1);
    expect(outer.part('inner').text('text')).toBe('x'.repeat(300));
  });

  test('are not read beyond their end', () => {
    const reader = new ByteReader(new Uint8Array([1, 5, 6, 7]));
    const part = reader.part('part');
    expect(part.byte('first')).toBe(5);
    expect(() => part.byte('second')).toThrow(/expected second/);
    expect(() => part.sized('third')).toThrow(CodedError);
    expect(reader.byte('rest')).toBe(6);
  });
});

describe('memory', () => {
  test('is used from the start that was given, as long as there is room', () => {
    const memory = new Uint8Array(8);
    const writer = new ByteWriter(memory, 6);
    writer.byte(1);
    writer.byte(2);
    expect(writer.written().buffer).toBe(memory.buffer);
    writer.byte(3);
    expect([...writer.written()]).toEqual([1, 2, 3]);
    expect([...memory]).toEqual([0, 0, 0, 0, 0, 0, 1, 2]);
  });
});

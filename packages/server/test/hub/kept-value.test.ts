import { describe, expect, test } from 'vitest';
import { decodeKept, encodeKept, payloadSizeMax } from '../../src/hub/kept-value.ts';
import type { KeptValue } from '../../src/hub/kept-value.ts';

const WHOLE: KeptValue = {
  payload: Uint8Array.of(0, 255, 10),
  position: { epoch: 'k3f9', offset: 42 },
  time: 1_700_000_000_000,
  contentType: 'application/octet-stream',
  event: 'grün',
  from: { user: 'alice', session: 's1' },
  expiresAt: 1_700_000_001_000,
};

describe('a kept value', () => {
  test('comes back as it was', () => {
    const attributed = { ...WHOLE, attributes: Uint8Array.of(9, 0, 255) };
    const values: KeptValue[] = [
      WHOLE,
      { payload: new Uint8Array(0), time: 1, cleared: true as const },
      attributed,
      { ...attributed, attributes: new Uint8Array(0) },
      { payload: new Uint8Array(0), time: 1, attributes: new Uint8Array(64 * 1024) },
    ];
    for (const value of values) {
      const bytes = encodeKept(value);
      const shifted = new Uint8Array(bytes.length + 3);
      shifted.set(bytes, 3);
      expect(decodeKept(bytes)).toEqual(value);
      expect(decodeKept(shifted.subarray(3))).toEqual(value);
    }
  });

  test('is written in the first format, and read of it, where there are no attributes', () => {
    const header = Buffer.from('{"time":7,"contentType":"a/b"}');
    const bytes = Buffer.concat([
      Uint8Array.of(1, 0, 0, 0, header.length),
      header,
      Uint8Array.of(0, 255),
    ]);
    const value = { time: 7, contentType: 'a/b', payload: Uint8Array.of(0, 255) };
    expect(Buffer.from(encodeKept(value))).toEqual(bytes);
    expect(decodeKept(Uint8Array.from(bytes))).toStrictEqual(value);
  });

  test.each([WHOLE, { ...WHOLE, attributes: Uint8Array.of(9, 0, 255) }])(
    'is read as nothing when it is of another format or cut off (%#)',
    (value) => {
      const bytes = encodeKept(value);
      expect(decodeKept(new Uint8Array(0))).toBeUndefined();
      for (const format of [0, 3, 0x5b, 255]) {
        expect(decodeKept(Uint8Array.of(format, ...bytes.subarray(1)))).toBeUndefined();
      }
      for (let size = 0; size < bytes.length - value.payload.length; size += 1) {
        expect(decodeKept(bytes.subarray(0, size))).toBeUndefined();
      }
      const broken = bytes.slice();
      broken[broken.indexOf(0x7b)] = 0x5b;
      expect(decodeKept(broken)).toBeUndefined();
    },
  );

  test('knows what fits before its place is known', () => {
    const { payload: _, position: _p, time: _t, expiresAt: _e, ...header } = WHOLE;
    const position = { epoch: 'e'.repeat(32), offset: Number.MAX_SAFE_INTEGER };
    const time = Number.MAX_SAFE_INTEGER;
    const payload = new Uint8Array(payloadSizeMax(header));
    const place = { position, time, expiresAt: time };
    expect(encodeKept({ ...header, ...place, payload })).toHaveLength(2 ** 20);
    const attributed = { ...header, attributes: new Uint8Array(1_000) };
    const room = new Uint8Array(payloadSizeMax(attributed));
    expect(encodeKept({ ...attributed, ...place, payload: room })).toHaveLength(2 ** 20);
    const larger = new Uint8Array(2 ** 20);
    expect(() => encodeKept({ ...header, time: 1, payload: larger })).toThrow(RangeError);
  });
});

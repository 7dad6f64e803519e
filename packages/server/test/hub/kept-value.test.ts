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
    for (const value of [WHOLE, { payload: new Uint8Array(0), time: 1, cleared: true as const }]) {
      const bytes = encodeKept(value);
      const shifted = new Uint8Array(bytes.length + 3);
      shifted.set(bytes, 3);
      expect(decodeKept(bytes)).toEqual(value);
      expect(decodeKept(shifted.subarray(3))).toEqual(value);
    }
  });

  test('is read as nothing when it is of another format or cut off', () => {
    const bytes = encodeKept(WHOLE);
    expect(decodeKept(new Uint8Array(0))).toBeUndefined();
    expect(decodeKept(Uint8Array.of(2, ...bytes.subarray(1)))).toBeUndefined();
    for (let size = 0; size < bytes.length - WHOLE.payload.length; size += 1) {
      expect(decodeKept(bytes.subarray(0, size))).toBeUndefined();
    }
    const broken = bytes.slice();
    broken[5] = 0x5b;
    expect(decodeKept(broken)).toBeUndefined();
  });

  test('knows what fits before its place is known', () => {
    const { payload: _, position: _p, time: _t, expiresAt: _e, ...header } = WHOLE;
    const position = { epoch: 'e'.repeat(32), offset: Number.MAX_SAFE_INTEGER };
    const time = Number.MAX_SAFE_INTEGER;
    const payload = new Uint8Array(payloadSizeMax(header));
    expect(encodeKept({ ...header, position, time, expiresAt: time, payload })).toHaveLength(
      2 ** 20,
    );
    const larger = new Uint8Array(2 ** 20);
    expect(() => encodeKept({ ...header, time: 1, payload: larger })).toThrow(RangeError);
  });
});

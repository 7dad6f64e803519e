import { describe, expect, test } from 'vitest';
import * as der from '@trunkline/server/internal/tls/der.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('DER', () => {
  test.each([
    ['zero', der.unsigned(Buffer.of(0)), '020100'],
    ['127', der.unsigned(Buffer.of(0x7f)), '02017f'],
    ['128, with room for the sign', der.unsigned(Buffer.of(0x80)), '02020080'],
    ['256, without zeros before it', der.unsigned(Buffer.of(0, 0, 1, 0)), '02020100'],
    ['true', der.TRUE, '0101ff'],
    ['bytes as bits', der.bitString(Buffer.of(0xab)), '030200ab'],
    ['one bit', der.bits(0x80, 1), '03020780'],
    ['bytes', der.octetString(Buffer.of(1, 2)), '04020102'],
    ['text', der.utf8String('é'), '0c02c3a9'],
    ['a sequence', der.sequence(der.TRUE, der.TRUE), '30060101ff0101ff'],
    ['an empty sequence', der.sequence(), '3000'],
    ['a set', der.setOf(der.TRUE), '31030101ff'],
    ['a tagged value', der.tagged(3, der.TRUE), 'a3030101ff'],
    ['tagged bytes', der.taggedBytes(2, Buffer.from('a')), '820161'],
    ['ecPublicKey', der.oid('1.2.840.10045.2.1'), '06072a8648ce3d0201'],
    ['commonName', der.oid('2.5.4.3'), '0603550403'],
    ['rsaEncryption', der.oid('1.2.840.113549.1.1.1'), '06092a864886f70d010101'],
  ])('writes %s', (_what, bytes, expected) => {
    expect(hex(bytes)).toBe(expected);
  });

  test.each([
    [127, '047f'],
    [128, '048180'],
    [255, '0481ff'],
    [256, '04820100'],
    [65_536, '0483010000'],
  ])('writes a length of %i in its shortest form', (length, expected) => {
    const bytes = der.octetString(Buffer.alloc(length));
    expect(hex(bytes.subarray(0, bytes.length - length))).toBe(expected);
  });

  test('writes a time to the second', () => {
    const bytes = der.utcTime(Date.UTC(2031, 1, 3, 4, 5, 6, 789));
    expect(Buffer.from(bytes).toString('latin1')).toBe('\x17\x0d310203040506Z');
  });

  test.each([Date.UTC(1949, 11, 31), Date.UTC(2050, 0, 1)])('has no UTCTime for %i', (ms) => {
    expect(() => der.utcTime(ms)).toThrow(RangeError);
  });
});

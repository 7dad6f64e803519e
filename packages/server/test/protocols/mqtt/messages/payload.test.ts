import { describe, expect, it } from 'vitest';
import { contentTypeFor } from '../../../../src/protocols/mqtt/messages/payload.ts';

const TEXT = 'text/plain; charset=utf-8';
const BYTES = 'application/octet-stream';

const typeOf = (text: string, told?: string) => contentTypeFor(Buffer.from(text), told);

describe('the content type of a payload', () => {
  it.each([
    ...['{}', '[]', '"text"', '-1', '0', '1e9', '21.5', 'true', 'false', 'null'],
    ...[' \t\r\n{"a":1}', '{"ä":"😀"}', '7 '],
  ])('is absent for JSON: %j', (text) => {
    expect(typeOf(text)).toBeUndefined();
  });

  it.each([
    ...['', ' ', 'on', 'text', 'truely', '{', "{'a':1}", '01', '+1', '.5', 'NaN', '21,5'],
    ...['\u00a0{}', '\ufeff{}', '\u0000'],
  ])('is text where it is UTF-8: %j', (text) => {
    expect(typeOf(text)).toBe(TEXT);
  });

  it('is bytes where it is not, though it begins as JSON does', () => {
    expect(contentTypeFor(Uint8Array.of(0xff), undefined)).toBe(BYTES);
    expect(contentTypeFor(Uint8Array.of(0x22, 0xff, 0x22), undefined)).toBe(BYTES);
    expect(contentTypeFor(Uint8Array.of(0xed, 0xa0, 0x80), undefined)).toBe(BYTES);
  });

  it('is what the publisher says, whatever the payload is', () => {
    expect(typeOf('{}', 'text/plain')).toBe('text/plain');
    expect(typeOf('{}', 'application/json-seq')).toBe('application/json-seq');
    expect(contentTypeFor(Uint8Array.of(0xff), 'text/plain')).toBe('text/plain');
  });

  it('is found out where the publisher says JSON, which is the absence of a type', () => {
    expect(typeOf('{}', 'application/json')).toBeUndefined();
    expect(typeOf('{}', 'Application/JSON; charset=utf-8')).toBeUndefined();
    expect(typeOf('no', 'application/json')).toBe(TEXT);
    expect(contentTypeFor(Uint8Array.of(0xff), 'application/json')).toBe(BYTES);
  });

  it.each(['', 'text', 'text/', 'a/b\u0001', 'ä/b', `text/${'x'.repeat(1_000)}`])(
    'is found out where the publisher says what is no type: %j',
    (told) => {
      expect(typeOf('{}', told)).toBeUndefined();
      expect(typeOf('no', told)).toBe(TEXT);
    },
  );
});

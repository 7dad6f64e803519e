import { describe, expect, test } from 'vitest';
import {
  contentSize,
  decodeUtf8,
  oneLine,
  payloadBytes,
  payloadKind,
  payloadMembers,
} from '../src/message.ts';

describe('payloadKind', () => {
  test.each([
    { contentType: undefined, kind: 'json' },
    { contentType: 'text/plain', kind: 'text' },
    { contentType: 'Text/HTML; charset=utf-8', kind: 'text' },
    { contentType: 'application/octet-stream', kind: 'bytes' },
    { contentType: 'application/x-text/', kind: 'bytes' },
  ])('$contentType appears as $kind', ({ contentType, kind }) => {
    expect(payloadKind(contentType)).toBe(kind);
  });
});

describe('contentSize', () => {
  test('is that of the payload, and of the attributes where there are some', () => {
    const payload = new Uint8Array(3);
    expect(contentSize({ payload })).toBe(3);
    expect(contentSize({ payload, attributes: new Uint8Array(4) })).toBe(7);
  });
});

describe('payloadBytes', () => {
  test('takes JSON as it was written', () => {
    expect(payloadBytes({ data: '[1.0 , 2]' }, undefined)).toEqual(
      new TextEncoder().encode('[1.0 , 2]'),
    );
  });

  test('refuses what has no bytes', () => {
    expect(payloadBytes({}, undefined)).toBeUndefined();
    expect(payloadBytes({ bytes: '?' }, undefined)).toBeUndefined();
    expect(payloadBytes({ data: '1' }, 'text/plain')).toBeUndefined();
    expect(payloadBytes({ data: '"\\udc00"' }, 'text/plain')).toBeUndefined();
  });

  test.each(['', 'a', '\r\n', '"\\', '\u0000\u007f\u2028\ufeff', 'ä日😀'])(
    'gives back the text %j that payloadMembers wrote',
    (text) => {
      const payload = new TextEncoder().encode(text);
      const written = payloadMembers({ payload, contentType: 'text/plain' });
      const { data } = JSON.parse(`{${written}}`) as { data: string };
      expect(payloadBytes({ data: JSON.stringify(data) }, 'text/plain')).toEqual(payload);
    },
  );
});

describe('decodeUtf8', () => {
  test('tells valid from invalid', () => {
    expect(decodeUtf8(new Uint8Array([0xf0, 0x9f, 0x98, 0x80]))).toBe('😀');
    expect(decodeUtf8(new Uint8Array([0xef, 0xbb, 0xbf]))).toBe('\ufeff');
    for (const bytes of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf0, 0x9f, 0x98]]) {
      expect(decodeUtf8(new Uint8Array(bytes))).toBeUndefined();
    }
  });
});

describe('oneLine', () => {
  test('changes no value', () => {
    const json = '{\r\n"a":\n[1,\r2],"b":"\\r\\n"}';
    expect(oneLine(json)).not.toMatch(/[\r\n]/);
    expect(JSON.parse(oneLine(json))).toEqual(JSON.parse(json));
  });
});

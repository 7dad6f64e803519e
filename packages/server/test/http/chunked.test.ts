import { expect, test } from 'vitest';
import {
  bodyFraming,
  chunkedFraming,
  LAST_CHUNK,
  plainFraming,
} from '@trunkline/server/internal/http/chunked.ts';

function framed(text: string): string {
  return Buffer.from(chunkedFraming.frame(Buffer.from(text), true)).toString();
}

test('a frame is a chunk', () => {
  expect(framed('a')).toBe('1\r\na\r\n');
  expect(framed('data: é\n\n')).toBe('a\r\ndata: é\n\n\r\n');
  expect(framed('x'.repeat(0x1234))).toBe(`1234\r\n${'x'.repeat(0x1234)}\r\n`);
});

test('an empty frame is no bytes, because an empty chunk would end the body', () => {
  expect(framed('')).toBe('');
  expect(Buffer.from(LAST_CHUNK).toString()).toBe('0\r\n\r\n');
});

test('only HTTP/1.1 has chunks', () => {
  expect(bodyFraming('1.1')).toBe(chunkedFraming);
  for (const version of ['1.0', '2', '3'] as const) expect(bodyFraming(version)).toBe(plainFraming);
  const payload = Buffer.from('x');
  expect(plainFraming.frame(payload, true)).toBe(payload);
});

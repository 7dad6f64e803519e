import { expect, test } from 'vitest';
import { payloadOf } from '../../src/mqtt/payload.ts';

const TEXT = 'text/plain; charset=utf-8';

test.each([
  ['{"a": 1e400}', undefined, { data: { a: Infinity }, source: '{"a": 1e400}' }],
  ['[1]', 'application/json', { data: [1], source: '[1]' }],
  ['warm', undefined, { data: 'warm', contentType: TEXT }],
  ['warm', 'application/json', { data: 'warm', contentType: TEXT }],
  ['[1]', 'text/csv', { data: '[1]', contentType: 'text/csv' }],
  ['[1]', 'image/png', { bytes: Buffer.from('[1]'), contentType: 'image/png' }],
  ['\xff', undefined, { bytes: Buffer.of(0xff), contentType: 'application/octet-stream' }],
  ['\xff', 'text/plain', { bytes: Buffer.of(0xff), contentType: 'text/plain' }],
])('[DEV-10] %j of the type %s', (payload, contentType, expected) => {
  const properties = contentType === undefined ? {} : { contentType };
  expect(payloadOf({ payload: Buffer.from(payload, 'latin1'), properties })).toEqual(expected);
});

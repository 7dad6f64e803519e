import { describe, expect, test } from 'vitest';
import { answerFields, headFields } from '@trunkline/server/internal/http/h2-stream.ts';

describe('the fields of an answer over HTTP/2', () => {
  test('have no field of the connection', () => {
    const headers = { upgrade: 'websocket', connection: 'Upgrade', 'x-a': '1' };
    expect(headFields(200, headers, 'now')).toEqual({ ':status': 200, date: 'now', 'x-a': '1' });
  });

  test('tell the length of the body in bytes, where there can be one', () => {
    expect(answerFields({ status: 200, body: 'é' }, 'now')['content-length']).toBe(2);
    expect(answerFields({ status: 200 }, 'now')['content-length']).toBe(0);
    expect(answerFields({ status: 304, body: 'x' }, 'now')['content-length']).toBeUndefined();
  });

  test.each([
    ['a line break', { 'x-a': 'a\nb' }],
    ['a bad name', { 'x a': 'b' }],
    ['a name of another kind', { ':path': '/' }],
  ])('are refused with %s', (_what, headers) => {
    expect(() => headFields(200, headers, 'now')).toThrow(TypeError);
  });
});

import { describe, expect, test } from 'vitest';
import { publishBody } from '../src/api.ts';

describe('publishBody', () => {
  test('embeds JSON as it was typed, so that large numbers survive', () => {
    const body = publishBody({ channel: 'a"b', payload: '{"n":9007199254740993}', kind: 'json' });
    expect(body).toBe('{"channel":"a\\"b","data":{"n":9007199254740993}}');
  });

  test('sends text as a string with its type', () => {
    const body = publishBody({ channel: 'a', payload: 'x\n"y"', kind: 'text', event: 'typed' });
    expect(JSON.parse(body)).toEqual({
      channel: 'a',
      data: 'x\n"y"',
      contentType: 'text/plain',
      event: 'typed',
    });
  });

  test('refuses what is not JSON, also what would close the object early', () => {
    for (const payload of ['', '{', '1},"retain":true,"x":{', 'undefined']) {
      expect(() => publishBody({ channel: 'a', payload, kind: 'json' })).toThrow(SyntaxError);
    }
  });
});

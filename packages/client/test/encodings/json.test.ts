import { describe, expect, test } from 'vitest';
import { fieldsOf, json, linesOf } from '../../src/encodings/json.ts';

const utf8 = (text: string) => new TextEncoder().encode(text);

describe('JSON', () => {
  test('has the subprotocol and the media type of the contract [WS-1]', () => {
    expect([json.subprotocol, json.mediaType]).toEqual(['trunkline.v1.json', 'application/json']);
  });

  test('writes a command as it is', () => {
    expect(json.commandOf('{"type":"ping"}')).toBe('{"type":"ping"}');
  });

  test('reads objects divided by line feeds, and passes blank lines over [WS-1]', () => {
    expect(json.framesOf('{"a":1}\n\n \r\n{"a":2}\n')).toEqual([
      { fields: { a: 1 } },
      { fields: { a: 2 } },
    ]);
    expect(json.framesOf('')).toEqual([]);
  });

  test('keeps no source', () => {
    expect(json.framesOf('{"type":"message","data":1.50}')).toEqual([
      { fields: { type: 'message', data: 1.5 } },
    ]);
  });

  test('makes messages of those in an answer [MSG-2]', () => {
    const message = '{"channel":"a","epoch":"e","offset":1,"data":1.50}';
    const text = `{"position":"e:1","messages":[${message}]}`;
    const messages = [{ kind: 'message', channel: 'a', epoch: 'e', offset: 1, data: 1.5 }];
    expect(json.answerOf(utf8(text), 'application/json').messages).toEqual(messages);
    expect(json.framesOf(text)[0]?.messages).toEqual(messages);
    expect(json.answerOf(utf8('{"messages":{}}'), 'application/json')).not.toHaveProperty(
      'messages',
    );
  });

  test.each([
    ...['{}', '5', 'null', '"y"', '[]', '{"channel":"a","epoch":"e"}'],
    ...['{"channel":"a","epoch":"e","offset":0}', '{"channel":"a","bytes":"!"}'],
  ])('reads no answer with a broken message, which would be lost without a word: %s', (broken) => {
    const text = `{"position":"e:1","messages":[${broken}]}`;
    expect(() => json.answerOf(utf8(text), 'application/json')).toThrow(/a broken message/);
  });

  test('reads the event of a stream', () => {
    expect(json.eventOf('{"positions":{}}')).toEqual({ fields: { positions: {} } });
  });

  test.each(['', '{', '[]', '1', 'null', '"a"', '{}{}', '\ufeff{}'])(
    'refuses what is no object: %j',
    (text) => {
      const fault = expect.objectContaining({ code: 'bad_request' });
      expect(() => fieldsOf(text)).toThrow(fault);
      expect(() => json.eventOf(text)).toThrow(fault);
      if (text !== '') expect(() => json.framesOf(`{}\n${text}`)).toThrow(fault);
    },
  );

  test('refuses binary frames', () => {
    expect(() => json.framesOf(new ArrayBuffer(2))).toThrow(/expected a JSON object .* got bytes/);
    expect(() => linesOf(new ArrayBuffer(0))).toThrow(/got bytes/);
  });
});

import { describe, expect, test } from 'vitest';
import { exactJson } from '../../src/encodings/exact.ts';

const big = '{"n": 12345678901234567890}';
const message = `{"type":"message","channel":"a","epoch":"e","offset":1,"data":${big}}`;

describe('exact JSON', () => {
  test('is JSON to the server', () => {
    expect(exactJson.subprotocol).toBe('trunkline.v1.json');
    expect(exactJson.mediaType).toBe('application/json');
    expect(exactJson.commandOf('{}')).toBe('{}');
  });

  test('keeps the text of each payload, the last of several [MSG-3]', () => {
    const twice = message.replace('"data"', '"data":1,"data"');
    expect(exactJson.framesOf(`${message}\n${twice}`).map(({ source }) => source)).toEqual([
      big,
      big,
    ]);
    expect(exactJson.eventOf(message)).toMatchObject({ fields: { offset: 1 }, source: big });
  });

  test('has no source where there is no data', () => {
    expect(exactJson.eventOf('{"type":"pong"}')).toEqual({ fields: { type: 'pong' } });
    expect(exactJson.eventOf('{"x":{"data":1}}')).not.toHaveProperty('source');
  });

  test('keeps the text of each message of an answer [HIST-1]', () => {
    const body = new TextEncoder().encode(`{"messages":[${message}],"more":true}`);
    const answer = exactJson.answerOf(body, 'application/json');
    expect(answer.fields['more']).toBe(true);
    expect(answer.messages).toEqual([expect.objectContaining({ offset: 1, source: big })]);
  });

  test.each(['{}', '5', '"y"', '{"channel":"a","offset":"1","epoch":"e"}'])(
    'reads no answer with a broken message: %s',
    (broken) => {
      const body = new TextEncoder().encode(`{"messages":[${message}, ${broken}]}`);
      expect(() => exactJson.answerOf(body, 'application/json')).toThrow(/expected a JSON object/);
    },
  );

  test('keeps the text of each snapshot of an answer [SNAP-4]', () => {
    const snapshots = `{"a":{"position":"e:1","data":${big}},"b":{"bytes":"AA=="},"c":1}`;
    expect(exactJson.eventOf(`{"snapshots":${snapshots}}`).snapshotSources).toEqual(
      new Map([['a', big]]),
    );
    expect(exactJson.eventOf('{"snapshots":[1]}').snapshotSources).toEqual(new Map());
  });

  test('finds no messages where there is no list of them', () => {
    for (const text of ['{}', '{"messages":{"a":[1]}}', '{"messages":null}']) {
      expect(exactJson.eventOf(text)).not.toHaveProperty('messages');
    }
    expect(exactJson.eventOf('{"messages":[]}').messages).toEqual([]);
  });

  test('refuses what is no object, and bytes', () => {
    expect(() => exactJson.framesOf('[1]')).toThrow(/expected a JSON object/);
    expect(() => exactJson.framesOf(new ArrayBuffer(1))).toThrow(/got bytes/);
  });
});

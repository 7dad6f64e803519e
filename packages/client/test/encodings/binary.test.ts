import {
  BINARY_MEDIA_TYPE,
  decodeServerRecords,
  encodeJsonRecord,
  encodePage,
  encodeRuns,
} from '@trunkline/wire';
import type { Message } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { binary } from '../../src/encodings/binary.ts';

const encoder = new TextEncoder();
const source = '{"n":\r\n12345678901234567890}';
const from = { user: 'alice', session: 's1' };
const messages: readonly Message[] = [
  { offset: 1, time: 1, payload: encoder.encode(source), from },
  { offset: 2, time: 2, payload: encoder.encode('[1]'), contentType: 'text/plain', event: 'e' },
  { offset: 3, time: 3, payload: new Uint8Array([255]), contentType: 'text/plain' },
  { offset: 4, time: 4, payload: new Uint8Array(0), contentType: 'image/png' },
];
const records = encodeRuns([{ channel: 'a', epoch: 'e', messages }]);
const place = { kind: 'message', channel: 'a', epoch: 'e' };
const received = [
  { ...place, offset: 1, time: 1, data: JSON.parse(source) as unknown, source, from },
  { ...place, offset: 2, time: 2, data: '[1]', contentType: 'text/plain', event: 'e' },
  { ...place, offset: 3, time: 3, bytes: new Uint8Array([255]), contentType: 'text/plain' },
  { ...place, offset: 4, time: 4, bytes: new Uint8Array(0), contentType: 'image/png' },
];

/** The frame alone in its memory, as a WebSocket gives it. */
const bufferOf = (frame: Uint8Array<ArrayBuffer>): ArrayBuffer => frame.slice().buffer;

function badJson(): Uint8Array<ArrayBuffer> {
  const payload = new Uint8Array([0x7b, 0xff]);
  return encodeRuns([{ channel: 'a', epoch: 'e', messages: [{ offset: 1, time: 1, payload }] }]);
}

describe('binary', () => {
  test('has the subprotocol and the media type of the contract [BIN-1] [BIN-2]', () => {
    expect(binary.subprotocol).toBe('trunkline.v1.bin');
    expect(binary.mediaType).toBe(BINARY_MEDIA_TYPE);
  });

  test('writes a command as a record of JSON [BIN-3]', () => {
    const command = binary.commandOf('{"type":"ping"}');
    if (typeof command === 'string') throw new Error('expected bytes');
    expect(decodeServerRecords(command)).toEqual([{ kind: 'json', json: '{"type":"ping"}' }]);
  });

  test('reads the number of the subscription that messages are for [BIN-9]', () => {
    const apart = encodeRuns([{ channel: 'a', epoch: 'e', messages }], '~1', 7);
    const frames = binary.framesOf(bufferOf(apart));
    expect(frames.map(({ fields }) => fields['as'])).toEqual([7, 7, 7, 7]);
    expect(frames[3]?.fields).toMatchObject({ mark: '~1' });
  });

  test('reads the pushes that JSON has, payloads as they were published [BIN-5] [BIN-6]', () => {
    expect(binary.framesOf(bufferOf(encodeJsonRecord('{"type":"pong"}')))).toEqual([
      { fields: { type: 'pong' } },
    ]);
    const frames = binary.framesOf(bufferOf(records));
    expect(frames).toHaveLength(4);
    expect(frames[0]).toMatchObject({ fields: { type: 'message', offset: 1, from }, source });
    expect(frames[1]?.fields).toMatchObject({ data: '[1]', contentType: 'text/plain' });
    expect(frames[2]?.fields['bytes']).toEqual(new Uint8Array([255]));
  });

  test('keeps the text of a payload that comes as JSON', () => {
    const snapshot = '{"type":"snapshot","channel":"a","position":"e:1","data":1.50}';
    const [frame] = binary.framesOf(bufferOf(encodeJsonRecord(snapshot)));
    expect(frame?.source).toBe('1.50');
  });

  test('reads the page that answers a history command or a poll [BIN-8]', () => {
    const page = encodePage('{"type":"history","id":3,"more":true}', [records]);
    const [frame] = binary.framesOf(bufferOf(page));
    expect(frame).toEqual({
      fields: { type: 'history', id: 3, more: true },
      messages: received,
    });
    expect(binary.answerOf(page, BINARY_MEDIA_TYPE)).toEqual(frame);
  });

  test('takes an answer in JSON all the same, and events of streams [BIN-2]', () => {
    const text = '{"messages":[{"channel":"a","offset":1,"epoch":"e","time":1,"data":1.0}]}';
    const answer = binary.answerOf(encoder.encode(text), 'application/json');
    expect(answer.messages).toMatchObject([{ offset: 1, source: '1.0' }]);
    expect(binary.eventOf('{"data":2.0}').source).toBe('2.0');
  });

  test('keeps no view of the memory that a frame came in', () => {
    const memory = records.slice();
    const frames = binary.framesOf(memory.buffer);
    memory.fill(0);
    expect(frames[2]?.fields['bytes']).toEqual(new Uint8Array([255]));
  });

  test.each([
    ['text', '{"type":"pong"}'],
    ['half a record', bufferOf(records.slice(0, -1))],
    ['a record of JSON that is no object', bufferOf(encodeJsonRecord('[]'))],
    ['a payload that is called JSON and is none', bufferOf(badJson())],
  ])('refuses a frame that is %s', (_, data) => {
    expect(() => binary.framesOf(data)).toThrow(expect.objectContaining({ code: 'bad_request' }));
  });

  test.each([
    ['no page', encodeJsonRecord('{}')],
    ['nothing', new Uint8Array(0)],
    ['half a page', encodePage('{}', [records]).slice(0, -1)],
    ['a page with a payload that is no JSON', encodePage('{}', [badJson()])],
  ])('refuses an answer that is %s', (_, body) => {
    expect(() => binary.answerOf(body, BINARY_MEDIA_TYPE)).toThrow(
      expect.objectContaining({ code: 'bad_request' }),
    );
  });
});

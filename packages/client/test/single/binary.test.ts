import {
  BINARY_MEDIA_TYPE,
  BINARY_SUBPROTOCOL,
  decodeServerRecords,
  encodeJsonRecord,
  encodePage,
  encodeRuns,
} from '@trunkline/wire';
import type { Message } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { acceptOf, answerOf, framesOf } from '../../src/single/binary.ts';
import { watch } from '../support/fakes.ts';
import type { FakeSocket, Watched } from '../support/fakes.ts';

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
  { ...place, offset: 1, time: 1, data: { n: 12345678901234567890n }, source, from },
  { ...place, offset: 2, time: 2, data: '[1]', contentType: 'text/plain', event: 'e' },
  { ...place, offset: 3, time: 3, bytes: new Uint8Array([255]), contentType: 'text/plain' },
  { ...place, offset: 4, time: 4, bytes: new Uint8Array(0), contentType: 'image/png' },
].map((message) => ('source' in message ? { ...message, data: JSON.parse(source) } : message));

function binary(body: Uint8Array<ArrayBuffer>): Response {
  return new Response(body, { headers: { 'content-type': BINARY_MEDIA_TYPE } });
}

describe('answers', () => {
  test('are asked for in binary with JSON as the second choice [BIN-2]', () => {
    expect(acceptOf(undefined)).toBe('application/json');
    expect(acceptOf('json')).toBe('application/json');
    expect(acceptOf('binary')).toMatch(
      /^application\/vnd\.trunkline\.v1\+bin, application\/json;q=0/,
    );
  });

  test('give messages as JSON does, payloads as they were published', async () => {
    const answer = await answerOf(binary(encodePage('{"more":true}', [records])));
    expect(answer).toEqual({ text: '{"more":true}', messages: received });
  });

  test('may be JSON all the same', async () => {
    const text = '{"messages":[{"channel":"a","offset":1,"epoch":"e","time":1,"data":1.0}]}';
    const json = new Response(text, { headers: { 'content-type': 'application/json' } });
    expect(await answerOf(json)).toMatchObject({ text, messages: [{ offset: 1, source: '1.0' }] });
  });

  test.each([
    ['no page', encodeJsonRecord('{}')],
    ['nothing', new Uint8Array(0)],
    ['half a page', encodePage('{}', [records]).slice(0, -1)],
    ['a payload that is called JSON and is none', encodePage('{}', [badJson()])],
  ])('are refused where they are %s', async (_, body) => {
    await expect(answerOf(binary(body))).rejects.toMatchObject({ code: 'bad_request' });
  });
});

function badJson(): Uint8Array {
  const payload = new Uint8Array([0x7b, 0xff]);
  return encodeRuns([{ channel: 'a', epoch: 'e', messages: [{ offset: 1, time: 1, payload }] }]);
}

describe('frames', () => {
  test('are the pushes that JSON has', () => {
    expect(framesOf(encodeJsonRecord('{"type":"pong"}'))).toEqual([
      { fields: { type: 'pong' }, text: '{"type":"pong"}' },
    ]);
    expect(framesOf(records)[0]).toMatchObject({ fields: { type: 'message', offset: 1 }, source });
  });

  test('are refused where they are none', () => {
    expect(() => framesOf(encodeJsonRecord('[]'))).toThrow(/expected JSON/);
    expect(() => framesOf(badJson())).toThrow(/expected JSON/);
  });

  test('keep no view of the memory they came in', () => {
    const memory = records.slice();
    const [, , third] = framesOf(memory);
    memory.fill(0);
    expect(third?.fields['bytes']).toEqual(new Uint8Array([255]));
  });
});

/** The other end of a session in binary. */
async function dialed(watched: Watched, protocol?: string) {
  await watched.platform.clock.settle();
  const socket = watched.platform.sockets[0];
  if (socket === undefined) throw new Error('nothing was dialed');
  const sent: object[] = [];
  const chosen = Object.assign(socket, {
    ...(protocol === undefined ? {} : { protocol }),
    send(this: FakeSocket, data: string | Uint8Array) {
      const record = typeof data === 'string' ? undefined : decodeServerRecords(data)[0];
      if (record?.kind === 'json') sent.push(JSON.parse(record.json) as object);
      else this.sent.push(JSON.parse(String(data)) as Record<string, unknown>);
    },
  });
  const receive = (frame: Uint8Array<ArrayBuffer>): void => {
    const { buffer } = frame.slice();
    socket.dispatchEvent(new MessageEvent('message', { data: buffer }));
  };
  return { socket: chosen, sent, receive };
}

describe('a subscription in binary', () => {
  const welcome = encodeJsonRecord('{"type":"welcome","id":1,"session":"s","ping":25000}');
  const subscribed = encodeJsonRecord(
    '{"type":"subscribed","id":2,"channel":"a","position":"e:0"}',
  );

  test('offers both subprotocols and speaks the one that was chosen [BIN-1]', async () => {
    const watched = watch({ encoding: 'binary' });
    const { socket, sent, receive } = await dialed(watched, BINARY_SUBPROTOCOL);
    expect(socket.protocols).toEqual(['trunkline.v1.bin', 'trunkline.v1.json']);
    socket.open();
    receive(welcome);
    expect(sent).toMatchObject([{ type: 'hello' }, { type: 'subscribe', channel: 'a' }]);
    receive(subscribed);
    receive(records);
    await watched.platform.clock.settle();
    expect(watched.events.filter(({ kind }) => kind === 'message')).toEqual(received);
    await watched.subscription.return();
  });

  test('goes on in JSON where the server has nothing else', async () => {
    const watched = watch({ encoding: 'binary' });
    const { socket } = await dialed(watched, 'trunkline.v1.json');
    socket.accept();
    socket.push(1);
    await watched.platform.clock.settle();
    expect(watched.told()).toContain('1');
    await watched.subscription.return();
  });

  test.each([
    ['text', (socket: FakeSocket) => socket.receive({ type: 'pong' })],
    [
      'half a record',
      (_: FakeSocket, receive: (frame: Uint8Array<ArrayBuffer>) => void) =>
        receive(records.slice(0, -1)),
    ],
  ])('is lost where the server sends %s', async (_, send) => {
    const watched = watch({ encoding: 'binary' });
    const { socket, receive } = await dialed(watched, BINARY_SUBPROTOCOL);
    socket.open();
    receive(welcome);
    send(socket, receive);
    await watched.platform.clock.settle();
    expect(socket.closedWith).toBe(1000);
    await watched.subscription.return();
  });
});

import { describe, expect, test } from 'vitest';
import {
  eventStream,
  eventStreamOfObjects,
  gapEvent,
  openEvent,
} from '../../../src/protocols/eventstream/codec.ts';

const encoder = new TextEncoder();

function encoded(
  payload: string | Uint8Array,
  more: { contentType?: string; event?: string } = {},
) {
  const bytes = typeof payload === 'string' ? encoder.encode(payload) : payload;
  const message = { offset: 7, time: 1, payload: bytes, ...more };
  return Buffer.from(
    eventStream.encode([{ channel: 'news', epoch: 'k3f9', messages: [message] }]).payload,
  ).toString();
}

describe('the event stream encoding', () => {
  test('has the position as id and the payload as it was published', () => {
    expect(encoded('{"n":12345678901234567890}')).toBe(
      'id: k3f9:7\ndata: {"n":12345678901234567890}\n\n',
    );
  });

  test('carries several messages as one piece', () => {
    const messages = [1, 2].map((offset) => ({
      offset,
      time: 1,
      payload: encoder.encode(String(offset)),
    }));
    expect(
      Buffer.from(
        eventStream.encode([{ channel: 'news', epoch: 'e', messages }]).payload,
      ).toString(),
    ).toBe('id: e:1\ndata: 1\n\nid: e:2\ndata: 2\n\n');
  });

  test('names the event of a message', () => {
    expect(encoded('1', { event: 'price' })).toBe('id: k3f9:7\nevent: price\ndata: 1\n\n');
  });

  test('puts JSON on one line, whatever white space it had', () => {
    expect(encoded('{\r\n  "a": 1\n}')).toBe('id: k3f9:7\ndata: {    "a": 1 }\n\n');
  });

  test('splits text over data lines, so that the reader gets its line feeds back', () => {
    expect(encoded('a\nb\n', { contentType: 'text/plain' })).toBe(
      'id: k3f9:7\ndata: a\ndata: b\ndata: \n\n',
    );
    expect(encoded('', { contentType: 'text/plain' })).toBe('id: k3f9:7\ndata: \n\n');
  });

  test.each([
    ['a\rb', 'text/plain', 'bytes:message'],
    [new Uint8Array([0xff, 0xfe]), 'text/plain', 'bytes:message'],
    [new Uint8Array([0, 1, 2]), 'application/octet-stream', 'bytes:message'],
  ])('carries what lines can not as base64 (%#)', (payload, contentType, event) => {
    const bytes = typeof payload === 'string' ? encoder.encode(payload) : payload;
    const base64 = Buffer.from(bytes).toString('base64');
    expect(encoded(payload, { contentType })).toBe(
      `id: k3f9:7\nevent: ${event}\ndata: ${base64}\n\n`,
    );
  });

  test('keeps the name of an event whose payload is bytes', () => {
    const contentType = 'application/octet-stream';
    expect(encoded('x', { contentType, event: 'icon' })).toContain('event: bytes:icon\n');
  });
});

describe('the event stream encoding of objects [SSE-12]', () => {
  const message = { offset: 7, time: 1, payload: encoder.encode('{"a":1}'), event: 'price' };
  const encode = (epoch: string, expired?: { from: number; to: number }) =>
    Buffer.from(
      eventStreamOfObjects.encode([
        {
          channel: 'news',
          epoch,
          messages: [message],
          ...(expired === undefined ? {} : { expired }),
        },
      ]).payload,
    ).toString();

  test('has the position as id, and the whole message', () => {
    expect(encode('k3f9')).toBe(
      'id: k3f9:7\nevent: price\ndata: {"channel":"news","offset":7,"epoch":"k3f9","time":1,' +
        '"data":{"a":1},"event":"price"}\n\n',
    );
  });

  test('tells by an id what was left out [SSE-10]', () => {
    expect(encode('k3f9', { from: 5, to: 6 })).toMatch(/^id: k3f9:6\n\nid: k3f9:7\n/);
  });

  test('has no id in a volatile channel', () => {
    expect(encode('')).toMatch(/^event: price\ndata: \{"channel":"news","time":1,/);
  });
});

describe('the server’s own events', () => {
  test('open tells where the stream stands, and has an id already', () => {
    const text = openEvent({
      session: 's1',
      id: 'k3f9:4',
      verdicts: [
        [
          'news',
          { position: { epoch: 'k3f9', offset: 4 }, recovered: false, gap: { reason: 'epoch' } },
        ],
      ],
      retryMs: 900,
    });
    expect(text).toBe(
      'retry: 900\nid: k3f9:4\nevent: open\ndata: {"session":"s1","positions":{"news":"k3f9:4"},' +
        '"recovered":{"news":false},"gaps":{"news":{"reason":"epoch"}}}\n\n',
    );
  });

  test('gap has the new position as its id', () => {
    const position = { epoch: 'k3f9', offset: 9 };
    expect(gapEvent('news', { reason: 'trimmed', from: 5, to: 9 }, position, true)).toBe(
      'id: k3f9:9\nevent: gap\ndata: {"channel":"news","gap":{"reason":"trimmed","from":5,"to":9},' +
        '"position":"k3f9:9"}\n\n',
    );
  });
});

/** Payloads: what was published is what comes, byte for byte, over every transport. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask, post } from '../../src/http.ts';
import type { Begin, Reader, ReadTransport, Received } from '../../src/reader.ts';
import { READ_TRANSPORTS } from '../../src/readers/all.ts';
import { receivedOf } from '../../src/readers/websocket.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { WebSocketPeer } from '../../src/web-socket.ts';

let server: LabServer;
let count = 0;

beforeAll(async () => {
  server = await startServer();
});

afterAll(async () => {
  expect(server.faults).toEqual([]);
  await server[Symbol.asyncDispose]();
});

const EVERY_BYTE = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));

/** JSON whose text must survive as it is. */
const JSON_TEXTS: readonly [string, string][] = [
  ['integers of 64 bits', '{"id":9007199254740993,"max":18446744073709551615}'],
  ['numbers in any spelling', '[1.0,1e400,-0,0.10000000000000000001,1E+2]'],
  ['members in their order, and twice', '{"b":1,"a":2,"b":3,"1":4,"__proto__":5}'],
  ['escapes as they were written', '"\\u0041\\/\\u2028\\ud83d\\ude00\\ud800"'],
  ['characters outside of ASCII', '"é 😀 \u2028 \u2029 \u0085 \ufeff"'],
  ['blanks inside', '{ "a" :\t1 }'],
  ['a lone scalar', 'null'],
  ['what looks like a stream', '"data: x\\n\\nevent: close\\nid: 0:0"'],
  ['deep arrays', `${'['.repeat(200)}${']'.repeat(200)}`],
  ['60 KB of text', JSON.stringify('0123456789abcde\u00e9'.repeat(3_600))],
];

async function publishJson(source: string): Promise<Begin> {
  const channel = nextChannel();
  const answer = await post(
    `${server.url}/v1/publish`,
    `{"channel":"${channel}","data":${source}}`,
  );
  expect(answer.status).toBe(200);
  return { channel, last: 1 };
}

async function publishRaw(type: string | undefined, body: string | Uint8Array): Promise<Begin> {
  const channel = nextChannel();
  const headers = type === undefined ? {} : { 'content-type': type };
  const url = `${server.url}/v1/publish?channel=${encodeURIComponent(channel)}`;
  expect((await ask(url, { method: 'POST', headers, body })).status).toBe(200);
  return { channel, last: 1 };
}

function nextChannel(): string {
  count += 1;
  return `payload/${count}`;
}

describe.each(READ_TRANSPORTS)('over $name', (transport: ReadTransport) => {
  const open = (begin: Begin): Promise<Reader> => transport.open(server, begin);

  async function first(begin: Begin): Promise<Received | undefined> {
    await using reader = await open(begin);
    return (await reader.take(1))[0];
  }

  test.each(JSON_TEXTS)('[MSG-1] [MSG-3] [GUA-10] keeps JSON: %s', async (_, source) => {
    expect((await first(await publishJson(source)))?.payload).toBe(source);
  });

  test('[MSG-3] [GUA-10] turns line breaks between the tokens of JSON into spaces', async () => {
    const begin = await publishJson('{\r\n  "a": [1,\n2],\r"b": "x\\r\\ny"\n}');
    const payload = (await first(begin))?.payload;
    expect(payload).toBe('{    "a": [1, 2], "b": "x\\r\\ny" }');
  });

  test.each([
    ['one line', 'hello'],
    ['nothing', ''],
    ['lines', 'a\nb\n\nc\n'],
    ['line separators', 'a\u2028b\u2029c\u0085d'],
    ['a byte order mark and blanks', '\ufeff  x '],
    ['colons and fields', 'id: 1\nevent: close\n: comment'],
    ['a NUL', 'a\0b'],
  ])('[MSG-3] hands on text: %s', async (_, text) => {
    expect((await first(await publishRaw('text/plain', text)))?.payload).toBe(text);
  });

  test('[MSG-3] hands on text with carriage returns', async () => {
    const message = await first(await publishRaw('text/plain; charset=utf-8', 'a\r\nb\rc'));
    // An event stream can't hold it as text, so it comes as bytes there.
    expect(String(message?.payload)).toBe('a\r\nb\rc');
  });

  test.each([
    ['every value', EVERY_BYTE],
    ['none', Buffer.alloc(0)],
    ['60 KB', Buffer.alloc(60_000, EVERY_BYTE)],
  ])('[MSG-3] hands on bytes: %s', async (_, bytes) => {
    const message = await first(await publishRaw('image/x-lab', bytes));
    expect(Buffer.compare(message?.payload as Buffer, bytes)).toBe(0);
  });

  test('[MSG-3] hands on text that is no UTF-8 as bytes', async () => {
    const bytes = Buffer.from([0x61, 0xff, 0xfe]);
    expect((await first(await publishRaw('text/plain', bytes)))?.payload).toEqual(bytes);
  });

  test('[MSG-4] hands on the event, with JSON, text and bytes', async () => {
    const channel = nextChannel();
    const event = 'über: event, "quoted"';
    await server.publishAll([
      { channel, event, data: 1 },
      { channel, event, data: 'text', contentType: 'text/html' },
      { channel, event, bytes: 'AAEC' },
    ]);
    await using reader = await open({ channel, last: 3 });
    expect(await reader.take(3)).toMatchObject([
      { event, payload: '1' },
      { event, payload: 'text' },
      { event, payload: Buffer.from([0, 1, 2]) },
    ]);
  });

  test('[CH-1] reads channels with any name that is allowed', async () => {
    for (const channel of [
      'a b/é😀',
      '/',
      '//x//',
      '~',
      'a=b&c',
      '%2F',
      'x'.repeat(255),
      '__proto__',
    ]) {
      await server.publish(channel, channel);
      await using reader = await open({ channel, after: 'start' });
      expect((await reader.take(1))[0]?.payload).toBe(JSON.stringify(channel));
    }
  });
});

describe('over WebSocket, HTTP', () => {
  test('[MSG-2] tells offset, epoch, time, content type, event and sender', async () => {
    const channel = nextChannel();
    const beforeMs = Date.now();
    using peer = await WebSocketPeer.open(server.port);
    const { session } = await peer.nextOf('welcome');
    await peer.call({ type: 'subscribe', id: 1, channel });
    const published = await peer.call({
      ...{ type: 'publish', id: 2, channel, data: '<b>', contentType: 'text/html', event: 'e' },
    });
    const { epoch } = published;
    const message = {
      channel,
      offset: 1,
      epoch,
      data: '<b>',
      contentType: 'text/html',
      event: 'e',
    };
    const page = await server.get(`/v1/history?channel=${channel}`);
    const [stored] = page.json<{ messages: Record<string, unknown>[] }>().messages;
    expect(stored).toEqual({ ...message, time: expect.any(Number), from: { session } });
    expect(stored?.['time']).toBeGreaterThanOrEqual(beforeMs);
    expect(stored?.['time']).toBeLessThanOrEqual(Date.now());
  });

  test('[MSG-2] [WS-1] pushes the same object that history has', async () => {
    const channel = nextChannel();
    using peer = await WebSocketPeer.open(server.port);
    await peer.call({ type: 'subscribe', id: 1, channel });
    await server.publishAll([{ channel, data: { a: 1 }, event: 'x' }]);
    const { type, source, ...pushed } = await peer.nextOf('message');
    const page = await server.get(`/v1/history?channel=${channel}`);
    expect(page.json<{ messages: unknown[] }>().messages).toEqual([pushed]);
    expect(type).toBe('message');
    expect(receivedOf({ ...pushed, source }).payload).toBe('{"a":1}');
  });
});

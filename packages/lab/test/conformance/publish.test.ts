/** Publishing, in every form. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask, post } from '../../src/http.ts';
import type { Answered, Fields } from '../../src/http.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer, Stored } from '../../src/server.ts';
import { API_KEY, JWT_SECRET, tokenOf } from '../../src/tokens.ts';
import { WebSocketPeer } from '../../src/web-socket.ts';

let server: LabServer;
let count = 0;

beforeAll(async () => {
  server = await startServer({ namespaces: { 'tiny/#': { messageBytesMax: 8 } } });
});

afterAll(async () => {
  expect(server.faults).toEqual([]);
  await server[Symbol.asyncDispose]();
});

function nextChannel(prefix = 'publish'): string {
  count += 1;
  return `${prefix}/${count}`;
}

function publish(body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Answered> {
  return post(`${server.url}/v1/publish`, body, headers);
}

function publishRaw(
  query: Readonly<Record<string, string>>,
  body: string | Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answered> {
  const url = `${server.url}/v1/publish?${new URLSearchParams(query).toString()}`;
  return ask(url, { method: 'POST', headers, body });
}

async function messagesOf(channel: string): Promise<readonly Fields[]> {
  const page = await server.get(`/v1/history?${new URLSearchParams({ channel }).toString()}`);
  return page.json<{ messages: Fields[] }>().messages;
}

function expectProblem(answer: Answered, status: number, code: string): void {
  expect([answer.status, answer.json()['code']], answer.text).toEqual([status, code]);
  expect(answer.headers['content-type']).toBe('application/problem+json');
}

describe('over HTTP', () => {
  test('[PUB-2] [HTTP-10] answers with the place of the message', async () => {
    const channel = nextChannel();
    const answer = await publish({ channel, data: { n: 1 } });
    expect(answer.status).toBe(200);
    const { epoch } = answer.json<Stored>();
    expect(answer.json()).toEqual({ channel, offset: 1, epoch, position: `${epoch}:1` });
    expect(epoch).toMatch(/^[0-9A-Za-z_-]{1,32}$/);
    expect((await publish({ channel, data: 2 })).json()).toMatchObject({ offset: 2, epoch });
  });

  test('[PUB-1] takes every JSON value as data', async () => {
    const channel = nextChannel();
    const values = [null, false, 0, '', [], {}, 'text'];
    for (const data of values) expect((await publish({ channel, data })).status).toBe(200);
    expect((await messagesOf(channel)).map((message) => message['data'])).toEqual(values);
  });

  test.each([
    ['neither data nor bytes', {}],
    ['both', { data: 1, bytes: 'AA==' }],
    ['bytes without padding', { bytes: 'AA' }],
    ['bytes in the URL alphabet', { bytes: '__8=' }],
    ['text that is no string', { data: 1, contentType: 'text/plain' }],
    ['text with half a character', '{"channel":"x","data":"\\ud800","contentType":"text/plain"}'],
    ['bytes that are called JSON', { bytes: 'e30=e30=', contentType: 'application/json' }],
    ['bytes that are called JSON but are none', { bytes: 'ew==', contentType: 'application/json' }],
    ['a content type that is none', { data: '', contentType: 'text' }],
    ['a content type with a line break', { data: '', contentType: 'text/plain;a\r\nb' }],
    ['an empty key', { data: 1, key: '' }],
    ['a key of 257 characters', { data: 1, key: 'k'.repeat(257) }],
  ])('[PUB-1] [PUB-3] refuses %s', async (_, fields) => {
    const body = typeof fields === 'string' ? fields : { channel: 'publish/refused', ...fields };
    const answer = await publish(body);
    expectProblem(answer, 400, 'bad_request');
    expect(answer.json()['stored']).toBe(false);
  });

  test.each([
    'open',
    'gap',
    'close',
    'join',
    'leave',
    'error',
    'message',
    'bytes:x',
    '',
    'a\nb',
    'a\u0085b',
    'e'.repeat(129),
  ])('[MSG-4] refuses the event %j', async (event) => {
    expectProblem(await publish({ channel: 'publish/event', data: 1, event }), 400, 'bad_request');
  });

  test.each(['', 'a+b', 'a/#', '$sys', 'a\u0000b', 'a\u0085b', 'é'.repeat(128), '\ud800', 7, null])(
    '[CH-1] refuses the channel %j',
    async (channel) => {
      expectProblem(await publish({ channel, data: 1 }), 400, 'bad_request');
    },
  );

  test('[PUB-1] takes bytes that are one JSON text as JSON', async () => {
    const channel = nextChannel();
    const bytes = Buffer.from('{"a":9007199254740993}').toString('base64');
    await publish({ channel, bytes, contentType: 'application/json' });
    const page = await server.get(`/v1/history?channel=${channel}`);
    expect(page.text).toContain('"data":{"a":9007199254740993}');
    expect(page.text).not.toContain('contentType');
  });

  test('[PUB-1] calls bytes without a type application/octet-stream', async () => {
    const channel = nextChannel();
    await publish({ channel, bytes: 'AP8=' });
    expect(await messagesOf(channel)).toMatchObject([
      { bytes: 'AP8=', contentType: 'application/octet-stream' },
    ]);
  });

  test('[PUB-5] [PUB-4] refuses a payload over the limit of its channel, which is not stored', async () => {
    const channel = nextChannel('tiny');
    expect((await publish({ channel, data: '123456' })).status).toBe(200);
    const answer = await publish({ channel, data: '1234567' });
    expectProblem(answer, 413, 'too_large');
    expect(answer.json()).toMatchObject({ stored: false });
    expect(await messagesOf(channel)).toHaveLength(1);
  });

  test('[PUB-5] takes a payload of exactly 64 KB, and no more', async () => {
    const channel = nextChannel();
    const text = 'x'.repeat(65_536);
    expect((await publishRaw({ channel }, text, { 'content-type': 'text/plain' })).status).toBe(
      200,
    );
    const over = await publishRaw({ channel }, `${text}x`, { 'content-type': 'text/plain' });
    expectProblem(over, 413, 'too_large');
  });

  test('[PUB-3] [GUA-6] stores one key once, and answers the first place', async () => {
    const channel = nextChannel();
    const first = await publish({ channel, data: 1, key: 'k' });
    await publish({ channel, data: 'between' });
    const again = await publish({ channel, data: 1, key: 'k' });
    expect(again.json()).toEqual(first.json());
    expect(await messagesOf(channel)).toHaveLength(2);
  });

  test('[PUB-3] [GUA-6] stores one key once however many ask at the same time', async () => {
    const channel = nextChannel();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => publish({ channel, data: 1, key: 'k' })),
    );
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    expect(await messagesOf(channel)).toHaveLength(1);
  });

  test.each([
    ['payload', { data: 2 }],
    ['content type', { data: '1', contentType: 'text/plain' }],
    ['event', { data: 1, event: 'e' }],
  ])('[GUA-6] [PUB-4] refuses the same key with another %s', async (_, fields) => {
    const channel = nextChannel();
    await publish({ channel, data: 1, key: 'k' });
    const answer = await publish({ channel, key: 'k', ...fields });
    expectProblem(answer, 409, 'conflict');
    expect(answer.json()['stored']).toBe(false);
  });

  test('[PUB-3] keeps the keys of channels apart', async () => {
    const [one, other] = [nextChannel(), nextChannel()];
    expect((await publish({ channel: one, data: 1, key: 'k' })).status).toBe(200);
    expect((await publish({ channel: other, data: 2, key: 'k' })).status).toBe(200);
  });

  test('[HTTP-10] takes the header Idempotency-Key as the key', async () => {
    const channel = nextChannel();
    const header = { 'idempotency-key': 'h' };
    const first = await publish({ channel, data: 1 }, header);
    expect((await publish({ channel, data: 1, key: 'h' })).json()).toEqual(first.json());
    expect((await publish({ channel, data: 1, key: 'h' }, header)).json()).toEqual(first.json());
    expectProblem(await publish({ channel, data: 1, key: 'x' }, header), 400, 'bad_request');
  });

  test('[HTTP-11] publishes one message to several channels', async () => {
    const channels = [nextChannel(), nextChannel(), nextChannel()];
    const answer = await publish({ channels, data: 'all' });
    expect(answer.json<Stored[]>().map(({ channel }) => channel)).toEqual(channels);
    for (const channel of channels) {
      expect(await messagesOf(channel)).toMatchObject([{ offset: 1, data: 'all' }]);
    }
    expectProblem(await publish({ channels: [], data: 1 }), 400, 'bad_request');
    expectProblem(await publish({ channels, channel: 'x', data: 1 }), 400, 'bad_request');
  });

  test('[HTTP-12] answers a batch in its order, faults in their place', async () => {
    const channel = nextChannel();
    const answer = await publish([
      { channel, data: 1 },
      { channel: 'no+pe', data: 2 },
      { channel, data: 3 },
      7,
      { channel, data: 4 },
    ]);
    expect(answer.status).toBe(200);
    expect(answer.json()).toMatchObject([
      { channel, offset: 1 },
      { type: 'error', code: 'bad_request', message: expect.any(String), stored: false },
      { channel, offset: 2 },
      { type: 'error', code: 'bad_request' },
      { channel, offset: 3 },
    ]);
  });

  test('[GUA-2] gives a batch offsets in its order', async () => {
    const channel = nextChannel();
    const values = Array.from({ length: 500 }, (_, index) => index);
    await server.publish(channel, ...values);
    const page = await server.get(`/v1/history?channel=${channel}&limit=500&after=start`);
    const { messages } = page.json<{ messages: Fields[] }>();
    expect(messages.map(({ data }) => data)).toEqual(values);
  });

  test('[HTTP-12] refuses Idempotency-Key with a batch', async () => {
    const batch = [{ channel: nextChannel(), data: 1 }];
    expectProblem(await publish(batch, { 'idempotency-key': 'k' }), 400, 'bad_request');
  });

  test('[HTTP-13] publishes 1,000 messages at once, and refuses 1,001 as a whole', async () => {
    const channel = nextChannel();
    const elements = Array.from({ length: 1000 }, (_, data) => ({ channel, data }));
    expect(await server.publishAll(elements)).toHaveLength(1000);
    const other = nextChannel();
    expectProblem(await publish([...elements, { channel: other, data: 1 }]), 413, 'too_large');
    const channels = Array.from({ length: 1001 }, () => other);
    expectProblem(await publish({ channels, data: 1 }), 413, 'too_large');
    expect(await messagesOf(other)).toEqual([]);
  });

  test('[HTTP-14] takes a raw body of text and of bytes as the payload', async () => {
    const channel = nextChannel();
    const text = { 'content-type': 'text/markdown; charset=utf-8' };
    const first = await publishRaw({ channel, event: 'e', key: 'k' }, '# é', text);
    expect(first.json()).toMatchObject({ channel, offset: 1 });
    expect((await publishRaw({ channel, event: 'e', key: 'k' }, '# é', text)).json()).toEqual(
      first.json(),
    );
    await publishRaw({ channel }, Buffer.from([0, 255]));
    expect(await messagesOf(channel)).toMatchObject([
      { data: '# é', contentType: 'text/markdown; charset=utf-8', event: 'e' },
      { bytes: 'AP8=', contentType: 'application/octet-stream' },
    ]);
  });

  test('[HTTP-14] refuses a raw body that calls itself JSON', async () => {
    const json = { 'content-type': 'application/json' };
    expectProblem(await publishRaw({ channel: nextChannel() }, '{}', json), 400, 'bad_request');
  });

  test.each(['', '{', 'null', '"x"', '7', '[1'])('[HTTP-10] refuses the body %j', async (body) => {
    expectProblem(await publish(body), 400, 'bad_request');
  });

  test('[PUB-3] [GUA-6] keeps the keys of users apart, and those of applications together', async () => {
    const config = { auth: { jwtSecret: JWT_SECRET, apiKeys: [API_KEY, 'another-key'] } };
    await using closed = await startServer(config);
    const as = async (token: string, data: unknown): Promise<Answered> =>
      post(
        `${closed.url}/v1/publish`,
        { channel: 'keys', data, key: 'k' },
        { authorization: `Bearer ${token}` },
      );
    expect((await as(tokenOf('ann'), 1)).json()).toMatchObject({ offset: 1 });
    expect((await as(tokenOf('bob'), 2)).json()).toMatchObject({ offset: 2 });
    expect((await as(API_KEY, 3)).json()).toMatchObject({ offset: 3 });
    expect((await as('another-key', 3)).json()).toMatchObject({ offset: 3 });
    expectProblem(await as('another-key', 4), 409, 'conflict');
  });
});

describe('over WebSocket', () => {
  test('[PUB-2] [GUA-2] publishes in the order sent, and answers each', async () => {
    const channel = nextChannel();
    using peer = await WebSocketPeer.open(server.port);
    await peer.nextOf('welcome');
    const commands = Array.from({ length: 100 }, (_, id) => ({
      type: 'publish',
      id,
      channel,
      data: id,
    }));
    peer.send(...commands);
    const places = new Map<unknown, unknown>();
    while (places.size < commands.length) {
      const { id, offset } = await peer.nextOf('published');
      places.set(id, offset);
    }
    for (const { id } of commands) expect(places.get(id)).toBe(id + 1);
  });

  test('[PUB-3] [GUA-6] [PUB-4] knows the keys of HTTP, and refuses another payload', async () => {
    const channel = nextChannel();
    const { position } = (await publish({ channel, data: 1, key: 'k' })).json<Stored>();
    using peer = await WebSocketPeer.open(server.port);
    const same = await peer.call({ type: 'publish', id: 1, channel, data: 1, key: 'k' });
    expect(same).toMatchObject({ type: 'published', position });
    const other = await peer.call({ type: 'publish', id: 2, channel, data: 2, key: 'k' });
    expect(other).toMatchObject({ type: 'error', code: 'conflict', stored: false });
  });

  test('[PUB-5] [PUB-4] refuses what is too large, which is not stored', async () => {
    using peer = await WebSocketPeer.open(server.port);
    const channel = nextChannel('tiny');
    const answer = await peer.call({ type: 'publish', id: 1, channel, data: '1234567' });
    expect(answer).toMatchObject({ type: 'error', code: 'too_large', stored: false });
  });

  test('[PUB-1] [PUB-4] refuses what is malformed, which is not stored', async () => {
    using peer = await WebSocketPeer.open(server.port);
    const answer = await peer.call({ type: 'publish', id: 1, channel: 'x', data: 1, bytes: '' });
    expect(answer).toMatchObject({ type: 'error', id: 1, code: 'bad_request' });
    expect(answer['stored']).toBe(false);
  });
});

/** Payload schemas: what a namespace says its messages look like. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask, post } from '../../src/http.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { WebSocketPeer } from '../../src/web-socket.ts';

const SCHEMA = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  $ref: '#/$defs/item',
  $defs: {
    item: {
      type: 'object',
      required: ['text'],
      properties: { text: { type: 'string' }, replies: { items: { $ref: '#/$defs/item' } } },
    },
  },
};

let server: LabServer;

beforeAll(async () => {
  server = await startServer({ namespaces: { 'chat/#': { schema: SCHEMA } } });
});

afterAll(async () => {
  expect(server.faults).toEqual([]);
  await server[Symbol.asyncDispose]();
});

describe('a channel with a schema', () => {
  test('[SCHEMA-1] takes what satisfies it, as it was published', async () => {
    const data = '{ "text" : "hi", "n" : 12345678901234567890 }';
    const answer = await post(`${server.url}/v1/publish`, `{"channel":"chat/1","data":${data}}`);
    expect(answer.status, answer.text).toBe(200);
    const history = await server.get('/v1/history?channel=chat/1&after=start');
    expect(history.text).toContain(`"data":${data}`);
  });

  test('[SCHEMA-1] refuses what does not, over every protocol, and says where', async () => {
    const data = { text: 'a', replies: [{ text: 'b' }, { text: 7 }] };
    const answer = await post(`${server.url}/v1/publish`, { channel: 'chat/2', data });
    expect(answer.json()).toMatchObject({
      code: 'bad_request',
      stored: false,
      detail: expect.stringContaining('/replies/1/text must be string'),
    });
    using peer = await WebSocketPeer.open(server.port);
    const reply = await peer.call({ type: 'publish', id: 1, channel: 'chat/2', data });
    expect(reply).toMatchObject({ type: 'error', code: 'bad_request', stored: false });
    const history = await server.get('/v1/history?channel=chat/2');
    expect(history.json()).toMatchObject({ messages: [], newest: '0:0' });
  });

  test('[SCHEMA-2] takes nothing but JSON', async () => {
    const raw = await ask(`${server.url}/v1/publish?channel=chat/3`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain' },
      body: '{"text":"hi"}',
    });
    expect(raw.json()).toMatchObject({ code: 'bad_request', stored: false });
    const empty = { channel: 'chat/3', bytes: '', retain: true };
    const clear = await post(`${server.url}/v1/publish`, empty);
    expect(clear.json()).toMatchObject({ code: 'bad_request', stored: false });
  });

  test('[SCHEMA-1] survives a payload that is nested as deep as it can be', async () => {
    const depth = 2_500;
    const data = `${'{"text":"","replies":['.repeat(depth)}${']}'.repeat(depth)}`;
    const answer = await post(`${server.url}/v1/publish`, `{"channel":"chat/4","data":${data}}`);
    expect([200, 400]).toContain(answer.status);
    const brackets = `${'['.repeat(depth * 10)}${']'.repeat(depth * 10)}`;
    const other = await post(`${server.url}/v1/publish`, `{"channel":"chat/4","data":${brackets}}`);
    expect(other.json()).toMatchObject({ code: 'bad_request' });
    expect((await server.get('/healthz')).status).toBe(200);
  });
});

/** The binary encoding: records, frames and pages as they stand on the wire. */
import { readFileSync } from 'node:fs';
import { decodeServerRecords, encodeJsonRecord } from '@trunkline/wire';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BINARY_CODEC, binaryFrame, fieldsOf } from '../../src/codec.ts';
import type { Fields } from '../../src/http.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { OPCODE, WebSocketPeer } from '../../src/web-socket.ts';

const MEDIA_TYPE = 'application/vnd.trunkline.v1+bin';
const PING = '{"type":"ping"}';

let server: LabServer;
let count = 0;

beforeAll(async () => {
  server = await startServer();
});

afterAll(async () => {
  expect(server.faults).toEqual([]);
  await server[Symbol.asyncDispose]();
});

async function open(): Promise<WebSocketPeer> {
  const peer = await WebSocketPeer.open(server.port, { subprotocol: BINARY_CODEC.subprotocol });
  await peer.nextOf('welcome');
  return peer;
}

function nextChannel(): string {
  count += 1;
  return `binary/${count}`;
}

interface CommandFrame {
  readonly name: string;
  readonly bytes: unknown;
  readonly results?: readonly { readonly error?: string; readonly id?: number }[];
}

/** Frames of the vectors of which every command is refused. */
function refusedFrames(): [string, Buffer, readonly Fields[]][] {
  const url = new URL('../../../../spec/vectors/binary.json', import.meta.url);
  const { commandFrames } = JSON.parse(readFileSync(url, 'utf8')) as {
    commandFrames: CommandFrame[];
  };
  return commandFrames.flatMap(({ name, bytes, results = [] }) => {
    const errors = results.flatMap(({ error, id }) =>
      error === undefined
        ? []
        : [{ type: 'error', code: error, ...(id === undefined ? {} : { id }) }],
    );
    const isRefused = typeof bytes === 'string' && errors.length > 0;
    if (!isRefused || errors.length < results.length) return [];
    return [[name, Buffer.from(bytes, 'hex'), errors]];
  });
}

describe('over binary WebSocket', () => {
  test('[BIN-1] takes several records in one frame, and answers in order', async () => {
    using peer = await open();
    const channel = nextChannel();
    const publish = (id: number) => JSON.stringify({ type: 'publish', id, channel, data: id });
    peer.sendFrame(OPCODE.binary, binaryFrame([PING, publish(1), publish(2)]));
    expect(await peer.next()).toMatchObject({ type: 'pong' });
    expect(await peer.next()).toMatchObject({ type: 'published', id: 1, offset: 1 });
    expect(await peer.next()).toMatchObject({ type: 'published', id: 2, offset: 2 });
  });

  test('[BIN-1] joins the fragments of a frame', async () => {
    using peer = await open();
    const frame = binaryFrame([PING]);
    peer.sendFrame(OPCODE.binary, frame.subarray(0, 3), false);
    peer.sendFrame(OPCODE.more, frame.subarray(3));
    expect(await peer.next()).toMatchObject({ type: 'pong' });
  });

  test('[BIN-1] answers a text message with bad_request, in its place', async () => {
    using peer = await open();
    peer.sendJson(PING);
    peer.sendText(PING);
    peer.sendJson(PING);
    expect(await peer.next()).toMatchObject({ type: 'pong' });
    expect(await peer.next()).toMatchObject({ type: 'error', code: 'bad_request' });
    expect(await peer.next()).toMatchObject({ type: 'pong' });
  });

  test('[BIN-1] works with the WebSocket of the platform', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}/v1/ws`, BINARY_CODEC.subprotocol);
    socket.binaryType = 'arraybuffer';
    const first = await new Promise<MessageEvent>((resolve) => {
      socket.addEventListener('message', resolve, { once: true });
    });
    expect(fieldsOf(new Uint8Array(first.data as ArrayBuffer))).toMatchObject([
      { type: 'welcome' },
    ]);
    const over = new Promise<CloseEvent>((resolve) => {
      socket.addEventListener('close', resolve, { once: true });
    });
    socket.close(1000);
    expect(await over).toMatchObject({ code: 1000, wasClean: true });
  });

  test.each(refusedFrames())(
    '[BIN-3] [BIN-4] [BIN-7] [CMD-3] refuses %s, and goes on',
    async (_, frame, errors) => {
      using peer = await open();
      peer.sendFrame(OPCODE.binary, frame);
      for (const error of errors) expect(await peer.next()).toMatchObject(error);
      peer.sendJson(PING);
      expect(await peer.next()).toMatchObject({ type: 'pong' });
    },
  );

  test('[BIN-3] carries out nothing of a frame whose last record is cut off', async () => {
    using peer = await open();
    const channel = nextChannel();
    const publish = binaryFrame([JSON.stringify({ type: 'publish', id: 1, channel, data: 1 })]);
    peer.sendFrame(OPCODE.binary, Buffer.concat([publish, publish.subarray(0, -1)]));
    expect(await peer.next()).toMatchObject({ type: 'error', code: 'bad_request' });
    const page = await server.get(`/v1/history?channel=${channel}`);
    expect(page.json()).toMatchObject({ messages: [] });
  });

  test('[BIN-7] takes a publish as JSON too', async () => {
    using peer = await open();
    const channel = nextChannel();
    const json = JSON.stringify({ type: 'publish', id: 1, channel, data: 1 });
    peer.sendFrame(OPCODE.binary, Buffer.from(encodeJsonRecord(json)));
    expect(await peer.next()).toMatchObject({ type: 'published', id: 1, offset: 1 });
  });

  test('[BIN-5] [BIN-6] pushes the same object that history has', async () => {
    using peer = await open();
    const channel = nextChannel();
    await peer.call({ type: 'subscribe', id: 1, channel });
    const published = { channel, data: '<b>', contentType: 'text/html', event: 'e' };
    await server.publishAll([published, { channel, data: 2 }, { channel, bytes: 'AP8=' }]);
    const page = await server.get(`/v1/history?channel=${channel}`);
    for (const stored of page.json<{ messages: Fields[] }>().messages) {
      const { type, source: _, ...pushed } = await peer.nextOf('message');
      expect(type).toBe('message');
      expect(pushed).toEqual(stored);
    }
  });

  test('[BIN-8] [HIST-1] answers history with one page', async () => {
    using peer = await open();
    const channel = nextChannel();
    await server.publish(channel, 1, 2);
    const page = await peer.call({ type: 'history', id: 5, channel });
    const overHttp = await server.get(`/v1/history?channel=${channel}`);
    const { source: _, type, id, ...rest } = page;
    expect([type, id]).toEqual(['history', 5]);
    expect(rest).toEqual(overHttp.json());
  });
});

describe('over binary HTTP, binary short polling', () => {
  test.each(['/v1/poll', '/v1/history'])('[BIN-2] answers %s as one page', async (path) => {
    const channel = nextChannel();
    await server.publishAll([
      { channel, data: 1 },
      { channel, bytes: 'AP8=' },
    ]);
    const url = `${path}?channel=${channel}&after=start`;
    const answer = await server.get(url, BINARY_CODEC.headers);
    expect(answer.headers).toMatchObject({
      'content-type': MEDIA_TYPE,
      vary: expect.stringContaining('Accept'),
      'x-content-type-options': 'nosniff',
    });
    const [page] = decodeServerRecords(answer.bytes);
    if (page?.kind !== 'page') throw new Error('expected a page');
    expect(page.messages.map(({ payload }) => Buffer.from(payload).toString('hex'))).toEqual([
      '31',
      '00ff',
    ]);
    const json = await server.get(url);
    expect(json.headers['content-type']).toBe('application/json');
    expect(json.headers['vary']).toContain('Accept');
    const { messages: _, mark: _mark, ...rest } = json.json();
    expect(JSON.parse(page.json)).toMatchObject(rest);
  });

  test.each(['*/*', `${MEDIA_TYPE};q=0`, `application/json, ${MEDIA_TYPE};q=0.5`])(
    '[BIN-2] answers JSON to who accepts %s',
    async (accept) => {
      const answer = await server.get('/v1/poll?channel=a', { accept });
      expect(answer.headers['content-type']).toBe('application/json');
    },
  );

  test('[BIN-2] [HTTP-2] tells errors as problems', async () => {
    const answer = await server.get('/v1/poll', BINARY_CODEC.headers);
    expect(answer.headers['content-type']).toBe('application/problem+json');
    expect(answer.json()).toMatchObject({ code: 'bad_request' });
  });

  test('[BIN-2] [POLL-4] answers 304 to its own tag, and not to that of JSON', async () => {
    const channel = nextChannel();
    await server.publish(channel, 1);
    const url = `/v1/poll?channel=${channel}&after=start`;
    const tagOf = async (headers: Readonly<Record<string, string>>) =>
      String((await server.get(url, headers)).headers.etag);
    const binary = await tagOf(BINARY_CODEC.headers);
    const again = (tag: string) => ({ ...BINARY_CODEC.headers, 'if-none-match': tag });
    expect((await server.get(url, again(binary))).status).toBe(304);
    expect((await server.get(url, again(await tagOf({})))).status).toBe(200);
  });
});

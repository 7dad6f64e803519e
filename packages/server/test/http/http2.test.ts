import { describe, expect, test } from 'vitest';
import { fuzzHttp2 } from '../fuzz/http2.fuzz.ts';
import { H2Client } from './h2-client.ts';
import { requestText, settle, startListener, until } from './set-up.ts';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
/** An empty SETTINGS frame. */
const SETTINGS = '\0\0\0\x04\0\0\0\0\0';

describe('a connection that begins with the preface of HTTP/2', () => {
  test.each([1, 3, 16, 23, 24, 30])('is one of HTTP/2, cut after %i', async (cut) => {
    await using server = await startListener();
    const client = await server.connect();
    const text = PREFACE + SETTINGS;
    await client.send(text.slice(0, cut), text.slice(cut));
    // Its SETTINGS and the acknowledgement of ours.
    await client.sees('\0\0\0\x04\x01\0\0\0\0');
  });

  test('that breaks off leads elsewhere', async () => {
    await using server = await startListener();
    const client = await server.connect();
    await client.send('PRI * HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.sees('HTTP/1.1 400');
  });

  test('that never ends is too slow', async () => {
    await using server = await startListener();
    const client = await server.connect();
    await client.send('PRI * HTT');
    server.clock.advance(11_000);
    await client.sees('HTTP/1.1 408');
    await client.seesEnd();
  });
});

describe('HTTP/2', () => {
  const connect = (port: number) => H2Client.connect(`http://127.0.0.1:${port}`);

  test('[H2-1] serves the handlers of HTTP/1.1 on the same port', async () => {
    await using server = await startListener();
    await using client = await connect(server.port);
    const old = await server.connect();
    await old.send(requestText('GET /old'));
    await old.sees('GET /old');
    const call = await client.call('/new?x=1', { cookie: ['a=1', 'b=2'] }).done();
    expect(call).toMatchObject({ status: 200, text: 'GET /new' });
    expect(call.headers['date']).toBe(new Date(server.clock.unixMs()).toUTCString());
    expect(call.headers['content-length']).toBe('8');
    expect(server.requests[1]).toMatchObject({ version: '2', secure: false, search: 'x=1' });
    expect(server.requests[1]?.headers['cookie']).toBe('a=1; b=2');
  });

  test('is counted while it lasts', async () => {
    await using server = await startListener();
    const { http2 } = server.listener;
    expect(http2.sessionCount).toBe(0);
    const client = await connect(server.port);
    await client.call('/').done();
    expect(http2).toMatchObject({ sessionCount: 1, streamCount: 0 });
    await client[Symbol.asyncDispose]();
    await until(() => http2.sessionCount === 0, 'no session');
  });

  test('serves many requests at one time, and answers each as soon as it can', async () => {
    const waiting = new Map<string, () => void>();
    await using server = await startListener({
      async onRequest({ path }) {
        await new Promise<void>((resolve) => waiting.set(path, resolve));
        return { status: 200, body: path };
      },
    });
    await using client = await connect(server.port);
    const calls = ['/a', '/b', '/c'].map((path) => client.call(path));
    await until(() => waiting.size === 3, 'three requests');
    for (const [path, at] of [
      ['/c', 2],
      ['/a', 0],
      ['/b', 1],
    ] as const) {
      waiting.get(path)?.();
      expect((await calls[at]?.done())?.text).toBe(path);
    }
  });

  test('hands a WebSocket handshake to the same handler, as an extended CONNECT [H2-4]', async () => {
    await using server = await startListener();
    await using client = await connect(server.port);
    const call = client.upgrade('/v1/ws?a=1', { origin: 'http://a.example' });
    await until(() => server.streams.length === 1, 'a handshake');
    expect(server.streams[0]).toMatchObject({
      method: 'CONNECT',
      path: '/v1/ws',
      search: 'a=1',
      version: '2',
    });
    server.streams[0]?.accept(200, { 'x-a': '1' }).write('hello');
    await call.sees('hello');
    expect(call.headers).toMatchObject({ ':status': 200, 'x-a': '1' });
  });

  test('hands a request for an event stream to the same handler', async () => {
    await using server = await startListener();
    await using client = await connect(server.port);
    const call = client.call('/v1/sse?channel=a');
    await until(() => server.streams.length === 1, 'a request for a stream');
    const stream = server.streams[0]?.accept(200, {});
    stream?.write('one');
    await call.sees('one');
    stream?.end('two');
    expect(await call.done()).toMatchObject({ text: 'onetwo', ended: true });
  });

  test('refuses an event stream that comes with a body', async () => {
    await using server = await startListener();
    await using client = await connect(server.port);
    const call = client.call('/v1/sse', { ':method': 'GET', 'content-length': '1' }, 'x');
    expect((await call.done()).status).toBe(400);
  });

  test.each([
    ['a CONNECT to elsewhere', { ':method': 'CONNECT', ':authority': 'b:1' }, 501],
    ['an expectation of magic', { ':path': '/', expect: 'magic' }, 417],
    ['two hosts', { ':path': '/', host: 'b.example' }, 400],
  ])('answers %s with a problem, and goes on [H2-5]', async (_what, headers, status) => {
    await using server = await startListener();
    await using client = await connect(server.port);
    const call = client.open(headers);
    await call.done();
    expect(call.status).toBe(status);
    expect(call.headers['content-type']).toBe('application/problem+json');
    expect((await client.call('/a').done()).status).toBe(200);
    expect(server.requests.map(({ path }) => path)).toEqual(['/a']);
  });

  test('says nothing to the peer of what failed inside', async () => {
    await using server = await startListener({
      onRequest: () => Promise.reject(new Error('secret')),
      onUpgrade() {
        throw new Error('secret');
      },
    });
    await using client = await connect(server.port);
    const call = await client.call('/a').done();
    expect(call.status).toBe(500);
    expect(call.text).not.toContain('secret');
    expect((await client.upgrade('/v1/ws').done()).status).toBe(500);
    expect(server.lines.map(({ level }) => level)).toEqual(['error', 'error']);
  });

  test('answers 500 for a header that can not stand in a head', async () => {
    await using server = await startListener({
      onRequest: async () => ({ status: 200, headers: { 'x-a': 'a\r\nb: c' } }),
    });
    await using client = await connect(server.port);
    expect((await client.call('/a').done()).status).toBe(500);
    await settle();
  });
});

test('random frames lead to answers and errors, leave nothing behind, and trouble nobody', async () => {
  await fuzzHttp2(1, 200);
});

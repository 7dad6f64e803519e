import { once } from 'node:events';
import { createServer as createNetServer, connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '../src/clock.ts';
import type { Clock } from '../src/clock.ts';
import { serverConfigSchema } from '../src/config/schema.ts';
import type { ServerConfigInput } from '../src/config/schema.ts';
import { silentLog } from '../src/observe/log.ts';
import { createServer } from '../src/server.ts';
import type { ServerParts, TrunklineServer } from '../src/server.ts';

const opened: { close(): Promise<void> | void }[] = [];

afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

function create(input: ServerConfigInput = {}, parts: ServerParts = {}): TrunklineServer {
  const mqtt = { port: 0, ...input.mqtt };
  const config = serverConfigSchema.parse({ port: 0, store: { memory: true }, ...input, mqtt });
  const server = createServer(config, { log: silentLog, ...parts });
  opened.push(server);
  return server;
}

async function start(input: ServerConfigInput = {}, parts: ServerParts = {}) {
  const server = create(input, parts);
  const { urls } = await server.start();
  const [url = ''] = urls;
  return { server, url, port: Number(new URL(url).port) };
}

async function publish(url: string, data: unknown): Promise<void> {
  const body = JSON.stringify({ channel: 'news', data });
  const answer = await fetch(`${url}/v1/publish`, { method: 'POST', body });
  expect(answer.status).toBe(200);
}

/** All that a socket got, and its end. */
class Wire {
  readonly socket: Socket;
  text = '';
  readonly ended: Promise<void>;
  readonly #waiting: { readonly part: string; resolve(): void }[] = [];

  constructor(port: number, request: string) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.write(request);
    this.socket.on('error', () => {});
    this.socket.on('data', (bytes: Buffer) => {
      this.text += bytes.toString();
      for (const { part, resolve } of this.#waiting) if (this.text.includes(part)) resolve();
    });
    this.ended = new Promise((resolve) => this.socket.on('close', () => resolve()));
    opened.push({ close: () => void this.socket.destroy() });
  }

  has(part: string): Promise<void> {
    if (this.text.includes(part)) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ part, resolve }));
  }
}

function eventStream(port: number): Wire {
  return new Wire(port, 'GET /v1/sse?channel=news HTTP/1.1\r\nHost: localhost\r\n\r\n');
}

async function webSocket(url: string, path = '/v1/ws'): Promise<WebSocket> {
  const socket = new WebSocket(url.replace('http', 'ws') + path);
  opened.push({ close: () => socket.close() });
  await once(socket, path === '/v1/ws' ? 'message' : 'open');
  return socket;
}

describe('a server', () => {
  test('serves one message over every transport', async () => {
    const { url, port } = await start();
    const socket = await webSocket(url);
    socket.send('{"type":"subscribe","id":1,"channel":"news"}');
    await once(socket, 'message');
    const stream = eventStream(port);
    await stream.has('event: open');
    const poll = fetch(`${url}/v1/poll?channel=news&wait=20`);
    const received = once(socket, 'message') as Promise<MessageEvent[]>;
    // The poll may come before or after the message: it asks for what there is.
    await publish(url, 'hello');
    const [message] = await received;
    expect(JSON.parse(String(message?.data))).toMatchObject({ type: 'message', data: 'hello' });
    await stream.has('data: "hello"');
    const short = await fetch(`${url}/v1/poll?channel=news&after=start`);
    expect(await short.json()).toMatchObject({ messages: [{ data: 'hello' }] });
    await publish(url, 'again');
    expect((await poll).status).toBe(200);
    const history = await fetch(`${url}/v1/history?channel=news`);
    expect(await history.json()).toMatchObject({
      messages: [{ data: 'hello' }, { data: 'again' }],
    });
  });

  test('serves the files it is given, and nothing else', async () => {
    const page = { body: Buffer.from('<p>hello</p>'), contentType: 'text/html' };
    const { url } = await start({}, { assets: new Map([['/', page]]) });
    const answer = await fetch(url);
    expect([answer.status, answer.headers.get('content-type'), await answer.text()]).toEqual([
      200,
      'text/html',
      '<p>hello</p>',
    ]);
    expect((await fetch(`${url}/other`)).status).toBe(404);
  });

  test('does not start on a port that is taken, and leaves nothing open', async () => {
    const other = createNetServer();
    other.listen(0, '127.0.0.1');
    await once(other, 'listening');
    opened.push({ close: () => void other.close() });
    const { port } = other.address() as AddressInfo;
    const server = create({ port });
    await expect(server.start()).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await server.close();
    await server.drain();
  });

  test('is started once', async () => {
    const { server } = await start();
    await expect(server.start()).rejects.toThrow('a server is started once');
  });

  test('names the address to reach it by', async () => {
    const { url } = await start({ host: '0.0.0.0', auth: { apiKeys: ['key'] } });
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    const strict = await fetch(`${url}/v1/channels`);
    expect(strict.status).toBe(401);
  });

  test('publishes the machine’s load in development mode', async () => {
    const { url } = await start();
    const answer = await fetch(`${url}/v1/poll?channel=system/metrics&wait=20`);
    const { messages } = (await answer.json()) as { messages: { data: object }[] };
    expect(messages[0]?.data).toMatchObject({ links: { polls: 1 }, rates: expect.any(Object) });
  });
});

describe('the end of a server', () => {
  const quick = { drain: { windowMs: 50, deadlineMs: 5_000 } };

  test('is told to every client in the words of its transport [GUA-12]', async () => {
    const { server, url, port } = await start(quick);
    const socket = await webSocket(url);
    const echo = await webSocket(url, '/v1/echo');
    const stream = eventStream(port);
    await stream.has('event: open');
    const poll = fetch(`${url}/v1/poll?channel=news&wait=20`);
    // The poll waits once the node counts it.
    await fetch(`${url}/v1/poll?channel=system/metrics&wait=20`);
    const warned = once(socket, 'message') as Promise<MessageEvent[]>;
    const closed = once(socket, 'close') as Promise<CloseEvent[]>;
    const echoClosed = once(echo, 'close') as Promise<CloseEvent[]>;
    const beginMs = performance.now();
    await server.drain();
    // Long before the deadline: nobody is left out, whatever speaks on its link.
    expect(performance.now() - beginMs).toBeLessThan(4_000);
    expect(JSON.parse(String((await warned)[0]?.data))).toMatchObject({ type: 'goaway' });
    expect((await closed)[0]?.code).toBe(1001);
    expect((await echoClosed)[0]?.code).toBe(1001);
    await stream.ended;
    expect(stream.text).toContain('event: close\ndata: {"code":"draining"');
    expect(await (await poll).json()).toMatchObject({ messages: [] });
    await expect(fetch(`${url}/healthz`)).rejects.toThrow();
  });

  test('without goodbyes cuts everyone at once', async () => {
    const { server, port } = await start();
    const stream = eventStream(port);
    await stream.has('event: open');
    await server.close();
    await stream.ended;
    expect(stream.text).not.toContain('event: close');
  });

  test('may be asked for again and again, and is over when it says so', async () => {
    const { server, url } = await start(quick);
    await Promise.all([server.drain(), server.drain(), server.close(), server.close()]);
    await expect(fetch(`${url}/healthz`)).rejects.toThrow();
    await server.drain();
  });

  test.each(['drain', 'close'] as const)(
    'asked for by %s while it starts comes after that',
    async (how) => {
      const server = create();
      const starting = server.start();
      await server[how]();
      const { urls } = await starting;
      await expect(fetch(`${urls[0]}/healthz`)).rejects.toThrow();
    },
  );

  test('of a server that never started is nothing', async () => {
    const server = create();
    await server.drain();
    await server.close();
    await expect(server.start()).rejects.toThrow('a server is started once');
  });

  test('leaves no timer behind', async () => {
    const timers = new Set<object>();
    const clock: Clock = {
      ...systemClock,
      after(delayMs, task) {
        const timer = systemClock.after(delayMs, () => {
          timers.delete(timer);
          task();
        });
        timers.add(timer);
        return {
          cancel() {
            timers.delete(timer);
            timer.cancel();
          },
        };
      },
    };
    const { server, port, url } = await start({}, { clock });
    const stream = eventStream(port);
    await stream.has('event: open');
    await publish(url, 1);
    await server.close();
    await stream.ended;
    expect(timers.size).toBe(0);
  });
});

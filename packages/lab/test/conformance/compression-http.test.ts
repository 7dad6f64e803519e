/** Compression over HTTP: answers and event streams for those who take gzip. */
import { spawn } from 'node:child_process';
import { request as openRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { connect } from 'node:http2';
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import { createInterface } from 'node:readline';
import { createGunzip, gunzipSync, inflateRawSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Queue, within } from '../../src/queue.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { maskedFrame, OPCODE } from '../../src/web-socket.ts';

/** As large as what is worth compressing, and as repetitive as JSON is. */
const LARGE = Array.from({ length: 60 }, (_, index) => ({ user: `user ${index}`, price: index }));
const LARGE_SIZE = JSON.stringify(LARGE).length;

let off: LabServer;
let on: LabServer;

beforeAll(async () => {
  off = await startServer();
  on = await startServer({
    compression: { webSocket: 'shared', eventStreams: true, answers: true },
  });
});

afterAll(async () => {
  for (const server of [off, on]) {
    expect(server.faults).toEqual([]);
    await server[Symbol.asyncDispose]();
  }
});

let channels = 0;

/** A channel of one test's own. */
function newChannel(): string {
  channels += 1;
  return `compression/${channels}`;
}

test('[COMP-1] a server that was not told to compress answers and streams as they are, whoever asks', async () => {
  const channel = newChannel();
  await off.publish(channel, LARGE);
  const headers = { 'accept-encoding': 'gzip' };
  const answer = await off.get(`/v1/history?channel=${channel}`, headers);
  expect(answer.headers).not.toHaveProperty('content-encoding');
  expect(answer.json()).toMatchObject({ messages: [{ data: LARGE }] });
  using stream = await Stream.open(off, channel);
  expect(stream.headers).not.toHaveProperty('content-encoding');
});

describe('answers', () => {
  const ASKS = { 'accept-encoding': 'gzip, deflate, br' };

  /** An answer as it is on the wire. */
  async function ask(path: string, headers: Readonly<Record<string, string>> = ASKS) {
    const { url } = on;
    return new Promise<{ headers: Record<string, unknown>; status: number; body: Buffer }>(
      (resolve, reject) => {
        const request = openRequest(`${url}${path}`, { headers, agent: false }, (response) => {
          const pieces: Buffer[] = [];
          response.on('data', (piece: Buffer) => pieces.push(piece));
          response.on('end', () => {
            const body = Buffer.concat(pieces);
            resolve({ headers: response.headers, status: response.statusCode ?? 0, body });
          });
        });
        request.on('error', reject);
        request.end();
      },
    );
  }

  test.each(['/v1/history?', '/v1/poll?after=start&', '/v1/poll?after=start&wait=1&'])(
    '[COMP-5] of %s are compressed for who asks',
    async (path) => {
      const channel = newChannel();
      await on.publish(channel, LARGE);
      const answer = await ask(`${path}channel=${channel}`);
      expect(answer.headers).toMatchObject({
        'content-encoding': 'gzip',
        'content-length': String(answer.body.length),
        vary: expect.stringContaining('Accept-Encoding') as unknown,
      });
      expect(answer.body.length).toBeLessThan(LARGE_SIZE / 3);
      expect(JSON.parse(gunzipSync(answer.body).toString())).toMatchObject({
        messages: [{ channel, data: LARGE }],
      });
      const plain = await ask(`${path}channel=${channel}`, {});
      expect(plain.headers).not.toHaveProperty('content-encoding');
      expect(plain.headers['vary']).toContain('Accept-Encoding');
      expect(JSON.parse(plain.body.toString())).toMatchObject({ messages: [{ data: LARGE }] });
    },
  );

  test('[COMP-5] keep their tag', async () => {
    const channel = newChannel();
    await on.publish(channel, LARGE);
    const path = `/v1/poll?after=start&channel=${channel}`;
    const first = await ask(path);
    const etag = String(first.headers['etag']);
    const again = await ask(path, { ...ASKS, 'if-none-match': etag });
    expect(again.status).toBe(304);
    expect(again.headers['vary']).toContain('Accept-Encoding');
    expect(again.headers).not.toHaveProperty('content-encoding');
  });

  test('[COMP-5] that are problems, small or of other methods are not', async () => {
    const long = 'x'.repeat(2000);
    for (const path of [`/v1/history?channel=${long}`, '/v1/poll?channel=a', '/healthz']) {
      expect((await ask(path)).headers).not.toHaveProperty('content-encoding');
    }
    const names = Array.from({ length: 60 }, (_, index) => [
      `room/of/many/${index}`,
      ['subscribe'],
    ]);
    const body = JSON.stringify({ user: 'alice', channels: Object.fromEntries(names) as unknown });
    const token = await fetch(`${on.url}/v1/token`, { method: 'POST', body });
    expect(token.headers.has('content-encoding')).toBe(false);
    expect((await token.text()).length).toBeGreaterThan(2000);
  });
});

/** An event stream of a client that takes gzip, inflated as it comes. */
class Stream implements Disposable {
  text = '';
  /** Resolves when the gzip stream came to its end; rejects when it broke. */
  readonly ended: Promise<void>;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly #destroy: () => void;
  #onText: (() => void)[] = [];

  private constructor(response: IncomingMessage, destroy: () => void) {
    this.headers = response.headers;
    this.#destroy = destroy;
    const gunzip = createGunzip();
    this.ended = new Promise((resolve, reject) => {
      gunzip.on('end', resolve);
      gunzip.on('error', reject);
    });
    this.ended.catch(() => {}); // A test that looks for the end awaits it.
    gunzip.on('data', (piece: Buffer) => {
      this.text += piece.toString();
      for (const resolve of this.#onText.splice(0)) resolve();
    });
    response.on('error', () => {});
    response.pipe(gunzip);
  }

  static async open(server: LabServer, channel: string): Promise<Stream> {
    const url = `${server.url}/v1/sse?channel=${channel}`;
    const headers = { 'accept-encoding': 'gzip' };
    return new Promise((resolve, reject) => {
      const request = openRequest(url, { headers, agent: false }, (response) =>
        resolve(new Stream(response, () => request.destroy())),
      );
      request.on('error', reject);
      request.end();
    });
  }

  /** Resolves as soon as the text has this part. */
  async seen(part: string): Promise<void> {
    while (!this.text.includes(part)) {
      await within(new Promise<void>((resolve) => this.#onText.push(resolve)), part);
    }
  }

  [Symbol.dispose](): void {
    this.#destroy();
  }
}

describe('[COMP-6] an event stream', () => {
  test('is compressed, and every event is there as soon as it was published', async () => {
    const channel = newChannel();
    using stream = await Stream.open(on, channel);
    expect(stream.headers).toMatchObject({
      'content-type': expect.stringContaining('text/event-stream') as unknown,
      'content-encoding': 'gzip',
      vary: expect.stringContaining('Accept-Encoding') as unknown,
    });
    await stream.seen('event: open');
    for (let count = 1; count <= 5; count += 1) {
      await on.publish(channel, count % 2 === 0 ? `small ${count}` : [count, LARGE]);
      await stream.seen(count % 2 === 0 ? `data: "small ${count}"\n\n` : `data: [${count},`);
    }
  });

  test('is the same for all that read it, and whole when the server ends it', async () => {
    const server = await startServer({
      compression: { eventStreams: true },
      drain: { windowMs: 0, deadlineMs: 5000 },
    });
    const channel = newChannel();
    const streams = [await Stream.open(server, channel), await Stream.open(server, channel)];
    for (const stream of streams) await stream.seen('event: open');
    for (let count = 0; count < 20; count += 1) await server.publish(channel, LARGE, 'small');
    await server.server.drain();
    for (const stream of streams) {
      await within(stream.ended, 'the end of a gzip stream');
      expect(stream.text.match(/^data: \[/gm)).toHaveLength(20);
      expect(stream.text).toMatch(/event: close\ndata: \{"code":"draining".*\}\n\n$/);
    }
    expect(server.faults).toEqual([]);
    await server[Symbol.asyncDispose]();
  });

  test('is read by curl, event by event', async () => {
    const channel = newChannel();
    const url = `${on.url}/v1/sse?channel=${channel}`;
    const child = spawn('curl', ['--silent', '--no-buffer', '--compressed', url], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = new Queue<string>('a line of curl');
    createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
    const until = async (wanted: string): Promise<void> => {
      while ((await lines.next()) !== wanted);
    };
    try {
      await until('event: open');
      await on.publish(channel, 'first');
      await until('data: "first"');
      await on.publish(channel, LARGE);
      await until(`data: ${JSON.stringify(LARGE)}`);
    } finally {
      child.kill('SIGKILL');
    }
  });
});

describe('over HTTP/2', () => {
  async function openSession(): Promise<ClientHttp2Session> {
    const session = connect(on.url);
    session.on('error', () => {}); // What asks of it fails.
    await within(
      new Promise<void>((resolve) => session.once('remoteSettings', () => resolve())),
      'the settings',
    );
    return session;
  }

  const headersOf = (stream: ClientHttp2Stream): Promise<IncomingHttpHeaders> =>
    within(new Promise((resolve) => stream.once('response', resolve)), 'an answer');

  test('[COMP-6] an event stream is compressed just as well', async () => {
    const channel = newChannel();
    const session = await openSession();
    const stream = session.request({
      ':path': `/v1/sse?channel=${channel}`,
      'accept-encoding': 'gzip',
    });
    expect(await headersOf(stream)).toMatchObject({ 'content-encoding': 'gzip' });
    const pieces = new Queue<Buffer>('a piece of the stream');
    stream
      .pipe(createGunzip())
      .on('data', (piece: Buffer) => pieces.push(piece))
      .on('error', () => {}); // The test cuts it.
    let text = '';
    const seen = async (part: string): Promise<void> => {
      while (!text.includes(part)) text += (await pieces.next()).toString();
    };
    await seen('event: open');
    await on.publish(channel, LARGE);
    await seen('data: [{"user":"user 0"');
    session.destroy();
  });

  test('[COMP-2] [COMP-4] a WebSocket agrees on compression just as well', async () => {
    const channel = newChannel();
    const session = await openSession();
    const stream = session.request({
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':path': '/v1/ws',
      'sec-websocket-version': '13',
      'sec-websocket-extensions': 'permessage-deflate',
    });
    const received = new Queue<Buffer>('a frame');
    stream.on('data', (bytes: Buffer) => received.push(bytes));
    expect((await headersOf(stream))['sec-websocket-extensions']).toMatch(/^permessage-deflate/);
    const command = JSON.stringify({ type: 'subscribe', id: 1, channel });
    stream.write(maskedFrame(OPCODE.text, Buffer.from(command)));
    while (!(await received.next()).toString().includes('"subscribed"'));
    await on.publish(channel, LARGE);
    const frame = await received.next();
    expect(frame[0]).toBe(0xc1);
    const end = Buffer.from('0000ffff010000ffff', 'hex');
    const message = inflateRawSync(Buffer.concat([frame.subarray(4), end]));
    expect(JSON.parse(message.toString())).toMatchObject({ channel, data: LARGE });
    session.destroy();
  });
});

/** HTTP/2 and TLS: the same server behind another framing. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { createSelfSigned } from '@trunkline/server/internal/tls/self-signed.ts';
import type { SelfSigned } from '@trunkline/server/internal/tls/self-signed.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectTo, FRAME, frame, get, number32, RawHttp2 } from '../../src/http2-frames.ts';
import { Http2Peer } from '../../src/http2-peer.ts';
import { listening, OPEN_AND_LISTED } from '../../src/listening.ts';
import { within } from '../../src/queue.ts';
import { RawSocket } from '../../src/raw-socket.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { SkipClock } from '../../src/skip-clock.ts';
import { JWT_SECRET } from '../../src/tokens.ts';
import { WebSocketPeer } from '../../src/web-socket.ts';

const PAGE = 'https://app.example.com';

let server: LabServer;
let secure: LabServer;
let closed: LabServer;

beforeAll(async () => {
  server = await startServer(OPEN_AND_LISTED);
  secure = await startServer({ tls: { dev: true } });
  closed = await startServer({ auth: { jwtSecret: JWT_SECRET, origins: [PAGE] } });
});

afterAll(async () => {
  for (const one of [server, secure, closed]) {
    expect(one.faults).toEqual([]);
    await one[Symbol.asyncDispose]();
  }
});

describe('over HTTP/2', () => {
  test('[H2-1] publishes and reads on the port of HTTP/1.1', async () => {
    using peer = await Http2Peer.open(server.url);
    using old = await WebSocketPeer.open(server.port);
    await old.nextOf('welcome');
    await old.call({ type: 'subscribe', id: 1, channel: 'both' });
    const body = JSON.stringify({ channel: 'both', data: 'hello' });
    const published = await peer.ask('/v1/publish', { ':method': 'POST' }, body);
    expect(published.status).toBe(200);
    expect(await old.nextOf('message')).toMatchObject({ offset: 1, data: 'hello' });
    const history = await peer.ask('/v1/history?channel=both');
    expect(JSON.parse(history.text)).toMatchObject({ messages: [{ data: 'hello' }] });
    const wrong = await peer.ask('/v1/nothing');
    expect(wrong.headers['content-type']).toBe('application/problem+json');
    expect(JSON.parse(wrong.text)).toMatchObject({ status: 404, code: 'not_found' });
  });

  test('[H2-1] [SSE-1] carries many event streams at one time', async () => {
    using peer = await Http2Peer.open(server.url);
    const streams = Array.from({ length: 40 }, () => peer.stream('/v1/sse?channel=streams'));
    for (const stream of streams) await stream.sees('event: open');
    await server.publish('streams', { n: 1 });
    for (const stream of streams) await stream.sees('data: {"n":1}');
    expect(streams[0]?.headers).toMatchObject({
      ':status': 200,
      'content-type': 'text/event-stream; charset=utf-8',
    });
  });

  test('[H2-1] a body that was cut publishes nothing', async () => {
    using peer = await RawHttp2.open(server.port);
    const post = [...get('/v1/publish?channel=cut', ['content-type', 'text/plain'])];
    post[0] = [':method', 'POST'];
    await peer.request(1, post, 0);
    await peer.send(
      frame(FRAME.data, 0, 1, Buffer.from('half a')),
      frame(FRAME.reset, 0, 1, number32(8)),
    );
    await peer.settled();
    const history = await server.get('/v1/history?channel=cut');
    expect(history.json()).toMatchObject({ messages: [] });
  });

  test('[H2-3] begins by prior knowledge, and never by an upgrade', async () => {
    using raw = await RawSocket.open(server.port);
    await raw.write(
      'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\n' +
        'Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n',
    );
    expect(await raw.takeUntil('\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('[H2-4] opens a WebSocket by an extended CONNECT', async () => {
    using peer = await Http2Peer.open(server.url);
    expect(peer.session.remoteSettings.enableConnectProtocol).toBe(true);
    const socket = await peer.webSocket('/v1/ws', {
      'sec-websocket-protocol': 'other, trunkline.v1.json',
    });
    expect(socket.headers).toMatchObject({
      ':status': 200,
      'sec-websocket-protocol': 'trunkline.v1.json',
    });
    expect(socket.headers).not.toHaveProperty('sec-websocket-accept');
    expect(await socket.nextOf('welcome')).toMatchObject({ type: 'welcome' });
    socket.send({ type: 'subscribe', id: 1, channel: 'extended' });
    expect(await socket.nextOf('subscribed')).toMatchObject({ id: 1 });
    await server.publish('extended', 'hello');
    expect(await socket.nextOf('message')).toMatchObject({ data: 'hello' });
  });

  test('[H2-4] proves that it read a key which the client sends all the same', async () => {
    using peer = await Http2Peer.open(server.url);
    const key = { 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' };
    const socket = await peer.webSocket('/v1/ws', key);
    const accept = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';
    expect(socket.headers).toMatchObject({ ':status': 200, 'sec-websocket-accept': accept });
    expect(await socket.nextOf('welcome')).toMatchObject({ type: 'welcome' });
  });

  test('[H2-4] [HTTP-23] echoes what two WebSockets of one session send', async () => {
    using peer = await Http2Peer.open(server.url);
    const [one, two] = [await peer.webSocket('/v1/echo'), await peer.webSocket('/v1/echo')];
    one.send({ type: 'a' });
    two.send({ type: 'b', text: 'x'.repeat(300_000) });
    expect(await two.nextOf('b')).toMatchObject({ type: 'b' });
    expect(await one.nextOf('a')).toMatchObject({ type: 'a' });
  });

  test.each([
    ['401 without a token', '/v1/ws', {}, 401, 'unauthenticated'],
    ['403 for a foreign page', '/v1/ws', { origin: 'https://evil.example' }, 403, 'forbidden'],
    ['404 where nothing is', '/v1/nothing', {}, 404, 'not_found'],
    ['400 for another version', '/v1/ws', { 'sec-websocket-version': '8' }, 400, 'bad_request'],
  ])('[H2-4] [WS-2] refuses a handshake with %s', async (_what, path, headers, status, code) => {
    using peer = await Http2Peer.open(closed.url);
    const authority = new URL(closed.url).host;
    const token = status === 401 ? '?access_token=nonsense' : '';
    const answer = await peer.refused(path + token, { ':authority': authority, ...headers });
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.text)).toMatchObject({ status, code });
    expect((await peer.ask('/healthz')).status).toBe(200);
  });

  test('[H2-4] [WS-2] lets a browser of an allowed origin in to tell it why it is not', async () => {
    using peer = await Http2Peer.open(closed.url);
    const socket = await peer.webSocket('/v1/ws?access_token=nonsense', { origin: PAGE });
    expect(await within(socket.closed, 'a close')).toBe(4401);
  });

  test.each([
    ['to elsewhere', { ':authority': 'a.example:443' }],
    ['for another protocol', { ':protocol': 'webtransport', ':path': '/v1/ws' }],
  ])('[H2-5] answers a CONNECT %s with 501', async (_what, headers) => {
    using peer = await Http2Peer.open(server.url);
    const answer = await peer.answerTo({ ':method': 'CONNECT', ...headers });
    expect(answer.status).toBe(501);
    expect((await peer.ask('/healthz')).status).toBe(200);
  });

  test('[H2-6] ends the session of a peer that floods, and no other', async () => {
    using flooding = await RawHttp2.open(server.port);
    using other = await Http2Peer.open(server.url);
    const ping = frame(FRAME.ping, 0, 0, Buffer.alloc(8));
    await flooding.send(Buffer.concat(Array.from({ length: 2_000 }, () => ping)));
    expect(await flooding.end()).toBe(11);
    expect((await other.ask('/healthz')).status).toBe(200);
  });

  test('[H2-7] says GOAWAY when the last goodbye was said', async () => {
    await using draining = await startServer({ drain: { windowMs: 200, deadlineMs: 5_000 } });
    using idle = await Http2Peer.open(draining.url);
    using busy = await Http2Peer.open(draining.url);
    const events = busy.stream('/v1/sse?channel=a');
    await events.sees('event: open');
    const socket = await busy.webSocket('/v1/ws');
    await socket.nextOf('welcome');
    const poll = busy.ask('/v1/poll?channel=a&wait=60');
    const over = within(draining.server.drain(), 'the end of a drain');
    await within(idle.ended, 'the end of the idle session');
    expect(idle.goaways).toContain(0);
    expect((await poll).status).toBe(200);
    await events.sees('event: close');
    await socket.nextOf('goaway');
    expect(await within(socket.closed, 'a close')).toBe(1001);
    await within(busy.ended, 'the end of the other session');
    expect(busy.goaways).toContain(0);
    await over;
  });

  test('[H2-8] [WS-5] a stream that is not read stays behind, and gets all of it later', async () => {
    using peer = await Http2Peer.open(server.url);
    const slow = peer.stream('/v1/sse?channel=behind');
    const quick = peer.stream('/v1/sse?channel=behind');
    await slow.sees('event: open');
    await quick.sees('event: open');
    await listening(server, 'behind', 2);
    slow.pause();
    const value = 'x'.repeat(20_000);
    for (let round = 0; round < 100; round += 1) await server.publish('behind', value);
    await quick.seesTimes('\nid: ', 100);
    slow.resume();
    await slow.seesTimes('\nid: ', 100);
    expect(slow.text).not.toContain('event: gap');
  });

  test('[H2-4] refuses what is no WebSocket’s CONNECT on a path for GETs', async () => {
    using peer = await RawHttp2.open(server.port);
    await peer.request(1, connectTo('/v1/publish'), 0);
    await peer.until(() => peer.dataOf(1).includes('"status":404'), 'a refusal');
  });
});

/** SHA-256 of the certificate that a new connection is shown. */
async function shown(port: number): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256.replaceAll(':', '').toLowerCase();
}

describe('over TLS', () => {
  const trust = { rejectUnauthorized: false };

  test('[H2-2] serves a new certificate from its files, while connections go on', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'trunkline-certificate-'));
    try {
      const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
      const write = (pair: SelfSigned): void => {
        writeFileSync(cert, pair.cert);
        writeFileSync(key, pair.key);
      };
      const clock = new SkipClock();
      const first = createSelfSigned(['a'], clock.unixMs());
      const second = createSelfSigned(['a'], clock.unixMs());
      write(first);
      await using renewed = await startServer({ tls: { cert, key } }, { clock });
      using peer = await Http2Peer.open(renewed.url, trust);
      const events = peer.stream('/v1/sse?channel=a');
      await events.sees('event: open');
      expect(await shown(renewed.port)).toBe(first.sha256);
      write(second);
      for (let look = 0; (await shown(renewed.port)) !== second.sha256; look += 1) {
        if (look === 50) throw new Error('expected the new certificate');
        clock.skip(10_000);
      }
      await peer.ask(
        '/v1/publish',
        { ':method': 'POST', 'content-type': 'application/json' },
        '{"channel":"a","data":"on"}',
      );
      await events.sees('data: "on"');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('[H2-2] serves HTTP/2 and HTTP/1.1, and says that it is secure', async () => {
    expect(secure.url).toMatch(/^https:/);
    using peer = await Http2Peer.open(secure.url, trust);
    expect(peer.session.alpnProtocol).toBe('h2');
    expect((await peer.ask('/healthz')).status).toBe(200);
    const socket = await peer.webSocket('/v1/echo');
    socket.send({ type: 'a' });
    expect(await socket.nextOf('a')).toEqual(expect.objectContaining({ type: 'a' }));
  });

  test('[H2-2] tells who speaks without it what it speaks', async () => {
    using raw = await RawSocket.open(secure.port);
    await raw.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n');
    const answer = await raw.takeAll();
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toContain('https');
  });

  test('[H2-2] [AUTH-6] development mode answers local names and pages only', async () => {
    using peer = await Http2Peer.open(secure.url, trust);
    const host = new URL(secure.url).host;
    const ask = (headers: Record<string, string>) => peer.ask('/v1/history?channel=a', headers);
    expect((await ask({ ':authority': host, origin: `https://${host}` })).status).toBe(200);
    expect((await ask({ ':authority': 'evil.example' })).status).toBe(403);
    const foreign = await ask({ ':authority': host, origin: 'https://evil.example' });
    expect(foreign.status).toBe(403);
    const forwarded = await ask({ ':authority': host, 'x-forwarded-for': '1.2.3.4' });
    expect(forwarded.status).toBe(403);
  });
});

/** Goodbyes: a node that drains tells every client, in its transport's own words. */
import { describe, expect, test } from 'vitest';
import { EventStreamPeer } from '../../src/event-stream.ts';
import { ask } from '../../src/http.ts';
import { listening, OPEN_AND_LISTED } from '../../src/listening.ts';
import type { PollAnswer } from '../../src/readers/poll.ts';
import { within } from '../../src/queue.ts';
import { RawSocket } from '../../src/raw-socket.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { SkipClock } from '../../src/skip-clock.ts';
import { handshake, WebSocketPeer } from '../../src/web-socket.ts';

const DRAIN = { windowMs: 300, deadlineMs: 5_000 };

/** A drain that has to end by itself. */
function drained(server: LabServer): Promise<void> {
  return within(server.server.drain(), 'the end of a drain');
}

describe('over WebSocket', () => {
  test('[WS-6] [GUA-12] sends goaway, and closes with 1001 within the time it says', async () => {
    await using server = await startServer({ drain: DRAIN });
    const peers = await Promise.all(
      Array.from({ length: 20 }, () => WebSocketPeer.open(server.port)),
    );
    for (const peer of peers) await peer.nextOf('welcome');
    const startMs = performance.now();
    const over = drained(server);
    for (const peer of peers) {
      const { within: withinMs } = await peer.nextOf('goaway');
      expect(withinMs).toBeLessThanOrEqual(DRAIN.windowMs);
      expect(await peer.closed).toMatchObject({ code: 1001 });
    }
    await over;
    expect(performance.now() - startMs).toBeLessThan(DRAIN.deadlineMs);
  });

  test('[WS-6] [GUA-12] answers what was asked before the close', async () => {
    await using server = await startServer({ drain: DRAIN });
    using peer = await WebSocketPeer.open(server.port);
    await peer.nextOf('welcome');
    const over = drained(server);
    await peer.nextOf('goaway');
    peer.send({ type: 'publish', id: 1, channel: 'a', data: 1 });
    // Stored, or the connection ended without an answer; never an answer for nothing.
    const answer = await peer.nextOf('published').catch(() => undefined);
    if (answer !== undefined) expect(answer).toMatchObject({ id: 1, offset: 1 });
    expect((await peer.closed).code).toBe(1001);
    await over;
  });

  test('[GUA-12] cuts a peer that does not take its goodbye', async () => {
    const clock = new SkipClock();
    const drain = { windowMs: 0, deadlineMs: 60_000 };
    await using server = await startServer({ drain }, { clock });
    using peer = await WebSocketPeer.open(server.port);
    await peer.nextOf('welcome');
    peer.raw.freeze();
    const over = drained(server);
    clock.skip(61_000);
    await over;
    peer.raw.thaw();
    await within(peer.closed, 'the end of a peer that does not leave');
  });

  test('[WS-2] [GUA-12] refuses a handshake that ends while it drains', async () => {
    await using server = await startServer({ drain: DRAIN });
    using plain = await begun(server, handshake(server.port));
    const headers = { Origin: `http://127.0.0.1:${server.port}` };
    using browser = await begun(server, handshake(server.port, { headers }));
    const over = drained(server);
    await plain.finish();
    await browser.finish();
    expect(await plain.raw.takeAll()).toMatch(/^HTTP\/1\.1 503 .*"draining"/s);
    // A browser sees nothing of a refused handshake: it is let in, and told 1001.
    const told = await browser.raw.takeUntil('\r\n\r\n');
    expect(told).toMatch(/^HTTP\/1\.1 101 /);
    const close = await browser.raw.takeBytes(4);
    expect([close[0], close.readUInt16BE(2)]).toEqual([0x88, 1001]);
    browser.raw.socket.destroy();
    await over;
  });
});

describe('over SSE', () => {
  test('[SSE-6] [GUA-12] sends retry and close, and ends the answer whole', async () => {
    await using server = await startServer({ drain: DRAIN });
    const streams = await Promise.all(
      Array.from({ length: 10 }, () => EventStreamPeer.open(`${server.url}/v1/sse?channel=a`)),
    );
    for (const stream of streams) await stream.expect('open');
    const over = drained(server);
    for (const stream of streams) {
      const { data } = await stream.expect('close');
      expect(data).toMatchObject({ code: 'draining' });
      expect(stream.retryMs).toBe(data['retryAfter']);
      expect(await stream.ended).toBe(true);
    }
    await over;
  });

  test('[SSE-8] answers a request that ends while it drains with 200, retry and close', async () => {
    await using server = await startServer({ drain: DRAIN });
    using late = await begun(server, 'GET /v1/sse?channel=a HTTP/1.1\r\nHost: localhost\r\n\r\n');
    const over = drained(server);
    await late.finish();
    const text = await late.raw.takeAll();
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(text).toMatch(/retry: \d+\nevent: close\ndata: {"code":"draining"/);
    await over;
  });
});

describe('over long polling', () => {
  test('[POLL-2] [GUA-12] answers waiting polls', async () => {
    await using server = await startServer({ ...OPEN_AND_LISTED, drain: DRAIN });
    const waiting = Array.from({ length: 20 }, () =>
      ask(`${server.url}/v1/poll?channel=a&after=0:0&wait=50`),
    );
    await listening(server, 'a', 20);
    const over = drained(server);
    for (const poll of waiting) {
      const answer = await poll;
      expect(answer.status).toBe(200);
      expect(answer.headers.connection).toBe('close');
      expect(answer.json<PollAnswer>()).toMatchObject({ messages: [], positions: { a: '0:0' } });
    }
    await over;
  });
});

describe('over HTTP', () => {
  test('[HTTP-22] [GUA-12] says 503 at readyz while it drains, and stores what it acknowledges', async () => {
    await using server = await startServer({ drain: DRAIN });
    using raw = await busyConnection(server);
    const over = drained(server);
    const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
    await raw.write(`{"channel":"a","data":1}${get('/readyz')}${get('/healthz')}`);
    const text = await raw.takeAll();
    expect(text).toMatch(
      /^HTTP\/1\.1 200 .*"offset":1.*HTTP\/1\.1 503 .*"draining".*HTTP\/1\.1 200 /s,
    );
    expect(text).toMatch(/HTTP\/1\.1 503 (?:.*\r\n)*retry-after: \d+\r\n/i);
    await over;
  });

  test('[GUA-12] takes no new clients, and is gone in the end', async () => {
    await using server = await startServer({ drain: DRAIN });
    await drained(server);
    await expect(server.get('/healthz')).rejects.toThrow(/ECONNREFUSED/);
  });

  test('[GUA-12] is drained at once when nobody is there', async () => {
    await using server = await startServer();
    const startMs = performance.now();
    await drained(server);
    expect(performance.now() - startMs).toBeLessThan(2_000);
  });
});

/** A connection with a head of which the server has read all but the last line. */
async function begun(server: LabServer, head: string) {
  const raw = await RawSocket.open(server.port);
  await raw.write(head.slice(0, -2));
  // Whatever came before on other connections has been read when this is answered.
  await server.get('/healthz');
  return {
    raw,
    finish: () => raw.write(head.slice(-2)),
    [Symbol.dispose]: () => raw.socket.destroy(),
  };
}

/** A connection with a publish whose body is still to come. */
async function busyConnection(server: LabServer): Promise<RawSocket> {
  const raw = await RawSocket.open(server.port);
  await raw.write(
    'POST /v1/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n' +
      'Expect: 100-continue\r\nContent-Length: 24\r\n\r\n',
  );
  await raw.takeUntil('100 Continue\r\n\r\n');
  return raw;
}

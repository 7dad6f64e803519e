/** Event streams: GET /v1/sse. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EventStreamPeer } from '../../src/event-stream.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { SkipClock } from '../../src/skip-clock.ts';
import { inSeconds, JWT_SECRET, tokenOf } from '../../src/tokens.ts';

const clock = new SkipClock();
let server: LabServer;
let count = 0;

beforeAll(async () => {
  const namespaces = { 'small/#': { history: { countMax: 3 } } };
  server = await startServer({ namespaces }, { clock });
});

afterAll(async () => {
  expect(server.faults).toEqual([]);
  await server[Symbol.asyncDispose]();
});

function nextChannel(): string {
  count += 1;
  return `sse/${count}`;
}

function open(
  query: Readonly<Record<string, string>>,
  headers: Readonly<Record<string, string>> = {},
): Promise<EventStreamPeer> {
  const search = new URLSearchParams(query).toString();
  return EventStreamPeer.open(`${server.url}/v1/sse?${search}`, headers);
}

describe('over SSE', () => {
  test('[SSE-1] answers with the headers that keep proxies from holding it back', async () => {
    using stream = await open({ channel: nextChannel() });
    expect(stream.status).toBe(200);
    expect(stream.headers['content-type']).toMatch(/^text\/event-stream\b/);
    expect(stream.headers).toMatchObject({
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    });
    expect(stream.headers).not.toHaveProperty('content-length');
  });

  test('[SSE-2] begins with open: id, retry, session, positions', async () => {
    const channel = nextChannel();
    const [stored] = await server.publish(channel, 1);
    using stream = await open({ channel });
    const { id, data } = await stream.expect('open');
    expect(id).toBe(stored?.position);
    expect(data).toEqual({
      session: expect.stringMatching(/./),
      positions: { [channel]: stored?.position },
      recovered: {},
      gaps: {},
    });
    expect(stream.retryMs).toBeGreaterThan(0);
  });

  test('[SSE-2] [REC-3] has the verdict in open', async () => {
    const channel = nextChannel();
    using stream = await open({ channel, after: 'gone:3' });
    const { data } = await stream.expect('open');
    expect(data).toMatchObject({
      recovered: { [channel]: false },
      gaps: { [channel]: { reason: 'epoch' } },
    });
  });

  test('[SSE-3] has no event line for a message without an event', async () => {
    const channel = nextChannel();
    using stream = await open({ channel });
    await stream.expect('open');
    const [stored] = await server.publish(channel, { a: 1 });
    await stream.next();
    expect(stream.text).toContain(`\n\nid: ${stored?.position}\ndata: {"a":1}\n\n`);
  });

  test('[SSE-3] splits text over data lines, and names the event', async () => {
    const channel = nextChannel();
    using stream = await open({ channel });
    await stream.expect('open');
    await server.publishAll([{ channel, data: 'a\n\nb', contentType: 'text/plain', event: 'e' }]);
    expect(await stream.next()).toMatchObject({ type: 'e', data: 'a\n\nb' });
    expect(stream.text).toContain('\nevent: e\ndata: a\ndata: \ndata: b\n\n');
  });

  test('[SSE-4] has bytes as base64 behind bytes:', async () => {
    const channel = nextChannel();
    using stream = await open({ channel });
    await stream.expect('open');
    const bytes = 'AP+A';
    await server.publishAll([
      { channel, bytes },
      { channel, bytes, event: 'img' },
      { channel, data: 'a\rb', contentType: 'text/plain' },
    ]);
    expect(await stream.next()).toMatchObject({ type: 'bytes:message', data: bytes });
    expect(await stream.next()).toMatchObject({ type: 'bytes:img', data: bytes });
    const text = Buffer.from('a\rb').toString('base64');
    expect(await stream.next()).toMatchObject({ type: 'bytes:message', data: text });
  });

  test('[SSE-1] [SSE-2] resumes from Last-Event-ID, which wins over after', async () => {
    const channel = nextChannel();
    const [stored] = await server.publish(channel, 1, 2, 3);
    const header = { 'last-event-id': `${stored?.epoch}:2` };
    using stream = await open({ channel, after: '0:0', last: '9' }, header);
    expect((await stream.expect('open')).data['recovered']).toEqual({ [channel]: true });
    expect(await stream.next()).toMatchObject({ id: `${stored?.epoch}:3`, data: '3' });
  });

  test('[SSE-2] resumes from the id of open when it was cut before its first message', async () => {
    const channel = nextChannel();
    let id = '';
    {
      using stream = await open({ channel });
      ({ id } = await stream.expect('open'));
    }
    await server.publish(channel, 'meanwhile');
    using again = await open({ channel }, { 'last-event-id': id });
    expect((await again.expect('open')).data['recovered']).toEqual({ [channel]: true });
    expect((await again.next()).data).toBe('"meanwhile"');
  });

  test('[SSE-7] sends a comment after 15 seconds without another byte', async () => {
    using stream = await open({ channel: nextChannel() });
    await stream.expect('open');
    const before = stream.text.length;
    clock.skip(14_000);
    const channel = nextChannel();
    using other = await open({ channel });
    await other.expect('open'); // A turn of the server later nothing has come.
    expect(stream.text).toHaveLength(before);
    clock.skip(2_000);
    await stream.seen('\n\n:');
    expect(stream.text.slice(before)).toMatch(/^(?::[^\n]*\n\n?)+$/);
  });

  test.each([
    ['an empty channel', 'channel=', 400, 'bad_request'],
    ['envelope=x', 'channel=a&envelope=x', 400, 'bad_request'],
    ['a pattern that is none', 'channel=a/%23/b', 400, 'bad_request'],
    ['last=x', 'channel=a&last=x', 400, 'bad_request'],
    ['a private channel of someone else', 'channel=@bob', 403, 'forbidden'],
  ])('[SSE-8] [HTTP-2] refuses %s for good', async (_, query, status, code) => {
    using stream = await EventStreamPeer.open(`${server.url}/v1/sse?${query}`);
    expect(stream.status).toBe(status);
    expect(stream.headers['content-type']).toBe('application/problem+json');
    expect(await stream.problem()).toMatchObject({ code, status });
  });

  test('[SSE-8] refuses a bad token for good', async () => {
    await using closed = await startServer({ auth: { jwtSecret: JWT_SECRET } });
    for (const query of ['channel=a', 'channel=a&access_token=x']) {
      using stream = await EventStreamPeer.open(`${closed.url}/v1/sse?${query}`);
      expect(stream.status).toBe(401);
      expect(await stream.problem()).toMatchObject({ code: 'unauthenticated' });
    }
  });

  test('[SSE-6] [AUTH-5] [GUA-11] says close and retry at the end of the token', async () => {
    await using closed = await startServer({ auth: { jwtSecret: JWT_SECRET } });
    const token = tokenOf('ann', { exp: inSeconds(0.5) });
    const url = `${closed.url}/v1/sse?channel=a&access_token=${token}`;
    using stream = await EventStreamPeer.open(url);
    await stream.expect('open');
    expect((await stream.expect('close')).data).toMatchObject({ code: 'unauthenticated' });
    expect(await stream.ended).toBe(true);
    expect(stream.text).toMatch(
      /\nretry: \d+\n(?:.+\n)*event: close\n|event: close\n(?:.+\n)*retry: /,
    );
  });

  test('[SSE-1] answers a method other than GET with 405', async () => {
    const response = await fetch(`${server.url}/v1/sse?channel=a`, { method: 'POST' });
    expect(response.status).toBe(405);
  });

  test('[SSE-5] [REC-7] tells a stream that retention overtook it where it goes on', async () => {
    const channel = `small/${nextChannel()}`;
    using stream = await open({ channel });
    await stream.expect('open');
    stream.freeze();
    // More than the peer's and the server's buffers hold.
    const data = 'x'.repeat(60_000);
    for (let round = 0; round < 30; round += 1) {
      await server.publish(channel, ...Array.from({ length: 10 }, () => data));
    }
    stream.thaw();
    let lost = 0;
    for (let next = 1; next <= 300; ) {
      const event = await stream.next();
      if (event.type === 'gap') {
        const { gap, position, ...rest } = JSON.parse(event.data) as {
          gap: { reason: string; from: number; to: number };
          position: string;
        };
        expect(rest).toEqual({ channel });
        expect(gap).toEqual({ reason: 'trimmed', from: next, to: expect.any(Number) });
        expect(event.id).toBe(position);
        expect(position.split(':')[1]).toBe(String(gap.to));
        lost += gap.to - gap.from + 1;
        next = gap.to + 1;
      } else {
        expect(event.id.split(':')[1]).toBe(String(next));
        next += 1;
      }
    }
    expect(lost).toBeGreaterThan(0);
  });

  test('[SSE-12] has message objects with their positions, where it is asked to', async () => {
    const channel = nextChannel();
    using stream = await open({ channel, envelope: '1' });
    const { data } = await stream.expect('open');
    expect(Object.keys(data['positions'] as object)).toEqual([channel]);
    const bytes = 'AP+A';
    const [first, second] = await server.publishAll([
      { channel, data: { n: 1 }, event: 'price' },
      { channel, bytes },
    ]);
    const priced = await stream.next();
    expect(priced).toMatchObject({ id: first?.position, type: 'price' });
    expect(JSON.parse(priced.data)).toEqual({
      ...{ channel, offset: 1, epoch: first?.epoch, time: expect.any(Number) },
      ...{ data: { n: 1 }, event: 'price', from: expect.anything() },
    });
    const raw = await stream.next();
    expect(raw).toMatchObject({ id: second?.position, type: 'message' });
    expect(JSON.parse(raw.data)).toMatchObject({ bytes, contentType: 'application/octet-stream' });
    using again = await open({ channel, envelope: '1' }, { 'last-event-id': priced.id });
    expect((await again.expect('open')).data['recovered']).toEqual({ [channel]: true });
    expect(JSON.parse((await again.next()).data)).toMatchObject({ offset: 2 });
  });

  test('[SSE-12] changes nothing of a stream of several channels', async () => {
    const channel = nextChannel();
    const search = `channel=${channel}&channel=${channel}/x`;
    for (const query of [search, `${search}&envelope=1`]) {
      using stream = await EventStreamPeer.open(`${server.url}/v1/sse?${query}`);
      await stream.expect('open');
      await server.publish(channel, 1);
      const { id, data } = await stream.next();
      expect(id).toMatch(/^~/);
      expect(JSON.parse(data)).toMatchObject({ channel, data: 1 });
    }
  });

  test('[SSE-13] [SSE-7] without a channel is open, says that it lives, and reads nothing', async () => {
    using stream = await open({});
    expect(stream.status).toBe(200);
    const { id, data } = await stream.expect('open');
    expect(id).toBe('');
    expect(data).toEqual({
      ...{ session: expect.stringMatching(/./), positions: {}, recovered: {}, gaps: {} },
    });
    const before = stream.text.length;
    await server.publish(nextChannel(), 1);
    clock.skip(16_000);
    await stream.seen('\n\n:');
    expect(stream.text.slice(before)).toMatch(/^(?::[^\n]*\n\n?)+$/);
  });

  test('[SSE-13] [SSE-6] without a channel needs a token, and ends with it', async () => {
    await using closed = await startServer({ auth: { jwtSecret: JWT_SECRET } });
    using refused = await EventStreamPeer.open(`${closed.url}/v1/sse`);
    expect(refused.status).toBe(401);
    const token = tokenOf('ann', { exp: inSeconds(0.5) });
    using stream = await EventStreamPeer.open(`${closed.url}/v1/sse?access_token=${token}`);
    await stream.expect('open');
    expect((await stream.expect('close')).data).toMatchObject({ code: 'unauthenticated' });
    expect(await stream.ended).toBe(true);
  });
});

import { describe, expect, test } from 'vitest';
import { watch } from '../../support/fakes.ts';
import type { FakeRequest, Watched } from '../../support/fakes.ts';

async function lastRequest(watched: Watched): Promise<FakeRequest> {
  await watched.platform.clock.settle();
  const request = watched.platform.requests.at(-1);
  if (request === undefined) throw new Error('nothing was asked');
  return request;
}

const OPEN = 'event: open\nid: e:0\ndata: {"session":"s","positions":{"a":"e:0"}}\n\n';

async function streaming(options = {}) {
  const watched = watch({ transport: 'sse', ...options });
  const request = await lastRequest(watched);
  const stream = request.stream();
  stream.write(`retry: 2000\n${OPEN}`);
  await watched.platform.clock.settle();
  return { watched, request, stream, clock: watched.platform.clock };
}

describe('an event stream', () => {
  test('asks with position and token, and reads messages', async () => {
    const { watched, request, stream, clock } = await streaming({
      after: 'e:0',
      partial: true,
      token: 't',
      url: 'https://server.example/base/',
    });
    expect(request.url.href).toBe(
      'https://server.example/base/v1/sse?channel=a&after=e%3A0&partial=1',
    );
    expect(request.headers).toMatchObject({
      accept: 'text/event-stream',
      authorization: 'Bearer t',
    });
    stream.write('id: e:1\ndata: {"big": 12345678901234567890}\n\n');
    stream.write('id: e:2\nevent: said\ndata: two\ndata: lines\n\n: a comment\n\n');
    stream.write('id: e:3\nevent: bytes:photo\ndata: AAE=\n\n');
    await clock.settle();
    const [, , open, ...messages] = watched.events;
    expect(open).toEqual({ kind: 'open', channel: 'a', position: 'e:0' });
    expect(messages).toEqual([
      expect.objectContaining({ offset: 1, source: '{"big": 12345678901234567890}' }),
      expect.objectContaining({ offset: 2, data: 'two\nlines', event: 'said' }),
      expect.objectContaining({ offset: 3, bytes: new Uint8Array([0, 1]), event: 'photo' }),
    ]);
    await watched.subscription.return();
  });

  test('comes back from its position, and not before the retry time', async () => {
    const { watched, stream, clock } = await streaming();
    stream.write('id: e:1\ndata: 1\n\n');
    await clock.settle();
    stream.end();
    await clock.pass(2049);
    expect(watched.platform.requests).toHaveLength(1);
    await clock.pass(1);
    expect(watched.platform.requests[1]?.url.searchParams.get('after')).toBe('e:1');
    await watched.subscription.return();
  });

  test('obeys the goodbye of a drain', async () => {
    const { watched, stream, clock } = await streaming();
    stream.write('retry: 300\nevent: close\ndata: {"code":"draining","retryAfter":700}\n\n');
    await clock.pass(749);
    expect(watched.platform.requests).toHaveLength(1);
    await clock.pass(1);
    expect(watched.platform.requests).toHaveLength(2);
    await watched.subscription.return();
  });

  test('ends at a goodbye for good', async () => {
    const { watched, stream, clock } = await streaming();
    stream.write('event: close\ndata: {"code":"forbidden"}\n\n');
    await clock.settle();
    expect(watched.ended.error).toMatchObject({ code: 'forbidden' });
    expect(clock.timerCount).toBe(0);
  });

  test('tells a gap and goes on after it', async () => {
    const { watched, stream, clock } = await streaming();
    const gap = { reason: 'trimmed', from: 1, to: 8 };
    stream.write(`event: gap\nid: e:8\ndata: ${JSON.stringify({ gap, position: 'e:8' })}\n\n`);
    stream.write('id: e:8\ndata: 8\n\nid: e:9\ndata: 9\n\n');
    await clock.settle();
    expect(watched.told().slice(3)).toEqual(['gap e:8', '9']);
    await watched.subscription.return();
  });

  test('holds 25 s of silence for death, and comments for life', async () => {
    const { watched, request, stream, clock } = await streaming();
    for (let count = 0; count < 10; count += 1) {
      await clock.pass(15_000);
      stream.write(': alive\n');
      await clock.settle();
    }
    expect(watched.platform.requests).toHaveLength(1);
    await clock.pass(25_000);
    expect(request.signal?.aborted).toBe(true);
    await clock.pass(2050);
    expect(watched.platform.requests).toHaveLength(2);
    await watched.subscription.return();
  });

  test.each([
    [401, 'unauthenticated'],
    [403, 'forbidden'],
    [400, 'bad_request'],
  ])('ends when the answer is %i', async (status, code) => {
    const watched = watch({ transport: 'sse' });
    (await lastRequest(watched)).answer(status, { code, detail: 'why' });
    await watched.platform.clock.settle();
    expect(watched.ended.error).toMatchObject({ code, message: 'why' });
  });

  test('comes back after a gateway’s failure and after no connection', async () => {
    const watched = watch({ transport: 'sse' });
    (await lastRequest(watched)).answer(502, '<html>');
    await watched.platform.clock.pass(50);
    (await lastRequest(watched)).fail('connect ECONNREFUSED');
    await watched.platform.clock.pass(100);
    expect(watched.platform.requests).toHaveLength(3);
    expect(watched.events.at(-1)).toMatchObject({ reason: 'unavailable: connect ECONNREFUSED' });
    await watched.subscription.return();
  });

  test('waits for Retry-After', async () => {
    const watched = watch({ transport: 'sse' });
    (await lastRequest(watched)).answer(429, '', { 'retry-after': '3' });
    await watched.platform.clock.pass(3049);
    expect(watched.platform.requests).toHaveLength(1);
    await watched.platform.clock.pass(1);
    expect(watched.platform.requests).toHaveLength(2);
    await watched.subscription.return();
  });

  test('ends when what answers is no event stream', async () => {
    const watched = watch({ transport: 'sse' });
    (await lastRequest(watched)).answer(200, '<html>', { 'content-type': 'text/html' });
    await watched.platform.clock.settle();
    expect(watched.ended.error).toMatchObject({ code: 'bad_request' });
    expect(String(watched.ended.error)).toContain('text/html');
  });

  test('gives up on an answer that does not come within 10 s', async () => {
    const watched = watch({ transport: 'sse' });
    await watched.platform.clock.pass(10_050);
    expect(watched.platform.requests).toHaveLength(2);
    expect(watched.platform.requests[0]?.signal?.aborted).toBe(true);
    await watched.subscription.return();
  });
});

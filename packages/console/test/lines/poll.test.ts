import { describe, expect, test } from 'vitest';
import { ask } from '../../src/lines/poll.ts';
import { news, RECOVERED, startPollServer } from '../poll-server.ts';
import type { PollAnswer } from '../poll-server.ts';

const AFTER = { after: 'k3f9:40' };

async function askOnce(answer: PollAnswer, place: { readonly after?: string } = AFTER) {
  const server = await startPollServer([answer]);
  const attempt = { server: server.url, channel: 'room/42', token: 't' };
  const signal = new AbortController().signal;
  const { after } = place;
  const result = await ask(attempt, { after, waitSeconds: 25, etag: 'W/"e"', signal });
  return { result, request: server.requests[0] };
}

describe('ask', () => {
  test('asks with place, patience, token and tag', async () => {
    const { request } = await askOnce({ status: 304 });
    expect(request?.query).toEqual({ channel: 'room/42', after: 'k3f9:40', wait: '25' });
    expect(request?.headers).toMatchObject({
      authorization: 'Bearer t',
      'if-none-match': 'W/"e"',
    });
  });

  test('reads messages, verdict and the place to go on from', async () => {
    const { result } = await askOnce({
      ...news([41, 42], 42, RECOVERED),
      headers: { etag: '"x"' },
    });
    expect(result).toMatchObject({
      kind: 'news',
      verdict: { kind: 'recovered', from: { epoch: 'k3f9', offset: 40 } },
      position: { epoch: 'k3f9', offset: 42 },
      more: false,
      etag: '"x"',
    });
  });

  test('starts before the first message, though the answer tells the place after the last', async () => {
    const { result } = await askOnce(news([41, 42], 42), {});
    expect(result).toMatchObject({
      verdict: { kind: 'started', at: { epoch: 'k3f9', offset: 40 } },
    });
  });

  test('is unchanged on 304', async () => {
    expect((await askOnce({ status: 304 })).result).toEqual({ kind: 'unchanged' });
  });

  test.each([
    [400, 'bad_request'],
    [401, 'unauthenticated'],
    [403, 'forbidden'],
    [404, undefined],
    [413, 'too_large'],
  ])('takes %i for good', async (status, code) => {
    const { result } = await askOnce({ status, body: { code, detail: 'no' } });
    expect(result).toEqual({ kind: 'refused', reason: 'no' });
  });

  test.each([
    [408, undefined],
    [429, 'rate_limited'],
    [500, 'internal'],
    [502, undefined],
    [503, 'unavailable'],
    [503, 'draining'],
  ])('takes %i for a while', async (status, code) => {
    const { result } = await askOnce({
      status,
      headers: { 'retry-after': '2' },
      body: { code, detail: 'later' },
    });
    expect(result).toEqual({ kind: 'lost', reason: 'later', retryAfterMs: 2_000 });
  });

  test('takes what is no JSON object for a while', async () => {
    for (const body of ['text', 5, undefined]) {
      expect((await askOnce({ body })).result).toMatchObject({ kind: 'lost' });
    }
  });

  test('is lost when nobody answers', async () => {
    const attempt = { server: 'http://127.0.0.1:1', channel: 'a', token: undefined };
    const { signal } = new AbortController();
    const result = await ask(attempt, { after: undefined, waitSeconds: 0, signal });
    expect(result).toMatchObject({ kind: 'lost', reason: 'the server cannot be reached' });
  });
});

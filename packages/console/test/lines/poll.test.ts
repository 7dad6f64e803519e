import { BINARY_MEDIA_TYPE, encodePage, encodeRuns } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { ask } from '../../src/lines/poll.ts';
import type { Asking, Question } from '../../src/lines/poll.ts';
import { news, RECOVERED, startPollServer } from '../poll-server.ts';
import type { PollAnswer } from '../poll-server.ts';

const TRIMMED = { reason: 'trimmed', from: 1, to: 3 };

async function askOnce(
  answer: PollAnswer,
  rest: Partial<Asking> = {},
  question: Partial<Question> = {},
) {
  const server = await startPollServer([answer]);
  const attempt: Asking = {
    server: server.url,
    filters: ['room/42'],
    token: 't',
    encoding: 'json',
    takesPart: false,
    after: () => 'k3f9:40',
    ...rest,
  };
  const { signal } = new AbortController();
  const result = await ask(attempt, {
    ...{ waitSeconds: 25, etag: 'W/"e"', session: 's1' },
    ...{ isFirst: false, signal, ...question },
  });
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

  test('[PRES-11] asks to be listed, as the session it was before', async () => {
    const { request } = await askOnce({ status: 304 }, { takesPart: true });
    expect(request?.query).toMatchObject({ presence: '1', session: 's1' });
  });

  test('reads messages, the place before them and the place to go on from', async () => {
    const { result } = await askOnce({
      ...news([41, 42], 42, RECOVERED),
      headers: { etag: '"x"' },
    });
    expect(result).toMatchObject({
      kind: 'news',
      beginnings: [{ filter: 'room/42', place: 'k3f9:40', recovered: true, gap: undefined }],
      positions: new Map([['room/42', 'k3f9:42']]),
      mark: undefined,
      more: false,
      etag: '"x"',
    });
  });

  test('[POLL-3] reads several channels and patterns, with what was lost in each', async () => {
    const { result } = await askOnce(
      news([41], 41, {
        ...RECOVERED,
        mark: '~m',
        gaps: { 'news/a': TRIMMED, 'news/b': TRIMMED },
        positions: { 'room/42': 'k3f9:41', 'news/a': 'e:3', 'news/b': 'e:5' },
        messages: [
          { channel: 'room/42', epoch: 'k3f9', offset: 41, time: 1, data: 1 },
          { channel: 'news/b', epoch: 'e', offset: 4, time: 1, data: 1 },
        ],
        session: 's2',
      }),
      { filters: ['room/42', 'news/#'] },
    );
    expect(result).toMatchObject({
      beginnings: [
        { filter: 'room/42', place: 'k3f9:40' },
        { filter: 'news/#', place: '~m' },
      ],
      // Of one that has messages, too, the place before them.
      losses: [
        { channel: 'news/a', gap: TRIMMED, position: 'e:3' },
        { channel: 'news/b', gap: TRIMMED, position: 'e:3' },
      ],
      positions: new Map([['room/42', 'k3f9:41']]),
      mark: '~m',
      session: 's2',
    });
  });

  test('[POLL-8] asks for snapshots at first, and reads them', async () => {
    const snapshots = { 'room/42': { position: 'k3f9:40', time: 5, data: { n: 1 } } };
    const { result, request } = await askOnce(news([41], 41, { snapshots }), {}, { isFirst: true });
    expect(request?.query).toMatchObject({ snapshot: '1' });
    expect(result).toMatchObject({
      snapshots: [{ channel: 'room/42', position: 'k3f9:40', payload: '{"n":1}' }],
      beginnings: [{ place: 'k3f9:40' }],
    });
  });

  test('[BIN-2] asks for binary and reads the page', async () => {
    const payload = new TextEncoder().encode('{"x":1}');
    const runs = [
      { channel: 'room/42', epoch: 'k3f9', messages: [{ offset: 41, time: 1, payload }] },
    ];
    const json = JSON.stringify({ positions: { 'room/42': 'k3f9:41' }, ...RECOVERED, gaps: {} });
    const raw = encodePage(json, [encodeRuns(runs)]);
    const headers = { 'content-type': BINARY_MEDIA_TYPE };
    const { result, request } = await askOnce({ raw, headers }, { encoding: 'binary' });
    expect(request?.headers['accept']).toContain(BINARY_MEDIA_TYPE);
    expect(result).toMatchObject({
      messages: [{ channel: 'room/42', payload: '{"x":1}' }],
      carrier: { encoding: 'binary', compression: '' },
      size: raw.length,
    });
  });

  test('is unchanged on 304', async () => {
    expect((await askOnce({ status: 304 })).result).toEqual({ kind: 'unchanged' });
  });

  test('is refused with what the server says', async () => {
    const { result } = await askOnce({ status: 403, body: { code: 'forbidden', detail: 'no' } });
    expect(result).toEqual({ kind: 'refused', reason: 'no' });
  });

  test('takes what is no JSON object for a while', async () => {
    for (const body of ['text', 5, undefined]) {
      expect((await askOnce({ body })).result).toMatchObject({ kind: 'lost' });
    }
  });

  test('is lost when nobody answers', async () => {
    const { result } = await askOnce({}, { server: 'http://127.0.0.1:1' });
    expect(result).toMatchObject({ kind: 'lost', reason: 'the server cannot be reached' });
  });
});

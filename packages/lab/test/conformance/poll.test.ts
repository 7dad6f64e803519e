/** Polling: one read, at once or with patience. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask } from '../../src/http.ts';
import type { Answered } from '../../src/http.ts';
import { listening, OPEN_AND_LISTED } from '../../src/listening.ts';
import type { PollAnswer } from '../../src/readers/poll.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { API_KEY, inSeconds, JWT_SECRET, tokenOf } from '../../src/tokens.ts';

let server: LabServer;
let count = 0;

beforeAll(async () => {
  server = await startServer({
    ...OPEN_AND_LISTED,
    namespaces: { 'small/#': { history: { countMax: 3 } } },
  });
});

afterAll(async () => {
  expect(server.faults).toEqual([]);
  await server[Symbol.asyncDispose]();
});

function nextChannel(prefix = 'poll'): string {
  count += 1;
  return `${prefix}/${count}`;
}

type Query = Readonly<Record<string, string>> | readonly (readonly [string, string])[];

function search(query: Query): string {
  const pairs = Array.isArray(query) ? query.map(([name, value]) => [name, value]) : query;
  return new URLSearchParams(pairs as Record<string, string>).toString();
}

function poll(query: Query, headers: Readonly<Record<string, string>> = {}): Promise<Answered> {
  return server.get(`/v1/poll?${search(query)}`, headers);
}

async function polled(query: Query): Promise<PollAnswer> {
  const answer = await poll(query);
  expect(answer.status, answer.text).toBe(200);
  return answer.json<PollAnswer>();
}

/** Sends a poll that waits, and returns once the server has begun to wait. */
async function waitingPoll(
  on: LabServer,
  query: Query,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ readonly answer: Promise<Answered> }> {
  const answer = ask(`${on.url}/v1/poll?${search(query)}`, { headers });
  for (const channel of new URLSearchParams(search(query)).getAll('channel')) {
    await listening(on, channel);
  }
  return { answer };
}

describe('over short polling', () => {
  test('[POLL-3] answers messages, positions, a mark, and no verdict without after', async () => {
    const channel = nextChannel();
    const [stored] = await server.publish(channel, 'x');
    const answer = await polled({ channel, last: '5' });
    expect(answer).toEqual({
      messages: [
        {
          channel,
          offset: 1,
          epoch: stored?.epoch,
          time: expect.any(Number),
          data: 'x',
          from: expect.anything(),
        },
      ],
      positions: { [channel]: stored?.position },
      mark: expect.stringMatching(/^~[0-9A-Za-z._~-]{1,4000}$/),
      recovered: {},
      gaps: {},
    });
  });

  test('[POLL-3] [REC-1] reads several channels, each from its own position', async () => {
    const [a, b] = [nextChannel(), nextChannel()];
    const [first] = await server.publish(a, 1, 2);
    const [other] = await server.publish(b, 1, 2, 3);
    const after = search({ [a]: String(first?.position), [b]: `${other?.epoch}:2` });
    const answer = await polled([
      ['channel', a],
      ['channel', b],
      ['after', after],
    ]);
    expect(answer.messages.map(({ channel, offset }) => [channel, offset])).toEqual([
      [a, 2],
      [b, 3],
    ]);
    expect(answer.recovered).toEqual({ [a]: true, [b]: true });
  });

  test('[POLL-3] [REC-1] begins from now on in a channel that after does not name', async () => {
    const [a, b] = [nextChannel(), nextChannel()];
    await server.publish(a, 1);
    await server.publish(b, 1);
    const answer = await polled([
      ['channel', a],
      ['channel', b],
      ['after', search({ [a]: '0:0' })],
    ]);
    expect(answer.messages.map(({ channel }) => channel)).toEqual([a]);
    expect(answer.recovered).toEqual({ [a]: true });
  });

  test('[REC-1] [REC-3] calls a list that names none of the channels unknown', async () => {
    const channel = nextChannel();
    const answer = await polled({ channel, after: 'other=e:1' });
    expect(answer.gaps).toEqual({ [channel]: { reason: 'unknown' } });
  });

  test('[POLL-3] hands positions back as after until nothing is left', async () => {
    const [a, b] = [nextChannel(), nextChannel()];
    await server.publish(a, ...Array.from({ length: 25 }, (_, index) => index));
    await server.publish(b, 'only');
    const seen: string[] = [];
    let after = search({ [a]: '0:0', [b]: '0:0' });
    for (let round = 0; ; round += 1) {
      const answer = await polled([
        ['channel', a],
        ['channel', b],
        ['limit', '10'],
        ['after', after],
      ]);
      seen.push(
        ...answer.messages.map(({ channel, offset }) => `${String(channel)} ${String(offset)}`),
      );
      after = search(answer.positions);
      if (answer.more !== true) break;
      expect(round).toBeLessThan(5);
    }
    expect(new Set(seen).size).toBe(26);
    expect(seen).toHaveLength(26);
  });

  test('[POLL-1] answers 100 messages when no limit is given, and says more', async () => {
    const channel = nextChannel();
    await server.publish(channel, ...Array.from({ length: 150 }, (_, index) => index));
    const first = await polled({ channel, after: '0:0' });
    expect(first.messages).toHaveLength(100);
    expect(first.more).toBe(true);
    const rest = await polled({ channel, after: first.positions[channel] ?? '' });
    expect(rest.messages).toHaveLength(50);
    expect(rest).not.toHaveProperty('more');
  });

  test('[REC-1] [CH-5] resumes all channels from one mark', async () => {
    const [a, b, born] = [nextChannel(), nextChannel(), nextChannel()];
    await server.publish(a, 1);
    await server.publish(b, 1);
    const { mark } = await polled([
      ['channel', a],
      ['channel', b],
    ]);
    await server.publish(a, 2);
    await server.publish(born, 1);
    const answer = await polled([
      ['channel', a],
      ['channel', b],
      ['channel', born],
      ['after', mark],
    ]);
    expect(answer.messages.map(({ channel, offset }) => [channel, offset])).toEqual([
      [a, 2],
      [born, 1],
    ]);
    expect(answer.recovered).toEqual({ [a]: true, [b]: true, [born]: true });
  });

  test('[REC-3] calls a mark of another log unknown', async () => {
    await using other = await startServer();
    const channel = nextChannel();
    const { mark } = (await other.get(`/v1/poll?channel=${channel}`)).json<PollAnswer>();
    expect((await polled({ channel, after: mark })).gaps).toEqual({
      [channel]: { reason: 'unknown' },
    });
  });

  test('[POLL-1] lets Last-Event-ID win over after', async () => {
    const channel = nextChannel();
    const [stored] = await server.publish(channel, 1, 2, 3);
    const header = { 'last-event-id': `${stored?.epoch}:2` };
    const answer = await poll({ channel, after: '0:0' }, header);
    expect(answer.json<PollAnswer>().messages).toMatchObject([{ offset: 3 }]);
  });

  test('[POLL-4] answers 304 until something is new', async () => {
    const channel = nextChannel();
    const [first] = await server.publish(channel, 1);
    const query = { channel, after: '0:0' };
    const answer = await poll(query);
    const { etag } = answer.headers;
    expect(etag).toMatch(/^(?:W\/)?"[!#-~]+"$/);
    const tag = { 'if-none-match': String(etag) };
    const unchanged = await poll(query, tag);
    expect([unchanged.status, unchanged.text, unchanged.headers.etag]).toEqual([304, '', etag]);
    expect((await poll(query, { 'if-none-match': `"x", ${etag}` })).status).toBe(304);
    expect((await poll(query, { 'if-none-match': '"x"' })).status).toBe(200);
    // What happens in other channels does not count.
    await server.publish(nextChannel(), 'elsewhere');
    expect((await poll(query, tag)).status).toBe(304);
    await server.publish(channel, 2);
    const changed = await poll(query, tag);
    expect(changed.status).toBe(200);
    expect(changed.headers.etag).not.toBe(etag);
    expect(changed.json<PollAnswer>().messages).toMatchObject([{ epoch: first?.epoch }, {}]);
  });

  test.each([
    ['no channel', ''],
    ['an empty channel', 'channel='],
    ['a wildcard that is no pattern', 'channel=a%23'],
    ['after twice', 'channel=a&after=0:0&after=0:0'],
    ['limit 0', 'channel=a&limit=0'],
    ['limit 1001', 'channel=a&limit=1001'],
    ['a limit that is no number', 'channel=a&limit=ten'],
    ['a hexadecimal limit', 'channel=a&limit=0x10'],
    ['a negative last', 'channel=a&last=-1'],
    ['a wait over 60 s', 'channel=a&wait=61'],
    ['a negative wait', 'channel=a&wait=-1'],
    ['a wait with a unit', 'channel=a&wait=1s'],
    ['partial=maybe', 'channel=a&partial=maybe'],
    ['a name that is no UTF-8', 'channel=%FF'],
    ['half an escape', 'channel=%4'],
    ['129 channels', Array.from({ length: 129 }, (_, index) => `channel=c${index}`).join('&')],
  ])('[HTTP-4] [POLL-1] refuses %s', async (_, query) => {
    const answer = await server.get(`/v1/poll?${query}`);
    expect(answer.status).toBe(400);
    expect(answer.json()).toMatchObject({ code: 'bad_request', status: 400 });
  });

  test('[POLL-1] reads 128 channels at once', async () => {
    const channels = Array.from({ length: 128 }, () => nextChannel());
    await server.publishAll(channels.map((channel) => ({ channel, data: 1 })));
    const answer = await polled([
      ...channels.map((c) => ['channel', c] as const),
      ['after', '0:0'],
      ['limit', '1000'],
    ]);
    expect(answer.messages).toHaveLength(128);
  });
});

describe('over long polling', () => {
  test('[POLL-2] answers as soon as a message is there', async () => {
    const channel = nextChannel();
    const { answer } = await waitingPoll(server, { channel, after: '0:0', wait: '50' });
    await server.publish(channel, 'news');
    const { messages, recovered } = (await answer).json<PollAnswer>();
    expect(messages).toMatchObject([{ channel, offset: 1, data: 'news' }]);
    expect(recovered).toEqual({ [channel]: true });
  });

  test('[POLL-2] answers at once when there is something already', async () => {
    const channel = nextChannel();
    await server.publish(channel, 1);
    expect((await polled({ channel, after: '0:0', wait: '60' })).messages).toHaveLength(1);
  });

  test('[POLL-2] [REC-3] answers at once when there is a gap', async () => {
    const channel = nextChannel();
    const answer = await polled({ channel, after: 'gone:7', wait: '60' });
    expect(answer).toMatchObject({ gaps: { [channel]: { reason: 'epoch' } }, messages: [] });
    expect(answer.recovered).toEqual({ [channel]: false });
  });

  test('[POLL-2] answers empty after its wait', async () => {
    const channel = nextChannel();
    const answer = await polled({ channel, after: '0:0', wait: '0.05' });
    expect(answer).toMatchObject({ messages: [], positions: { [channel]: '0:0' }, gaps: {} });
    expect(answer.recovered).toEqual({ [channel]: true });
  });

  test('[POLL-2] waits for any of several channels', async () => {
    const [a, b] = [nextChannel(), nextChannel()];
    const query = [
      ['channel', a],
      ['channel', b],
      ['after', '0:0'],
      ['wait', '50'],
    ] as const;
    const { answer } = await waitingPoll(server, query);
    await server.publish(b, 'news');
    const { messages, positions } = (await answer).json<PollAnswer>();
    expect(messages).toMatchObject([{ channel: b }]);
    expect(positions[a]).toBe('0:0');
  });

  test('[POLL-2] [AUTH-5] answers at the end of the token', async () => {
    await using closed = await startServer({ auth: { jwtSecret: JWT_SECRET, apiKeys: [API_KEY] } });
    const token = tokenOf('ann', { exp: inSeconds(0.6) });
    const query = { channel: 'x', after: '0:0', wait: '50', access_token: token };
    const startMs = performance.now();
    const { answer } = await waitingPoll(closed, query);
    const answered = await answer;
    expect(answered.status).toBe(200);
    expect(answered.json<PollAnswer>().messages).toEqual([]);
    expect(performance.now() - startMs).toBeLessThan(20_000);
    expect((await closed.get(`/v1/poll?${search(query)}`)).status).toBe(401);
  });

  test('[POLL-5] refuses too many waiting polls of one address', async () => {
    await using closed = await startServer({
      auth: { jwtSecret: JWT_SECRET, apiKeys: [API_KEY] },
      poll: { waitingPerAddressMax: 2 },
    });
    const headers = { authorization: `Bearer ${tokenOf('ann')}` };
    const waiting = [];
    for (const channel of ['one', 'two']) {
      waiting.push(await waitingPoll(closed, { channel, wait: '50' }, headers));
    }
    const url = `${closed.url}/v1/poll?channel=three&wait=50`;
    const refused = await ask(url, { headers });
    expect(refused.status).toBe(429);
    expect(refused.json()).toMatchObject({ code: 'rate_limited', retryAfter: expect.any(Number) });
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    // [AUTH-3] Rate limits do not hold applications.
    const application = { authorization: `Bearer ${API_KEY}` };
    waiting.push(await waitingPoll(closed, { channel: 'four', wait: '50' }, application));
    const body = JSON.stringify({ channels: ['one', 'two', 'three', 'four'], data: 1 });
    await ask(`${closed.url}/v1/publish`, { method: 'POST', headers: application, body });
    for (const { answer } of waiting) expect((await answer).status).toBe(200);
    expect((await ask(`${closed.url}/v1/poll?channel=three&wait=0.01`, { headers })).status).toBe(
      200,
    );
  });
});

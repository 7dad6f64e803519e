/** Polling of patterns and volatile channels, with presence and snapshots. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EventStreamPeer } from '../../src/event-stream.ts';
import { ask } from '../../src/http.ts';
import type { Answered } from '../../src/http.ts';
import type { PollAnswer } from '../../src/readers/poll.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { API_KEY, JWT_SECRET, tokenOf } from '../../src/tokens.ts';
import { WebSocketPeer } from '../../src/web-socket.ts';

/** Looks at the metrics before a test gives up. */
const LOOKS_MAX = 5_000;

const KEY = { authorization: `Bearer ${API_KEY}` };
let server: LabServer;
let closed: LabServer;

beforeAll(async () => {
  const auth = { apiKeys: [API_KEY] };
  const namespaces = {
    'short/#': { history: { countMax: 2 } },
    'live/#': { volatile: true },
    'here/#': { presence: { listed: true, graceMs: 60_000 } },
  };
  server = await startServer({ dev: true, auth, namespaces });
  closed = await startServer({ auth: { ...auth, jwtSecret: JWT_SECRET }, namespaces });
});

afterAll(async () => {
  expect([server.faults, closed.faults]).toEqual([[], []]);
  await server[Symbol.asyncDispose]();
  await closed[Symbol.asyncDispose]();
});

/** The answer to a poll of patterns. */
type ManyAnswer = PollAnswer & {
  readonly volatile?: readonly string[];
  readonly session?: string;
  readonly snapshots?: Readonly<Record<string, unknown>>;
};

type Query = Readonly<Record<string, string | number>>;

function urlOf(channels: readonly string[], query: Query = {}): string {
  const search = new URLSearchParams(channels.map((channel) => ['channel', channel]));
  for (const [name, value] of Object.entries(query)) search.set(name, String(value));
  return `/v1/poll?${search.toString()}`;
}

async function poll(channels: readonly string[], query: Query = {}): Promise<ManyAnswer> {
  const answer = await server.get(urlOf(channels, query));
  expect(answer.status, answer.text).toBe(200);
  return answer.json<ManyAnswer>();
}

/** Sends a poll, and returns once the server has begun to wait. */
async function waitingPoll(
  channels: readonly string[],
  query: Query = {},
): Promise<{ readonly answer: Promise<ManyAnswer> }> {
  const before = await waitingCount();
  const answer = poll(channels, { wait: 50, ...query });
  for (let look = 0; look < LOOKS_MAX; look += 1) {
    if ((await waitingCount()) > before) return { answer };
  }
  throw new Error('expected a poll to wait');
}

async function waitingCount(): Promise<number> {
  const { text } = await ask(`${server.url}/metrics`, { headers: KEY });
  return Number(/^trunkline_polls_waiting(?:\{[^}]*\})? (\d+)/m.exec(text)?.[1]);
}

/** Messages as `channel:data`. */
function brief({ messages }: ManyAnswer): string[] {
  return messages.map(({ channel, data }) => `${String(channel)}:${JSON.stringify(data)}`);
}

describe('a poll of patterns', () => {
  test('[POLL-6] [WILD-1] begins now, and goes on by its mark', async () => {
    await server.publish('p1/a', 'old');
    const first = await poll(['p1/+']);
    expect(first).toEqual({
      ...{ messages: [], positions: {}, recovered: {}, gaps: {} },
      mark: expect.stringMatching(/^~/),
    });
    const [stored] = await server.publish('p1/a', 1);
    await server.publish('p1/born', 2);
    await server.publish('p1/b/c', 3);
    const second = await poll(['p1/+'], { after: first.mark });
    expect(brief(second)).toEqual(['p1/a:1', 'p1/born:2']);
    expect(second).toMatchObject({ recovered: { 'p1/+': true }, gaps: {} });
    expect(second.positions['p1/a']).toBe(stored?.position);
    expect(brief(await poll(['p1/+'], { after: second.mark }))).toEqual([]);
  });

  test('[POLL-6] [WILD-5] begins at the start, and with the newest of each', async () => {
    await server.publish('p2/a', 1, 2, 3);
    await server.publish('p2/b', 4);
    expect(brief(await poll(['p2/#'], { after: 'start' }))).toEqual([
      ...['p2/a:1', 'p2/a:2', 'p2/a:3', 'p2/b:4'],
    ]);
    expect(brief(await poll(['p2/#'], { last: 1 }))).toEqual(['p2/a:3', 'p2/b:4']);
  });

  test('[POLL-6] [WILD-5] tells losses by pattern and by channel', async () => {
    const { mark } = await poll(['short/p3/+', 'p3/+']);
    await server.publish('short/p3/a', 1, 2, 3, 4);
    await server.publish('p3/a', 5);
    const answer = await poll(['short/p3/+', 'p3/+'], { after: mark, partial: 1 });
    const gap = { reason: 'trimmed', from: 1, to: 2 };
    expect(brief(answer)).toEqual(['p3/a:5', 'short/p3/a:3', 'short/p3/a:4']);
    expect(answer.recovered).toEqual({ 'short/p3/+': false, 'p3/+': true });
    expect(answer.gaps).toEqual({ 'short/p3/+': gap, 'short/p3/a': gap });
  });

  test('[POLL-6] [REC-3] can go on neither from a position nor from a mark of another log', async () => {
    const [stored] = await server.publish('p4/a', 1);
    for (const after of [String(stored?.position), '~e.another.1.1.1', 'nonsense']) {
      const answer = await poll(['p4/+'], { after });
      expect(answer).toMatchObject({
        messages: [],
        recovered: { 'p4/+': false },
        gaps: { 'p4/+': { reason: 'unknown' } },
      });
      expect(answer.mark).toMatch(/^~e\./);
    }
  });

  test('[POLL-1] [HTTP-4] refuses what is no pattern, and different places for patterns', async () => {
    for (const channel of ['a#', 'a/#/b', 'a+']) {
      expect((await server.get(urlOf([channel]))).status).toBe(400);
    }
    const { mark } = await poll(['p5/+']);
    const after = new URLSearchParams({ 'p5/+': mark, 'p6/+': 'start' }).toString();
    const answer = await server.get(urlOf(['p5/+', 'p6/+'], { after }));
    expect(answer.json()).toMatchObject({ code: 'bad_request' });
  });

  test('[AUTH-7] needs a grant that contains the pattern', async () => {
    const token = tokenOf('ann', { channels: { 'room/+': ['subscribe'] } });
    const get = (channel: string): Promise<Answered> =>
      closed.get(urlOf([channel], { access_token: token }));
    expect((await get('room/+')).status).toBe(200);
    expect((await get('room/#')).status).toBe(403);
  });

  test('[POLL-4] [POLL-6] answers 304 until a channel that matches has something new', async () => {
    const { mark } = await poll(['p7/+']);
    await server.publish('p7/a', 1);
    const get = (headers: Readonly<Record<string, string>> = {}): Promise<Answered> =>
      server.get(urlOf(['p7/+'], { after: mark }), headers);
    const tag = { 'if-none-match': String((await get()).headers.etag) };
    await server.publish('p8/a', 1);
    expect((await get(tag)).status).toBe(304);
    await server.publish('p7/b', 1);
    expect((await get(tag)).status).toBe(200);
  });

  test('[POLL-2] [POLL-6] answers as soon as a channel that matches has something', async () => {
    const { mark } = await poll(['p9/+', 'p9']);
    const waiting = [];
    for (let count = 0; count < 5; count += 1) {
      waiting.push(await waitingPoll(['p9/+', 'p9'], { after: mark }));
    }
    await server.publish('p9/a', 'news');
    for (const { answer } of waiting) {
      const { mark: after, ...told } = await answer;
      expect(brief({ ...told, mark: after })).toEqual(['p9/a:"news"']);
      expect(told.recovered).toEqual({ 'p9/+': true, p9: true });
      expect(brief(await poll(['p9/+', 'p9'], { after }))).toEqual([]);
    }
  });

  test('[REC-9] tells what retention takes between two answers of a read from the oldest', async () => {
    const names = ['short/rec/a', 'short/rec/b'];
    for (const data of [1, 2]) await server.publishAll(names.map((channel) => ({ channel, data })));
    let answer = await poll(['short/rec/+'], { after: 'start', partial: 1, limit: 1 });
    const given = brief(answer);
    expect(given).toEqual(['short/rec/a:1']);
    await server.publish('short/rec/b', 3);
    let gap: unknown;
    while (answer.more === true) {
      answer = await poll(['short/rec/+'], { after: answer.mark, partial: 1, limit: 1 });
      given.push(...brief(answer));
      gap ??= answer.gaps['short/rec/b'];
    }
    expect(gap).toEqual({ reason: 'trimmed', from: 1, to: 1 });
    expect(given.toSorted()).toEqual([
      ...['short/rec/a:1', 'short/rec/a:2', 'short/rec/b:2', 'short/rec/b:3'],
    ]);
  });

  test('[POLL-6] [REC-8] leaves what has no room to the next one, on any transport', async () => {
    const names = Array.from({ length: 60 }, (_, index) => `q/${index}`);
    const { mark } = await poll(['q/+']);
    await server.publishAll(names.map((channel) => ({ channel, data: 1 })));
    await server.publishAll(names.map((channel) => ({ channel, data: 2 })));
    const first = await poll(['q/+'], { after: mark, limit: 25 });
    expect(first.messages).toHaveLength(25);
    expect(first.more).toBe(true);
    await server.publish('q/0', 3);
    await server.publish('q/9', 3);
    const all = [...names.flatMap((name) => [`${name}:1`, `${name}:2`]), 'q/0:3', 'q/9:3'];
    const left = all.filter((text) => !brief(first).includes(text)).toSorted();
    const found: string[] = [];
    for (let { mark: after, more }: Partial<ManyAnswer> = first; more === true; ) {
      const answer = await poll(['q/+'], { after, limit: 25 });
      found.push(...brief(answer));
      ({ mark: after, more } = answer);
    }
    expect(found.toSorted()).toEqual(left);
    using peer = await WebSocketPeer.open(server.port);
    await peer.nextOf('welcome');
    await peer.call({ type: 'subscribe', id: 1, channel: 'q/+', after: first.mark });
    const overSocket: string[] = [];
    while (overSocket.length < left.length) {
      const { channel, data } = await peer.nextOf('message');
      overSocket.push(`${String(channel)}:${String(data)}`);
    }
    expect(overSocket.toSorted()).toEqual(left);
    using stream = await EventStreamPeer.open(`${server.url}/v1/sse?channel=q/%2B`, {
      'last-event-id': first.mark,
    });
    const overEvents: string[] = [];
    while (overEvents.length < left.length) {
      const { type, data } = await stream.next();
      if (type !== 'message') continue;
      const message = JSON.parse(data) as { channel: string; data: number };
      overEvents.push(`${message.channel}:${message.data}`);
    }
    expect(overEvents.toSorted()).toEqual(left);
  });

  test('[POLL-6] [BIN-8] answers in binary as in JSON', async () => {
    await server.publish('p10/a', 1);
    const accept = { accept: 'application/vnd.trunkline.v1+bin' };
    const answer = await server.get(urlOf(['p10/+'], { after: 'start' }), accept);
    expect(answer.headers['content-type']).toBe(accept.accept);
    expect(answer.text).toContain('"recovered":{"p10/+":true}');
  });
});

describe('a poll of volatile channels', () => {
  test('[POLL-7] [VOL-1] [VOL-2] has what is published while it waits, and nothing of before', async () => {
    await server.publishAll([{ channel: 'p11', data: 0 }]);
    const { mark } = await poll(['live/a', 'p11']);
    const named = await waitingPoll(['live/a', 'p11'], { after: mark });
    const matched = await waitingPoll(['live/+'], { after: mark });
    await ask(`${server.url}/v1/publish`, {
      method: 'POST',
      body: JSON.stringify({ channel: 'live/a', data: 'now' }),
    });
    const answer = await named.answer;
    expect(answer).toMatchObject({ volatile: ['live/a'], recovered: { p11: true } });
    expect(answer.messages).toEqual([
      { channel: 'live/a', time: expect.any(Number), data: 'now', from: expect.anything() },
    ]);
    expect(brief(await matched.answer)).toEqual(['live/a:"now"']);
    expect(brief(await poll(['live/a', 'live/+'], { after: mark }))).toEqual([]);
  });
});

describe('a poll with presence', () => {
  const who = async (): Promise<{ members: { user?: string; session: string }[] }> =>
    (await closed.get('/v1/presence?channel=here/1', KEY)).json();
  const pollAs = async (user: string, query: Query = {}): Promise<ManyAnswer> => {
    const access = { access_token: tokenOf(user), presence: 1 };
    const answer = await closed.get(urlOf(['here/1'], { ...access, ...query }));
    expect(answer.status, answer.text).toBe(200);
    return answer.json<ManyAnswer>();
  };

  test('[POLL-9] [PRES-11] [PRES-8] is the member that its session says', async () => {
    const { session } = await pollAs('ann');
    expect(session).toMatch(/^[0-9A-Za-z_-]{1,64}$/);
    expect((await pollAs('ann', { session: String(session) })).session).toBe(session);
    expect(await who()).toEqual({
      members: [{ session, user: 'ann', since: expect.any(Number) }],
      count: 1,
    });
    // The word of another user is of no use.
    await pollAs('mallory', { session: String(session) });
    const { members } = await who();
    expect(members.map(({ user }) => String(user)).toSorted()).toEqual(['ann', 'mallory']);
  });

  test('[POLL-9] [HTTP-4] refuses a session that is no word', async () => {
    const answer = await server.get(urlOf(['here/1'], { presence: 1, session: 'a b' }));
    expect(answer.json()).toMatchObject({ code: 'bad_request' });
  });

  test('[PRES-8] lists page by page, for those who may know', async () => {
    for (const user of ['a', 'b', 'c']) await pollAs(user);
    const first = await closed.get('/v1/presence?channel=here/1&limit=2', KEY);
    const { members, next } = first.json<{ members: unknown[]; next: string }>();
    expect(members).toHaveLength(2);
    const url = `/v1/presence?channel=here/1&limit=1000&after=${next}`;
    expect(
      (await closed.get(url, KEY)).json<{ members: unknown[] }>().members.length,
    ).toBeGreaterThan(0);
    const bad = await closed.get('/v1/presence?channel=here/1&after=x', KEY);
    expect(bad.json()).toMatchObject({ code: 'bad_request' });
    const token = tokenOf('ann', { channels: { '#': ['subscribe'] } });
    const refused = await closed.get(`/v1/presence?channel=here/1&access_token=${token}`);
    expect(refused.status).toBe(403);
  });
});

test('[POLL-8] [SNAP-3] a poll has snapshots where it is not recovered', async () => {
  const [stored] = await server.publish('doc', 1, 2, 3);
  const position = `${stored?.epoch}:2`;
  const put = await ask(`${server.url}/v1/snapshot?channel=doc&position=${position}`, {
    method: 'PUT',
    headers: KEY,
    body: '{"n":12345678901234567890}',
  });
  expect(put.status).toBe(200);
  for (const query of [{}, { after: 'lost:1' }, { wait: 50 }]) {
    const text = (await server.get(urlOf(['doc', 'p12/+'], { ...query, snapshot: 1 }))).text;
    expect(text).toContain(`"snapshots":{"doc":{"position":"${position}"`);
    expect(text).toContain('"data":{"n":12345678901234567890}');
    const answer = JSON.parse(text) as ManyAnswer;
    expect(brief(answer)).toEqual(['doc:3']);
    const rest = await poll(['doc', 'p12/+'], { after: answer.mark, snapshot: 1 });
    expect(rest).not.toHaveProperty('snapshots');
    expect(brief(rest)).toEqual([]);
  }
});

test('[MSG-6] [HIST-3] what has expired is in no poll and no page', async () => {
  await server.publish('ttl/a', 'kept');
  await server.publishAll([{ channel: 'ttl/a', data: 'gone', ttl: 1 }]);
  const [last] = await server.publish('ttl/b', 'other');
  await server.publishAll([{ channel: 'ttl/b', data: 'gone', ttl: 1 }]);
  let answer = await poll(['ttl/+'], { after: 'start' });
  // A millisecond is soon over.
  for (let look = 0; answer.messages.length > 2 && look < LOOKS_MAX; look += 1) {
    answer = await poll(['ttl/+'], { after: 'start' });
  }
  expect(brief(answer)).toEqual(['ttl/a:"kept"', 'ttl/b:"other"']);
  expect(answer.positions['ttl/b']).toBe(`${last?.epoch}:2`);
  const page = (await server.get('/v1/history?channel=ttl/b&after=start')).json<
    PollAnswer & { position: string }
  >();
  expect(page.messages).toHaveLength(1);
  expect(page.position).toBe(`${last?.epoch}:2`);
  const newest = (await server.get('/v1/history?channel=ttl/b&last=1')).json<PollAnswer>();
  expect(newest.messages).toMatchObject([{ data: 'other' }]);
});

describe('a poll of a name and of a pattern that matches it', () => {
  const setUp = async () => {
    const root = `both/${crypto.randomUUID()}`;
    const [named, pattern] = [`${root}/2`, `${root}/#`];
    await server.publish(named, 1, 2);
    const { mark = '' } = await poll([pattern]);
    const [stored] = await server.publish(named, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
    const after = new URLSearchParams({ [pattern]: mark }).toString();
    return { named, pattern, after, mark, epoch: stored?.epoch ?? '' };
  };

  test('[POLL-10] reads it once, from the older of the two places', async () => {
    const { named, pattern, after, epoch } = await setUp();
    const answer = await poll([named, pattern], { after, last: 4 });
    expect(answer.messages.map(({ data }) => data)).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    expect(answer).toMatchObject({
      positions: { [named]: `${epoch}:12` },
      starts: { [named]: `${epoch}:8` },
      recovered: { [pattern]: true },
      gaps: {},
    });
    expect(answer).not.toHaveProperty('more');
    const list = new URLSearchParams({
      [named]: `${epoch}:1`,
      ...Object.fromEntries(new URLSearchParams(after)),
    });
    const older = await poll([named, pattern], { after: list.toString() });
    expect(older.messages).toHaveLength(11);
    expect(older).not.toHaveProperty('starts');
  });

  test.each([true, false])(
    '[POLL-10] [POLL-3] goes on with each message once, by the mark: %s',
    async (byMark) => {
      const { named, pattern, after, epoch } = await setUp();
      const seen: unknown[] = [];
      let query: Query = { after, last: 4 };
      for (let polls = 0; polls < 20; polls += 1) {
        const {
          messages,
          positions,
          mark = '',
          more,
        } = await poll([named, pattern], {
          ...query,
          limit: 3,
        });
        seen.push(...messages.map(({ data }) => data));
        if (more !== true) break;
        const list = { [named]: positions[named] ?? '', [pattern]: mark };
        query = { after: byMark ? mark : new URLSearchParams(list).toString() };
      }
      expect(epoch).not.toBe('');
      expect(seen).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    },
  );

  test('[POLL-10] tells a pattern nothing of what only the name lost', async () => {
    const { named, pattern, mark } = await setUp();
    const after = new URLSearchParams({ [named]: 'gone:5', [pattern]: mark }).toString();
    const answer = await poll([named, pattern], { after });
    expect(answer).toMatchObject({
      recovered: { [named]: false, [pattern]: true },
      gaps: { [named]: { reason: 'epoch' } },
    });
    expect(answer.gaps).not.toHaveProperty([pattern]);
    expect(answer.messages).toHaveLength(10);
  });
});

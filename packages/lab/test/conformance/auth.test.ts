/** Who is who, and who may do what. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask, post } from '../../src/http.ts';
import type { Answered } from '../../src/http.ts';
import type { ReadTransport } from '../../src/reader.ts';
import { READ_TRANSPORTS } from '../../src/readers/all.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { API_KEY, inSeconds, JWT_SECRET, sign, tokenOf } from '../../src/tokens.ts';
import { WebSocketPeer } from '../../src/web-socket.ts';

const APP = 'https://app.example.com';

let server: LabServer;
let open: LabServer;

beforeAll(async () => {
  const auth = { jwtSecret: JWT_SECRET, apiKeys: [API_KEY], origins: [APP] };
  const namespaces = {
    'public/#': { allow: { user: ['subscribe' as const] } },
    '#': { allow: { user: [] } },
    '@ann': { allow: { user: ['subscribe' as const, 'publish' as const] } },
  };
  server = await startServer({ auth, namespaces });
  open = await startServer();
});

afterAll(async () => {
  expect([server.faults, open.faults]).toEqual([[], []]);
  await server[Symbol.asyncDispose]();
  await open[Symbol.asyncDispose]();
});

const bearer = (token: string): { readonly authorization: string } => ({
  authorization: `Bearer ${token}`,
});

function publish(channel: string, token: string): Promise<Answered> {
  return post(`${server.url}/v1/publish`, { channel, data: 1 }, bearer(token));
}

/** Asks who a request proves to be: whose private channel may be read. */
async function isTakenFor(
  user: string,
  search: string,
  headers: Readonly<Record<string, string>>,
): Promise<boolean> {
  const answer = await server.get(`/v1/poll?channel=@${user}${search}`, headers);
  expect([200, 401, 403]).toContain(answer.status);
  return answer.status === 200;
}

describe('over HTTP', () => {
  test('[AUTH-1] takes a token from the header, the query and the cookie, in this order', async () => {
    const [ann, bob, cid] = ['ann', 'bob', 'cid'].map((user) => tokenOf(user));
    const query = `&access_token=${bob}`;
    const cookie = { cookie: `a=b; trunkline_token=${cid}`, origin: APP };
    const header = bearer(String(ann));
    expect(await isTakenFor('ann', query, { ...header, ...cookie })).toBe(true);
    expect(await isTakenFor('bob', query, cookie)).toBe(true);
    expect(await isTakenFor('cid', '', cookie)).toBe(true);
  });

  test('[AUTH-1] counts a cookie only with an allowed Origin', async () => {
    const cookie = `trunkline_token=${tokenOf('ann')}`;
    expect(await isTakenFor('ann', '', { cookie })).toBe(false);
    expect(await isTakenFor('ann', '', { cookie, origin: 'https://evil.example' })).toBe(false);
    const own = `http://127.0.0.1:${server.port}`;
    expect(await isTakenFor('ann', '', { cookie, origin: own })).toBe(true);
  });

  test.each<[string, () => string]>([
    ['nonsense', () => 'nonsense'],
    ['another secret', () => sign({ sub: 'ann' }, 'another secret of thirty-two characters')],
    [
      'no algorithm',
      () =>
        `${sign({ sub: 'ann' }, JWT_SECRET, { alg: 'none' }).split('.').slice(0, 2).join('.')}.`,
    ],
    ['another algorithm', () => sign({ sub: 'ann' }, JWT_SECRET, { alg: 'HS512' })],
    ['an end that is over', () => tokenOf('ann', { exp: inSeconds(-1) })],
    ['a beginning that is not there', () => tokenOf('ann', { nbf: inSeconds(600) })],
    ['no user', () => sign({ exp: inSeconds(60) })],
    ['a user that is no text', () => sign({ sub: 7 })],
    ['an end that is no number', () => sign({ sub: 'ann', exp: 'never' })],
    ['an action that nobody knows', () => tokenOf('ann', { channels: { a: ['fly'] } })],
    ['a pattern that is none', () => tokenOf('ann', { channels: { 'a/#/b': ['subscribe'] } })],
    ['channels in a list', () => tokenOf('ann', { channels: ['a'] })],
    [
      'a changed claim',
      () =>
        tokenOf('ann').replace(
          /\.[^.]+\./,
          `.${Buffer.from('{"sub":"root"}').toString('base64url')}.`,
        ),
    ],
    ['17,000 characters', () => 'x'.repeat(17_000)],
  ])('[AUTH-2] refuses a token with %s', async (_, token) => {
    const answer = await server.get('/v1/poll?channel=a', bearer(token()));
    // A head over the listener's limit is refused before anybody looks for a token.
    if (token().length < 16_000) {
      expect([answer.status, answer.json()['code']]).toEqual([401, 'unauthenticated']);
      expect(answer.headers['www-authenticate']).toMatch(/^Bearer/);
    } else expect([401, 431]).toContain(answer.status);
  });

  test('[AUTH-2] [CH-3] maps patterns to actions, and no more', async () => {
    const token = tokenOf('ann', { channels: { 'a/+': ['publish'], 'b/#': ['subscribe'] } });
    expect((await publish('a/1', token)).status).toBe(200);
    for (const channel of ['a', 'a/1/2', 'b', 'b/1']) {
      expect((await publish(channel, token)).json()).toMatchObject({ code: 'forbidden' });
    }
    for (const [channel, status] of [
      ['b', 200],
      ['b/1/2', 200],
      ['a/1', 403],
      ['bb', 403],
    ] as const) {
      expect((await server.get(`/v1/poll?channel=${channel}`, bearer(token))).status).toBe(status);
    }
    expect((await server.get('/v1/history?channel=b/1', bearer(token))).status).toBe(403);
  });

  test('[AUTH-4] allows what the namespace allows every user, and nothing to strangers', async () => {
    const token = tokenOf('ann', { channels: {} });
    expect((await server.get('/v1/poll?channel=public/x', bearer(token))).status).toBe(200);
    expect((await server.get('/v1/history?channel=public/x', bearer(token))).status).toBe(403);
    expect((await server.get('/v1/poll?channel=other', bearer(token))).status).toBe(403);
    expect((await server.get('/v1/poll?channel=public/x')).status).toBe(401);
  });

  test('[AUTH-3] lets an application do everything', async () => {
    expect((await publish('anything/at/all', API_KEY)).status).toBe(200);
    expect((await publish('@ann', API_KEY)).status).toBe(200);
    expect((await server.get('/v1/history?channel=@ann', bearer(API_KEY))).status).toBe(200);
  });

  test('[AUTH-3] does not take an API key from a URL', async () => {
    expect((await server.get(`/v1/poll?channel=a&access_token=${API_KEY}`)).status).toBe(401);
  });

  test('[CH-2] [AUTH-4] lets only applications publish to a private channel', async () => {
    for (const channels of [{}, { '@ann': ['publish'] }]) {
      const answer = await publish('@ann', tokenOf('ann', { channels }));
      expect(answer.json()).toMatchObject({ code: 'forbidden', stored: false });
    }
  });

  test('[CH-2] [CH-3] does not let a wildcard reach private channels', async () => {
    const all = tokenOf('eve');
    expect((await server.get('/v1/poll?channel=@ann', bearer(all))).status).toBe(403);
    expect((await publish('@ann', all)).status).toBe(403);
    for (const pattern of ['+', '+/#', '@ann']) {
      const token = tokenOf('eve', { channels: { [pattern]: ['subscribe'] } });
      expect((await server.get('/v1/poll?channel=@ann', bearer(token))).status).toBe(403);
    }
  });

  test.each([
    ['a foreign Host', { host: 'rebound.example' }],
    ['a foreign Host with our port', { host: 'rebound.example:8080' }],
    ['a foreign Origin', { origin: 'https://evil.example' }],
    ['the Origin null', { origin: 'null' }],
    ['X-Forwarded-For', { 'x-forwarded-for': '8.8.8.8' }],
    ['Forwarded', { forwarded: 'for=8.8.8.8' }],
    ['Via', { via: '1.1 proxy' }],
  ])('[AUTH-6] answers no request with %s in development mode', async (_, headers) => {
    for (const path of ['/v1/poll?channel=a', '/v1/sse?channel=a', '/v1/history?channel=a']) {
      const answer = await ask(`${open.url}${path}`, { headers });
      expect([answer.status, answer.json()['code']]).toEqual([403, 'forbidden']);
    }
    const answer = await post(`${open.url}/v1/publish`, { channel: 'a', data: 1 }, headers);
    expect(answer.status).toBe(403);
    const refused = await WebSocketPeer.refused(open.port, {
      headers: { ...headers, ...('host' in headers ? { Host: headers.host } : {}) },
    });
    expect(refused.status).toBeGreaterThanOrEqual(400);
  });

  test.each(['localhost', '127.0.0.1', 'app.localhost:3000', '[::1]'])(
    '[AUTH-6] answers requests to %s in development mode',
    async (host) => {
      expect((await ask(`${open.url}/v1/poll?channel=a`, { headers: { host } })).status).toBe(200);
    },
  );

  test('[AUTH-6] does not start on other addresses without authentication', async () => {
    await expect(startServer({ host: '0.0.0.0' })).rejects.toThrow(/insecure/);
    await using insecure = await startServer({ host: '0.0.0.0', auth: { insecure: true } });
    expect((await ask(`http://127.0.0.1:${insecure.port}/v1/poll?channel=a`)).status).toBe(200);
  });
});

describe.each(READ_TRANSPORTS)('over $name', (transport: ReadTransport) => {
  test('[CH-2] gives the private channel to its user, and to applications', async () => {
    for (const token of [tokenOf('ann', { channels: {} }), API_KEY]) {
      // An application's key stands in a header, which only a session sends here.
      if (token === API_KEY && transport.kind !== 'WebSocket') continue;
      await using reader = await transport.open(server, { channel: '@ann', token });
      await publish('@ann', API_KEY);
      expect(await reader.take(1)).toHaveLength(1);
    }
  });

  test('[AUTH-4] refuses a channel that is not granted', async () => {
    const token = tokenOf('bob', { channels: { 'mine/#': ['subscribe'] } });
    for (const channel of ['@ann', 'theirs']) {
      await expect(transport.open(server, { channel, token })).rejects.toThrow(/403|forbidden/);
    }
    await using mine = await transport.open(server, { channel: 'mine/1', token });
    expect(mine.verdict.position).toBe('0:0');
  });

  test('[AUTH-1] refuses who proves nothing', async () => {
    await expect(transport.open(server, { channel: 'a', token: 'nonsense' })).rejects.toThrow(
      /401/,
    );
  });
});

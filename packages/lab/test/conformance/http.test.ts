/** HTTP: what all endpoints have in common, and the small ones. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask, post } from '../../src/http.ts';
import type { Answered } from '../../src/http.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { API_KEY, JWT_SECRET, tokenOf } from '../../src/tokens.ts';
import { WebSocketPeer } from '../../src/web-socket.ts';

const APP = 'https://app.example.com';

let server: LabServer;
let closed: LabServer;

beforeAll(async () => {
  server = await startServer();
  const auth = { jwtSecret: JWT_SECRET, apiKeys: [API_KEY], origins: [APP] };
  closed = await startServer({ auth, namespaces: { 'open/#': { allow: { user: ['publish'] } } } });
});

afterAll(async () => {
  expect([server.faults, closed.faults]).toEqual([[], []]);
  await server[Symbol.asyncDispose]();
  await closed[Symbol.asyncDispose]();
});

function expectProblem(answer: Answered, status: number, code: string): void {
  expect(answer.status, answer.text).toBe(status);
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json\b/);
  expect(answer.json()).toMatchObject({
    type: expect.any(String),
    title: expect.any(String),
    detail: expect.any(String),
    status,
    code,
  });
}

describe('over HTTP', () => {
  test('[HTTP-22] answers healthz and readyz', async () => {
    for (const path of ['/healthz', '/readyz']) expect((await server.get(path)).status).toBe(200);
  });

  test('[HTTP-1] [HTTP-2] has nothing elsewhere', async () => {
    for (const path of ['/v1/nothing', '/v1', '/v1/publish/', '/v2/publish', '/v1/%70ublish']) {
      expectProblem(await server.get(path), 404, 'not_found');
    }
  });

  test.each([
    ['GET', '/v1/publish'],
    ['POST', '/v1/poll'],
    ['PUT', '/v1/history'],
    ['PUT', '/v1/channels'],
    ['GET', '/v1/token'],
    ['POST', '/healthz'],
  ])('[HTTP-2] answers %s %s with 405', async (method, path) => {
    const answer = await ask(`${server.url}${path}`, { method });
    expectProblem(answer, 405, 'bad_request');
    expect(answer.headers.allow).toEqual(expect.stringMatching(/GET|POST/));
  });

  test('[HTTP-2] answers 413 to a body over the limit', async () => {
    const answer = await post(`${server.url}/v1/publish`, ' '.repeat(1_100_000));
    expectProblem(answer, 413, 'too_large');
    expect(answer.json()['stored']).toBe(false);
  });

  test('[HTTP-1] takes no body that is not UTF-8', async () => {
    const body = Buffer.concat([
      Buffer.from('{"channel":"a","data":"'),
      Buffer.from([0xff]),
      Buffer.from('"}'),
    ]);
    const answer = await ask(`${server.url}/v1/publish`, { method: 'POST', body });
    expectProblem(answer, 400, 'bad_request');
  });

  test('[HTTP-3] answers an allowed origin with itself, and its preflight', async () => {
    const headers = { origin: APP, authorization: `Bearer ${tokenOf('ann')}` };
    const answer = await ask(`${closed.url}/v1/poll?channel=a`, { headers });
    expect(answer.status).toBe(200);
    expect(answer.headers).toMatchObject({
      'access-control-allow-origin': APP,
      'access-control-allow-credentials': 'true',
      'access-control-expose-headers': expect.stringMatching(/ETag.*Retry-After/),
      vary: expect.stringContaining('Origin'),
    });
    const asked = {
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type,authorization',
    };
    const preflight = await ask(`${closed.url}/v1/publish`, {
      method: 'OPTIONS',
      headers: { origin: APP, ...asked },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers['access-control-allow-methods']).toContain('POST');
    expect(preflight.headers['access-control-allow-headers']?.toLowerCase()).toMatch(
      /authorization.*content-type|content-type.*authorization/,
    );
  });

  test('[HTTP-3] says nothing to a foreign origin, nor to its preflight', async () => {
    const origin = 'https://evil.example';
    const token = { authorization: `Bearer ${tokenOf('ann')}` };
    const answer = await ask(`${closed.url}/v1/poll?channel=a`, { headers: { origin, ...token } });
    expect(answer.headers).not.toHaveProperty('access-control-allow-origin');
    const method = { 'access-control-request-method': 'POST' };
    const preflight = await ask(`${closed.url}/v1/publish`, {
      method: 'OPTIONS',
      headers: { origin, ...method },
    });
    expect(preflight.status).toBe(403);
    expect(preflight.headers).not.toHaveProperty('access-control-allow-origin');
  });

  test('[HTTP-3] refuses a POST of a foreign origin that has no token of its own', async () => {
    const origin = 'https://evil.example';
    const message = { channel: 'open/a', data: 1 };
    const cookie = `trunkline_token=${tokenOf('ann')}`;
    expectProblem(
      await post(`${closed.url}/v1/publish`, message, { origin, cookie }),
      403,
      'forbidden',
    );
    expectProblem(await post(`${closed.url}/v1/publish`, message, { origin }), 403, 'forbidden');
    const own = { origin, authorization: `Bearer ${tokenOf('ann')}` };
    expect((await post(`${closed.url}/v1/publish`, message, own)).status).toBe(200);
  });

  test('[HTTP-20] lists the channels that someone listens to, to applications only', async () => {
    const headers = { Authorization: `Bearer ${API_KEY}` };
    using peer = await WebSocketPeer.open(closed.port, { headers });
    await peer.nextOf('welcome');
    for (const [id, channel] of ['list/a', 'list/b', 'list/b/c', 'other'].entries()) {
      await peer.call({ type: 'subscribe', id, channel });
    }
    const list = (query: string, token = API_KEY): Promise<Answered> =>
      closed.get(`/v1/channels${query}`, { authorization: `Bearer ${token}` });
    expect((await list('?match=list/%2B')).json()).toEqual({
      channels: [
        { channel: 'list/a', subscribers: 1 },
        { channel: 'list/b', subscribers: 1 },
      ],
    });
    expect((await list('?match=list/%23&limit=2')).json()).toMatchObject({ more: true });
    expectProblem(await list('', tokenOf('ann')), 403, 'forbidden');
    expectProblem(await list('?match=a/%23/b'), 400, 'bad_request');
  });

  test('[HTTP-21] mints tokens in development mode only', async () => {
    const channels = { 'a/#': ['subscribe'] };
    const asked = { user: 'ann', channels, ttl: 60_000 };
    const answer = await post(`${server.url}/v1/token`, asked);
    const { token, expires } = answer.json<{ token: string; expires: number }>();
    expect(expires).toBeGreaterThan(Date.now());
    expect(expires).toBeLessThanOrEqual(Date.now() + 61_000);
    using peer = await WebSocketPeer.open(server.port);
    peer.send({ type: 'hello', id: 1, token });
    expect(await peer.nextOf('welcome')).toMatchObject({ type: 'welcome' });
    expect((await peer.nextOf('welcome'))['user']).toBe('ann');
    for (const body of [
      {},
      { user: '' },
      { user: 'a', ttl: 0 },
      { user: 'a', channels: { x: ['fly'] } },
    ]) {
      expectProblem(await post(`${server.url}/v1/token`, body), 400, 'bad_request');
    }
    expectProblem(await post(`${closed.url}/v1/token`, asked), 404, 'not_found');
  });
});

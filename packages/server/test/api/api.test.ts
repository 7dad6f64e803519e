import { describe, expect, test } from 'vitest';
import { expectProblem } from './expectations.ts';
import { jsonOf, requestOf, textOf } from './requests.ts';
import { API_KEY, FOREIGN, OWN, setUp } from './set-up.ts';

const POLL = '/v1/poll?channel=a';
const PUBLISH = { method: 'POST', url: '/v1/publish', body: '{"channel":"a","data":1}' };

describe('routing', () => {
  test.each(['/v1/nothing', '/v1/publish/', '/v1', '/V1/publish', '/v1/%70ublish', '*', '', '/'])(
    'finds nothing at %j',
    async (url) => {
      const { askAsServer } = setUp();
      for (const method of ['GET', 'POST', 'OPTIONS', 'DELETE']) {
        expectProblem(await askAsServer({ method, url }), 404, 'not_found', 'there is nothing at');
      }
    },
  );

  test.each([
    ['/v1/publish', 'GET', 'POST, OPTIONS'],
    ['/v1/publish', 'HEAD', 'POST, OPTIONS'],
    ['/v1/poll', 'POST', 'GET, HEAD, OPTIONS'],
    ['/v1/history', 'PUT', 'GET, HEAD, OPTIONS'],
    ['/v1/channels', 'PUT', 'GET, DELETE, HEAD, OPTIONS'],
    ['/v1/ws', 'POST', 'GET, HEAD, OPTIONS'],
    ['/v1/sse', 'POST', 'GET, HEAD, OPTIONS'],
    ['/healthz', 'POST', 'GET, HEAD, OPTIONS'],
    ['/readyz', 'TRACE', 'GET, HEAD, OPTIONS'],
    ['/v1/publish', 'constructor', 'POST, OPTIONS'],
    ['/v1/publish', '__proto__', 'POST, OPTIONS'],
  ])('tells which methods %s has when asked for %s', async (url, method, allow) => {
    const { askAsServer } = setUp();
    const answer = await askAsServer({ method, url });
    expectProblem(answer, 405, 'bad_request', `${url} answers ${allow}, not ${method}`);
    expect(answer.headers).toMatchObject({ allow });
  });

  test('asks a GET of the WebSocket path to upgrade', async () => {
    const { ask } = setUp();
    const answer = await ask({ url: '/v1/ws' });
    expectProblem(answer, 426, 'bad_request', 'send an upgrade');
    expect(answer.headers).toMatchObject({ upgrade: 'websocket' });
    expectProblem(
      await ask({ method: 'HEAD', url: '/v1/sse' }),
      400,
      'bad_request',
      'event stream',
    );
  });

  test('leaves other GETs to the fallback', async () => {
    const page = { status: 200, headers: { 'content-type': 'text/html' }, body: '<p>' };
    const fallback = ({ path }: { path: string }) => {
      if (path === '/broken') throw new Error('a secret of the inside');
      return path === '/' ? page : undefined;
    };
    const { ask, errors } = setUp({ parts: { fallback } });
    expect(await ask({ url: '/?x=1' })).toBe(page);
    expect(await ask({ method: 'HEAD', url: '/' })).toBe(page);
    expectProblem(await ask({ method: 'POST', url: '/' }), 404, 'not_found');
    expectProblem(await ask({ url: '/else' }), 404, 'not_found');
    const broken = await ask({ url: '/broken' });
    expectProblem(broken, 500, 'internal');
    expect(textOf(broken)).not.toContain('secret');
    expect(errors).toHaveLength(1);
    // The API's own paths are not the fallback's.
    expectProblem(await ask({ url: '/v1/publish' }), 405, 'bad_request');
  });

  test('answers HEAD as GET', async () => {
    const { askAsServer } = setUp();
    expect(await askAsServer({ method: 'HEAD', url: POLL })).toEqual(
      await askAsServer({ url: POLL }),
    );
  });
});

describe('failures', () => {
  test('never reject, and keep the inside to the log', async () => {
    const { api, hub, errors } = setUp({ auth: { anonymous: true } });
    const failures = [new Error('a secret'), 'a secret', undefined, { secret: 1 }];
    for (const failure of failures) {
      hub.read = async () => {
        throw failure;
      };
      const answer = await api.onRequest(requestOf({ url: POLL }));
      expectProblem(answer, 500, 'internal', 'internal error');
      expect(textOf(answer)).not.toContain('secret');
    }
    expect(errors.map(({ error }) => error)).toEqual(failures);
    expect(errors[0]).toEqual({ error: failures[0], method: 'GET', path: '/v1/poll' });
  });

  test('of the authenticator are the server’s own fault', async () => {
    const { hub, ask, errors } = setUp();
    hub.read = () => Promise.reject(new RangeError('stack'));
    expectProblem(
      await ask({ url: POLL, headers: { authorization: `Bearer ${API_KEY}` } }),
      500,
      'internal',
    );
    expect(errors).toHaveLength(1);
  });
});

describe('who is asking', () => {
  test('is asked of every call', async () => {
    const { ask } = setUp();
    for (const url of [POLL, '/v1/history?channel=a', '/v1/channels']) {
      const answer = await ask({ url });
      expectProblem(answer, 401, 'unauthenticated', 'a token is needed');
      expect(answer.headers).toMatchObject({ 'www-authenticate': 'Bearer' });
    }
    expectProblem(await ask(PUBLISH), 401, 'unauthenticated');
  });

  test('is told in a header, in the query, or in a cookie with an allowed origin', async () => {
    const { ask, hub, token } = setUp();
    const alice = await token('alice');
    const cookie = `trunkline_token=${alice}`;
    for (const sketch of [
      { url: POLL, headers: { authorization: `Bearer ${alice}` } },
      { url: `${POLL}&access_token=${alice}` },
      { url: POLL, headers: { cookie, origin: OWN } },
      // The server's own pages are allowed without being named.
      { url: POLL, headers: { cookie, origin: 'http://localhost:8080' } },
    ]) {
      expect((await ask(sketch)).status).toBe(200);
    }
    expect(hub.reads.map(({ caller }) => caller.identity.user)).toEqual(Array(4).fill('alice'));
    for (const headers of [{ cookie }, { cookie, origin: FOREIGN }, { cookie, origin: 'null' }]) {
      expectProblem(await ask({ url: POLL, headers }), 401, 'unauthenticated', 'a token is needed');
    }
  });

  test('is refused with the reason', async () => {
    const { ask, token, clock } = setUp({ auth: { anonymous: true } });
    const alice = await token('alice');
    const [header, payload] = alice.split('.');
    const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`;
    const cases = [
      ['', 'no token'],
      ['garbage', 'not a signed JWT'],
      [`${header}.${payload}.AAAA`, 'not signed with the configured key'],
      [none, 'must be signed with HS256'],
    ] as const;
    for (const [bearer, detail] of cases) {
      const answer = await ask({ url: POLL, headers: { authorization: `Bearer ${bearer}` } });
      expectProblem(answer, 401, 'unauthenticated', detail);
      expect(answer.headers).toMatchObject({ 'www-authenticate': 'Bearer error="invalid_token"' });
    }
    clock.advance(61_000);
    expectProblem(
      await ask({ url: `${POLL}&access_token=${alice}` }),
      401,
      'unauthenticated',
      'expired',
    );
  });

  test('may be nobody where strangers are let in', async () => {
    const { ask, hub } = setUp({ auth: { anonymous: true } });
    expect((await ask({ url: POLL })).status).toBe(200);
    expect((await ask(PUBLISH)).status).toBe(200);
    const [{ caller, request } = { caller: undefined, request: undefined }] = hub.published;
    expect(caller?.identity.kind).toBe('anonymous');
    expect(request?.from).toEqual({ session: caller?.session });
  });
});

describe('pages of other origins', () => {
  const cors = {
    'access-control-allow-origin': OWN,
    'access-control-allow-credentials': 'true',
    'access-control-expose-headers': 'ETag, Retry-After',
    vary: expect.stringMatching(/^Origin\b/),
  };
  const urls = [POLL, '/v1/history?channel=a', '/v1/channels', '/healthz', '/v1/nothing', '/v1/ws'];

  test('may read every answer where they are allowed, failures included', async () => {
    const { ask } = setUp();
    for (const url of urls) {
      for (const authorization of [`Bearer ${API_KEY}`, 'Bearer bad']) {
        const answer = await ask({ url, headers: { origin: OWN, authorization } });
        expect(answer.headers).toMatchObject(cors);
      }
    }
    const wrongMethod = await ask({ method: 'PUT', url: POLL, headers: { origin: OWN } });
    expect(wrongMethod.headers).toMatchObject({ ...cors, allow: 'GET, HEAD, OPTIONS' });
    const published = await ask({
      ...PUBLISH,
      headers: { origin: OWN, authorization: `Bearer ${API_KEY}` },
    });
    expect(published.headers).toMatchObject(cors);
  });

  test('may read a 304', async () => {
    const { askAsServer } = setUp();
    const headers = { origin: OWN, 'if-none-match': '*' };
    const answer = await askAsServer({ url: POLL, headers });
    expect(answer.status).toBe(304);
    expect(answer.headers).toMatchObject(cors);
  });

  test('are told nothing where they are not', async () => {
    const { askAsServer } = setUp();
    for (const origin of [FOREIGN, 'null', `${OWN}.evil.example`, 'http://app.example']) {
      for (const url of urls) {
        const { headers = {} } = await askAsServer({ url, headers: { origin } });
        expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual(
          [],
        );
      }
    }
  });

  test('are answered a preflight with what they may send', async () => {
    const { ask } = setUp();
    const preflight = (url: string, origin: string) =>
      ask({
        method: 'OPTIONS',
        url,
        headers: { origin, 'access-control-request-method': 'POST' },
      });
    const allowed = await preflight('/v1/publish', OWN);
    expect(allowed.status).toBe(204);
    expect(allowed.headers).toMatchObject({
      'access-control-allow-origin': OWN,
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': 'POST, OPTIONS',
      'access-control-allow-headers': expect.stringContaining('Idempotency-Key'),
    });
    const foreign = await preflight('/v1/publish', FOREIGN);
    expectProblem(foreign, 403, 'forbidden');
    expect(foreign.headers).not.toHaveProperty('access-control-allow-origin');
  });

  test('change nothing with what a browser sends by itself', async () => {
    const { ask, hub, token } = setUp();
    const cookie = `trunkline_token=${await token('alice')}`;
    const answer = await ask({ ...PUBLISH, headers: { origin: FOREIGN, cookie } });
    expectProblem(answer, 403, 'forbidden', /pages of origin https:\/\/evil\.example may not call/);
    expect(jsonOf(answer)).toMatchObject({ stored: false });
    const open = setUp({ auth: { anonymous: true } });
    expectProblem(await open.ask({ ...PUBLISH, headers: { origin: FOREIGN } }), 403, 'forbidden');
    expect([...hub.published, ...open.hub.published]).toEqual([]);
    // With an allowed origin the cookie does count.
    expect((await ask({ ...PUBLISH, headers: { origin: OWN, cookie } })).status).toBe(200);
  });

  test('may call with a token of their own, and can’t read the answer', async () => {
    const { ask, token } = setUp();
    const alice = await token('alice');
    for (const sketch of [
      { ...PUBLISH, headers: { origin: FOREIGN, authorization: `Bearer ${alice}` } },
      { ...PUBLISH, url: `/v1/publish?access_token=${alice}`, headers: { origin: FOREIGN } },
    ]) {
      const answer = await ask(sketch);
      expect(answer.status).toBe(200);
      expect(answer.headers).not.toHaveProperty('access-control-allow-origin');
    }
  });
});

describe('development mode', () => {
  const urls = [POLL, '/healthz', '/v1/nothing', '/', '/v1/token', '/v1/publish'];

  test('answers this machine without a token', async () => {
    const { ask } = setUp({ auth: { development: true } });
    expect((await ask({ url: POLL })).status).toBe(200);
    expect((await ask(PUBLISH)).status).toBe(200);
    const page = await ask({ ...PUBLISH, headers: { origin: 'http://localhost:3000' } });
    expect(page.status).toBe(200);
    expect(page.headers).toMatchObject({ 'access-control-allow-origin': 'http://localhost:3000' });
  });

  test.each([
    { host: 'evil.example:8080' },
    { origin: FOREIGN },
    { origin: 'null' },
    { 'x-forwarded-for': '203.0.113.7' },
    { forwarded: 'for=203.0.113.7' },
    { via: '1.1 proxy' },
  ])('answers nothing else: %j', async (headers) => {
    const { ask, askAsServer, hub } = setUp({
      auth: { development: true },
      parts: { fallback: () => ({ status: 200 }) },
    });
    for (const url of urls) {
      for (const method of ['GET', 'POST', 'OPTIONS']) {
        const answer = await ask({ method, url, headers, body: PUBLISH.body });
        expectProblem(answer, 403, 'forbidden', 'development mode answers only');
        expect(answer.headers).not.toHaveProperty('access-control-allow-origin');
      }
    }
    expectProblem(await askAsServer({ ...PUBLISH, headers }), 403, 'forbidden');
    expect(hub.published).toEqual([]);
  });
});

import { CodedError, decodeServerRecords } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { expectProblem } from './expectations.ts';
import { jsonOf, requestOf, textOf } from './requests.ts';
import { API_KEY, setUp } from './set-up.ts';
import type { SetUp } from './set-up.ts';

const AUTHORIZATION = { authorization: `Bearer ${API_KEY}` };

/** Publishes JSON payloads as they are written. */
async function publish({ askAsServer }: SetUp, channel: string, ...payloads: string[]) {
  for (const data of payloads) {
    const body = `{"channel":${JSON.stringify(channel)},"data":${data}}`;
    const answer = await askAsServer({ method: 'POST', url: '/v1/publish', body });
    expect(answer.status).toBe(200);
  }
}

describe('a short poll', () => {
  test('answers what is new, and where to go on', async () => {
    const world = setUp();
    await publish(world, 'a', '1', '{"n":2}');
    const answer = await world.askAsServer({ url: '/v1/poll?channel=a&after=k3f9:1' });
    expect(answer.status).toBe(200);
    expect(textOf(answer)).toBe(
      '{"messages":[{"channel":"a","offset":2,"epoch":"k3f9","time":1700000000000,"data":{"n":2}}],' +
        '"positions":{"a":"k3f9:2"},"mark":"~m2","recovered":{"a":true},"gaps":{}}',
    );
  });

  test('without after begins now', async () => {
    const world = setUp();
    await publish(world, 'a', '1');
    const answer = await world.askAsServer({ url: '/v1/poll?channel=a' });
    expect(jsonOf(answer)).toEqual({
      messages: [],
      positions: { a: 'k3f9:1' },
      mark: '~m1',
      recovered: {},
      gaps: {},
    });
  });

  test('hands payloads on byte for byte, on one line', async () => {
    const world = setUp();
    await publish(world, 'a', '[12345678901234567890,1.0,\r\n1e400, "\\u0041\\r\\n"]');
    const text = textOf(await world.askAsServer({ url: '/v1/poll?channel=a&after=start' }));
    expect(text).toContain('"data":[12345678901234567890,1.0,  1e400, "\\u0041\\r\\n"]');
    expect(text).not.toMatch(/[\r\n]/);
  });

  test('reads several channels, each once, and tells every gap', async () => {
    const world = setUp();
    await publish(world, 'a', '1', '2');
    await publish(world, '__proto__', '3');
    const after = encodeURIComponent('a=k3f9:1&__proto__=nonsense&c=k3f9:9');
    const url = `/v1/poll?channel=a&channel=__proto__&channel=c&channel=a&after=${after}`;
    const answer = await world.askAsServer({ url });
    expect(textOf(answer)).toContain(
      '"positions":{"a":"k3f9:2","__proto__":"k3f9:1","c":"0:0"},"mark":"~m3",' +
        '"recovered":{"a":true,"__proto__":false,"c":false},' +
        '"gaps":{"__proto__":{"reason":"unknown"},"c":{"reason":"ahead"}}}',
    );
  });

  test('takes a position that is none for a gap, never for "now"', async () => {
    const world = setUp();
    await publish(world, 'a', '1');
    for (const after of ['', 'x', 'k3f9:-1', 'k3f9:1:1', 'a%3D', 'YWJj%3D%3D']) {
      const answer = await world.askAsServer({ url: `/v1/poll?channel=a&after=${after}` });
      expect(jsonOf(answer)).toMatchObject({
        recovered: { a: false },
        gaps: { a: { reason: 'unknown' } },
      });
    }
  });

  test('says that there is more', async () => {
    const world = setUp();
    await publish(world, 'a', '1', '2', '3');
    const answer = await world.askAsServer({ url: '/v1/poll?channel=a&after=start&limit=2' });
    expect(jsonOf(answer)).toMatchObject({ positions: { a: 'k3f9:2' }, more: true });
  });

  test('lets Last-Event-ID win over after and last', async () => {
    const world = setUp();
    await publish(world, 'a', '1', '2', '3');
    const url = '/v1/poll?channel=a&after=start&last=3';
    const headers = { ...AUTHORIZATION, 'last-event-id': 'k3f9:2' };
    expect(jsonOf(await world.ask({ url, headers }))).toMatchObject({
      messages: [{ offset: 3 }],
      recovered: { a: true },
    });
    // Empty means that there was none yet.
    const none = { ...AUTHORIZATION, 'last-event-id': '' };
    expect(jsonOf(await world.ask({ url, headers: none }))).toMatchObject({
      messages: [{ offset: 1 }, { offset: 2 }, { offset: 3 }],
    });
  });

  test('hands on where to begin as it was said', async () => {
    const world = setUp();
    await world.askAsServer({ url: '/v1/poll?channel=a&last=5&partial=1&limit=7' });
    await world.askAsServer({ url: '/v1/poll?channel=a&channel=b&after=~m1&last=5' });
    expect(world.hub.reads.map(({ request }) => [...request.channels])).toEqual([
      [['a', { last: 5, partial: true }]],
      [
        ['a', { after: { kind: 'mark', mark: '~m1' } }],
        ['b', { after: { kind: 'mark', mark: '~m1' } }],
      ],
    ]);
    expect(world.hub.reads.map(({ request }) => [request.waitMs, request.countMax])).toEqual([
      [0, 7],
      [0, 100],
    ]);
  });

  test.each([
    ['', 'channel is missing'],
    ['channel=', 'channel must not be empty'],
    ['channel=a%23', '# must be the whole last segment'],
    ['channel=a%2B/b', '\\+ must be a whole segment'],
    ['channel=a%00b', 'control characters'],
    ['channel=%E9', 'percent-encoded UTF-8'],
    ['channel=%', 'percent-encoded UTF-8'],
    ['channel=a&wait=61', 'wait must be a number of seconds from 0 to 60, got "61"'],
    ['channel=a&wait=-1', 'wait must be .* got "-1"'],
    ['channel=a&wait=', 'wait must be .* got ""'],
    ['channel=a&wait=1e1', 'got "1e1"'],
    ['channel=a&wait=0x10', 'got "0x10"'],
    ['channel=a&wait=Infinity', 'got "Infinity"'],
    ['channel=a&wait=1&wait=2', 'give wait once, got it 2 times'],
    ['channel=a&limit=0', 'limit must be a whole number from 1 to 1000, got "0"'],
    ['channel=a&limit=1001', 'got "1001"'],
    ['channel=a&limit=1.5', 'got "1.5"'],
    ['channel=a&limit=+1', 'got " 1"'],
    ['channel=a&last=-1', 'last must be a whole number'],
    ['channel=a&last=99999999999999999999', 'last must be a whole number'],
    ['channel=a&partial=yes', 'partial must be 1, true, 0 or false, got "yes"'],
    ['channel=a&after=x&after=y', 'give after once'],
  ])('refuses ?%s', async (search, detail) => {
    const { askAsServer, hub } = setUp();
    const answer = await askAsServer({ url: `/v1/poll?${search}` });
    expectProblem(answer, 400, 'bad_request', new RegExp(detail));
    expect(hub.reads).toEqual([]);
  });

  test('reads as many channels as a connection may subscribe to, and no more', async () => {
    const { askAsServer } = setUp();
    const search = (count: number): string =>
      Array.from({ length: count }, (_, index) => `channel=c${index}`).join('&');
    expect((await askAsServer({ url: `/v1/poll?${search(128)}` })).status).toBe(200);
    const over = await askAsServer({ url: `/v1/poll?${search(129)}` });
    expectProblem(over, 400, 'bad_request', 'at most 128 channels, got 129');
  });

  test('tells the refusals of the hub', async () => {
    const { ask, hub, token } = setUp();
    const authorization = `Bearer ${await token('alice', { b: ['subscribe'] })}`;
    const refused = await ask({ url: '/v1/poll?channel=b&channel=a', headers: { authorization } });
    expectProblem(refused, 403, 'forbidden', 'may not subscribe a');
    hub.failure = new CodedError('unavailable', 'the log is away', { retryAfter: 2_001 });
    const away = await ask({ url: '/v1/poll?channel=b', headers: { authorization } });
    expectProblem(away, 503, 'unavailable');
    expect(away.headers?.['retry-after']).toBe('3');
  });
});

describe('the tag of a short poll', () => {
  const url = '/v1/poll?channel=a&after=k3f9:1';
  const ask = (world: SetUp, ifNoneMatch?: string) =>
    world.ask({
      url,
      headers:
        ifNoneMatch === undefined
          ? AUTHORIZATION
          : { ...AUTHORIZATION, 'if-none-match': ifNoneMatch },
    });

  test('is weak, and spares the body while nothing changes', async () => {
    const world = setUp();
    await publish(world, 'a', '1');
    const first = await ask(world);
    const etag = first.headers?.['etag'] ?? '';
    expect(etag).toMatch(/^W\/"[\w-]{43}"$/);
    expect(first.headers?.['cache-control']).toBe('private, no-cache');
    for (const tag of [etag, etag.slice(2), `"x", ${etag}`, '*', ` ${etag} ,"y"`]) {
      const again = await ask(world, tag);
      expect(again).toEqual({
        status: 304,
        headers: { etag, 'cache-control': 'private, no-cache', vary: 'Origin, Accept' },
      });
    }
    expect((await ask(world, '"x"')).status).toBe(200);
    expect((await ask(world, etag.slice(0, -2))).status).toBe(200);
  });

  test('stays when other channels change, and the mark with them', async () => {
    const world = setUp();
    await publish(world, 'a', '1');
    const { headers } = await ask(world);
    await publish(world, 'b', '1');
    expect((await ask(world, headers?.['etag'])).status).toBe(304);
  });

  test('changes with a message, with a gap and with where messages begin', async () => {
    const world = setUp();
    await publish(world, 'a', '1');
    const { headers } = await ask(world);
    await publish(world, 'a', '2');
    const second = await ask(world, headers?.['etag']);
    expect(second.status).toBe(200);
    const tags = new Set([headers?.['etag'], second.headers?.['etag']]);
    for (const after of ['k3f9:0', 'k3f9:9', 'nonsense', 'k3f9:2']) {
      const other = await world.askAsServer({ url: `/v1/poll?channel=a&after=${after}` });
      tags.add(other.headers?.['etag']);
    }
    tags.add((await world.askAsServer({ url: '/v1/poll?channel=a' })).headers?.['etag']);
    expect(tags.size).toBe(7);
  });

  test('is not for long polls', async () => {
    const world = setUp();
    await publish(world, 'a', '1', '2');
    const headers = { ...AUTHORIZATION, 'if-none-match': '*' };
    const answer = await world.ask({ url: `${url}&wait=1`, headers });
    expect(answer.status).toBe(200);
    expect(answer.headers).toEqual({
      'content-type': 'application/json',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      vary: 'Origin, Accept',
    });
  });
});

describe('a poll in binary', () => {
  const headers = { ...AUTHORIZATION, accept: 'application/vnd.trunkline.v1+bin' };

  test.each(['0', '30'])(
    'says what JSON says, payloads as they are [BIN-2]: wait=%s',
    async (wait) => {
      const world = setUp();
      await publish(world, 'a', '{"n":\r\n1}', '2');
      await publish(world, '__proto__', '3');
      const after = encodeURIComponent('a=0:0&__proto__=0:0&c=x');
      const url = `/v1/poll?channel=a&channel=__proto__&channel=c&after=${after}&wait=${wait}`;
      const { body = '', headers: told } = await world.ask({ url, headers });
      expect(told).toMatchObject({
        'content-type': 'application/vnd.trunkline.v1+bin',
        vary: 'Origin, Accept',
      });
      const [page] = decodeServerRecords(Buffer.from(body));
      if (page?.kind !== 'page') throw new Error('expected a page');
      const json = textOf(await world.askAsServer({ url }));
      const rest = page.json.slice(1);
      expect(json.endsWith(`],${rest}`)).toBe(true);
      expect(
        page.messages.map(({ channel, offset, payload }) => [channel, offset, payload]),
      ).toEqual([
        ['a', 1, Buffer.from('{"n":\r\n1}')],
        ['a', 2, Buffer.from('2')],
        ['__proto__', 1, Buffer.from('3')],
      ]);
    },
  );

  test('has a tag of its own [POLL-4]', async () => {
    const world = setUp();
    await publish(world, 'a', '1');
    const url = '/v1/poll?channel=a&after=start';
    const etag = (await world.ask({ url, headers })).headers?.['etag'] ?? '';
    const again = { 'if-none-match': etag };
    expect(await world.ask({ url, headers: { ...headers, ...again } })).toEqual({
      status: 304,
      headers: { etag, 'cache-control': 'private, no-cache', vary: 'Origin, Accept' },
    });
    expect((await world.ask({ url, headers: { ...AUTHORIZATION, ...again } })).status).toBe(200);
  });

  test('is refused in JSON', async () => {
    const world = setUp();
    expectProblem(await world.ask({ url: '/v1/poll', headers }), 400, 'bad_request');
  });
});

describe('a long poll', () => {
  test('answers as soon as there is something', async () => {
    const world = setUp();
    const answer = world.askAsServer({ url: '/v1/poll?channel=a&wait=30' });
    await world.clock.settle();
    expect(world.hub.waitingCount).toBe(1);
    await publish(world, 'a', '"hi"');
    expect(jsonOf(await answer)).toMatchObject({ messages: [{ offset: 1, data: 'hi' }] });
  });

  test('answers at once when there is something already', async () => {
    const world = setUp();
    await publish(world, 'a', '1');
    const answer = await world.askAsServer({ url: '/v1/poll?channel=a&after=0:0&wait=30' });
    expect(jsonOf(answer)).toMatchObject({ messages: [{ offset: 1 }] });
  });

  test('waits in milliseconds what was asked in seconds', async () => {
    const world = setUp();
    await publish(world, 'a', '1');
    for (const wait of ['1', '60', '0.25', '1.001']) {
      await world.askAsServer({ url: `/v1/poll?channel=a&after=start&wait=${wait}` });
    }
    const waits = world.hub.reads.map(({ request }) => request.waitMs);
    expect(waits).toEqual([1_000, 60_000, 250, 1_001]);
  });

  test('waits no longer than its token', async () => {
    const world = setUp();
    const { ask, clock, token, hub } = world;
    const authorization = `Bearer ${await token('alice', undefined, 10_000)}`;
    clock.advance(3_000);
    const answer = ask({ url: '/v1/poll?channel=a&wait=60', headers: { authorization } });
    await clock.settle();
    const [{ request } = { request: undefined }] = hub.reads;
    expect(request?.waitMs).toBeGreaterThan(6_000);
    expect(request?.waitMs).toBeLessThanOrEqual(8_000);
    hub.wakeAll();
    expect(jsonOf(await answer)).toMatchObject({ messages: [], positions: { a: '0:0' } });
  });

  test('does not wait on a node that drains', async () => {
    const world = setUp({ parts: { readiness: () => 'draining' } });
    const answer = await world.askAsServer({ url: '/v1/poll?channel=a&wait=60' });
    expect(jsonOf(answer)).toMatchObject({ messages: [], positions: { a: '0:0' } });
    expect(answer.headers).not.toHaveProperty('etag');
  });

  test('ends its wait when the peer goes away', async () => {
    const { api, clock, hub } = setUp();
    const request = requestOf({ url: '/v1/poll?channel=a&wait=30', headers: AUTHORIZATION });
    const answer = api.onRequest(request);
    await clock.settle();
    expect(hub.waitingCount).toBe(1);
    request.abort();
    expect(hub.waitingCount).toBe(0);
    expect((await answer).status).toBe(200);
  });

  test('does not begin to wait for a peer that went away meanwhile', async () => {
    const { api, clock, hub } = setUp();
    const read = hub.read.bind(hub);
    const request = requestOf({ url: '/v1/poll?channel=a&wait=30', headers: AUTHORIZATION });
    hub.read = async (caller, asked) => {
      await clock.settle();
      request.abort();
      return read(caller, asked);
    };
    expect((await api.onRequest(request)).status).toBe(200);
    expect(hub.waitingCount).toBe(0);
  });

  test('is refused when too many of its address wait', async () => {
    const world = setUp({ limits: { waitingPollsPerAddressMax: 2 } });
    const authorization = `Bearer ${await world.token('alice')}`;
    const ask = (remoteAddress: string) =>
      world.ask({ url: '/v1/poll?channel=a&wait=30', remoteAddress, headers: { authorization } });
    const waiting = [ask('10.0.0.1'), ask('10.0.0.1'), ask('10.0.0.2')];
    await world.clock.settle();
    const refused = await ask('10.0.0.1');
    expectProblem(refused, 429, 'rate_limited', 'at most 2 polls of one address');
    expect(refused.headers?.['retry-after']).toBe('1');
    // A short poll does not wait, and applications are not held.
    const short = await world.ask({
      url: '/v1/poll?channel=a',
      remoteAddress: '10.0.0.1',
      headers: { authorization },
    });
    expect(short.status).toBe(200);
    const application = world.askAsServer({
      url: '/v1/poll?channel=a&wait=1',
      remoteAddress: '10.0.0.1',
    });
    await world.clock.settle();
    expect(world.hub.waitingCount).toBe(4);
    world.hub.wakeAll();
    for (const answer of [...waiting, application]) expect((await answer).status).toBe(200);
    // The places are free again, also after a failure.
    world.hub.failure = new CodedError('unavailable', 'away');
    await ask('10.0.0.1');
    await ask('10.0.0.1');
    expect((await ask('10.0.0.1')).status).toBe(503);
  });

  test('is not limited in development mode', async () => {
    const world = setUp({ auth: { development: true }, limits: { waitingPollsPerAddressMax: 1 } });
    const answers = [1, 2, 3].map(() => world.ask({ url: '/v1/poll?channel=a&wait=30' }));
    await world.clock.settle();
    expect(world.hub.waitingCount).toBe(3);
    world.hub.wakeAll();
    for (const answer of answers) expect((await answer).status).toBe(200);
  });
});

import type { CodedError } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { exactJson } from '../../src/encodings/exact.ts';
import {
  ANSWER_MS_MAX,
  HttpRequests,
  PUBLISHES_LENGTH_MAX,
  PUBLISHES_PER_REQUEST_MAX,
} from '../../src/transports/http-requests.ts';
import { httpPlatform, wireMessage } from '../support/http-fakes.ts';
import type { HttpPlatform, HttpRequest } from '../support/http-fakes.ts';

interface Asking {
  readonly requests: HttpRequests;
  readonly platform: HttpPlatform;
  readonly stale: unknown[];
  /** Publishes `n`. @returns what becomes of it: an offset, or a code and what is stored. */
  publish(n: number | string): Promise<string>;
  asked(): Promise<HttpRequest>;
}

function asking(): Asking {
  const platform = httpPlatform();
  const stale: unknown[] = [];
  const target = { url: 'https://server.example', token: 't', encoding: exactJson };
  const requests: HttpRequests = new HttpRequests(target, platform, (error) => {
    stale.push(error.code);
    requests.close();
  });
  return {
    requests,
    platform,
    stale,
    publish: (n) =>
      requests.request({ kind: 'publish', members: `"channel":"a","data":${n}` }).then(
        ({ fields }) => String(fields['offset']),
        ({ code, stored }: CodedError) => `${code} ${stored}`,
      ),
    async asked() {
      await platform.clock.settle();
      const request = platform.requests.findLast(({ isAnswered }) => !isAnswered);
      if (request === undefined) throw new Error('nothing is asked');
      return request;
    },
  };
}

const published = (offset: number) => ({
  channel: 'a',
  offset,
  epoch: 'e',
  position: `e:${offset}`,
});

describe('publishing over HTTP', () => {
  test('[HTTP-12] [GUA-2] sends one request at a time, with all that came meanwhile', async () => {
    const { platform, publish, asked } = asking();
    const first = [publish(1), publish(2)];
    const request = await asked();
    expect(request).toMatchObject({
      method: 'POST',
      path: '/v1/publish',
      headers: { 'content-type': 'application/json', authorization: 'Bearer t' },
      body: '[{"channel":"a","data":1},{"channel":"a","data":2}]',
    });
    const later = [publish(3), publish(4)];
    await platform.clock.settle();
    expect(platform.requests).toHaveLength(1);
    request.answer(200, [published(1), published(2)]);
    expect(await Promise.all(first)).toEqual(['1', '2']);
    const next = await asked();
    expect(JSON.parse(next.body)).toHaveLength(2);
    next.answer(200, [published(3), published(4)]);
    expect(await Promise.all(later)).toEqual(['3', '4']);
    expect(platform.clock.timerCount).toBe(0);
  });

  test('[PUB-4] [HTTP-12] gives each its own answer', async () => {
    const { publish, asked } = asking();
    const all = [1, 2, 3, 4].map(publish);
    (await asked()).answer(200, [
      published(1),
      { type: 'error', code: 'rate_limited', message: 'slow down', retryAfter: 5 },
      { type: 'error', code: 'unavailable', message: 'the log', stored: 'unknown' },
      { type: 'error', code: 'internal', message: '?' },
    ]);
    expect(await Promise.all(all)).toEqual([
      '1',
      'rate_limited false',
      'unavailable unknown',
      'internal unknown',
    ]);
  });

  test('bounds what one request carries', async () => {
    const { publish, asked } = asking();
    const counts: number[] = [];
    const all = Array.from({ length: PUBLISHES_PER_REQUEST_MAX + 1 }, (_, index) => publish(index));
    const large = `"${'x'.repeat(PUBLISHES_LENGTH_MAX / 2)}"`;
    const text = [publish(large), publish(large), publish(`"${large.repeat(3)}"`)];
    for (let round = 0; round < 4; round += 1) {
      const request = await asked();
      const count = (request.body.match(/"channel"/g) ?? []).length;
      counts.push(count);
      request.answer(
        200,
        Array.from({ length: count }, (_, index) => published(index)),
      );
    }
    await Promise.all([...all, ...text]);
    // The second large one has no room beside the first.
    expect(counts).toEqual([PUBLISHES_PER_REQUEST_MAX, 2, 1, 1]);
  });

  test.each([
    [400, { code: 'bad_request' }, 'bad_request false', '4'],
    [413, '', 'too_large false', '4'],
    [503, { code: 'draining', stored: false }, 'draining false', 'unavailable false'],
    [502, '<html>', 'unavailable unknown', 'unavailable false'],
    [200, [], 'internal unknown', 'unavailable false'],
    [200, '<html>', 'unavailable unknown', 'unavailable false'],
  ])('[PUB-4] knows what is stored after %i %j', async (status, body, fate, fateOfNext) => {
    const { publish, asked, platform } = asking();
    const first = publish(1);
    const request = await asked();
    const second = publish(2);
    request.answer(status, body);
    expect(await first).toBe(fate);
    await platform.clock.settle();
    // What may be stored, or is sent again, is overtaken by nothing.
    for (const one of platform.requests.slice(1)) one.answer(200, [published(4)]);
    expect(await second).toBe(fateOfNext);
  });

  test('[PUB-4] does not know when the network fails or no answer comes', async () => {
    const { publish, asked, platform } = asking();
    const first = publish(1);
    (await asked()).fail('connect ECONNREFUSED');
    expect(await first).toBe('unavailable unknown');
    const second = publish(2);
    const request = await asked();
    await platform.clock.pass(ANSWER_MS_MAX);
    expect(await second).toBe('timeout unknown');
    expect(request.signal.aborted).toBe(true);
    expect(platform.clock.timerCount).toBe(0);
  });

  test('rejects all when it is closed, and what comes after', async () => {
    const { requests, publish, asked, platform } = asking();
    const first = publish(1);
    await asked();
    const second = publish(2);
    requests.close();
    expect(await Promise.all([first, second, publish(3)])).toEqual([
      'unavailable unknown',
      'unavailable false',
      'unavailable false',
    ]);
    await expect(
      requests.request({ kind: 'history', channel: 'a', query: {} }),
    ).rejects.toMatchObject({ code: 'unavailable' });
    expect(platform.requests).toHaveLength(1);
    expect(platform.clock.timerCount).toBe(0);
  });

  test('[AUTH-5] says that the token is not taken, and that the publish is as good as before', async () => {
    const { publish, asked, stale } = asking();
    const first = publish(1);
    const request = await asked();
    const second = publish(2);
    request.answer(401, { code: 'unauthenticated' });
    expect(await Promise.all([first, second])).toEqual(['unavailable false', 'unavailable false']);
    expect(stale).toEqual(['unauthenticated']);
  });

  test('sends without an answer, and drops what has no room', async () => {
    const { requests, asked, publish, platform } = asking();
    requests.send('"channel":"v","data":0');
    (await asked()).fail('nobody hears');
    await platform.clock.settle();
    const first = publish(1);
    await platform.clock.settle();
    for (let n = 0; n < 2 * PUBLISHES_PER_REQUEST_MAX; n += 1) requests.send('"channel":"v"');
    (await asked()).answer(200, [published(1)]);
    await first;
    expect(((await asked()).body.match(/"v"/g) ?? []).length).toBe(PUBLISHES_PER_REQUEST_MAX);
    requests.close();
  });

  test('[AUTH-5] keeps what was asked with an older token, which proves nothing', async () => {
    const { requests, publish, asked, stale } = asking();
    const first = publish(1);
    const request = await asked();
    requests.token = 'newer';
    request.answer(401, { code: 'unauthenticated' });
    expect(await first).toBe('unavailable false');
    expect(stale).toEqual([]);
  });

  test('uses a newer token from the next request on', async () => {
    const { requests, publish, asked } = asking();
    requests.token = 'newer';
    const first = publish(1);
    const request = await asked();
    expect(request.headers['authorization']).toBe('Bearer newer');
    request.answer(200, [published(1)]);
    await first;
  });
});

describe('asking over HTTP', () => {
  test('[HIST-1] asks for history in the encoding of the connection', async () => {
    const { requests, asked } = asking();
    const query = { after: 'e:1', limit: 2, last: undefined };
    const answer = requests.request({ kind: 'history', channel: 'room/1', query });
    const request = await asked();
    expect(request).toMatchObject({
      path: '/v1/history',
      query: { channel: 'room/1', after: 'e:1', limit: '2' },
      headers: { accept: 'application/json' },
    });
    request.answer(200, { messages: [wireMessage('room/1', 2)], position: 'e:2' });
    expect(await answer).toMatchObject({
      fields: { position: 'e:2' },
      messages: [{ offset: 2, source: '{"n":2}' }],
    });
  });

  test('[PRES-8] asks who is there', async () => {
    const { requests, asked } = asking();
    const answer = requests.request({ kind: 'presence', channel: 'a', query: { limit: 5 } });
    const request = await asked();
    expect(request).toMatchObject({ path: '/v1/presence', query: { channel: 'a', limit: '5' } });
    request.answer(200, { members: [], count: 0 });
    expect(await answer).toEqual({ fields: { members: [], count: 0 } });
  });

  test('[HTTP-2] rejects with the code of the refusal, and ends nothing else', async () => {
    const { requests, publish, asked } = asking();
    const answer = requests.request({ kind: 'history', channel: 'a', query: {} });
    (await asked()).answer(403, { code: 'forbidden', detail: 'not you' });
    const error: unknown = await answer.catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'forbidden', message: 'not you' });
    expect(error).toHaveProperty('stored', undefined);
    const first = publish(1);
    (await asked()).answer(200, [published(1)]);
    expect(await first).toBe('1');
  });

  test('follows no redirection, and can not tell what became of a publish', async () => {
    const { publish, asked } = asking();
    const answer = publish(1);
    (await asked()).answer(307, '', { location: 'http://login.example' });
    expect(await answer).toBe('unavailable unknown');
  });

  test('has no calls', async () => {
    const { requests, platform } = asking();
    await expect(requests.request({ kind: 'call', members: '' })).rejects.toMatchObject({
      code: 'not_found',
    });
    expect(platform.requests).toEqual([]);
  });
});

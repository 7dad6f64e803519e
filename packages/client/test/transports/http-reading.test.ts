import { describe, expect, test } from 'vitest';
import { longPoll } from '../../src/transports/long-poll.ts';
import { sse } from '../../src/transports/sse.ts';
import { attemptOver, event, HttpReader, page, wireMessage } from '../support/http-fakes.ts';
import type { Attempted, FakeStream, HttpRequest } from '../support/http-fakes.ts';

const NONE = { recovered: {}, gaps: {} };

/** Answers a request with a stream that opens there. */
function openAt(request: HttpRequest, positions: object, id = '~1'): FakeStream {
  const stream = request.stream();
  stream.write(event({ event: 'open', id, data: { session: 's', positions, ...NONE } }));
  return stream;
}

const problem = (code: string) => ({ code, detail: 'no' });

async function streaming(): Promise<Attempted & { first: HttpRequest; stream: FakeStream }> {
  const attempted = attemptOver(sse, new HttpReader('a'));
  const first = await attempted.asked();
  const stream = openAt(first, { a: 'e:0' }, 'e:0');
  await attempted.platform.clock.settle();
  return { ...attempted, first, stream };
}

describe('what is wanted', () => {
  test('changes: all is read anew, from where it stands, in one read', async () => {
    const { attempt, reader, first, stream, asked, platform } = await streaming();
    stream.write(event({ id: 'e:1', data: wireMessage('a', 1) }));
    await platform.clock.settle();
    reader.want('b', { filter: 'c', after: 'f:3' });
    attempt.revise('b');
    attempt.revise('c');
    const second = await asked();
    expect(first.signal.aborted).toBe(true);
    expect(platform.requests).toHaveLength(2);
    expect(second.query).toEqual({
      ...{ channel: 'a,b,c', after: 'a=e%3A1&c=f%3A3', envelope: '1' },
    });
    openAt(second, { a: 'e:1', b: 'e:9', c: 'f:3' });
    await platform.clock.settle();
    expect(reader.told()).toEqual([
      ...['ready s', 'open a e:0', 'a 1', 'open a e:1', 'open b e:9', 'open c f:3'],
    ]);
    attempt.close();
  });

  test('may change while a read opens, which is let to open', async () => {
    const { attempt, reader, asked, platform } = await streaming();
    reader.want('b');
    attempt.revise('b');
    const second = await asked();
    reader.want('c');
    attempt.revise('c');
    await platform.clock.settle();
    expect(second.signal.aborted).toBe(false);
    expect(platform.requests).toHaveLength(2);
    openAt(second, { a: 'e:0', b: 'e:0' });
    const third = await asked();
    expect(third.query['channel']).toBe('a,b,c');
    attempt.close();
  });

  test('may be another thing for whoever is told that it is ready', async () => {
    const { attempt, reader, asked, platform } = attemptOver(sse, new HttpReader('a'));
    reader.onWord = (word) => word.startsWith('ready') && reader.want('b');
    openAt(await asked(), { a: 'e:0' }, 'e:0');
    expect((await asked()).query).toMatchObject({ channel: 'a,b', after: 'a=e%3A0' });
    expect(platform.requests).toHaveLength(2);
    attempt.close();
  });

  test('[WILD-4] may begin at an older place before it is ready: that answer is not told', async () => {
    const reader = new HttpReader({ filter: 'a', after: 'e:2' });
    const { attempt, asked, platform } = attemptOver(sse, reader);
    const first = await asked();
    reader.want({ filter: 'a', after: 'e:1' });
    openAt(first, { a: 'e:2' }, 'e:2').write('id: e:3\ndata: 3\n\n');
    const second = await asked();
    expect(second.query['after']).toBe('e:1');
    openAt(second, { a: 'e:1' }, 'e:1');
    await platform.clock.settle();
    expect(reader.told()).toEqual(['ready s', 'open a e:1']);
    attempt.close();
  });

  test('[SNAP-3] may change while the state of a channel comes, which is let to come', async () => {
    const { attempt, reader, asked, platform } = attemptOver(
      sse,
      new HttpReader({ filter: 'a', snapshot: true }),
    );
    const stream = (await asked()).stream();
    const open = event({ event: 'open', id: '~1', data: { positions: { a: 'e:2' }, ...NONE } });
    const snapshot = event({ event: 'snapshot', data: { channel: 'a', position: 'e:2', data: 7 } });
    stream.write(open + snapshot.slice(0, 20));
    reader.onWord = (word) => {
      if (word === 'open a e:2') reader.want({ filter: 'b', snapshot: true });
      attempt.revise('b');
    };
    await platform.clock.settle();
    expect(platform.requests).toHaveLength(1);
    stream.write(snapshot.slice(20));
    expect((await asked()).query).toMatchObject({ channel: 'a,b' });
    expect(reader.told().join()).toContain('snapshot');
    attempt.close();
  });

  test('may be nothing any more', async () => {
    const { attempt, reader, first, platform, open } = await streaming();
    reader.wishes.clear();
    attempt.revise('a');
    const [empty, ...others] = await open();
    expect(empty?.query).toEqual({ envelope: '1' });
    expect(others).toEqual([]);
    expect(first.signal.aborted).toBe(true);
    if (empty !== undefined) openAt(empty, {}, '');
    await platform.clock.settle();
    reader.want('b');
    attempt.revise('b');
    expect((await open()).map(({ query }) => query['channel'])).toEqual(['b']);
    attempt.close();
    await platform.clock.settle();
    expect(platform.clock.timerCount).toBe(0);
  });

  test('is too much for one read: then there are several', async () => {
    const wishes = Array.from({ length: 130 }, (_, index) => ({
      filter: `c${index}`,
      after: '~1',
    }));
    const { attempt, reader, open, platform } = attemptOver(sse, new HttpReader(...wishes));
    const [one, two] = await open();
    expect(one?.query['channel']?.split(',')).toHaveLength(128);
    expect(two?.query['channel']).toBe('c128,c129');
    reader.want('d');
    if (two !== undefined) openAt(two, { c128: 'e:0', c129: 'e:0' });
    await platform.clock.settle();
    expect(reader.told()[0]).toBe('ready s');
    // It waits for the other one to open.
    expect(platform.requests).toHaveLength(2);
    const positions = wishes.slice(0, 128).map(({ filter }) => [filter, 'e:0']);
    if (one !== undefined) openAt(one, Object.fromEntries(positions));
    await platform.clock.settle();
    expect(platform.requests).toHaveLength(4);
    attempt.close();
  });
});

describe('what can not begin in one stream', () => {
  test('begins apart, and goes on together', async () => {
    const wishes = [{ filter: 'a' }, { filter: 'b', last: 9 }, { filter: 'c/#', after: '~1' }];
    const { attempt, reader, open } = attemptOver(sse, new HttpReader(...wishes));
    const [first, second] = await open();
    expect(first?.query).toMatchObject({ channel: 'a,c/#', after: 'c%2F%23=%7E1' });
    expect(second?.query).toMatchObject({ channel: 'b', last: '9' });
    if (first !== undefined) openAt(first, { a: 'e:7' }, '~2');
    if (second !== undefined) openAt(second, { b: 'e:3' }, 'e:3');
    const all = await open();
    expect(all.map(({ query }) => query['channel'])).toEqual(['a,b,c/#']);
    expect(all[0]?.query['after']).toBe('a=e%3A7&b=e%3A3&c%2F%23=%7E2');
    expect(reader.told()).toEqual(['ready s', 'open a e:7', 'open c/# ~2', 'open b e:3']);
    attempt.close();
  });

  test('[SNAP-3] is a new name without a snapshot beside one with it', async () => {
    const wishes = [
      { filter: 'a', snapshot: true },
      'b',
      { filter: 'c', snapshot: true },
      'd/#',
      { filter: 'e', after: 'e:3' },
    ];
    const { attempt, reader, asked, open } = attemptOver(sse, new HttpReader(...wishes));
    const [rest, second] = await open();
    expect(rest?.query).toMatchObject({ channel: 'a,c,d/#,e', snapshot: '1' });
    expect(second).toMatchObject({ path: '/base/v1/sse', query: { channel: 'b' } });
    expect(second?.query).not.toHaveProperty('snapshot');
    if (rest !== undefined) openAt(rest, { a: 'e:2', c: 'e:7', e: 'e:3' });
    if (second !== undefined) openAt(second, { b: 'e:4' });
    const third = await asked();
    expect(third).toMatchObject({ path: '/base/v1/sse', query: { channel: 'a,b,c,d/#,e' } });
    expect(new URLSearchParams(third.query['after']).get('b')).toBe('e:4');
    expect(reader.told()).toContain('open a e:2');
    attempt.close();
  });

  test('begins a group at a time, in two streams at most', async () => {
    const wishes = [5, 6, 7, 8].map((last) => ({ filter: `c${last}`, last }));
    const { attempt, reader, open, platform } = attemptOver(sse, new HttpReader(...wishes));
    const asked: string[] = [];
    for (let round = 0; round < 4; round += 1) {
      const streams = await open();
      asked.push(streams.map(({ query }) => `${query['channel']} ${query['last']}`).join(' | '));
      for (const stream of streams) {
        const channels = (stream.query['channel'] ?? '').split(',');
        openAt(stream, Object.fromEntries(channels.map((channel) => [channel, 'e:0'])));
      }
    }
    expect(asked).toEqual(['c5 5 | c6 6', 'c5,c6,c7 7 | c8 8', 'c5,c6,c7,c8 undefined', '']);
    await platform.clock.settle();
    expect(reader.told()).toContain('open c8 e:0');
    attempt.close();
  });

  test('[WILD-4] stays apart where a pattern would be told what is before its place', async () => {
    const wishes = [{ filter: '#', after: '~5' }, { filter: 'a', last: 4 }, { filter: 'b' }];
    const { attempt, open, platform } = attemptOver(sse, new HttpReader(...wishes));
    const [first, second] = await open();
    expect([first, second].map((one) => one?.query['channel'])).toEqual(['#', 'a']);
    if (first !== undefined) openAt(first, {}, '~5');
    if (second !== undefined) openAt(second, { a: 'e:1' }, 'e:1');
    const [again, third] = await open();
    expect([again, third].map((one) => one?.query['channel'])).toEqual(['#', 'a,b']);
    if (again !== undefined) openAt(again, {}, '~5');
    if (third !== undefined) openAt(third, { a: 'e:1', b: 'e:2' }, '~6');
    const last = await open();
    expect(last.map(({ query }) => query['channel'])).toEqual(['#', 'a,b']);
    for (const request of last) openAt(request, { a: 'e:1', b: 'e:2' }, '~6');
    await platform.clock.settle();
    expect(await open()).toEqual([]);
    attempt.close();
  });

  test('[SSE-11] stays apart where it has no place, as volatile channels', async () => {
    const wishes = [{ filter: 'v', last: 5 }, { filter: 'w' }];
    const { attempt, open, platform } = attemptOver(sse, new HttpReader(...wishes));
    const openAll = async () => {
      const streams = await open();
      for (const stream of streams) {
        const volatile = (stream.query['channel'] ?? '').split(',');
        const data = { session: 's', positions: {}, volatile, ...NONE };
        stream.stream().write(event({ event: 'open', data }));
      }
      return streams.map(({ query }) => query['channel']);
    };
    expect(await openAll()).toEqual(['v', 'w']);
    expect(await openAll()).toEqual(['v', 'w']);
    expect(await openAll()).toEqual([]);
    await platform.clock.settle();
    expect(platform.requests).toHaveLength(4);
    attempt.close();
  });
});

describe('what is refused', () => {
  test('[AUTH-4] is found out, told, and left out', async () => {
    const wishes = ['a', 'no', 'c', 'd', 'nor/#'];
    const { attempt, reader, asked, platform } = attemptOver(sse, new HttpReader(...wishes));
    (await asked()).answer(403, problem('forbidden'));
    for (;;) {
      const request = await asked();
      if (request.path !== '/base/v1/poll') break;
      expect(request.query).toMatchObject({ limit: '1' });
      const isRefused = /no/.test(request.query['channel'] ?? '');
      if (isRefused) request.answer(403, problem('forbidden'));
      else request.answer(200, page({}));
    }
    const last = await asked();
    expect(last).toMatchObject({ path: '/base/v1/sse', query: { channel: 'a,c,d' } });
    expect(platform.requests.length).toBeLessThanOrEqual(2 + 2 * wishes.length);
    expect(reader.told()).toEqual(['ready', 'refused no forbidden', 'refused nor/# forbidden']);
    openAt(last, { a: 'e:0', c: 'e:0', d: 'e:0' });
    await platform.clock.settle();
    expect(reader.told()).toHaveLength(3);
    attempt.close();
  });

  test('is not asked for again unless it is revised', async () => {
    const { attempt, reader, asked, open, platform } = attemptOver(longPoll, new HttpReader('no'));
    reader.onWord = (word) => word.startsWith('refused') && reader.want('no');
    (await asked()).answer(400, problem('bad_request'));
    (await asked()).answer(400, problem('bad_request'));
    expect(await open()).toEqual([]);
    expect(reader.told()).toEqual(['ready', 'refused no bad_request']);
    attempt.revise('no');
    expect((await asked()).query).toEqual({ channel: 'no' });
    attempt.close();
    await platform.clock.settle();
    expect(platform.clock.timerCount).toBe(0);
  });

  test('is told from what a proxy refuses', async () => {
    const { reader, asked, platform } = attemptOver(sse, new HttpReader('a', 'b'));
    (await asked()).answer(403, '<html>', { 'content-type': 'text/html' });
    await platform.clock.settle();
    expect(reader.ending).toMatchObject({ kind: 'refused', error: { code: 'not_found' } });
    expect(reader.told()).toEqual(['end refused']);
  });

  test('may be refused while a stream goes on', async () => {
    const { reader, stream, asked, attempt, platform } = await streaming();
    stream.write(event({ event: 'close', data: { code: 'forbidden' } }));
    (await asked()).answer(403, problem('forbidden'));
    await platform.clock.settle();
    expect(reader.told().slice(2)).toEqual(['refused a forbidden']);
    attempt.close();
  });
});

describe('an attempt without wishes', () => {
  test('is ready when the server can be reached', async () => {
    const { reader, asked, attempt, platform } = attemptOver(longPoll, new HttpReader());
    const request = await asked();
    expect(request).toMatchObject({ method: 'OPTIONS', path: '/base/v1/poll' });
    expect(reader.told()).toEqual([]);
    request.answer(204);
    await platform.clock.settle();
    expect(reader.told()).toEqual(['ready']);
    reader.want('a');
    attempt.revise('a');
    expect((await asked()).method).toBe('GET');
    attempt.close();
  });

  test('[SSE-13] is ready when a stream of nothing has opened', async () => {
    const { reader, asked, attempt, platform } = attemptOver(sse, new HttpReader());
    const request = await asked();
    expect(request).toMatchObject({ path: '/base/v1/sse', query: { envelope: '1' } });
    const stream = openAt(request, {}, '');
    await platform.clock.settle();
    expect(reader.told()).toEqual(['ready s']);
    stream.write(event({ event: 'close', data: { code: 'draining' } }));
    await platform.clock.settle();
    expect(reader.told()).toEqual(['end lost']);
    attempt.close();
  });

  test('[SSE-13] is refused by a server that has no such streams', async () => {
    const { reader, asked, platform } = attemptOver(sse, new HttpReader());
    (await asked()).answer(400, problem('bad_request'));
    await platform.clock.settle();
    expect(reader.told()).toEqual(['end refused']);
    expect(platform.requests).toHaveLength(1);
    expect(platform.clock.timerCount).toBe(0);
  });

  test.each([
    ['is away', (request: HttpRequest) => request.fail('connect ECONNREFUSED')],
    ['is ill', (request: HttpRequest) => request.answer(503, problem('draining'))],
    [
      'is a page to log in',
      (request: HttpRequest) => request.answer(200, '<html>', { 'content-type': 'text/html' }),
    ],
    [
      'is elsewhere',
      (request: HttpRequest) => request.answer(302, '', { location: 'http://login.example' }),
    ],
  ])('is lost when the server %s', async (_, answer) => {
    const { reader, asked, platform } = attemptOver(longPoll, new HttpReader());
    answer(await asked());
    await platform.clock.settle();
    expect(reader.told()).toEqual(['end lost']);
  });

  test('is lost when the server says nothing', async () => {
    const { reader, platform } = attemptOver(longPoll, new HttpReader());
    await platform.clock.pass(5000);
    expect(reader.ending).toMatchObject({ kind: 'lost', isTimeout: true });
    expect(platform.clock.timerCount).toBe(0);
  });
});

describe('an attempt over HTTP', () => {
  test('[AUTH-5] goes on with a newer token, from where it stands', async () => {
    const { attempt, first, asked } = await streaming();
    attempt.renew('newer');
    const second = await asked();
    expect(first.signal.aborted).toBe(true);
    expect(second.headers['authorization']).toBe('Bearer newer');
    expect(second.query).toEqual({ channel: 'a', after: 'e:0', envelope: '1' });
    attempt.close();
  });

  test('opens a stream anew when it is silent on a probe', async () => {
    const { attempt, stream, open, platform } = await streaming();
    await platform.clock.pass(10);
    attempt.probe();
    attempt.probe();
    await platform.clock.pass(2000);
    stream.write(': alive\n');
    await platform.clock.pass(1000);
    expect(await open()).toEqual([]);
    attempt.probe();
    await platform.clock.pass(3000);
    expect(await open()).toHaveLength(1);
    attempt.close();
    await platform.clock.settle();
    expect(platform.clock.timerCount).toBe(0);
  });

  test('says nothing before it is open and after it is closed', async () => {
    const { attempt, reader, platform } = attemptOver(sse, new HttpReader('a'));
    attempt.close();
    attempt.close();
    attempt.revise('a');
    attempt.probe();
    await platform.clock.pass(60_000);
    expect(platform.requests).toEqual([]);
    expect(reader.told()).toEqual([]);
  });

  test.each(['ready s', 'open a e:0', 'a 1'])('is closed by its reader at: %s', async (word) => {
    const { attempt, reader, asked, platform } = attemptOver(sse, new HttpReader('a', 'b'));
    reader.onWord = (told) => told === word && attempt.close();
    const stream = openAt(await asked(), { a: 'e:0', b: 'e:0' });
    const message = { channel: 'a', offset: 1, epoch: 'e', time: 1, data: 1 };
    stream.write(event({ data: message, id: '~2' }) + event({ data: { ...message, offset: 2 } }));
    await platform.clock.settle();
    expect(reader.told().at(-1)).toBe(word);
    expect(platform.clock.timerCount).toBe(0);
  });

  test('ends with a publish whose token is not taken', async () => {
    const { attempt, reader, asked, platform } = await streaming();
    const answer = attempt.request({ kind: 'publish', members: '"channel":"a","data":1' });
    (await asked()).answer(401, problem('unauthenticated'));
    await expect(answer).rejects.toMatchObject({ code: 'unavailable', stored: false });
    await platform.clock.settle();
    expect(reader.ending).toMatchObject({ kind: 'stale' });
    attempt.send('"channel":"v"');
    await platform.clock.settle();
    expect(platform.clock.timerCount).toBe(0);
  });
});

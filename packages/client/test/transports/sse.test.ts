import { describe, expect, test } from 'vitest';
import { json } from '../../src/encodings/json.ts';
import { sse } from '../../src/transports/sse.ts';
import type { Wish } from '../../src/transports/transport.ts';
import { attemptOver, event, HttpReader, page, wireMessage } from '../support/http-fakes.ts';
import type { Attempted, FakeStream } from '../support/http-fakes.ts';

const opened = (positions: object, id?: string, others = {}) =>
  event({
    event: 'open',
    ...(id === undefined ? {} : { id }),
    data: { session: 's', positions, recovered: {}, gaps: {}, ...others },
  });
const OPEN_A = opened({ a: 'e:0' }, 'e:0');

interface Streaming extends Attempted {
  readonly stream: FakeStream;
  /** Writes, and lets it settle. */
  write(...texts: readonly string[]): Promise<void>;
}

async function streaming(
  wishes: readonly (string | Wish)[] = ['a'],
  first = OPEN_A,
): Promise<Streaming> {
  const attempted = attemptOver(sse, new HttpReader(...wishes));
  const stream = (await attempted.asked()).stream();
  const write = async (...texts: readonly string[]) => {
    for (const text of texts) stream.write(text);
    await attempted.platform.clock.settle();
  };
  await write(first);
  return { ...attempted, stream, write };
}

test('[WILD-5] what a name lost at the beginning of a stream is told to patterns that had a place', async () => {
  const wishes = ['a', 'a/#'].map((filter) => ({ filter, after: '~1' }));
  const gap = { reason: 'trimmed', from: 2, to: 4 };
  const { reader, attempt } = await streaming(
    wishes,
    opened({ a: 'e:4' }, '~2', { recovered: { a: false, 'a/#': true }, gaps: { a: gap } }),
  );
  expect(reader.told()).toEqual([...['ready s', 'open a e:4', 'open a/# ~2', 'gap a e:4 for a/#']]);
  attempt.close();
});

describe('an event stream of one channel', () => {
  test('[SSE-2] is ready when its first event came, and not before', async () => {
    const wish = { filter: 'a', after: 'e:0', partial: true, presence: true, snapshot: true };
    const { asked, reader, platform, attempt } = attemptOver(sse, new HttpReader(wish));
    const request = await asked();
    expect(request).toMatchObject({
      path: '/base/v1/sse',
      query: {
        ...{ channel: 'a', after: 'e:0', partial: '1', presence: '1', snapshot: '1' },
        envelope: '1',
      },
      headers: { accept: 'text/event-stream', authorization: 'Bearer t' },
    });
    const stream = request.stream();
    expect(reader.told()).toEqual([]);
    stream.write(opened({ a: 'e:0' }, 'e:0', { recovered: { a: true } }));
    await platform.clock.settle();
    expect(reader.told()).toEqual(['ready s', 'open a e:0']);
    expect(reader.openings).toEqual([
      { kind: 'open', channel: 'a', position: 'e:0', recovered: true },
    ]);
    attempt.close();
  });

  test('[SSE-12] tells messages by their objects, whatever their event', async () => {
    const { reader, write, attempt } = await streaming();
    const said = { ...wireMessage('a', 2), event: 'said', from: { session: 'x' } };
    const bytes = { channel: 'a', offset: 3, epoch: 'e', time: 1, bytes: 'AAE=' };
    await write(
      'id: e:1\ndata: {"channel":"a","offset":1,"epoch":"e","time":1,"data":{"big":1.50}}\n\n',
      event({ event: 'said', id: 'e:2', data: said }),
      event({ id: 'e:3', data: { ...bytes, contentType: 'image/png' } }),
    );
    const message = { kind: 'message', channel: 'a', epoch: 'e' };
    expect(reader.messages).toMatchObject([
      { ...message, offset: 1, data: { big: 1.5 }, source: '{"big":1.50}' },
      { ...message, offset: 2, data: { n: 2 }, event: 'said', from: { session: 'x' } },
      { ...message, offset: 3, bytes: new Uint8Array([0, 1]), contentType: 'image/png' },
    ]);
    expect(reader.told().slice(2)).toEqual(['a 1', 'a 2', 'a 3']);
    attempt.close();
  });

  test('keeps no source where the encoding keeps none', async () => {
    const { asked, reader, platform, attempt } = attemptOver(sse, new HttpReader('a'), 't', json);
    const stream = (await asked()).stream();
    stream.write(OPEN_A + event({ id: 'e:1', data: wireMessage('a', 1) }));
    await platform.clock.settle();
    expect(reader.messages).toHaveLength(1);
    expect(reader.messages[0]).not.toHaveProperty('source');
    attempt.close();
  });

  test('[SSE-5] [SSE-10] tells what was lost and what expired', async () => {
    const { reader, write, attempt } = await streaming();
    const gap = { reason: 'trimmed', from: 1, to: 7 };
    await write(
      event({ event: 'gap', id: 'e:7', data: { channel: 'a', gap, position: 'e:7' } }),
      'id: e:9\n\n',
      'id: e:10\n',
      event({ data: wireMessage('a', 10) }),
      'id: e:10\n\n',
    );
    expect(reader.told().slice(2)).toEqual(['gap a e:7', 'expired a e:9', 'a 10']);
    attempt.close();
  });

  test('[SSE-11] has no places in a volatile channel', async () => {
    const { reader, write, attempt } = await streaming(
      ['v'],
      opened({}, undefined, { volatile: ['v'] }),
    );
    await write(event({ data: { channel: 'v', time: 1, data: { n: 1 } } }));
    expect(reader.told()).toEqual(['ready s', 'open v', 'v {"n":1}']);
    expect(reader.messages[0]).not.toHaveProperty('offset');
    attempt.close();
  });

  test('[PRES-10] [SSE-1] tells who is there, and the state', async () => {
    const { reader, write, attempt } = await streaming();
    const member = { session: 's', since: 1 };
    await write(
      event({ event: 'snapshot', data: { channel: 'a', position: 'e:0', time: 1, data: 7 } }),
      event({ event: 'presence', data: { channel: 'a', members: [member], count: 1 } }),
      event({ event: 'join', data: { channel: 'a', member } }),
      event({ event: 'leave', data: { channel: 'a', member } }),
      event({ event: 'error', data: {} }),
    );
    expect(reader.told().slice(2)).toEqual(['snapshot a e:0', 'presence a', 'join a', 'leave a']);
    attempt.close();
  });

  test('does not read on while there is no room', async () => {
    const { reader, stream, write, platform, attempt } = await streaming();
    reader.hold();
    const events = [1, 2].map((n) => event({ id: `e:${n}`, data: wireMessage('a', n) }));
    await write(...events);
    expect(reader.told().at(-1)).toBe('a 1');
    // A reader without room is not a server that fell silent.
    await platform.clock.pass(60_000);
    expect(stream.waiting).toBe(1);
    reader.release();
    await platform.clock.settle();
    expect(reader.told()).toEqual(['a 2']);
    attempt.close();
  });
});

describe('an event stream of several', () => {
  const many = (text: string, id?: string) => `${id === undefined ? '' : `id: ${id}\n`}${text}`;

  test('[SSE-9] [WILD-3] tells messages by name, and marks for all', async () => {
    const opening = opened({ a: 'e:0' }, '~1', { recovered: { a: true } });
    const { reader, write, attempt } = await streaming(['a', 'b/#'], opening);
    await write(
      event({ data: wireMessage('b/1', 4) }) + event({ data: wireMessage('a', 1), id: '~2' }),
      many('\n', '~3'),
      event({ event: 'moved', data: { ...wireMessage('a', 2), event: 'moved' } }),
    );
    expect(reader.told()).toEqual([
      ...['ready s', 'open a e:0', 'open b/# ~1'],
      ...['b/1 4', 'a 1', 'mark ~2', 'mark ~3', 'a 2'],
    ]);
    expect(reader.messages[2]).toMatchObject({ event: 'moved', source: '{"n":2}' });
    attempt.close();
  });

  test('keeps the mark that a pattern came with where none can be said', async () => {
    const wishes = ['a', { filter: 'b/#', after: '~7' }];
    const { reader, attempt } = await streaming(wishes, opened({ a: 'e:0' }));
    expect(reader.told()).toEqual(['ready s', 'open a e:0', 'open b/# ~7']);
    attempt.close();
  });

  test.each([
    ['a payload alone', event({ id: 'e:1', data: { n: 1 } }), ['a']],
    ['a message that is none', event({ data: { channel: 7 } }), ['a', 'b']],
  ])('ends at %s', async (_, text, wishes) => {
    const { reader, write } = await streaming(wishes, opened({ a: 'e:0', b: 'e:0' }, 'e:0'));
    await write(text);
    expect(reader.ending).toMatchObject({ kind: 'lost' });
  });
});

describe('the end of an event stream', () => {
  test('[SSE-6] has the code and the time of the goodbye', async () => {
    const { reader, write } = await streaming();
    await write('retry: 300\nevent: close\ndata: {"code":"draining","retryAfter":700}\n\n');
    expect(reader.ending).toMatchObject({ kind: 'lost', hint: { notBeforeMs: 700 } });
  });

  test('[AUTH-5] asks for a fresh token when the token has ended', async () => {
    const { reader, write } = await streaming();
    await write(event({ event: 'close', data: { code: 'unauthenticated' } }));
    expect(reader.ending).toMatchObject({ kind: 'stale', error: { code: 'unauthenticated' } });
  });

  test('[SSE-2] is a loss with the time to wait, when nothing was said', async () => {
    const { reader, stream, platform, write } = await streaming(['a'], `retry: 2000\n${OPEN_A}`);
    stream.end();
    await platform.clock.settle();
    expect(reader.ending).toMatchObject({ kind: 'lost', hint: { notBeforeMs: 2000 } });
    await write('id: e:1\ndata: 1\n\n');
    expect(reader.told().at(-1)).toBe('end lost');
    expect(platform.clock.timerCount).toBe(0);
  });

  test('[SSE-7] holds 25 s of silence for death, and comments for life', async () => {
    const { reader, write, platform } = await streaming();
    for (let count = 0; count < 10; count += 1) {
      await platform.clock.pass(15_000);
      await write(': alive\n');
    }
    expect(reader.ending).toBeUndefined();
    await platform.clock.pass(25_000);
    expect(reader.ending).toMatchObject({ kind: 'lost', reason: 'the stream fell silent' });
    expect(platform.clock.timerCount).toBe(0);
  });

  test('tells a stream that is held back on the way', async () => {
    const { asked, reader, platform } = attemptOver(sse, new HttpReader('a'));
    const request = await asked();
    request.stream();
    await platform.clock.pass(5000);
    expect(reader.ending).toMatchObject({ kind: 'lost', isTimeout: true });
    expect(reader.ending).toHaveProperty('reason', 'no event in time');
    expect(request.signal.aborted).toBe(true);
  });

  test('is not held for one by comments alone', async () => {
    const { asked, reader, platform } = attemptOver(sse, new HttpReader('a'));
    const stream = (await asked()).stream();
    for (let count = 0; count < 5; count += 1) {
      stream.write(': alive\n');
      await platform.clock.pass(1000);
    }
    expect(reader.ending).toMatchObject({ kind: 'lost', isTimeout: true });
    expect(platform.clock.timerCount).toBe(0);
  });

  test('is not waited for where a refusal has no end', async () => {
    const { asked, reader, platform } = attemptOver(sse, new HttpReader('a'));
    const body = new ReadableStream({ pull: () => new Promise(() => {}) });
    (await asked()).answerWith(new Response(body, { status: 503 }));
    await platform.clock.pass(5000);
    expect(reader.ending).toMatchObject({ kind: 'lost', isTimeout: true });
  });

  test.each(['nonsense', '{}', '{"positions":5}'])('is not opened by %s', async (opening) => {
    const { asked, reader, platform } = attemptOver(sse, new HttpReader('a'));
    (await asked()).stream().write(`event: open\ndata: ${opening}\n\n`);
    (await asked()).answer(200, page({ a: 'e:0' }));
    await platform.clock.settle();
    expect(reader.told()).toEqual(['end refused']);
  });

  test('tells that there is no answer at all', async () => {
    const { reader, platform } = attemptOver(sse, new HttpReader('a'));
    await platform.clock.pass(5000);
    expect(reader.ending).toHaveProperty('reason', 'no answer in time');
    expect(platform.clock.timerCount).toBe(0);
  });

  test('is a refusal when what answers is no event stream', async () => {
    const { asked, reader, platform } = attemptOver(sse, new HttpReader('a'));
    (await asked()).answer(200, '<html>', { 'content-type': 'text/html' });
    (await asked()).answer(200, page({ a: 'e:0' }));
    await platform.clock.settle();
    expect(reader.ending).toMatchObject({
      kind: 'refused',
      error: { code: 'bad_request', message: expect.stringContaining('text/html') as string },
    });
  });

  test.each([
    [502, 'lost'],
    [429, 'lost'],
    [401, 'stale'],
    [404, 'refused'],
  ])('is %i: %s', async (status, kind) => {
    const { asked, reader, platform } = attemptOver(sse, new HttpReader('a'));
    (await asked()).answer(status, '', { 'retry-after': '3' });
    await platform.clock.settle();
    expect(reader.told()).toEqual([`end ${kind}`]);
    if (kind === 'lost') expect(reader.ending).toMatchObject({ hint: { notBeforeMs: 3000 } });
    expect(platform.clock.timerCount).toBe(0);
  });
});

describe('the transport', () => {
  test('works where fetch streams', () => {
    const { platform, attempt } = attemptOver(sse, new HttpReader());
    attempt.close();
    expect(sse.fault(platform)).toBeUndefined();
  });
});

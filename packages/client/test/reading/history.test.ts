import { CodedError } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import type { Frame } from '../../src/encodings/encoding.ts';
import type { ReceivedMessage } from '../../src/events.ts';
import { GapError } from '../../src/reading/gap-error.ts';
import { readHistory } from '../../src/reading/history.ts';
import type { Requester } from '../../src/reading/history.ts';

interface Query {
  readonly after?: string;
  readonly before?: string;
  readonly last?: number;
  readonly limit?: number;
}

/** A server that keeps the offsets from `oldest` to `top` of epoch `e`. [HIST-1] */
function serverWith(oldest: number, top: number) {
  const asked: Query[] = [];
  const request: Requester = async (ask) => {
    if (ask.kind !== 'history') throw new Error('expected a question for history');
    const query = JSON.parse(JSON.stringify(ask.query)) as Query;
    asked.push(query);
    const { after, before, last = 100, limit = 100 } = query;
    const size = Math.min(last, limit);
    const offsetIn = (place: string) => Number(place.split(':')[1] ?? 0);
    const from = after === undefined ? undefined : Math.max(offsetIn(after) + 1, oldest);
    const to = before === undefined ? top : offsetIn(before) - 1;
    const first = from ?? Math.max(oldest, to - size + 1);
    const end = from === undefined ? to : Math.min(top, from + size - 1);
    const more = from === undefined ? first > oldest : end < top;
    const trimmed = after?.includes(':') === true && offsetIn(after) + 1 < oldest;
    return page(range(first, end), {
      position: `e:${Math.max(end, 0)}`,
      ...(more ? { more } : {}),
      ...(trimmed ? { gap: { reason: 'trimmed' } } : {}),
    });
  };
  return { asked, request };
}

function page(offsets: readonly number[], fields: object = {}): Frame {
  return {
    fields: { position: 'e:0', oldest: 'e:1', newest: 'e:9', ...fields },
    messages: offsets.map(message),
  };
}

function message(offset: number): ReceivedMessage {
  return { kind: 'message', channel: 'a', offset, epoch: 'e', time: 1, data: offset };
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);

async function offsetsOf(
  messages: AsyncIterable<{ readonly offset?: number }>,
): Promise<unknown[]> {
  const offsets: unknown[] = [];
  for await (const { offset } of messages) offsets.push(offset);
  return offsets;
}

describe('a page', () => {
  test('[HIST-1] has the newest messages, and the next one what is before them', async () => {
    const { asked, request } = serverWith(1, 7);
    const first = await readHistory<number>(request, 'a', { limit: 3 });
    expect(first.messages.map(({ data }) => data)).toEqual([5, 6, 7]);
    expect(first).toMatchObject({ position: 'e:7', oldest: 'e:1', newest: 'e:9', more: true });
    const second = await first.next();
    expect(second?.messages.map(({ data }) => data)).toEqual([2, 3, 4]);
    const third = await second?.next();
    expect(third?.messages.map(({ data }) => data)).toEqual([1]);
    expect(await third?.next()).toBeUndefined();
    expect(asked).toEqual([{ limit: 3 }, { before: 'e:5', limit: 3 }, { before: 'e:2', limit: 3 }]);
  });

  test('[HIST-1] after a place is followed by what comes after it', async () => {
    const { asked, request } = serverWith(1, 5);
    const first = await readHistory(request, 'a', { after: 'e:1', limit: 2 });
    const second = await first.next();
    expect(second?.messages.map(({ offset }) => offset)).toEqual([4, 5]);
    expect(await second?.next()).toBeUndefined();
    expect(asked).toEqual([
      { after: 'e:1', limit: 2 },
      { after: 'e:3', limit: 2 },
    ]);
  });

  test('[HIST-2] says why it does not begin at the place asked for', async () => {
    const { request } = serverWith(4, 6);
    const first = await readHistory(request, 'a', { after: 'e:1', limit: 2 });
    expect(first.gap).toEqual({ reason: 'trimmed' });
    expect((await first.next())?.gap).toBeUndefined();
  });

  test('asks for pages as large as what was asked for in all', async () => {
    const { asked, request } = serverWith(1, 100);
    await (await readHistory(request, 'a', { last: 30 })).next();
    await readHistory(request, 'a', { last: 2500 });
    await readHistory(request, 'a', { last: 0 });
    expect(asked).toEqual([
      { last: 30, limit: 30 },
      { before: 'e:71', limit: 30 },
      { last: 2500, limit: 1000 },
      { last: 0 },
    ]);
  });

  test('gives the application what its messages were made to be', async () => {
    const { request } = serverWith(1, 2);
    const { messages } = await readHistory(request, 'a', {}, async (one) => ({
      ...one,
      data: `n${one.offset}`,
    }));
    expect(messages.map(({ data }) => data)).toEqual(['n1', 'n2']);
  });

  test('that is none is an error', async () => {
    const request: Requester = async () => ({ fields: { position: 'e:1', oldest: 3 } });
    await expect(readHistory(request, 'a')).rejects.toThrow(CodedError);
  });
});

describe('iterating', () => {
  test('goes backwards, the newest first', async () => {
    const { request } = serverWith(1, 7);
    expect(await offsetsOf(await readHistory(request, 'a', { limit: 3 }))).toEqual(
      range(1, 7).reverse(),
    );
    expect(await offsetsOf(await readHistory(request, 'a', { before: 'e:4' }))).toEqual([3, 2, 1]);
  });

  test('goes forwards with after', async () => {
    const { request } = serverWith(1, 7);
    expect(await offsetsOf(await readHistory(request, 'a', { after: 'start', limit: 3 }))).toEqual(
      range(1, 7),
    );
  });

  test('ends after as many as were asked for, and asks for no page beyond them', async () => {
    const { asked, request } = serverWith(1, 9);
    expect(await offsetsOf(await readHistory(request, 'a', { last: 3 }))).toEqual([9, 8, 7]);
    expect(asked).toHaveLength(1);
    expect(await offsetsOf(await readHistory(request, 'a', { last: 3, limit: 2 }))).toEqual([
      9, 8, 7,
    ]);
    expect(await offsetsOf(await readHistory(request, 'a', { last: 0 }))).toEqual([]);
  });

  test('asks for a page only when the one before was read', async () => {
    const { asked, request } = serverWith(1, 9);
    for await (const { offset } of await readHistory(request, 'a', { limit: 2 })) {
      if (offset === 8) break;
    }
    expect(asked).toHaveLength(1);
  });

  test('[HIST-3] goes on over a page that is empty', async () => {
    const pages = [page([], { position: 'e:5', more: true }), page([6], { position: 'e:6' })];
    const request: Requester = async () => pages.shift() ?? page([]);
    expect(await offsetsOf(await readHistory(request, 'a', { after: 'e:1' }))).toEqual([6]);
  });

  test('[HIST-2] throws at a hole, be it on the first page or on a later one', async () => {
    const { request } = serverWith(4, 6);
    const first = await readHistory(request, 'a', { after: 'e:1' });
    await expect(offsetsOf(first)).rejects.toThrow(GapError);
    const pages = [
      page([1], { position: 'e:1', more: true }),
      page([5], { position: 'e:5', gap: { reason: 'trimmed', from: 2, to: 4 } }),
    ];
    const read: unknown[] = [];
    const iterate = async () => {
      const odd = await readHistory(async () => pages.shift() ?? page([]), 'a', { after: 'start' });
      for await (const { offset } of odd) read.push(offset);
    };
    await expect(iterate()).rejects.toMatchObject({
      event: { kind: 'gap', channel: 'a', position: 'e:5', gap: { from: 2, to: 4 } },
    });
    expect(read).toEqual([1]);
  });
});

describe('a server that says that there is more ends with an error', () => {
  test.each([
    ['the same place', { after: 'e:3' }, page([4], { position: 'e:3', more: true })],
    ['an earlier place', { after: 'e:3' }, page([2], { position: 'e:2', more: true })],
    ['another life', { after: 'e:3' }, page([4], { position: 'f:9', more: true })],
    ['no place', { after: 'e:3' }, page([4], { position: 'soon', more: true })],
    ['no message to go back from', { before: 'e:3' }, page([], { more: true })],
    ['a later message', { before: 'e:3' }, page([4], { more: true })],
    ['the same message', { before: 'e:3' }, page([3], { more: true })],
  ])('with %s', async (_, options, answer) => {
    let asked = 0;
    const request: Requester = async () => {
      asked += 1;
      return answer;
    };
    const first = await readHistory(request, 'a', options);
    await expect(first.next()).rejects.toThrow('stands still');
    await expect(offsetsOf(first)).rejects.toThrow('stands still');
    expect(asked).toBe(1);
  });

  test('but behind a hole it may be in another life', async () => {
    const pages = [
      page([], { position: 'f:2', more: true, gap: { reason: 'epoch' } }),
      page([], { position: 'f:2' }),
    ];
    const first = await readHistory(async () => pages.shift() ?? page([]), 'a', { after: 'e:3' });
    expect((await first.next())?.position).toBe('f:2');
  });
});

describe('a signal', () => {
  test('ends what is under way', async () => {
    const { request } = serverWith(1, 7);
    const ending = new AbortController();
    const first = await readHistory(request, 'a', { limit: 2, signal: ending.signal });
    const hung = await readHistory(
      (ask) =>
        ask.kind === 'history' && 'before' in ask.query && ask.query['before'] !== undefined
          ? new Promise(() => {})
          : request(ask),
      'a',
      { limit: 2, signal: ending.signal },
    );
    const next = hung.next();
    ending.abort(new Error('enough'));
    await expect(next).rejects.toThrow('enough');
    await expect(first.next()).rejects.toThrow('enough');
  });

  test('that has ended before asks for nothing', async () => {
    const { asked, request } = serverWith(1, 7);
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(readHistory(request, 'a', { signal })).rejects.toThrow('enough');
    expect(asked).toEqual([]);
  });
});

import { afterEach, describe, expect, test, vi } from 'vitest';
import { history, keptOf, members, publish, publishBody, retained } from '../src/api.ts';

afterEach(() => {
  vi.unstubAllGlobals();
});

/** The server answers this; the list has what was asked. */
function answer(body: unknown, status = 200): string[] {
  const asked: string[] = [];
  vi.stubGlobal('fetch', (path: string) => {
    asked.push(path);
    return Promise.resolve(new Response(JSON.stringify(body), { status }));
  });
  return asked;
}

describe('publishBody', () => {
  test('embeds JSON as it was typed, so that large numbers survive', () => {
    const body = publishBody({ channel: 'a"b', payload: '{"n":9007199254740993}', kind: 'json' });
    expect(body).toBe('{"channel":"a\\"b","data":{"n":9007199254740993}}');
  });

  test('sends text as a string with its type, and bytes as base64', () => {
    const body = publishBody({ channel: 'a', payload: 'x\n"y"', kind: 'text', event: 'typed' });
    expect(JSON.parse(body)).toEqual({
      channel: 'a',
      data: 'x\n"y"',
      contentType: 'text/plain',
      event: 'typed',
    });
    expect(publishBody({ channel: 'a', payload: 'AAE=', kind: 'bytes' })).toBe(
      '{"channel":"a","bytes":"AAE="}',
    );
  });

  test('says what else was asked for, and nothing that was not', () => {
    const options = { key: 'k', slot: 's', ttl: 500, retain: true };
    const body = publishBody({ channel: 'a', payload: '1', kind: 'json', ...options });
    expect(JSON.parse(body)).toEqual({ channel: 'a', data: 1, ...options });
  });

  test('refuses what is not JSON, also what would close the object early', () => {
    for (const payload of ['', '{', '1},"retain":true,"x":{', 'undefined']) {
      expect(() => publishBody({ channel: 'a', payload, kind: 'json' })).toThrow(SyntaxError);
    }
  });
});

describe('publish', () => {
  const publication = { channel: 'a', payload: '1', kind: 'json' } as const;

  test('answers the position, or that nothing is kept', async () => {
    answer({ position: 'k3f9:1' });
    expect(await publish(publication, undefined)).toEqual({ ok: true, value: 'k3f9:1' });
    answer({ channel: 'a', volatile: true });
    expect(await publish(publication, undefined)).toEqual({ ok: true, value: undefined });
  });

  test('says why not, by code and sentence', async () => {
    answer({ code: 'too_large', detail: 'at most 65536 bytes' }, 413);
    expect(await publish(publication, undefined)).toEqual({
      ok: false,
      reason: 'too_large: at most 65536 bytes',
    });
    expect(await publish({ ...publication, payload: '{' }, undefined)).toMatchObject({
      ok: false,
      reason: expect.stringMatching(/not JSON/),
    });
  });
});

describe('keptOf', () => {
  const hole = { channel: 'a', epoch: 'k3f9', from: 5, to: 7 };

  test('counts what the log has of a hole', async () => {
    const asked = answer({ messages: [{ offset: 6 }, { offset: 8 }] });
    expect(await keptOf(hole, undefined)).toBe(1);
    expect(asked).toEqual(['/v1/history?channel=a&after=k3f9%3A4&limit=3']);
  });

  test('takes doubt for loss, and no answer for none', async () => {
    answer({ messages: [], gap: { reason: 'trimmed' } });
    expect(await keptOf(hole, undefined)).toBe(3);
    expect(await keptOf({ ...hole, to: 5_000 }, undefined)).toBe(4_996);
    answer({}, 503);
    expect(await keptOf(hole, undefined)).toBeUndefined();
  });
});

test('a page of history begins at the newest, or before a position', async () => {
  const asked = answer({ messages: [], oldest: 'k3f9:1', newest: 'k3f9:9' });
  const page = await history('a', undefined, 5, undefined);
  expect(page).toMatchObject({ ok: true, value: { newest: { epoch: 'k3f9', offset: 9 } } });
  await history('a', { epoch: 'k3f9', offset: 5 }, 5, undefined);
  expect(asked).toEqual([
    '/v1/history?channel=a&limit=5&last=5',
    '/v1/history?channel=a&limit=5&before=k3f9%3A5',
  ]);
});

test('[RET-5] what is retained is asked for by pattern', async () => {
  const asked = answer({ messages: [{ channel: 'a', time: 1, data: 1 }], more: true });
  expect(await retained('#', 50, undefined)).toMatchObject({ value: { more: true } });
  expect(asked).toEqual(['/v1/retained?channel=%23&limit=50']);
});

test('[PRES-8] members are asked for page by page', async () => {
  const asked = answer({ members: [{ session: 's' }], count: 1_000, next: 'n2' });
  expect(await members('a', 'n1', 200, undefined)).toEqual({
    ok: true,
    value: { members: [{ session: 's' }], count: 1_000, next: 'n2' },
  });
  expect(asked).toEqual(['/v1/presence?channel=a&limit=200&after=n1']);
});

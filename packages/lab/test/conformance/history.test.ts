/** History: pages of what a channel still has, forwards and backwards, over HTTP and WebSocket. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BINARY_CODEC, CODECS, pageText } from '../../src/codec.ts';
import type { Codec } from '../../src/codec.ts';
import type { Fields } from '../../src/http.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { WebSocketPeer } from '../../src/web-socket.ts';

let server: LabServer;
let count = 0;

beforeAll(async () => {
  server = await startServer({ namespaces: { 'small/#': { history: { countMax: 4 } } } });
});

afterAll(async () => {
  expect(server.faults).toEqual([]);
  await server[Symbol.asyncDispose]();
});

interface Page {
  readonly messages: readonly Fields[];
  readonly position: string;
  readonly oldest: string;
  readonly newest: string;
  readonly more?: boolean;
  readonly gap?: Fields;
}

interface Asked {
  readonly channel: string;
  readonly after?: string;
  readonly before?: string;
  readonly last?: number;
  readonly limit?: number;
}

type Read = (asked: Asked) => Promise<Page>;

function overHttp({ headers }: Codec): Read {
  return async (asked) => {
    const search = new URLSearchParams(
      Object.entries(asked).map(([name, value]) => [name, String(value)]),
    );
    const answer = await server.get(`/v1/history?${search.toString()}`, headers);
    expect(answer.status, answer.text).toBe(200);
    const isBinary = answer.headers['content-type'] === BINARY_CODEC.headers['accept'];
    expect(isBinary).toBe('accept' in headers);
    return isBinary ? (JSON.parse(pageText(answer.bytes)) as Page) : answer.json<Page>();
  };
}

function overWebSocket({ subprotocol }: Codec): Read {
  return async (asked) => {
    using peer = await WebSocketPeer.open(server.port, { subprotocol });
    const { source } = await peer.call({ type: 'history', id: 4, ...asked });
    const { type, id, ...page } = JSON.parse(String(source)) as Page & Fields;
    expect([type, id]).toEqual(['history', 4]);
    return page;
  };
}

async function channelWith(messages: number, prefix = 'history'): Promise<[string, string]> {
  count += 1;
  const channel = `${prefix}/${count}`;
  const values = Array.from({ length: messages }, (_, index) => index + 1);
  const [stored] = messages > 0 ? await server.publish(channel, ...values) : [];
  return [channel, stored?.epoch ?? '0'];
}

const offsetsOf = (page: Page): unknown[] => page.messages.map(({ offset }) => offset);

const READS = CODECS.flatMap((codec) => [
  { name: `${codec.prefix}HTTP`, read: overHttp(codec) },
  { name: `${codec.prefix}WebSocket`, read: overWebSocket(codec) },
]);

describe.each(READS)('over $name', ({ read }) => {
  test('[HIST-1] answers the newest page, and says where it ends', async () => {
    const [channel, epoch] = await channelWith(3);
    const page = await read({ channel });
    expect(offsetsOf(page)).toEqual([1, 2, 3]);
    expect(page).toMatchObject({
      position: `${epoch}:3`,
      oldest: `${epoch}:1`,
      newest: `${epoch}:3`,
    });
    expect(page).not.toHaveProperty('more');
    expect(page).not.toHaveProperty('gap');
  });

  test('[HIST-1] has no messages of a channel that is not there', async () => {
    const [channel] = await channelWith(0);
    expect(await read({ channel })).toEqual({
      messages: [],
      position: '0:0',
      oldest: '0:0',
      newest: '0:0',
    });
  });

  test('[HIST-1] pages forwards with after', async () => {
    const [channel, epoch] = await channelWith(7);
    const seen: unknown[] = [];
    let after = `${epoch}:0`;
    for (const [size, more] of [
      [3, true],
      [3, true],
      [1, undefined],
    ] as const) {
      const page = await read({ channel, after, limit: 3 });
      expect(page.messages).toHaveLength(size);
      expect(page.more).toBe(more);
      expect(page).not.toHaveProperty('gap');
      seen.push(...offsetsOf(page));
      after = page.position;
    }
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(after).toBe(`${epoch}:7`);
    expect(await read({ channel, after })).toMatchObject({ messages: [], position: after });
  });

  test('[HIST-1] pages backwards with before, messages in offset order', async () => {
    const [channel, epoch] = await channelWith(7);
    const seen: unknown[] = [7];
    let before = `${epoch}:7`;
    for (const [first, more] of [
      [4, true],
      [1, undefined],
    ] as const) {
      const page = await read({ channel, before, limit: 3 });
      expect(page.messages[0]).toMatchObject({ offset: first });
      expect(page.more).toBe(more);
      seen.unshift(...offsetsOf(page));
      before = `${epoch}:${first}`;
    }
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  test('[HIST-1] reads everything from the oldest with start', async () => {
    const [channel, epoch] = await channelWith(6, 'small');
    const page = await read({ channel, after: 'start' });
    expect(offsetsOf(page)).toEqual([3, 4, 5, 6]);
    expect(page).toMatchObject({ oldest: `${epoch}:3`, newest: `${epoch}:6` });
    expect(page).not.toHaveProperty('gap');
  });

  test('[HIST-1] answers the newest N with last, and says that there are older ones', async () => {
    const [channel, epoch] = await channelWith(5);
    const page = await read({ channel, last: 2 });
    expect(offsetsOf(page)).toEqual([4, 5]);
    expect(page).toMatchObject({ position: `${epoch}:5`, more: true });
    expect(await read({ channel, last: 0 })).toMatchObject({
      messages: [],
      position: `${epoch}:5`,
    });
  });

  test('[HIST-1] answers 100 when no limit is given', async () => {
    const [channel] = await channelWith(120);
    const page = await read({ channel, after: 'start' });
    expect(page.messages).toHaveLength(100);
    expect(page.more).toBe(true);
  });

  test.each([
    ['epoch', 'gone:1'],
    ['ahead', ':99'],
    ['unknown', 'nonsense'],
  ])('[HIST-2] says why it can not read on: %s', async (reason, place) => {
    const [channel, epoch] = await channelWith(2);
    const after = place.startsWith(':') ? `${epoch}${place}` : place;
    expect(await read({ channel, after })).toMatchObject({ messages: [], gap: { reason } });
    expect(await read({ channel, before: after })).toMatchObject({ gap: { reason } });
  });

  test('[HIST-2] gives what is left behind a gap of what was trimmed', async () => {
    const [channel, epoch] = await channelWith(6, 'small');
    const page = await read({ channel, after: `${epoch}:1` });
    expect(page.gap).toEqual({ reason: 'trimmed', from: 2, to: 2 });
    expect(offsetsOf(page)).toEqual([3, 4, 5, 6]);
  });
});

describe('over HTTP', () => {
  test.each([
    'channel=a&after=0:0&before=0:0',
    'channel=a&after=0:0&last=1',
    'channel=a&limit=1001',
    'channel=a&limit=0',
    'channel=a&channel=b',
    '',
  ])('[HIST-1] [HTTP-4] refuses %s', async (query) => {
    const answer = await server.get(`/v1/history?${query}`);
    expect([answer.status, answer.json()['code']]).toEqual([400, 'bad_request']);
  });
});

describe('over WebSocket', () => {
  test.each([
    { after: '0:0', before: '0:0' },
    { after: '0:0', last: 1 },
    { limit: 1001 },
    { limit: 0 },
  ])('[HIST-1] refuses %j', async (asked) => {
    using peer = await WebSocketPeer.open(server.port);
    const answer = await peer.call({ type: 'history', id: 4, channel: 'a', ...asked });
    expect(answer).toMatchObject({ type: 'error', id: 4, code: 'bad_request' });
  });
});

/** What is kept beside a channel's log: the retained message, the snapshot, and their end. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EventStreamPeer } from '../../src/event-stream.ts';
import { ask } from '../../src/http.ts';
import type { Answered } from '../../src/http.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { API_KEY } from '../../src/tokens.ts';
import { WebSocketPeer } from '../../src/web-socket.ts';

const KEY = { authorization: `Bearer ${API_KEY}` };

let server: LabServer;
let count = 0;

beforeAll(async () => {
  const namespaces = {
    'short/#': { history: { countMax: 2 } },
    'volatile/#': { volatile: true },
    'large/#': { messageBytesMax: 2_000_000 },
  };
  const auth = { apiKeys: [API_KEY] };
  const link = { frameBytesMax: 4_000_000 };
  server = await startServer({ dev: true, auth, namespaces, link });
});

afterAll(async () => {
  expect(server.faults).toEqual([]);
  await server[Symbol.asyncDispose]();
});

/** The name of a channel that no other test knows. */
function channelIn(prefix: string): string {
  count += 1;
  return `${prefix}/${count}`;
}

/** Asks as an application. */
function asServer(method: string, path: string, body?: string, type?: string): Promise<Answered> {
  const headers = { ...KEY, ...(type === undefined ? {} : { 'content-type': type }) };
  return ask(`${server.url}${path}`, { method, headers, ...(body === undefined ? {} : { body }) });
}

/** What is retained in the channels that match. */
async function retainedIn(filter: string): Promise<readonly Record<string, unknown>[]> {
  const answer = await server.get(`/v1/retained?channel=${encodeURIComponent(filter)}`);
  return answer.json<{ messages: Record<string, unknown>[] }>().messages;
}

describe('a retained message', () => {
  test('[RET-1] outlives its channel’s history, until another replaces it', async () => {
    const channel = channelIn('short');
    const [kept] = await server.publishAll([{ channel, data: { n: 1 }, event: 'e', retain: true }]);
    await server.publish(channel, 2, 3, 4);
    const history = await server.get(`/v1/history?channel=${channel}&after=start`);
    expect(history.json<{ messages: unknown[] }>().messages).toHaveLength(2);
    const { offset, epoch } = kept ?? {};
    const stamped = { time: expect.any(Number), from: { session: expect.any(String) } };
    expect(await retainedIn(channel)).toEqual([
      { channel, offset, epoch, data: { n: 1 }, event: 'e', ...stamped },
    ]);
    await server.publishAll([{ channel, data: 5, retain: true }]);
    expect(await retainedIn(channel)).toMatchObject([{ data: 5 }]);
  });

  test('[RET-1] is cleared by an empty payload, which is published as well', async () => {
    const channel = channelIn('retained');
    await server.publishAll([
      { channel, data: 1, retain: true },
      { channel, bytes: '', retain: true },
    ]);
    expect(await retainedIn(channel)).toEqual([]);
    const history = await server.get(`/v1/history?channel=${channel}&after=start`);
    expect(history.json()).toMatchObject({ messages: [{ data: 1 }, { bytes: '' }] });
  });

  test('[RET-2] is the one with the latest position of many at once', async () => {
    const channel = channelIn('retained');
    const element = (data: number): object => ({ channel, data, retain: true });
    const batch = Array.from({ length: 50 }, (_, index) => element(index));
    await Promise.all([server.publishAll(batch), server.publishAll(batch)]);
    const [last] = await retainedIn(channel);
    expect(last).toMatchObject({ offset: 100, data: 49 });
  });

  test('[RET-2] has no position in a volatile channel', async () => {
    const channel = channelIn('volatile');
    const body = JSON.stringify({ channel, data: 1, retain: true });
    const type = 'application/json';
    expect((await asServer('POST', '/v1/publish', body, type)).status).toBe(200);
    expect(await retainedIn(channel)).toEqual([{ channel, time: expect.any(Number), data: 1 }]);
  });

  test('[RET-3] is not given after its time', async () => {
    const channel = channelIn('retained');
    await server.publishAll([{ channel, data: 1, retain: true, ttl: 1 }]);
    await expect.poll(() => retainedIn(channel)).toEqual([]);
  });

  test('[RET-4] is refused with too_large before it is published where it does not fit', async () => {
    const channel = channelIn('large');
    const body = JSON.stringify({ channel, data: 'x'.repeat(1_200_000), retain: true });
    const refused = await asServer('POST', '/v1/publish', body, 'application/json');
    expect(refused.json()).toMatchObject({ code: 'too_large', stored: false });
    const plain = body.replace('"retain":true', '"retain":false');
    const stored = await asServer('POST', '/v1/publish', plain, 'application/json');
    expect(stored.json()).toMatchObject({ offset: 1 });
  });

  test('[RET-5] is found by a pattern, page by page, and cleared without a message', async () => {
    const base = channelIn('found');
    const names = [base, `${base}/a`, `${base}/a/b`, `${base}/c`];
    await server.publishAll(names.map((channel) => ({ channel, data: 1, retain: true })));
    await server.publishAll([{ channel: `${base}0`, data: 1, retain: true }]);
    const namesIn = async (filter: string) =>
      (await retainedIn(filter)).map(({ channel }) => channel);
    expect(await namesIn(`${base}/#`)).toEqual(names);
    expect(await namesIn(`${base}/+`)).toEqual([`${base}/a`, `${base}/c`]);
    const page = `/v1/retained?channel=${encodeURIComponent(`${base}/#`)}&limit=2`;
    expect((await server.get(page)).json()).toMatchObject({ messages: [{}, {}], more: true });
    const next = await server.get(`${page}&after=${base}/a`);
    expect(next.json()).toMatchObject({ messages: [{ channel: names[2] }, { channel: names[3] }] });
    const clear = `${server.url}/v1/retained?channel=${base}`;
    expect((await ask(clear, { method: 'DELETE' })).status).toBe(204);
    expect((await ask(clear, { method: 'DELETE' })).status).toBe(404);
    expect(await namesIn(`${base}/#`)).toEqual(names.slice(1));
  });
});

describe('a snapshot', () => {
  const pathOf = (channel: string): string => `/v1/snapshot?channel=${channel}`;

  test('[SNAP-1] [SNAP-5] is put, read and deleted', async () => {
    const channel = channelIn('snapshot');
    const [, second] = await server.publish(channel, 1, 2);
    const { position = '' } = second ?? {};
    const path = pathOf(channel);
    expect((await server.get(path)).status).toBe(404);
    const put = await asServer('PUT', `${path}&position=${position}`, '{"n":12345678901234567890}');
    const time = expect.any(Number);
    expect(put.json()).toEqual({ channel, position, time });
    const got = await server.get(path);
    expect(got.json()).toMatchObject({ channel, position, time });
    expect(got.text).toContain('"data":{"n":12345678901234567890}');
    const text = await asServer('PUT', `${path}&position=${position}`, 'hi', 'text/plain');
    expect(text.status).toBe(200);
    expect((await server.get(path)).json()).toMatchObject({
      data: 'hi',
      contentType: 'text/plain',
    });
    expect((await asServer('PUT', `${path}&position=${position}`, '{')).status).toBe(400);
    expect((await ask(`${server.url}${path}`, { method: 'DELETE' })).status).toBe(403);
    expect((await asServer('DELETE', path)).status).toBe(204);
    expect((await asServer('DELETE', path)).status).toBe(404);
  });

  test('[SNAP-2] is refused where its place is not one of the stream, or older', async () => {
    const channel = channelIn('snapshot');
    const [first] = await server.publish(channel, 1, 2);
    const { epoch = '' } = first ?? {};
    const put = async (position: string) =>
      (await asServer('PUT', `${pathOf(channel)}&position=${position}`, '1')).status;
    expect(await put(`${epoch}:3`)).toBe(409);
    expect(await put('other:1')).toBe(409);
    expect(await put('0:0')).toBe(200);
    expect(await put(`${epoch}:2`)).toBe(200);
    expect(await put(`${epoch}:1`)).toBe(409);
    expect(await put(`${epoch}:2`)).toBe(200);
    expect(await put('2')).toBe(400);
  });

  test('[SNAP-4] is refused when it is too large', async () => {
    const channel = channelIn('snapshot');
    const path = `${pathOf(channel)}&position=0:0`;
    const sizes: [number, number][] = [
      [1_047_552, 200],
      [1_047_553, 413],
    ];
    for (const [size, status] of sizes) {
      const answer = await asServer('PUT', path, ' '.repeat(size - 1).concat('1'));
      expect(answer.status).toBe(status);
    }
  });

  test('[SNAP-3] is where a subscription begins that could not be recovered', async () => {
    const channel = channelIn('short');
    const [first] = await server.publish(channel, 1, 2, 3);
    const { epoch = '' } = first ?? {};
    const put = (offset: number): Promise<Answered> =>
      asServer('PUT', `${pathOf(channel)}&position=${epoch}:${offset}`, `{"up to":${offset}}`);
    await put(2);
    using peer = await WebSocketPeer.open(server.port);
    const subscribe = { type: 'subscribe', channel, snapshot: true };
    const trimmed = await peer.call({ ...subscribe, id: 1, after: `${epoch}:0` });
    expect(trimmed).toMatchObject({ recovered: false, position: `${epoch}:2` });
    expect(await peer.nextOf('snapshot')).toMatchObject({
      channel,
      position: `${epoch}:2`,
      data: { 'up to': 2 },
    });
    expect(await peer.nextOf('message')).toMatchObject({ offset: 3 });
    const known = await peer.call({ ...subscribe, id: 2, after: `${epoch}:2` });
    expect(known).toMatchObject({ recovered: true, position: `${epoch}:2` });
    expect(known).not.toHaveProperty('snapshot');
    // The log no longer has what follows the snapshot: it would be a state with a hole.
    await server.publish(channel, 4, 5);
    const useless = await peer.call({ ...subscribe, id: 3, after: `${epoch}:0` });
    expect(useless).toMatchObject({ recovered: false, position: `${epoch}:5` });
    expect(useless).not.toHaveProperty('snapshot');
  });
});

describe('snapshots of an event stream of several channels', () => {
  const put = async (channel: string, offset: number): Promise<string> => {
    const [first] = await server.publish(channel, 1, 2, 3);
    const position = `${first?.epoch ?? ''}:${offset}`;
    const path = `/v1/snapshot?channel=${channel}&position=${position}`;
    expect((await asServer('PUT', path, `{"of":"${channel}"}`)).status).toBe(200);
    return position;
  };
  const open = (query: string): Promise<EventStreamPeer> =>
    EventStreamPeer.open(`${server.url}/v1/sse?${query}`);

  test('[SSE-1] [SNAP-3] follow open, each at the position that open tells', async () => {
    const [a, b, none] = [channelIn('snapshot'), channelIn('snapshot'), channelIn('plain')];
    const [atA, atB] = [await put(a, 1), await put(b, 2)];
    const channels = `channel=${a}&channel=${b}&channel=${none}&channel=${none}/%23`;
    using stream = await open(`${channels}&snapshot=1`);
    const opened = await stream.expect('open');
    expect(opened.data['positions']).toMatchObject({ [a]: atA, [b]: atB });
    for (const [channel, position] of [
      [a, atA],
      [b, atB],
    ]) {
      const { data } = await stream.expect('snapshot');
      expect(data).toMatchObject({ channel, position, data: { of: channel } });
    }
    const seen: string[] = [];
    for (let events = 0; events < 3; events += 1) {
      const { channel, offset } = JSON.parse((await stream.next()).data) as {
        channel: string;
        offset: number;
      };
      seen.push(`${channel} ${offset}`);
    }
    expect(seen.toSorted()).toEqual([`${a} 2`, `${a} 3`, `${b} 3`].toSorted());
    // What the id of open says is where the snapshots are: nothing of them is needed again.
    using again = await open(`${channels}&snapshot=1&after=${encodeURIComponent(opened.id)}`);
    const { data } = await again.expect('open');
    expect(data['recovered']).toMatchObject({ [a]: true, [b]: true });
    expect((await again.next()).type).toBe('message');
  });

  test('[SSE-1] [SNAP-3] are not of channels that are recovered, or for who does not ask', async () => {
    const [a, b] = [channelIn('snapshot'), channelIn('snapshot')];
    await put(a, 1);
    using plain = await open(`channel=${a}&channel=${b}&after=start`);
    await plain.expect('open');
    expect((await plain.next()).type).toBe('message');
    using recovered = await open(`channel=${a}&channel=${b}&after=start&snapshot=1`);
    await recovered.expect('open');
    expect((await recovered.next()).type).toBe('message');
  });
});

describe('a purge', () => {
  test('[PURGE-1] removes all that is kept of a channel, and the next life is another', async () => {
    const channel = channelIn('purge');
    const [first] = await server.publishAll([{ channel, data: 1, key: 'k', retain: true }]);
    const { position = '', epoch = '' } = first ?? {};
    const snapshot = `/v1/snapshot?channel=${channel}`;
    await asServer('PUT', `${snapshot}&position=${position}`, '1');
    using peer = await WebSocketPeer.open(server.port);
    await peer.call({ type: 'subscribe', id: 1, channel });
    const purge = `/v1/channels?channel=${channel}`;
    expect((await ask(`${server.url}${purge}`, { method: 'DELETE' })).status).toBe(403);
    expect((await asServer('DELETE', purge)).status).toBe(204);
    expect(await retainedIn(channel)).toEqual([]);
    expect((await server.get(snapshot)).status).toBe(404);
    const history = await server.get(`/v1/history?channel=${channel}&after=start`);
    expect(history.json()).toMatchObject({ messages: [] });
    const [next] = await server.publishAll([{ channel, data: 2, key: 'k' }]);
    expect(next).toMatchObject({ offset: 1 });
    expect(next?.epoch).not.toBe(epoch);
    expect(await peer.nextOf('gap')).toMatchObject({ channel, gap: { reason: 'epoch' } });
    expect(await peer.nextOf('message')).toMatchObject({ offset: 1, data: 2 });
    expect((await asServer('DELETE', purge)).status).toBe(204);
  });
});

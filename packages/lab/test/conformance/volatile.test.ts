/** What is not kept for ever: volatile channels, messages with an end, and snapshots. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EventStreamPeer } from '../../src/event-stream.ts';
import type { Fields } from '../../src/http.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { SkipClock } from '../../src/skip-clock.ts';
import { API_KEY } from '../../src/tokens.ts';
import { WebSocketPeer } from '../../src/web-socket.ts';

const clock = new SkipClock();
const KEY = { authorization: `Bearer ${API_KEY}` };
let server: LabServer;

beforeAll(async () => {
  server = await startServer(
    {
      dev: true,
      auth: { apiKeys: [API_KEY] },
      link: { pingIntervalMs: 3_600_000, pendingBytesMax: 64 * 1024 },
      namespaces: {
        'live/#': { volatile: true },
        'short/#': { history: { countMax: 3 } },
      },
    },
    { clock },
  );
});

afterAll(async () => {
  expect(server.faults).toEqual([]);
  await server[Symbol.asyncDispose]();
});

async function open(subprotocol = 'trunkline.v1.json'): Promise<WebSocketPeer> {
  const peer = await WebSocketPeer.open(server.port, { subprotocol });
  await peer.nextOf('welcome');
  return peer;
}

async function post(body: unknown): Promise<unknown> {
  const answer = await fetch(`${server.url}/v1/publish`, {
    method: 'POST',
    body: JSON.stringify(body),
  });
  return answer.json();
}

describe.each(['trunkline.v1.json', 'trunkline.v1.bin'])('a volatile channel, %s', (codec) => {
  test('[VOL-1] has neither offsets nor positions, and nothing to resume', async () => {
    const channel = `live/1/${codec}`;
    using peer = await open(codec);
    await peer.call({ type: 'publish', id: 1, channel, data: 'before' });
    const answer = await peer.call({ type: 'subscribe', id: 2, channel, after: 'start', last: 5 });
    expect(answer).toMatchObject({ type: 'subscribed', volatile: true });
    expect(answer).not.toHaveProperty('position');
    expect(await peer.call({ type: 'publish', id: 3, channel, data: 'now' })).toMatchObject({
      type: 'published',
      channel,
      volatile: true,
    });
    const message = await peer.nextOf('message');
    expect(message).toMatchObject({ channel, data: 'now' });
    expect(message).not.toHaveProperty('epoch');
  });

  test('[VOL-3] [VOL-4] gives who is slow the newest of each slot, and logged messages all', async () => {
    const channel = `live/2/${codec}`;
    const logged = `log/2/${codec}`;
    using slow = await open(codec);
    using fast = await open(codec);
    for (const peer of [slow, fast]) {
      await peer.call({ type: 'subscribe', id: 1, channel });
      await peer.call({ type: 'subscribe', id: 2, channel: logged });
    }
    slow.raw.freeze();
    const pad = 'x'.repeat(20_000);
    const rounds = 1_200;
    let heard = 0;
    for (let round = 1; round <= rounds; round += 1) {
      const slots = ['a', 'b'].map((slot) => ({ channel, slot, data: { slot, round, pad } }));
      await post([...slots, { channel: logged, data: { round } }]);
      while (heard < round * 3) {
        await fast.nextOf('message');
        heard += 1;
      }
    }
    slow.raw.thaw();
    const rounded: number[] = [];
    const newest = new Map<string, number>();
    let count = 0;
    while (rounded.at(-1) !== rounds || newest.get('a') !== rounds || newest.get('b') !== rounds) {
      const message = await slow.nextOf('message');
      const data = message['data'] as { readonly slot?: string; readonly round: number };
      if (message['channel'] === logged) rounded.push(data.round);
      else if (data.slot !== undefined) {
        count += 1;
        expect(data.round).toBeGreaterThan(newest.get(data.slot) ?? 0);
        newest.set(data.slot, data.round);
      }
    }
    expect(rounded).toEqual(Array.from({ length: rounds }, (_, index) => index + 1));
    expect(count).toBeLessThan(rounds * 2);
  });
});

describe('a message with a ttl', () => {
  test('[MSG-6] [SSE-10] is not delivered after its time, and its offset is told', async () => {
    const first = await server.publish('t1', 'stays');
    await post({ channel: 't1', data: 'goes', ttl: 1_000 });
    await server.publish('t1', 'stays too');
    const after = first[0]?.position ?? '';
    using before = await open();
    await before.call({ type: 'subscribe', id: 1, channel: 't1', after });
    expect(await before.nextOf('message')).toMatchObject({ data: 'goes', offset: 2 });
    clock.skip(2_000);
    using session = await open();
    const answer = await session.call({ type: 'subscribe', id: 1, channel: 't1', after });
    expect(answer).toMatchObject({ recovered: true });
    expect(await session.next()).toMatchObject({ type: 'expired', channel: 't1', from: 2, to: 2 });
    expect(await session.next()).toMatchObject({ type: 'message', offset: 3 });
    using stream = await EventStreamPeer.open(`${server.url}/v1/sse?channel=t1&after=${after}`);
    await stream.expect('open');
    const next = await stream.next();
    expect(stream.text).toContain(`\nid: ${after.replace(/1$/, '2')}\n\n`);
    expect([next.data, next.id]).toEqual(['"stays too"', after.replace(/1$/, '3')]);
    const poll = await server.get(`/v1/poll?channel=t1&after=${after}`);
    expect(poll.json<{ messages: Fields[] }>().messages).toMatchObject([{ data: 'stays too' }]);
    const page = await server.get('/v1/history?channel=t1');
    const data = page.json<{ messages: Fields[] }>().messages.map((message) => message['data']);
    expect(data).toEqual(['stays', 'stays too']);
  });

  test('[PUB-6] has one from a millisecond to a year', async () => {
    using peer = await open();
    for (const ttl of [0, -1, 1.5, 31_536_000_001, '1']) {
      const answer = await peer.call({ type: 'publish', id: 1, channel: 't2', data: 1, ttl });
      expect(answer, String(ttl)).toMatchObject({ code: 'bad_request', stored: false });
    }
  });
});

describe('a snapshot', () => {
  async function put(channel: string, position: string, state: unknown): Promise<number> {
    const query = new URLSearchParams({ channel, position });
    const answer = await fetch(`${server.url}/v1/snapshot?${query}`, {
      method: 'PUT',
      headers: { ...KEY, 'content-type': 'application/json' },
      body: JSON.stringify(state),
    });
    return answer.status;
  }

  test('[SNAP-3] is given where the log can not bring a client up, and then what followed', async () => {
    const stored = await server.publish('short/s1', 1, 2, 3, 4, 5, 6);
    expect(await put('short/s1', stored[3]?.position ?? '', { sum: 10 })).toBeLessThan(300);
    const after = stored[0]?.position ?? '';
    const ask = { type: 'subscribe', id: 1, channel: 'short/s1', after, snapshot: true };
    for (const codec of ['trunkline.v1.json', 'trunkline.v1.bin']) {
      using peer = await open(codec);
      expect(await peer.call(ask)).toMatchObject({
        recovered: false,
        gap: { reason: 'trimmed' },
        position: stored[3]?.position,
        snapshot: true,
      });
      expect(await peer.next()).toMatchObject({
        type: 'snapshot',
        channel: 'short/s1',
        position: stored[3]?.position,
        data: { sum: 10 },
      });
      expect(await peer.next()).toMatchObject({ type: 'message', data: 5 });
      expect(await peer.next()).toMatchObject({ type: 'message', data: 6 });
    }
    const query = `channel=short/s1&snapshot=1&after=${after}`;
    using stream = await EventStreamPeer.open(`${server.url}/v1/sse?${query}`);
    const { data } = await stream.expect('open');
    expect(data).toMatchObject({ positions: { 'short/s1': stored[3]?.position } });
    expect(await stream.expect('snapshot')).toMatchObject({ data: { data: { sum: 10 } } });
    expect((await stream.next()).data).toBe('5');
  });

  test('[SNAP-3] is left out where nothing was missed', async () => {
    const stored = await server.publish('short/s2', 1, 2);
    await put('short/s2', stored[0]?.position ?? '', { sum: 1 });
    using peer = await open();
    const after = stored[0]?.position ?? '';
    const ask = { type: 'subscribe', id: 1, channel: 'short/s2', after, snapshot: true };
    const answer = await peer.call(ask);
    expect(answer).toMatchObject({ recovered: true, position: after });
    expect(answer).not.toHaveProperty('snapshot');
    expect(await peer.next()).toMatchObject({ type: 'message', data: 2 });
  });
});

/** What is kept beside the log, and what is kept nowhere, under attack: floods, races, and strangers. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SLOT_COUNT_MAX } from '@trunkline/server/internal/hub/volatile/slots.ts';
import { SNAPSHOT_BYTES_MAX } from '@trunkline/server/internal/hub/snapshots.ts';
import { UncaughtErrors } from '../../src/faults.ts';
import { ask } from '../../src/http.ts';
import type { Answered, Fields } from '../../src/http.ts';
import { usedBytes } from '../../src/memory.ts';
import { RawSocket } from '../../src/raw-socket.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { SkipClock } from '../../src/skip-clock.ts';
import { API_KEY, JWT_SECRET, sign, tokenOf } from '../../src/tokens.ts';
import { WebSocketPeer } from '../../src/web-socket.ts';
import { Bystander, expectServed } from './bystander.ts';
import { Insides, NOTHING_HELD } from './insides.ts';

const KB = 1024;
const MB = 1024 * KB;
const KEY = { authorization: `Bearer ${API_KEY}` };

let clock: SkipClock;
let server: LabServer;
let errors: UncaughtErrors;
let insides: Insides;

beforeEach(async () => {
  clock = new SkipClock();
  errors = new UncaughtErrors();
  insides = new Insides();
  server = await startServer(
    {
      dev: true,
      auth: { apiKeys: [API_KEY], jwtSecret: JWT_SECRET },
      link: { pingIntervalMs: 3_600_000 },
      namespaces: {
        'live/#': { volatile: true },
        'closed/#': { allow: { anonymous: [] } },
      },
    },
    { clock },
  );
});

afterEach(async () => {
  for (let look = 0; look < 200; look += 1) {
    await server.get('/healthz');
    clock.skip(60_000);
    if (Object.values(insides.held).every((count) => count === 0)) break;
  }
  expect(insides.held).toEqual(NOTHING_HELD);
  expect(server.faults).toEqual([]);
  expect(errors.found).toEqual([]);
  insides[Symbol.dispose]();
  errors[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});

async function open(): Promise<WebSocketPeer> {
  const peer = await WebSocketPeer.open(server.port);
  await peer.nextOf('welcome');
  return peer;
}

/** Asks as an application. */
function asServer(method: string, path: string, body?: string | Uint8Array): Promise<Answered> {
  return ask(`${server.url}${path}`, {
    ...{ method, headers: KEY },
    ...(body === undefined ? {} : { body }),
  });
}

async function publishVolatile(elements: readonly object[]): Promise<void> {
  const answer = await ask(`${server.url}/v1/publish`, {
    method: 'POST',
    body: JSON.stringify(elements),
  });
  expect(answer.status).toBe(200);
}

describe('a flood of volatile messages', () => {
  const COUNT = 20_000;
  const A_TIME = 500;
  const PADDING = 'v'.repeat(1_000);

  // A quarter of the high-water mark, and a batch; to a pattern a turn is one batch.
  test.each([
    ['a channel', 'live/flood', 200 * KB],
    ['a pattern', 'live/#', 64 * KB + A_TIME * 1_200],
  ])(
    '[VOL-3] [VOL-4] to a reader of %s that is frozen is bounded, and delays no log',
    async (_, filter, pendingMax) => {
      using reader = await open();
      await reader.call({ type: 'subscribe', id: 1, channel: filter });
      await reader.call({ type: 'subscribe', id: 2, channel: 'logged' });
      using bystander = await Bystander.open(server, 'aside');
      reader.raw.freeze();
      const before = usedBytes();
      const flood = async (): Promise<void> => {
        for (let at = 0; at < COUNT; at += A_TIME) {
          const slots = Array.from({ length: A_TIME }, (__, index) => at + index);
          await publishVolatile(
            slots.map((slot) => ({
              ...{ channel: 'live/flood', slot: `s${slot}`, data: [slot, PADDING] },
            })),
          );
          expect(Math.max(...insides.pendingBytes)).toBeLessThan(pendingMax);
        }
      };
      expectServed(await bystander.during(flood()));
      await server.publish('logged', 'first', 'second');
      expect(usedBytes() - before).toBeLessThan(20 * MB);
      reader.raw.thaw();
      const slots: number[] = [];
      /** With how many of the flood came before. */
      const logged: [data: unknown, after: number][] = [];
      while (slots.at(-1) !== COUNT - 1 || logged.length < 2) {
        const { channel, data } = await reader.nextOf('message');
        if (channel === 'logged') logged.push([data, slots.length]);
        else slots.push((data as [number])[0]);
      }
      // What the network took, and then the newest: in the order published, none twice.
      expect(slots).toEqual([...new Set(slots)].sort((a, b) => a - b));
      expect(slots.length).toBeLessThan(COUNT / 2);
      expect(slots.slice(-SLOT_COUNT_MAX)).toEqual(
        Array.from({ length: SLOT_COUNT_MAX }, (__, index) => COUNT - SLOT_COUNT_MAX + index),
      );
      // The log waited for what was sent before, and not for what was kept of the flood.
      const [[first, before1] = [], [second, before2] = []] = logged;
      expect([first, second]).toEqual(['first', 'second']);
      expect(before1).toBe(before2);
      expect(slots.length - Number(before1)).toBeGreaterThan(SLOT_COUNT_MAX / 2);
    },
  );

  test('[VOL-2] from many publishers at once reaches who reads, each in its order', async () => {
    const readers = await Promise.all(Array.from({ length: 20 }, open));
    for (const reader of readers) {
      await reader.call({ type: 'subscribe', id: 1, channel: 'live/crowd' });
    }
    const publishers = await Promise.all(Array.from({ length: 20 }, open));
    const next = readers.map(() => new Map<number, number>());
    for (let round = 0; round < 20; round += 1) {
      for (const [from, publisher] of publishers.entries()) {
        const commands = Array.from({ length: 10 }, (_, index) =>
          JSON.stringify({
            ...{ type: 'publish', channel: 'live/crowd', data: [from, round * 10 + index] },
          }),
        );
        publisher.sendJson(...commands);
      }
      // Less than a link may have unsent: who reads misses nothing.
      for (const [at, reader] of readers.entries()) {
        for (let count = 0; count < 20 * 10; count += 1) {
          const [from, index] = (await reader.nextOf('message'))['data'] as [number, number];
          expect(index).toBe(next[at]?.get(from) ?? 0);
          next[at]?.set(from, index + 1);
        }
      }
    }
    for (const reader of readers) reader[Symbol.dispose]();
    for (const publisher of publishers) publisher[Symbol.dispose]();
  });
});

/** A subscriber that knows where it stands, and misses nothing without being told. */
class Follower implements Disposable {
  readonly peer: WebSocketPeer;
  readonly epochs = new Set<string>();
  #epoch: string;
  #offset: number;
  gaps = 0;

  private constructor(peer: WebSocketPeer, position: string) {
    this.peer = peer;
    [this.#epoch, this.#offset] = parted(position);
  }

  static async open(channel: string): Promise<Follower> {
    const peer = await open();
    const answer = await peer.call({ type: 'subscribe', id: 1, channel });
    return new Follower(peer, String(answer['position']));
  }

  /** Reads on to the message with this datum. */
  async readTo(datum: string): Promise<void> {
    for (;;) {
      const fields = await this.peer.next();
      if (fields['type'] === 'gap') this.#onGap(fields);
      else if (fields['type'] === 'message') {
        this.#onMessage(fields);
        if (fields['data'] === datum) return;
      }
    }
  }

  [Symbol.dispose](): void {
    this.peer[Symbol.dispose]();
  }

  #onGap({ gap, position }: Fields): void {
    expect(gap).toMatchObject({ reason: 'epoch' });
    [this.#epoch, this.#offset] = parted(String(position));
    this.gaps += 1;
  }

  #onMessage({ epoch, offset }: Fields): void {
    // Of a channel without messages nobody knows the epoch yet.
    if (this.#offset === 0 && this.#epoch === '0') this.#epoch = String(epoch);
    expect([epoch, offset]).toEqual([this.#epoch, this.#offset + 1]);
    this.#offset += 1;
    this.epochs.add(this.#epoch);
  }
}

function parted(position: string): [epoch: string, offset: number] {
  const [epoch = '', offset] = position.split(':');
  return [epoch, Number(offset)];
}

describe('purges', () => {
  test('[PURGE-1] beside 100 subscribers, publishers and writers of snapshots: everyone is told and goes on', async () => {
    const channel = 'doc';
    await server.publish(channel, 0);
    const followers = await Promise.all(Array.from({ length: 100 }, () => Follower.open(channel)));
    const publishers = await Promise.all(Array.from({ length: 4 }, open));
    using bystander = await Bystander.open(server, 'aside');
    const positions: string[] = [];
    const publish = async (peer: WebSocketPeer): Promise<void> => {
      for (let id = 0; id < 200; id += 1) {
        const command = { type: 'publish', id, channel, data: id, retain: id % 5 === 0 };
        const answer = await peer.call(command);
        expect(answer['type']).toBe('published');
        positions.push(String(answer['position']));
      }
    };
    const put = async (method: string): Promise<void> => {
      for (let count = 0; count < 60; count += 1) {
        const position = positions.at(-1 - (count % 3)) ?? '0:0';
        const path = `/v1/snapshot?channel=${channel}&position=${encodeURIComponent(position)}`;
        const answer =
          method === 'PUT'
            ? await asServer('PUT', path, JSON.stringify({ count }))
            : await asServer('DELETE', `/v1/${count % 2 ? 'retained' : 'snapshot'}?channel=doc`);
        const allowed = method === 'PUT' ? [200, 409] : [204, 404];
        expect(allowed).toContain(answer.status);
      }
    };
    const purge = async (): Promise<void> => {
      for (let count = 0; count < 10; count += 1) {
        expect((await asServer('DELETE', `/v1/channels?channel=${channel}`)).status).toBe(204);
        await server.get('/healthz');
        await server.publish(channel, `purge ${count}`);
      }
    };
    const work = [...publishers.map(publish), put('PUT'), put('PUT'), put('DELETE'), purge()];
    expectServed(await bystander.during(Promise.all(work)));
    await server.publish(channel, 'the end');
    for (const follower of followers) await follower.readTo('the end');
    for (const follower of followers) {
      // Whoever is fast meets every life of the stream; each is told of by one gap.
      expect(follower.epochs.size).toBeGreaterThan(5);
      expect(follower.gaps).toBeLessThanOrEqual(10);
      expect(follower.gaps).toBeGreaterThanOrEqual(follower.epochs.size - 1);
      follower[Symbol.dispose]();
    }
    for (const publisher of publishers) publisher[Symbol.dispose]();
    expect((await asServer('DELETE', `/v1/channels?channel=${channel}`)).status).toBe(204);
    expect((await server.get(`/v1/snapshot?channel=${channel}`)).status).toBe(404);
    const retained = await server.get(`/v1/retained?channel=${channel}`);
    expect(retained.json()).toEqual({ messages: [] });
    const history = await server.get(`/v1/history?channel=${channel}&after=start`);
    expect(history.json()).toMatchObject({ messages: [] });
  });

  test('[PURGE-1] leave nothing of what was on its way: neither a snapshot nor a retained message', async () => {
    for (let round = 0; round < 60; round += 1) {
      const channel = `race/${round}`;
      const [stored] = await server.publishAll([{ channel, data: 'secret', retain: true }]);
      const path = `/v1/snapshot?channel=${channel}&position=${stored?.position}`;
      const element = { channel, data: 'secret', retain: true };
      const work = [
        asServer('PUT', path, '"secret"'),
        ask(`${server.url}/v1/publish`, { method: 'POST', body: JSON.stringify([element]) }),
        asServer('DELETE', `/v1/channels?channel=${channel}`),
        asServer('PUT', path, '"secret"'),
      ];
      // Each of them is the last one to be sent at times.
      for (let turn = 0; turn < round % 4; turn += 1) work.unshift(...work.splice(-1));
      await Promise.all(work);
      const [life] = (await server.publish(channel, 'new')).map(({ epoch }) => epoch);
      const snapshot = await server.get(`/v1/snapshot?channel=${channel}`);
      if (snapshot.status === 200) {
        expect(parted(snapshot.json<{ position: string }>().position)[0]).toBe(life);
      }
      const retained = await server.get(`/v1/retained?channel=${channel}`);
      for (const { epoch } of retained.json<{ messages: { epoch: string }[] }>().messages) {
        expect(epoch).toBe(life);
      }
    }
  });
});

describe('bodies of a megabyte', () => {
  const body = Buffer.from(JSON.stringify('s'.repeat(SNAPSHOT_BYTES_MAX - 2)));

  test('[SNAP-4] are taken up to their limit, many at once, and cut off over it', async () => {
    await server.publish('large', 1);
    const path = '/v1/snapshot?channel=large&position=0:0';
    using bystander = await Bystander.open(server, 'aside');
    const before = usedBytes();
    const puts = Promise.all(Array.from({ length: 100 }, () => asServer('PUT', path, body)));
    const seen = await bystander.during(puts);
    expect(seen.rounds).toBeGreaterThan(5);
    expect(new Set((await puts).map(({ status }) => status))).toEqual(new Set([200]));
    expect(usedBytes() - before).toBeLessThan(30 * MB);
    const over = Buffer.concat([body, Buffer.from(' ')]);
    expect((await asServer('PUT', path, over)).json()).toMatchObject({ code: 'too_large' });
    using raw = await RawSocket.open(server.port);
    const head = `PUT ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${API_KEY}\r\n`;
    await raw.write(`${head}Transfer-Encoding: chunked\r\n\r\n`);
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
    for (let count = 0; count < 40 && !raw.ended; count += 1) await raw.write(chunk);
    expect(await raw.takeAll()).toMatch(/^HTTP\/1\.1 413 /);
    expect((await asServer('DELETE', '/v1/snapshot?channel=large')).status).toBe(204);
  });

  test('[SNAP-3] are shared by 100 who begin with them and never read', async () => {
    await server.publish('large', 1);
    const path = '/v1/snapshot?channel=large&position=0:0';
    expect((await asServer('PUT', path, body)).status).toBe(200);
    const peers = await Promise.all(Array.from({ length: 100 }, open));
    const before = usedBytes();
    for (const peer of peers) {
      peer.raw.freeze();
      // More often than what the network takes.
      for (let id = 1; id <= 6; id += 1) {
        peer.send({ type: 'subscribe', id, channel: 'large', snapshot: true });
      }
    }
    for (let look = 0; look < 50; look += 1) await server.get('/healthz');
    await server.publish('large', 2);
    // One copy for all, beside what each has unsent of its own.
    expect(usedBytes() - before).toBeLessThan(20 * MB);
    for (const [index, peer] of peers.entries()) {
      if (index % 5 === 0) {
        peer.raw.thaw();
        expect((await peer.nextOf('subscribed'))['position']).toMatch(/:0$/);
        expect((await peer.nextOf('snapshot'))['data']).toHaveLength(SNAPSHOT_BYTES_MAX - 2);
        expect(await peer.nextOf('message')).toMatchObject({ offset: 1 });
        // Each of the others begins anew.
        for (let offset: unknown; offset !== 2; ) ({ offset } = await peer.nextOf('message'));
      }
      peer[Symbol.dispose]();
    }
  });
});

describe('strangers', () => {
  const paths = [
    '/v1/snapshot?channel=closed/a',
    '/v1/snapshot?channel=closed/a&position=0:0',
    '/v1/retained?channel=closed/a',
    '/v1/channels?channel=closed/a',
  ];
  const methods = ['GET', 'PUT', 'DELETE', 'POST', 'PATCH', 'HEAD', 'PURGE', 'LOCK', 'TRACE'];
  const tokens: readonly (readonly [string, string])[] = [
    ['no token', ''],
    ['a token that is none', 'x'],
    ['half a token', tokenOf('ann').slice(0, -5)],
    ['a token of another secret', sign({ sub: 'ann' }, 'another secret of thirty-two characters')],
    ['a token without a signature', sign({ sub: 'ann' }, JWT_SECRET, { alg: 'none' })],
    ['a token that has ended', tokenOf('ann', { exp: 1 })],
    ['half an API key', API_KEY.slice(0, -1)],
    ['an API key and more', `${API_KEY}x`],
    ['a token of somebody else', tokenOf('ann', { channels: { 'open/#': ['subscribe'] } })],
  ];

  test.each(tokens)('with %s read, change and remove nothing', async (_, token) => {
    const [stored] = (
      await asServer(
        'POST',
        '/v1/publish',
        JSON.stringify([{ channel: 'closed/a', data: 'hidden', retain: true }]),
      )
    ).json<{ position: string }[]>();
    const place = encodeURIComponent(stored?.position ?? '');
    await asServer('PUT', `/v1/snapshot?channel=closed/a&position=${place}`, '"hidden"');
    for (const path of paths) {
      for (const method of methods) {
        const headers = token === '' ? {} : { authorization: `Bearer ${token}` };
        const body = method === 'PUT' || method === 'POST' ? { body: '"mine"' } : {};
        const answer = await ask(`${server.url}${path}`, { method, headers, ...body });
        expect([400, 401, 403, 405, 501]).toContain(answer.status);
        expect(answer.text).not.toContain('hidden');
      }
    }
    const snapshot = await asServer('GET', '/v1/snapshot?channel=closed/a');
    expect(snapshot.json()).toMatchObject({ data: 'hidden', position: stored?.position });
    const retained = await asServer('GET', '/v1/retained?channel=closed/%23');
    expect(retained.json()).toMatchObject({ messages: [{ data: 'hidden' }] });
    const history = await asServer('GET', '/v1/history?channel=closed/a&after=start');
    expect(history.json()).toMatchObject({ messages: [{ data: 'hidden' }] });
  });

  test('are told nothing of what they may not read, whatever pattern they ask for', async () => {
    const element = (channel: string): object => ({ channel, data: 'hidden', retain: true });
    const body = JSON.stringify(['closed/a', 'closed/b/c', '@ann'].map(element));
    expect((await asServer('POST', '/v1/publish', body)).status).toBe(200);
    for (const filter of ['#', '+/#', '+/+', 'closed/#', '+/a', '@ann', '+', '@ann/#']) {
      const answer = await server.get(`/v1/retained?channel=${encodeURIComponent(filter)}`);
      expect(answer.text).not.toMatch(/hidden|closed\/[ab]\b/);
      expect([200, 400, 403]).toContain(answer.status);
    }
  });
});

/** Subscriptions of one session that stand apart, in both encodings. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CODECS } from '../../src/codec.ts';
import type { Codec } from '../../src/codec.ts';
import { ask } from '../../src/http.ts';
import type { Answered, Fields } from '../../src/http.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { SkipClock } from '../../src/skip-clock.ts';
import { API_KEY, JWT_SECRET, tokenOf } from '../../src/tokens.ts';
import { WebSocketPeer } from '../../src/web-socket.ts';

const clock = new SkipClock();
let server: LabServer;
let count = 0;

beforeAll(async () => {
  const presence = { listed: true, graceMs: 0 };
  const namespaces = {
    'short/#': { history: { countMax: 2 } },
    'live/#': { volatile: true },
    'room/#': { presence },
    'locked/#': { allow: { anonymous: [], user: [] } },
  };
  const auth = { apiKeys: [API_KEY], jwtSecret: JWT_SECRET };
  server = await startServer({ dev: true, auth, namespaces }, { clock });
});

afterAll(async () => {
  expect(server.faults).toEqual([]);
  await server[Symbol.asyncDispose]();
});

/** The beginning of names that no other test knows. */
function prefixIn(namespace: string): string {
  count += 1;
  return `${namespace}/${count}`;
}

/** Asks as an application. */
function asServer(method: string, path: string, body?: string): Promise<Answered> {
  const headers = { authorization: `Bearer ${API_KEY}` };
  return ask(`${server.url}${path}`, { method, headers, ...(body === undefined ? {} : { body }) });
}

/** A session, and what each of its subscriptions was given. */
class Session implements Disposable {
  readonly peer: WebSocketPeer;
  /** Pushes by `as`, in order. */
  readonly pushes = new Map<unknown, Fields[]>();
  #id = 0;

  private constructor(peer: WebSocketPeer) {
    this.peer = peer;
  }

  static async open({ subprotocol }: Codec, token?: string): Promise<Session> {
    const path = token === undefined ? {} : { path: `/v1/ws?access_token=${token}` };
    const peer = await WebSocketPeer.open(server.port, { subprotocol, ...path });
    await peer.nextOf('welcome');
    return new Session(peer);
  }

  /** Sends a command. @returns its answer; pushes before it are kept. */
  async call(command: Fields): Promise<Fields> {
    const [answer] = await this.callAll([command]);
    return answer ?? {};
  }

  /** Sends commands at once. @returns their answers; pushes before the last are kept. */
  async callAll(commands: readonly Fields[]): Promise<Fields[]> {
    const first = this.#id + 1;
    this.#id += commands.length;
    this.peer.send(...commands.map((command, at) => ({ ...command, id: first + at })));
    const answers: Fields[] = [];
    for (let answered = 0; answered < commands.length; ) {
      const fields = await this.peer.next();
      const { id } = fields;
      if (typeof id === 'number') {
        answers[id - first] = fields;
        answered += 1;
      } else this.#keep(fields);
    }
    return answers;
  }

  subscribe(channel: string, as: unknown, rest: Fields = {}): Promise<Fields> {
    return this.call({ type: 'subscribe', channel, as, ...rest });
  }

  /** The messages of one subscription as `channel:data`, once there are so many. */
  async messages(as: unknown, least: number): Promise<string[]> {
    for (;;) {
      const found = this.of(as, 'message').map(
        ({ channel, data }) => `${String(channel)}:${JSON.stringify(data)}`,
      );
      if (found.length >= least) return found;
      this.#keep(await this.peer.next());
    }
  }

  /** The first push of a type for one subscription; it is not looked at again. */
  async push(as: unknown, type: string): Promise<Fields> {
    for (;;) {
      const pushes = this.pushes.get(as) ?? [];
      const at = pushes.findIndex((push) => push['type'] === type);
      const [found] = at < 0 ? [] : pushes.splice(at, 1);
      if (found !== undefined) return found;
      this.#keep(await this.peer.next());
    }
  }

  of(as: unknown, type: string): Fields[] {
    return (this.pushes.get(as) ?? []).filter((push) => push['type'] === type);
  }

  /** Where a subscription stands by what it was given last. */
  place(as: unknown): { readonly mark: string; readonly position: string } {
    const last = this.of(as, 'message').at(-1);
    const mark = this.pushes.get(as)?.findLast((push) => 'mark' in push)?.['mark'];
    return {
      mark: String(mark),
      position: `${String(last?.['epoch'])}:${String(last?.['offset'])}`,
    };
  }

  /** Everything that was sent up to now is there. */
  async round(): Promise<void> {
    this.peer.send({ type: 'ping' });
    for (;;) {
      const fields = await this.peer.next();
      if (fields['type'] === 'pong') return;
      this.#keep(fields);
    }
  }

  #keep(fields: Fields): void {
    const { as } = fields;
    this.pushes.set(as, [...(this.pushes.get(as) ?? []), fields]);
  }

  [Symbol.dispose](): void {
    this.peer[Symbol.dispose]();
  }
}

const over = (codec: Codec) => ({ name: `${codec.prefix}WebSocket`, codec });

describe.each(CODECS.map(over))('subscriptions apart over $name', ({ codec }) => {
  test('[APART-1] [APART-2] [REC-2] each resumes from its own place, complete and in order', async () => {
    const p = prefixIn('apart');
    const published = async (...data: number[]): Promise<void> => {
      for (const one of data) {
        await server.publish(`${p}/a`, one);
        await server.publish(`${p}/b`, one);
      }
    };
    await published(1, 2);
    const places = new Map<number, string>();
    {
      using first = await Session.open(codec);
      const answer = await first.subscribe(`${p}/a`, 1, { after: 'start' });
      expect(answer).toMatchObject({ type: 'subscribed', as: 1, channel: `${p}/a` });
      expect(await first.subscribe(`${p}/+`, 2)).toMatchObject({ type: 'subscribed', as: 2 });
      await first.messages(1, 2);
      places.set(1, first.place(1).position);
      await published(3);
      await first.messages(2, 2);
      places.set(2, first.place(2).mark);
      places.set(3, 'start');
    }
    await published(4);
    // In whichever order they come: what others are given changes nothing.
    for (const order of [
      [1, 2, 3],
      [3, 2, 1],
      [2, 3, 1],
    ]) {
      using session = await Session.open(codec);
      const filters = ['', `${p}/a`, `${p}/+`, `${p}/#`];
      const answers = await session.callAll(
        order.map((as) => ({
          ...{ type: 'subscribe', channel: filters[as], as, after: places.get(as) },
        })),
      );
      for (const answer of answers) expect(answer).toMatchObject({ recovered: true });
      // Those without a number share what they are given, as ever [WILD-4].
      await session.subscribe(`${p}/a`, undefined);
      await session.subscribe(`${p}/+`, undefined);
      const name = [`${p}/a:3`, `${p}/a:4`];
      expect(await session.messages(1, 2)).toEqual(name);
      const pattern = [`${p}/a:4`, `${p}/b:4`];
      expect((await session.messages(2, 2)).toSorted()).toEqual(pattern);
      const all = await session.messages(3, 8);
      expect(ofChannel(all, 'a')).toEqual([1, 2, 3, 4].map((data) => `${p}/a:${data}`));
      expect(ofChannel(all, 'b')).toEqual([1, 2, 3, 4].map((data) => `${p}/b:${data}`));
      await session.round();
      expect(session.of(undefined, 'message')).toEqual([]);
    }
    using live = await Session.open(codec);
    for (const as of [5, 6, 999]) await live.subscribe(`${p}/a`, as);
    await live.subscribe(`${p}/+`, 7);
    await live.subscribe(`${p}/a`, undefined);
    await live.subscribe(`${p}/#`, undefined);
    await published(5);
    await live.round();
    for (const as of [5, 6, 999]) expect(await live.messages(as, 1)).toEqual([`${p}/a:5`]);
    expect(await live.messages(7, 2)).toEqual([`${p}/a:5`, `${p}/b:5`]);
    expect(await live.messages(undefined, 2)).toEqual([`${p}/a:5`, `${p}/b:5`]);
  });

  test('[APART-1] two patterns that overlap are given every message of what both match', async () => {
    const p = prefixIn('apart');
    using session = await Session.open(codec);
    await server.publish(`${p}/a/1`, 1);
    await session.subscribe(`${p}/+/1`, 1, { after: 'start' });
    await session.subscribe(`${p}/a/+`, 2);
    await server.publish(`${p}/a/1`, 2, 3);
    await server.publish(`${p}/a/2`, 4);
    await server.publish(`${p}/b/1`, 5);
    expect(await session.messages(1, 4)).toEqual([
      ...[`${p}/a/1:1`, `${p}/a/1:2`, `${p}/a/1:3`, `${p}/b/1:5`],
    ]);
    expect(await session.messages(2, 3)).toEqual([`${p}/a/1:2`, `${p}/a/1:3`, `${p}/a/2:4`]);
  });

  test('[APART-5] patterns have their marks on messages, and go on by them', async () => {
    const p = prefixIn('apart');
    using session = await Session.open(codec);
    await session.subscribe(`${p}/+`, 1);
    await session.subscribe(`${p}/#`, 2);
    await server.publish(`${p}/a`, 1);
    await session.messages(1, 1);
    await session.messages(2, 1);
    for (const as of [1, 2]) {
      expect(session.of(as, 'message')).toMatchObject([{ mark: expect.stringMatching(/^~/) }]);
    }
    using again = await Session.open(codec);
    await server.publish(`${p}/a`, 2);
    await again.subscribe(`${p}/#`, 2, { after: session.place(1).mark });
    expect(await again.messages(2, 1)).toEqual([`${p}/a:2`]);
  });

  test.each([0, 1000, 1.5, -1, '1', null, true, {}])(
    '[APART-1] [CMD-3] refuses as %j',
    async (as) => {
      using session = await Session.open(codec);
      for (const type of ['subscribe', 'unsubscribe']) {
        const answer = await session.call({ type, channel: 'a', as });
        expect(answer).toMatchObject({ type: 'error', code: 'bad_request' });
      }
      expect(await session.subscribe('a', 999)).toMatchObject({ type: 'subscribed', as: 999 });
    },
  );

  test('[APART-4] begins again with another channel, and ends by channel and number', async () => {
    const p = prefixIn('apart');
    await server.publish(`${p}/b`, 1);
    using session = await Session.open(codec);
    await session.subscribe(`${p}/a`, 1);
    const again = await session.subscribe(`${p}/b`, 1, { after: 'start' });
    expect(again).toMatchObject({ channel: `${p}/b`, as: 1, recovered: true });
    await server.publish(`${p}/a`, 1);
    await server.publish(`${p}/b`, 2);
    expect(await session.messages(1, 2)).toEqual([`${p}/b:1`, `${p}/b:2`]);
    const end = (channel: string) => session.call({ type: 'unsubscribe', channel, as: 1 });
    expect(await end(`${p}/a`)).toMatchObject({ type: 'unsubscribed', channel: `${p}/a`, as: 1 });
    await server.publish(`${p}/b`, 3);
    expect(await session.messages(1, 3)).toHaveLength(3);
    expect(await end(`${p}/b`)).toMatchObject({ type: 'unsubscribed', channel: `${p}/b`, as: 1 });
    await server.publish(`${p}/b`, 4);
    await session.round();
    expect(session.of(1, 'message')).toHaveLength(3);
  });

  test('[APART-3] each is a subscription of the limit', async () => {
    const p = prefixIn('apart');
    using session = await Session.open(codec);
    for (let as = 1; as <= 127; as += 1) await session.subscribe(`${p}/a`, as);
    expect(await session.subscribe(`${p}/a`, undefined)).toMatchObject({ type: 'subscribed' });
    expect(await session.subscribe(`${p}/a`, 128)).toMatchObject({ code: 'rate_limited' });
    expect(await session.subscribe(`${p}/b`, undefined)).toMatchObject({ code: 'rate_limited' });
    expect(await session.subscribe(`${p}/+`, 127)).toMatchObject({ type: 'subscribed' });
  });

  test('[APART-2] [VOL-1] volatile channels reach each', async () => {
    const p = prefixIn('live');
    using session = await Session.open(codec);
    expect(await session.subscribe(`${p}/a`, 1)).toMatchObject({ volatile: true, as: 1 });
    await session.subscribe(`${p}/+`, 2);
    await session.subscribe(`${p}/a`, undefined);
    await session.call({ type: 'publish', channel: `${p}/a`, data: 1 });
    for (const as of [1, 2, undefined]) {
      const message = await session.push(as, 'message');
      expect(message).toMatchObject({ channel: `${p}/a`, data: 1 });
      expect(message).not.toHaveProperty('offset');
    }
  });

  test('[APART-2] [MSG-6] each is told what has expired', async () => {
    const p = prefixIn('ttl');
    await server.publishAll([{ channel: `${p}/a`, data: 1, ttl: 1_000 }]);
    await server.publish(`${p}/a`, 2);
    clock.skip(2_000);
    using session = await Session.open(codec);
    await session.subscribe(`${p}/a`, 1, { after: 'start' });
    await session.subscribe(`${p}/+`, 2, { after: 'start' });
    for (const as of [1, 2]) {
      expect(await session.push(as, 'expired')).toMatchObject({
        channel: `${p}/a`,
        from: 1,
        to: 1,
      });
      expect(await session.messages(as, 1)).toEqual([`${p}/a:2`]);
    }
  });

  test('[APART-2] [REC-3] [WILD-5] each is told its own gap where retention took something', async () => {
    const p = prefixIn('short');
    const [first] = await server.publish(`${p}/a`, 1);
    using before = await Session.open(codec);
    await before.subscribe(`${p}/+`, 1, { after: 'start' });
    await before.messages(1, 1);
    const { mark } = before.place(1);
    await server.publish(`${p}/a`, 2, 3, 4, 5);
    using session = await Session.open(codec);
    const name = await session.subscribe(`${p}/a`, 1, { after: first?.position, partial: true });
    const trimmed = { reason: 'trimmed', from: 2, to: 3 };
    expect(name).toMatchObject({ as: 1, recovered: false, gap: trimmed });
    const pattern = await session.subscribe(`${p}/+`, 2, { after: mark });
    expect(pattern).toMatchObject({ as: 2, recovered: false, gap: { reason: 'trimmed' } });
    expect(await session.push(2, 'gap')).toMatchObject({ channel: `${p}/a`, as: 2 });
    await server.publish(`${p}/a`, 6);
    expect(await session.messages(1, 3)).toEqual([`${p}/a:4`, `${p}/a:5`, `${p}/a:6`]);
    expect(await session.messages(2, 1)).toEqual([`${p}/a:6`]);
  });

  test('[APART-2] [REC-7] [PURGE-1] each is told that its channel began anew', async () => {
    const p = prefixIn('purged');
    await server.publish(`${p}/a`, 1);
    using session = await Session.open(codec);
    await session.subscribe(`${p}/a`, 1, { after: 'start' });
    await session.subscribe(`${p}/+`, 2, { after: 'start' });
    await session.messages(1, 1);
    await session.messages(2, 1);
    expect((await asServer('DELETE', `/v1/channels?channel=${p}/a`)).status).toBe(204);
    await server.publish(`${p}/a`, 2);
    for (const as of [1, 2]) {
      const gap = await session.push(as, 'gap');
      expect(gap).toMatchObject({ channel: `${p}/a`, gap: { reason: 'epoch' } });
      expect(await session.messages(as, 2)).toEqual([`${p}/a:1`, `${p}/a:2`]);
    }
  });

  test('[APART-2] [SNAP-3] a snapshot is for the one that asked', async () => {
    const p = prefixIn('short');
    const stored = await server.publish(`${p}/a`, 1, 2, 3);
    const at = stored[1]?.position;
    await asServer('PUT', `/v1/snapshot?channel=${p}/a&position=${at}`, '{"state":2}');
    using session = await Session.open(codec);
    const answer = await session.subscribe(`${p}/a`, 3, { snapshot: true });
    expect(answer).toMatchObject({ as: 3, snapshot: true, position: at });
    const push = await session.push(3, 'snapshot');
    expect(push).toMatchObject({ channel: `${p}/a`, position: at, data: { state: 2 } });
    expect(await session.messages(3, 1)).toEqual([`${p}/a:3`]);
  });

  test('[APART-2] [APART-3] [PRES-1] the session is one member, and each is told who comes', async () => {
    const p = prefixIn('room');
    using session = await Session.open(codec);
    using plain = await Session.open(codec);
    const asked = { presence: true };
    await plain.subscribe(`${p}/a`, undefined, asked);
    for (const as of [1, 2]) {
      const answer = await session.subscribe(`${p}/a`, as, asked);
      expect(answer).toMatchObject({ as, count: 2 });
      expect(answer['members']).toHaveLength(2);
    }
    await session.subscribe(`${p}/a`, undefined);
    expect(await plain.push(undefined, 'join')).toMatchObject({ channel: `${p}/a` });
    {
      using guest = await Session.open(codec);
      await guest.subscribe(`${p}/a`, 9);
      for (const as of [1, 2]) expect(await session.push(as, 'join')).toMatchObject({ as });
    }
    for (const as of [1, 2]) expect(await session.push(as, 'leave')).toMatchObject({ as });
    // It goes with the last of its subscriptions.
    for (const as of [1, undefined])
      await session.call({ type: 'unsubscribe', channel: `${p}/a`, as });
    const still = await session.call({ type: 'presence', channel: `${p}/a` });
    expect(still).toMatchObject({ count: 2 });
    expect(session.of(undefined, 'join')).toEqual([]);
    await session.call({ type: 'unsubscribe', channel: `${p}/a`, as: 2 });
    const gone = await session.call({ type: 'presence', channel: `${p}/a` });
    expect(gone).toMatchObject({ count: 1 });
  });

  test('[APART-2] [WS-14] refresh ends each that is not allowed any more', async () => {
    const p = prefixIn('locked');
    const granting = (filter: string): string =>
      tokenOf('ann', { channels: { [filter]: ['subscribe'] } });
    using session = await Session.open(codec, granting(`${p}/#`));
    const filters = [`${p}/a`, `${p}/b`, `${p}/+`, `${p}/a`];
    for (const [at, channel] of filters.entries()) {
      const as = at === 3 ? undefined : at + 1;
      expect(await session.subscribe(channel, as)).toMatchObject({ type: 'subscribed' });
    }
    await session.call({ type: 'refresh', token: granting(`${p}/b`) });
    for (const [as, channel] of [
      [1, `${p}/a`],
      [3, `${p}/+`],
      [undefined, `${p}/a`],
    ]) {
      const push = await session.push(as, 'unsubscribed');
      expect(push).toMatchObject({ channel, code: 'forbidden' });
      expect(push).not.toHaveProperty('id');
    }
    await asServer('POST', '/v1/publish', JSON.stringify({ channel: `${p}/b`, data: 1 }));
    expect(await session.messages(2, 1)).toEqual([`${p}/b:1`]);
    expect(await session.subscribe(`${p}/a`, 4)).toMatchObject({ code: 'forbidden' });
  });

  test('[APART-1] [WS-16] [CMD-4] has its own echo, and what is published behind it', async () => {
    const p = prefixIn('apart');
    using session = await Session.open(codec);
    session.peer.send(
      { type: 'subscribe', id: 101, channel: `${p}/a`, as: 1 },
      { type: 'subscribe', id: 102, channel: `${p}/a`, as: 2, echo: false },
      { type: 'publish', id: 103, channel: `${p}/a`, data: 1 },
    );
    expect(await session.messages(1, 1)).toEqual([`${p}/a:1`]);
    await session.round();
    expect(session.of(2, 'message')).toEqual([]);
  });
});

test('[BIN-9] [APART-2] pushes are the same objects in both encodings', async () => {
  const p = prefixIn('apart');
  const sessions = await Promise.all(CODECS.map((codec) => Session.open(codec)));
  for (const session of sessions) await session.subscribe(`${p}/+`, 300);
  const rich = { channel: `${p}/a`, data: '<b>', contentType: 'text/html', event: 'e' };
  await server.publishAll([rich, { channel: `${p}/a`, data: 2 }, { channel: `${p}/b`, data: 3 }]);
  const [json, binary] = await Promise.all(
    sessions.map(async (session) => {
      await session.messages(300, 3);
      return session.of(300, 'message').map(({ source: _, ...push }) => push);
    }),
  );
  expect(json).toMatchObject([{ as: 300 }, { as: 300 }, { as: 300 }]);
  expect(binary).toEqual(json);
  for (const session of sessions) session[Symbol.dispose]();
});

function ofChannel(messages: readonly string[], name: string): string[] {
  return messages.filter((message) => message.includes(`/${name}:`));
}

/** Presence: who is in a channel, over every transport. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EventStreamPeer } from '../../src/event-stream.ts';
import type { Fields } from '../../src/http.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { SkipClock } from '../../src/skip-clock.ts';
import { JWT_SECRET, tokenOf } from '../../src/tokens.ts';
import { WebSocketPeer } from '../../src/web-socket.ts';

const clock = new SkipClock();
const GRACE_MS = 10_000;
let server: LabServer;

beforeAll(async () => {
  server = await startServer(
    {
      auth: { jwtSecret: JWT_SECRET },
      link: { pingIntervalMs: 3_600_000 },
      namespaces: { 'room/#': { presence: { listed: true, graceMs: GRACE_MS } } },
    },
    { clock },
  );
});

afterAll(async () => {
  expect(server.faults).toEqual([]);
  await server[Symbol.asyncDispose]();
});

/** A session of a user that was welcomed. */
async function open(user: string, claims: Fields = {}): Promise<WebSocketPeer> {
  const path = `/v1/ws?access_token=${tokenOf(user, claims)}`;
  const peer = await WebSocketPeer.open(server.port, { path });
  await peer.nextOf('welcome');
  return peer;
}

async function join(user: string, channel: string, claims: Fields = {}): Promise<WebSocketPeer> {
  const peer = await open(user, claims);
  await peer.call({ type: 'subscribe', id: 1, channel });
  return peer;
}

const usersOf = (fields: Fields): unknown[] =>
  (fields['members'] as readonly Fields[]).map(({ user }) => user);

/** Presence as the API tells it. */
async function listed(channel: string): Promise<Fields> {
  const headers = { authorization: `Bearer ${tokenOf('looker')}` };
  const answer = await server.get(`/v1/presence?channel=${encodeURIComponent(channel)}`, headers);
  expect(answer.status).toBe(200);
  return answer.json();
}

describe('presence over WebSocket', () => {
  test('[PRES-1] [PRES-3] tells who is there and who comes, users and not connections', async () => {
    using ada = await join('ada', 'room/1', { info: { name: 'Ada' } });
    using watcher = await open('watcher');
    const answer = await watcher.call({
      type: 'subscribe',
      id: 1,
      channel: 'room/1',
      presence: true,
    });
    expect(new Set(usersOf(answer))).toEqual(new Set(['ada', 'watcher']));
    expect(answer).toMatchObject({ count: 2 });
    expect((answer['members'] as Fields[])[0]).toMatchObject({ info: { name: 'Ada' } });
    using bob = await join('bob', 'room/1');
    expect(await watcher.nextOf('join')).toMatchObject({
      channel: 'room/1',
      member: { user: 'bob' },
    });
    // A second connection of one who is there is no news.
    using again = await join('ada', 'room/1');
    using cleo = await join('cleo', 'room/1');
    expect(await watcher.nextOf('join')).toMatchObject({ member: { user: 'cleo' } });
    void [ada, bob, again, cleo];
    const page = await watcher.call({ type: 'presence', id: 2, channel: 'room/1' });
    expect(page).toMatchObject({ type: 'presence', id: 2, channel: 'room/1', count: 4 });
    expect(page['members']).toHaveLength(5);
  });

  test('[PRES-4] tells a leave after the grace time, and none of who comes back', async () => {
    using watcher = await open('watcher');
    await watcher.call({ type: 'subscribe', id: 1, channel: 'room/2', presence: true });
    const ada = await join('ada', 'room/2');
    using bob = await join('bob', 'room/2');
    expect(await watcher.nextOf('join')).toMatchObject({ member: { user: 'ada' } });
    expect(await watcher.nextOf('join')).toMatchObject({ member: { user: 'bob' } });
    ada[Symbol.dispose]();
    clock.skip(GRACE_MS / 2);
    using back = await join('ada', 'room/2');
    clock.skip(GRACE_MS * 2);
    await bob.call({ type: 'unsubscribe', id: 2, channel: 'room/2' });
    clock.skip(GRACE_MS + 1_000);
    expect(await watcher.nextOf('leave')).toMatchObject({ member: { user: 'bob' } });
    expect(await listed('room/2')).toMatchObject({ count: 2 });
    void back;
  });

  test('[PRES-6] [PRES-7] tells the first change at once, and many as one list', async () => {
    using watcher = await open('watcher');
    await watcher.call({ type: 'subscribe', id: 1, channel: 'room/70', presence: true });
    using first = await join('user-0', 'room/70');
    expect(await watcher.next()).toMatchObject({ type: 'join', member: { user: 'user-0' } });
    const crowd = Array.from({ length: 80 }, (_, index) => join(`user-${index + 1}`, 'room/70'));
    const peers = await Promise.all(crowd);
    const known = new Set(['watcher', 'user-0']);
    let lists = 0;
    while (known.size < 82) {
      const { type, member, members, id } = await watcher.next();
      if (type === 'join') known.add(String((member as Fields)['user']));
      if (type !== 'presence') continue;
      lists += 1;
      expect(id).toBeUndefined();
      known.clear();
      for (const { user } of members as Fields[]) known.add(String(user));
    }
    expect(lists).toBeGreaterThan(0);
    for (const peer of peers) peer[Symbol.dispose]();
    void first;
  });

  test('[AUTH-8] shows the claim info, of at most 1,024 bytes', async () => {
    const info = 'x'.repeat(1_022);
    using ada = await join('ada', 'room/80', { info });
    expect(await listed('room/80')).toMatchObject({ members: [{ user: 'ada', info }] });
    const path = `/v1/ws?access_token=${tokenOf('bob', { info: `${info}x` })}`;
    const refused = await WebSocketPeer.refused(server.port, { path });
    expect(refused).toMatchObject({ status: 401, problem: { code: 'unauthenticated' } });
    void ada;
  });

  test('[PRES-2] lists nobody where the namespace does not', async () => {
    using ada = await open('ada');
    const answer = await ada.call({ type: 'subscribe', id: 1, channel: 'other', presence: true });
    expect(answer).toMatchObject({ type: 'subscribed', members: [], count: 0 });
  });

  test('[PRES-9] [AUTH-4] needs the permission, and the subscription stays as it was', async () => {
    const channels = { 'room/#': ['subscribe'] };
    using ada = await open('ada', { channels });
    const answer = await ada.call({ type: 'subscribe', id: 1, channel: 'room/3', presence: true });
    expect(answer).toMatchObject({ type: 'error', code: 'forbidden' });
    expect(await ada.call({ type: 'presence', id: 2, channel: 'room/3' })).toMatchObject({
      code: 'forbidden',
    });
    expect(await listed('room/3')).toMatchObject({ count: 0 });
  });

  test('[PRES-5] [BIN-1] is the same in binary frames', async () => {
    const path = `/v1/ws?access_token=${tokenOf('watcher')}`;
    const dialing = { path, subprotocol: 'trunkline.v1.bin' };
    using watcher = await WebSocketPeer.open(server.port, dialing);
    await watcher.nextOf('welcome');
    await watcher.call({ type: 'subscribe', id: 1, channel: 'room/4', presence: true });
    using ada = await join('ada', 'room/4');
    expect(await watcher.nextOf('join')).toMatchObject({ member: { user: 'ada' } });
    void ada;
  });
});

describe('presence over an event stream', () => {
  test('[PRES-10] lists the reader that asks for it, and tells it joins and leaves', async () => {
    const url = `${server.url}/v1/sse?channel=room/5&presence=1&access_token=${tokenOf('eve')}`;
    using stream = await EventStreamPeer.open(url);
    const { data: opened } = await stream.expect('open');
    const { data: first } = await stream.expect('presence');
    expect(first).toMatchObject({ channel: 'room/5' });
    const page = await listed('room/5');
    expect(page).toMatchObject({
      count: 1,
      members: [{ user: 'eve', session: opened['session'] }],
    });
    using ada = await join('ada', 'room/5');
    // The first list has the reader itself, so that its own joining is no news.
    expect(first).toMatchObject({ count: 1, members: [{ user: 'eve' }] });
    expect(await stream.expect('join')).toMatchObject({ data: { member: { user: 'ada' } } });
    void ada;
  });

  test('[PRES-1] [PRES-10] lists who may not look as well, and tells it nothing', async () => {
    const token = tokenOf('eve', { channels: { 'room/#': ['subscribe'] } });
    const url = `${server.url}/v1/sse?channel=room/7&presence=1&access_token=${token}`;
    using stream = await EventStreamPeer.open(url);
    await stream.expect('open');
    expect(await listed('room/7')).toMatchObject({ count: 1, members: [{ user: 'eve' }] });
    using ada = await join('ada', 'room/7');
    await ada.call({ type: 'publish', id: 2, channel: 'room/7', data: 'hello' });
    expect(await stream.next()).toMatchObject({ type: 'message', data: '"hello"' });
  });

  test('[PRES-10] lists nobody who does not ask', async () => {
    const url = `${server.url}/v1/sse?channel=room/6&access_token=${tokenOf('eve')}`;
    using stream = await EventStreamPeer.open(url);
    await stream.expect('open');
    expect(await listed('room/6')).toMatchObject({ count: 0 });
  });
});

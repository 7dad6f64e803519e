/** Presence under attack: crowds, flapping, watchers that never read, and those who may not look. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { seededRandom } from '@trunkline/testkit';
import { EventStreamPeer } from '../../src/event-stream.ts';
import { UncaughtErrors } from '../../src/faults.ts';
import { ask } from '../../src/http.ts';
import type { Answered, Fields } from '../../src/http.ts';
import { usedBytes } from '../../src/memory.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { SkipClock } from '../../src/skip-clock.ts';
import { JWT_SECRET, tokenOf } from '../../src/tokens.ts';
import type { Claims } from '../../src/tokens.ts';
import { WebSocketPeer } from '../../src/web-socket.ts';
import { Bystander, expectServed } from './bystander.ts';
import { Insides, NOTHING_HELD } from './insides.ts';
import { usersOf, Watcher } from './watcher.ts';
import type { MemberTold, PageTold } from './watcher.ts';

const KB = 1024;
const MB = 1024 * KB;
const GRACE_MS = 10_000;
/** Longer than any pause between two announcements. */
const PAUSE_MS = 1_100;
/** Changes that are told one by one; over it a snapshot stands for them. */
const CHANGES_MAX = 64;
const BATCH_MS = 100;

const ALL = ['subscribe', 'publish', 'history', 'presence'] as const;

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
      auth: { jwtSecret: JWT_SECRET },
      link: { pingIntervalMs: 3_600_000, commandsPerSecondMax: 0 },
      namespaces: {
        'room/#': { presence: { listed: true, graceMs: 0 } },
        'calm/#': { presence: { listed: true, graceMs: GRACE_MS } },
      },
    },
    { clock },
  );
});

/** Everyone is gone: nobody is listed, nobody watches, and nothing is kept for either. */
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

async function open(user: string, claims: Claims = {}): Promise<WebSocketPeer> {
  const path = `/v1/ws?access_token=${tokenOf(user, claims)}`;
  const peer = await WebSocketPeer.open(server.port, { path });
  await peer.nextOf('welcome');
  return peer;
}

function listing(query: string, token = tokenOf('looker')): Promise<Answered> {
  return server.get(`/v1/presence?${query}`, { authorization: `Bearer ${token}` });
}

/** All members, page by page. */
async function listAll(channel: string, limit = 1_000): Promise<MemberTold[]> {
  const found: MemberTold[] = [];
  for (let after: string | undefined, pages = 0; ; pages += 1) {
    expect(pages).toBeLessThan(2_000);
    const query = new URLSearchParams({
      ...{ channel, limit: String(limit) },
      ...(after === undefined ? {} : { after }),
    });
    const page = (await listing(query.toString())).json<PageTold>();
    found.push(...page.members);
    if (page.next === undefined) return found;
    after = page.next;
  }
}

/** A session of a user that watches a channel. */
async function watching(user: string, channel: string): Promise<Watcher> {
  return Watcher.begin(await open(user), channel);
}

/** The pauses between announcements are over, and all that is to be told was told. */
async function settleAll(watchers: readonly Watcher[]): Promise<void> {
  for (let round = 0; round < 3; round += 1) {
    clock.skip(PAUSE_MS);
    await server.get('/healthz');
  }
  for (const watcher of watchers) await watcher.settle();
}

/** Commands of one session at a time: odd, so that a turn does not end as it began. */
const A_TIME = 7;

/** Sends the commands of one session, and resolves when all are answered. */
async function perform(peer: WebSocketPeer, commands: readonly object[]): Promise<void> {
  for (let at = 0; at < commands.length; at += A_TIME) {
    peer.sendJson(...commands.slice(at, at + A_TIME).map((command) => JSON.stringify(command)));
    for (let left = Math.min(A_TIME, commands.length - at); left > 0; ) {
      const { type } = await peer.next();
      expect(type).toMatch(/^(?:un)?subscribed$/);
      left -= 1;
    }
  }
}

describe('sessions that flap', () => {
  test('[PRES-6] [PRES-7] are told in bounded frames, and all watchers know the truth at the end', async () => {
    const channel = 'room/flap';
    const random = seededRandom(17);
    const watchers = await Promise.all(
      Array.from({ length: 200 }, (_, index) => watching(`watcher-${index}`, channel)),
    );
    const flappers = await Promise.all(
      Array.from({ length: 50 }, (_, index) => open(`flapper-${index}`)),
    );
    using bystander = await Bystander.open(server, 'aside', {
      path: `/v1/ws?access_token=${tokenOf('bystander')}`,
    });
    const beginMs = clock.monotonicMs();
    const there: string[] = [];
    const flapping = flappers.map((peer, index) => {
      const stays = random.fraction() < 0.5;
      if (stays) there.push(`flapper-${index}`);
      const commands = Array.from({ length: stays ? 401 : 400 }, (_, id) => ({
        type: id % 2 === 0 ? 'subscribe' : 'unsubscribe',
        ...{ id, channel },
      }));
      return perform(peer, commands);
    });
    expectServed(await bystander.during(Promise.all(flapping)));
    const pauses = Math.ceil((clock.monotonicMs() - beginMs) / BATCH_MS);
    await settleAll(watchers);
    there.push(...watchers.map((_, index) => `watcher-${index}`));
    expect(usersOf(await listAll(channel))).toEqual(there.sort());
    for (const watcher of watchers) {
      expect(watcher.users).toEqual(there);
      // Far fewer than the 20,000 changes, and never more than a batch for each pause.
      expect(watcher.told).toBeLessThan((pauses + 4) * CHANGES_MAX);
      expect(watcher.told).toBeLessThan(1_000);
    }
    for (const peer of [...watchers.map(({ peer: own }) => own), ...flappers])
      peer[Symbol.dispose]();
  });

  test('[PRES-4] are told to nobody while they come back in time', async () => {
    const channel = 'calm/flap';
    using watcher = await watching('watcher', channel);
    for (let round = 0; round < 4; round += 1) {
      const peers = await Promise.all(
        Array.from({ length: 50 }, (_, index) => open(`flapper-${index}`)),
      );
      await Promise.all(
        peers.map((peer) => perform(peer, [{ type: 'subscribe', id: 1, channel }])),
      );
      for (const peer of peers) peer.raw.reset();
      await server.get('/healthz');
      clock.skip(GRACE_MS / 2);
    }
    await settleAll([watcher]);
    // Everyone came once, and nobody has gone as yet, however many sessions there were.
    expect(watcher.told).toBeLessThanOrEqual(50);
    expect(watcher.users.length).toBe(51);
    expect(insides.held.members).toBeLessThan(51 + 50 * 4);
    clock.skip(GRACE_MS);
    await settleAll([watcher]);
    expect(watcher.users).toEqual(['watcher']);
  });

  test('[PRES-1] leave nobody behind when they are cut off at any moment', async () => {
    const channel = 'room/cut';
    using watcher = await watching('watcher', channel);
    for (let round = 0; round < 5; round += 1) {
      const peers = await Promise.all(
        Array.from({ length: 40 }, (_, index) => open(`cut-${index}`)),
      );
      for (const [index, peer] of peers.entries()) {
        peer.send({ type: 'subscribe', id: 1, channel, presence: index % 2 === 0 });
        // Some before they are read, some in the middle, some after the answer.
        if (index % 4 === 1) await peer.nextOf('subscribed');
        if (index % 4 === 2) peer.send({ type: 'unsubscribe', id: 2, channel });
        if (index % 4 === 3) peer.raw.socket.end();
        else peer.raw.reset();
      }
    }
    for (let look = 0; look < 500 && insides.held.links > 1; look += 1) {
      await server.get('/healthz');
    }
    expect(insides.held).toMatchObject({ links: 1, members: 1, watchers: 1 });
    await settleAll([watcher]);
    expect(watcher.users).toEqual(['watcher']);
  });
});

describe('a crowd', () => {
  test('[PRES-8] of 20,000 comes and goes beside 50 who watch and one who pages', async () => {
    const channel = 'room/crowd';
    const watchers = await Promise.all(
      Array.from({ length: 50 }, (_, index) => watching(`watcher-${index}`, channel)),
    );
    using bystander = await Bystander.open(server, 'aside', {
      path: `/v1/ws?access_token=${tokenOf('bystander')}`,
    });
    const { presence } = insides;
    const before = usedBytes();
    const info = { about: 'x'.repeat(50) };
    const stays = Array.from(
      { length: 20_000 },
      (_, index) => () =>
        presence.enter(channel, { session: `s${index}`, user: `u${index}`, info }),
    );
    const held: ReturnType<(typeof stays)[number]>[] = [];
    const coming = async (): Promise<void> => {
      for (let at = 0; at < stays.length; at += 200) {
        for (const enter of stays.slice(at, at + 200)) held.push(enter());
        await server.get('/healthz');
      }
    };
    expectServed(await bystander.during(coming()));
    await settleAll(watchers.slice(0, 2));
    expect(usedBytes() - before).toBeLessThan(60 * MB);
    for (const watcher of watchers.slice(0, 2)) {
      expect(watcher.count).toBe(20_050);
      expect(watcher.users.length).toBe(20_050);
      expect(watcher.told).toBeLessThan(1_500);
    }
    // Who is there all the time is on exactly one page, whoever comes and goes meanwhile.
    const churn = async (): Promise<void> => {
      for (let at = 0; at < 4_000; at += 100) {
        for (const stay of held.slice(at, at + 100)) presence.leave(stay);
        for (let count = 0; count < 100; count += 1) {
          const user = `late-${at + count}`;
          held.push(presence.enter(channel, { session: user, user }));
        }
        await server.get('/healthz');
      }
    };
    const [found] = await Promise.all([listAll(channel, 500), churn()]);
    const counts = new Map<string, number>();
    for (const { session } of found) counts.set(session, (counts.get(session) ?? 0) + 1);
    for (let index = 4_000; index < 20_000; index += 1) expect(counts.get(`s${index}`)).toBe(1);
    expect(Math.max(...counts.values())).toBe(1);
    for (const stay of held) presence.leave(stay);
    await settleAll(watchers);
    for (const watcher of watchers) {
      expect(watcher.users.length).toBe(50);
      watcher[Symbol.dispose]();
    }
  });
});

describe('watchers that never read', () => {
  test('[PRES-7] cost a high-water mark each, are not closed, and know the truth when they read', async () => {
    const channel = 'room/frozen';
    const watchers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => watching(`watcher-${index}`, channel)),
    );
    using healthy = await watching('healthy', channel);
    await settleAll([...watchers, healthy]);
    for (const { peer } of watchers) peer.raw.freeze();
    const { presence } = insides;
    const info = 'i'.repeat(1_000);
    const before = usedBytes();
    for (let round = 0; round < 80; round += 1) {
      const newcomers = Array.from({ length: 60 }, (_, index) => ({
        ...{ session: `s${round}-${index}`, user: `u${index}`, info },
      }));
      const stays = newcomers.map((newcomer) => presence.enter(channel, newcomer));
      clock.skip(PAUSE_MS);
      await server.get('/healthz');
      for (const stay of stays) presence.leave(stay);
      clock.skip(PAUSE_MS);
      await server.get('/healthz');
      await healthy.settle();
    }
    // Each was told megabytes, of which the network took what it could hold.
    expect(Math.max(...insides.pendingBytes)).toBeGreaterThan(256 * KB);
    expect(Math.max(...insides.pendingBytes)).toBeLessThan((256 + 200) * KB);
    expect(usedBytes() - before).toBeLessThan(20 * MB);
    expect(insides.held.links).toBe(21);
    const last = presence.enter(channel, { session: 'last', user: 'last' });
    for (const { peer } of watchers) peer.raw.thaw();
    const there = ['healthy', 'last', ...watchers.map((_, index) => `watcher-${index}`)].sort();
    for (const watcher of watchers) {
      // The snapshot comes when all that was sent before has been taken.
      for (let look = 0; look < 200 && watcher.users.join() !== there.join(); look += 1) {
        await watcher.settle();
      }
      expect(watcher.users).toEqual(there);
      expect([watcher.snapshots, healthy.snapshots]).toEqual([1, 0]);
    }
    for (const watcher of watchers) watcher[Symbol.dispose]();
    presence.leave(last);
  });
});

describe('what a token says of its user', () => {
  test('[AUTH-8] is shown up to its limit, and refuses the token over it', async () => {
    const channel = 'room/info';
    using watcher = await watching('watcher', channel);
    const fitting: Fields = {
      ascii: 'x'.repeat(1_022),
      wide: '€'.repeat(340),
      escaped: '\u0001'.repeat(170),
      deep: JSON.parse(`${'['.repeat(512)}${']'.repeat(512)}`),
      proto: JSON.parse('{"__proto__":{"user":"root"},"constructor":1,"toString":null}'),
      halves: '\ud800'.repeat(100),
      lines: '\u2028\n\r\n'.repeat(50),
    };
    const peers: WebSocketPeer[] = [];
    for (const [user, info] of Object.entries(fitting)) {
      const peer = await open(user, { info });
      await peer.call({ type: 'subscribe', id: 1, channel });
      peers.push(peer);
    }
    await settleAll([watcher]);
    const listed = await listAll(channel, 2);
    for (const [user, info] of Object.entries(fitting)) {
      const member = listed.find((one) => one.user === user);
      expect(JSON.stringify(member?.info)).toBe(JSON.stringify(info));
    }
    expect(watcher.users).toEqual([...Object.keys(fitting), 'watcher'].sort());
    for (const info of ['x'.repeat(1_023), '€'.repeat(341), { a: ['x'.repeat(1_100)] }]) {
      const path = `/v1/ws?access_token=${tokenOf('large', { info })}`;
      const refused = await WebSocketPeer.refused(server.port, { path });
      expect(refused).toMatchObject({ status: 401, problem: { code: 'unauthenticated' } });
    }
    for (const peer of peers) peer[Symbol.dispose]();
  });
});

describe('cursors that are none', () => {
  const encode = (value: unknown): string =>
    Buffer.from(JSON.stringify(value)).toString('base64url');
  const cursors: readonly string[] = [
    ...['', '!', 'null', '~', '0', '%00', '\u0000', 'AAAA', 'a'.repeat(4_000)],
    ...['é'.repeat(100), 'W', 'W10', '-_-_', '=', '====', '\ud83d\ude00'],
    ...[null, 1, 'x', {}, [], [1], [1, 2], ['1', 's'], [null, 's'], [1, null], [1, 's', 3]].map(
      encode,
    ),
    ...[
      [-1, ''],
      [1e308, 's'],
      [0.5, 's'],
      [-0, 's', ''],
      [1, 's'.repeat(2_000)],
    ].map(encode),
    ...[
      [1, '__proto__', 'constructor'],
      [Number.MAX_SAFE_INTEGER, '\uffff'],
    ].map(encode),
    Buffer.from('[1e999,"s"]').toString('base64url'),
    Buffer.from(`${'['.repeat(1_500)}${']'.repeat(1_500)}`).toString('base64url'),
    Buffer.from([0xff, 0xfe, 0x5b]).toString('base64url'),
  ];

  test('[PRES-8] are refused or begin a page, over HTTP and over a session', async () => {
    const channel = 'room/paged';
    using watcher = await watching('watcher', channel);
    for (const after of cursors) {
      for (const name of [channel, 'room/nobody']) {
        const query = new URLSearchParams({ channel: name, after }).toString();
        const answer = await listing(query);
        if (answer.status === 200) expect(answer.json<PageTold>().count).toBeLessThan(2);
        else expect(answer.json()).toMatchObject({ status: 400, code: 'bad_request' });
        const reply = await watcher.peer.call({ type: 'presence', id: 1, channel: name, after });
        const isPage = answer.status === 200;
        expect(reply).toMatchObject(isPage ? { type: 'presence' } : { code: 'bad_request' });
      }
    }
    for (const limit of ['0', '-1', '1001', '1.5', '1e2', 'x', '9'.repeat(400), '']) {
      const answer = await listing(new URLSearchParams({ channel, limit }).toString());
      expect(answer.json()).toMatchObject({ status: 400, code: 'bad_request' });
    }
  });
});

describe('those who may not look', () => {
  const channels = { 'room/#': ['subscribe', 'publish'], 'aside/#': ALL };

  /** What is refused says the same of a full channel and of an empty one. */
  function withoutName(answer: string): string {
    return answer.replaceAll(/room\/[a-z]+/g, 'CHANNEL');
  }

  test('[PRES-9] [AUTH-4] are refused, and told neither counts nor names', async () => {
    const secret = 'room/full';
    const members = await Promise.all(
      Array.from({ length: 30 }, (_, index) => open(`secret-${index}`)),
    );
    for (const peer of members) await peer.call({ type: 'subscribe', id: 1, channel: secret });
    using peer = await open('mallory', { channels });
    const seen: string[] = [];
    for (const id of [1, 2]) {
      for (const command of [
        { type: 'presence', limit: 1 },
        { type: 'presence', after: 'WzEsInMiXQ' },
        { type: 'presence', limit: 5_000 },
        { type: 'subscribe', presence: true },
      ]) {
        const answers: string[] = [];
        for (const channel of [secret, 'room/empty']) {
          const answer = await peer.call({ ...command, id, channel });
          expect(answer).toMatchObject({ type: 'error', id, code: 'forbidden' });
          answers.push(withoutName(String(answer['source'])));
        }
        expect(answers[0]).toBe(answers[1]);
        seen.push(...answers);
      }
    }
    const token = tokenOf('mallory', { channels });
    for (const query of ['', '&limit=1', '&after=x', '&limit=0']) {
      const full = await listing(`channel=${secret}${query}`, token);
      const empty = await listing(`channel=room/empty${query}`, token);
      expect(full.status).toBe(empty.status);
      expect([400, 403]).toContain(full.status);
      expect(withoutName(full.text)).toBe(withoutName(empty.text));
      seen.push(full.text);
    }
    // She may read the channel: she is told its messages and not who reads them.
    await peer.call({ type: 'subscribe', id: 3, channel: secret });
    const stream = await EventStreamPeer.open(
      `${server.url}/v1/sse?channel=${secret}&presence=1&access_token=${token}`,
    );
    await stream.expect('open');
    const poll = await server.get(`/v1/poll?channel=${secret}&presence=1&access_token=${token}`);
    expect(poll.status).toBe(200);
    for (const member of members.splice(0, 15)) member[Symbol.dispose]();
    using late = await open('secret-late');
    await late.call({ type: 'subscribe', id: 1, channel: secret });
    clock.skip(PAUSE_MS);
    await late.call({ type: 'publish', id: 2, channel: secret, data: 'end' });
    await stream.seen('"end"');
    seen.push(stream.text, poll.text);
    for (let fields = await peer.next(); fields['data'] !== 'end'; fields = await peer.next()) {
      seen.push(String(fields['source']));
    }
    for (const text of seen) expect(text).not.toMatch(/secret-|"count"|"members"|\b30\b/);
    stream[Symbol.dispose]();
    for (const member of members) member[Symbol.dispose]();
  });

  test.each(['@secret-1', 'other/room', 'room/+', '#', '$sys'])(
    'of %s either, whatever they ask',
    async (channel) => {
      const token = tokenOf('mallory', { channels });
      const answer = await listing(new URLSearchParams({ channel }).toString(), token);
      expect([400, 403]).toContain(answer.status);
      using peer = await open('mallory', { channels });
      const reply = await peer.call({ type: 'presence', id: 1, channel });
      expect(reply['code']).toMatch(/^(?:forbidden|bad_request)$/);
      const url = `${server.url}/v1/presence?channel=${encodeURIComponent(channel)}`;
      expect((await ask(url)).status).toBe(401);
    },
  );
});

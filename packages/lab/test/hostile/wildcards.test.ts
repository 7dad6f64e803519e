/** Patterns under attack: lattices, storms, readers that never read, and marks that are none. */
import { seededRandom } from '@trunkline/testkit';
import { CODES } from '@trunkline/wire';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EventStreamPeer } from '../../src/event-stream.ts';
import { UncaughtErrors } from '../../src/faults.ts';
import type { Fields } from '../../src/http.ts';
import { usedBytes } from '../../src/memory.ts';
import type { PollAnswer } from '../../src/readers/poll.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { SkipClock } from '../../src/skip-clock.ts';
import { WebSocketPeer } from '../../src/web-socket.ts';
import { Bystander, expectServed } from './bystander.ts';
import { Insides, NOTHING_HELD } from './insides.ts';
import { Tally } from './tally.ts';

const KB = 1024;
const MB = 1024 * KB;

let clock: SkipClock;
let server: LabServer;
let errors: UncaughtErrors;
let insides: Insides;

beforeEach(async () => {
  clock = new SkipClock();
  errors = new UncaughtErrors();
  insides = new Insides();
  const link = { pingIntervalMs: 3_600_000 };
  server = await startServer({ dev: true, link, node: 'victim' }, { clock });
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

/** A session that has subscribed to a pattern, and its place. */
async function subscribed(channel: string, rest: Fields = {}): Promise<WebSocketPeer> {
  const peer = await open();
  const answer = await peer.call({ type: 'subscribe', id: 1, channel, ...rest });
  expect(answer).toMatchObject({ type: 'subscribed' });
  return peer;
}

/** Publishes one message to each of so many channels. */
async function publishEach(prefix: string, count: number, data: unknown): Promise<void> {
  for (let at = 0; at < count; at += 1_000) {
    const batch = Array.from({ length: Math.min(1_000, count - at) }, (_, index) => ({
      ...{ channel: `${prefix}/${at + index}`, data },
    }));
    await server.publishAll(batch);
  }
}

describe('patterns that overlap', () => {
  const SEGMENTS = Array.from({ length: 127 }, (_, index) => String(index % 10));
  const HOT = SEGMENTS.join('/');

  test('[WILD-4] 128 in each of 25 sessions, 127 segments deep: every message once, and nobody waits', async () => {
    const random = seededRandom(3);
    const lattice = (): string => {
      const taken = SEGMENTS.slice(0, 20 + random.integer(107));
      const mixed = taken.map((segment, at) => (at > 0 && random.chance(0.6) ? '+' : segment));
      return [...mixed, '#'].join('/');
    };
    using bystander = await Bystander.open(server, 'aside');
    const before = usedBytes();
    const peers: WebSocketPeer[] = [];
    const subscribe = async (): Promise<void> => {
      for (let session = 0; session < 25; session += 1) {
        const peer = await open();
        const commands = Array.from({ length: 128 }, (_, id) =>
          JSON.stringify({ type: 'subscribe', id, channel: lattice() }),
        );
        for (let at = 0; at < 128; at += 16) {
          peer.sendJson(...commands.slice(at, at + 16));
          for (let count = 0; count < 16; count += 1) {
            expect((await peer.next())['type']).toBe('subscribed');
          }
        }
        peers.push(peer);
      }
    };
    expectServed(await bystander.during(subscribe()));
    expect(insides.held.selections).toBeGreaterThan(3_000);
    const publish = async (): Promise<void> => {
      for (let message = 0; message < 30; message += 1) {
        await server.publish(HOT, message);
        for (const peer of peers) {
          expect(await peer.nextOf('message')).toMatchObject({ offset: message + 1 });
        }
      }
    };
    expectServed(await bystander.during(publish()));
    expect(usedBytes() - before).toBeLessThan(80 * MB);
    for (const peer of peers) {
      // Nothing came twice: behind the last message there are marks alone.
      peer.send({ type: 'ping' });
      for (let fields = await peer.next(); fields['type'] !== 'pong'; fields = await peer.next()) {
        expect(fields['type']).toBe('mark');
      }
    }
    // They leave all at once.
    for (const peer of peers) peer.raw.reset();
    await bystander.round();
  });

  test('[WILD-1] that come and go in 200 sessions cost a reader of another one nothing', async () => {
    const random = seededRandom(8);
    const reader = await subscribed('flow/#');
    const tally = new Tally();
    using bystander = await Bystander.open(server, 'aside');
    const peers = await Promise.all(Array.from({ length: 200 }, open));
    const filters = ['#', '+/#', 'flow/+', 'flow/#', '+/3', 'flow/3', 'flow/+/x', 'aside/#'];
    const storm = peers.map(async (peer) => {
      for (let round = 0; round < 8; round += 1) {
        const commands = Array.from({ length: 10 }, (_, id) => ({
          ...{ type: random.chance(0.5) ? 'subscribe' : 'unsubscribe', id },
          channel: random.chance(0.7) ? random.pick(filters) : `own/${random.integer(99)}/#`,
        }));
        peer.sendJson(...commands.map((command) => JSON.stringify(command)));
        for (let answered = 0; answered < commands.length; ) {
          const { id, type } = await peer.next();
          if (id === undefined) continue;
          expect(type).toMatch(/^(?:un)?subscribed$/);
          answered += 1;
        }
      }
    });
    const publish = async (): Promise<void> => {
      for (let round = 0; round < 30; round += 1) await publishEach('flow', 20, round);
    };
    const read = tally.readTo(reader, 600);
    expectServed(await bystander.during(Promise.all([...storm, publish(), read])));
    expect(tally.count).toBe(600);
    for (const peer of peers) peer.raw.reset();
    for (let look = 0; look < 1_000 && insides.held.links > 2; look += 1) {
      await server.get('/healthz');
    }
    // Only what the other two have is left.
    expect(insides.held).toMatchObject({ links: 2, selections: 1, filters: 1 });
    reader[Symbol.dispose]();
  });
});

describe('subscriptions that stand apart', () => {
  /** Names and patterns that all match `apart/a/b`, 128 of them. */
  const FILTERS = [
    'apart/a/b',
    'apart/a/+',
    'apart/+/b',
    '+/a/b',
    'apart/#',
    '#',
    'apart/a/#',
    '+/#',
  ];
  const MESSAGES = 400;

  test('[APART-1] 128 that overlap in each of 5 sessions that never read are bounded, and lose nothing', async () => {
    const peers = await Promise.all(Array.from({ length: 5 }, open));
    using bystander = await Bystander.open(server, 'aside');
    for (const peer of peers) {
      const commands = Array.from({ length: 128 }, (_, at) =>
        JSON.stringify({
          ...{ type: 'subscribe', id: at, as: at + 1, channel: FILTERS[at % FILTERS.length] },
        }),
      );
      peer.sendJson(...commands);
      for (let answered = 0; answered < 128; ) {
        const { type } = await peer.next();
        if (type === 'subscribed') answered += 1;
        else expect(type).toBe('message'); // Of the bystander, to those that read everything.
      }
      peer.raw.freeze();
    }
    const before = usedBytes();
    const data = 'x'.repeat(2_000);
    const publish = async (): Promise<void> => {
      for (let at = 0; at < MESSAGES; at += 10) {
        await server.publish('apart/a/b', ...Array.from({ length: 10 }, () => data));
        // The high-water mark and one batch, not one for each of the 128.
        expect(Math.max(...insides.pendingBytes)).toBeLessThan(1_000 * KB);
      }
    };
    expectServed(await bystander.during(publish()));
    expect(usedBytes() - before).toBeLessThan(80 * MB);
    const [reader, ...others] = peers;
    if (reader === undefined) throw new Error('expected a reader');
    for (const peer of others) peer[Symbol.dispose]();
    reader.raw.thaw();
    const offsets = Array.from({ length: 129 }, () => 0);
    const read = async (): Promise<void> => {
      for (let left = 128; left > 0; ) {
        const { type, as, channel, offset } = await reader.next();
        expect(type).not.toBe('gap');
        if (type !== 'message' || channel !== 'apart/a/b') continue;
        if (offset !== (offsets[Number(as)] ?? 0) + 1) {
          throw new Error(`as ${String(as)}: ${String(offset)} after ${offsets[Number(as)]}`);
        }
        offsets[Number(as)] = offset;
        if (offset === MESSAGES) left -= 1;
      }
    };
    expectServed(await bystander.during(read()));
    reader[Symbol.dispose]();
  });

  test('[APART-4] that are begun again and again, in 40 sessions, leave nothing behind', async () => {
    const random = seededRandom(11);
    using bystander = await Bystander.open(server, 'aside');
    const peers = await Promise.all(Array.from({ length: 40 }, open));
    const storm = peers.map(async (peer) => {
      for (let round = 0; round < 20; round += 1) {
        const commands = Array.from({ length: 20 }, (_, id) => ({
          ...{ type: random.chance(0.7) ? 'subscribe' : 'unsubscribe', id },
          ...{ as: 1 + random.integer(10), channel: random.pick(FILTERS) },
          after: 'start',
        }));
        peer.sendJson(...commands.map((command) => JSON.stringify(command)));
        for (let answered = 0; answered < commands.length; ) {
          const { id, type } = await peer.next();
          if (id === undefined) continue;
          expect(type).toMatch(/^(?:un)?subscribed$/);
          answered += 1;
        }
      }
    });
    const publish = async (): Promise<void> => {
      for (let round = 0; round < 30; round += 1) await server.publish('apart/a/b', round);
    };
    expectServed(await bystander.during(Promise.all([...storm, publish()])));
    for (const peer of peers) peer.raw.reset();
  });
});

describe('readers of everything that never read', () => {
  const CHANNELS = 5_000;

  test('[WILD-2] are bounded, and given 20,000 messages exactly once when they read on', async () => {
    const readers = [await subscribed('#'), await subscribed('all/#')];
    for (const reader of readers) reader.raw.freeze();
    using bystander = await Bystander.open(server, 'aside');
    const data = 'x'.repeat(300);
    const before = usedBytes();
    const publish = async (): Promise<void> => {
      for (let round = 0; round < 4; round += 1) {
        await publishEach('all', CHANNELS, data);
        // The high-water mark, and a turn's messages.
        expect(Math.max(...insides.pendingBytes)).toBeLessThan(1_000 * KB);
      }
    };
    const seen = await bystander.during(publish());
    expectServed(seen);
    // The log and what is kept of the channels, and little beside.
    expect(usedBytes() - before).toBeLessThan(100 * MB);
    for (const [index, reader] of readers.entries()) {
      const tally = new Tally();
      reader.raw.thaw();
      // The one that reads everything reads of the bystander as well.
      await tally.readTo(reader, 4 * CHANNELS + (index === 0 ? seen.rounds : 0));
      reader[Symbol.dispose]();
    }
  });

  test('500 of them at once disturb nobody, and those that read on miss nothing', async () => {
    const readers = await Promise.all(Array.from({ length: 500 }, () => subscribed('many/#')));
    for (const reader of readers) reader.raw.freeze();
    using bystander = await Bystander.open(server, 'aside');
    const before = usedBytes();
    const publish = async (): Promise<void> => {
      for (let round = 0; round < 10; round += 1) {
        await publishEach('many', 500, 'x'.repeat(800));
      }
    };
    expectServed(await bystander.during(publish()));
    // One copy of what they share, beside the little that each has of its own.
    expect(usedBytes() - before).toBeLessThan(100 * MB);
    expect(Math.max(...insides.pendingBytes)).toBeLessThan(1_000 * KB);
    for (const [index, reader] of readers.entries()) {
      if (index % 100 === 0) {
        reader.raw.thaw();
        await new Tally().readTo(reader, 5_000);
      }
      reader[Symbol.dispose]();
    }
  });

  test('[WILD-6] are closed as slow when even the list of news is too long, and go on by their mark', async () => {
    let reader = await subscribed('wide/#');
    const tally = new Tally();
    reader.raw.freeze();
    const data = 'x'.repeat(900);
    for (let round = 0; round < 8; round += 1) await publishEach('wide', 1_000, data);
    // It begins to read on, and stops in the middle of that.
    reader.raw.thaw();
    await tally.readTo(reader, 1_200);
    reader.raw.freeze();
    const peers = [reader];
    for (let round = 0; round < 3; round += 1) await publishEach(`wide/${round}`, 5_000, round);
    reader.raw.thaw();
    const end = await Promise.race([
      tally.readTo(reader, 23_000).then(() => 'complete'),
      reader.closed.then(({ code }) => code),
    ]).catch(async () => (await reader.closed).code);
    if (end !== 'complete') {
      expect(end).toBe(CODES.slow.close);
      const after = tally.goBack();
      reader = await open();
      peers.push(reader);
      const answer = await reader.call({ type: 'subscribe', id: 1, channel: 'wide/#', after });
      expect(answer).toMatchObject({ recovered: true });
      await tally.readTo(reader, 23_000);
    }
    for (const peer of peers) peer[Symbol.dispose]();
    expect(end).not.toBe('complete');
  });
});

describe('marks that are none', () => {
  test('[WILD-5] [REC-3] are answered with a gap or a recovery, on every transport', async () => {
    await server.publish('marked/a', 1, 2);
    await server.publish('marked/b', 3);
    const reader = await subscribed('marked/#');
    await server.publish('marked/a', 4);
    const { mark } = await reader.nextOf('message');
    reader[Symbol.dispose]();
    await server.publish('marked/b', 5);
    const good = String(mark);
    await using other = await startServer({ dev: true });
    await other.publish('marked/a', 1);
    const foreign = await other.get('/v1/poll?channel=marked/%23&after=start');
    const behind = Buffer.from(
      new URLSearchParams(
        Array.from({ length: 200 }, (_, index) => [`c${index}`, `e:${index}`]),
      ).toString(),
    ).toString('base64url');
    const marks = [
      ...[good.slice(0, -1), good.slice(0, 4), `${good}x`, `${good}~`, `~${good}`, `${good}~~~`],
      ...['~', '~~', '~~~~', '~.', '~-', '~0', '~1.2.3', `~${'9'.repeat(40)}`],
      ...[`~${'a'.repeat(4_000)}`, `~${'~'.repeat(4_000)}`, `~${'a'.repeat(4_001)}`],
      ...[`${good}~${behind}`, `${good}~${'A'.repeat(3_000)}`, `${good}~bm90IGEgcG9zaXRpb24`],
      ...[`${good}~~${Buffer.from('marked/a').toString('base64url')}~s`, `${good}~~bWFy~l9`],
      ...[`${good}~~bWFy~m${good.slice(1)}`, `${good}~~bWFy~m~`, `${good}~~~s`, `${good}~~x~l-1`],
      foreign.json<PollAnswer>().mark,
      ...['e1:1', '0:0', 'start?', '', 'é', '\ud83d\ude00', 'marked/a=e:1', `${good}&marked/#=0:0`],
    ];
    for (const after of marks) {
      const told = await Promise.all([overWebSocket(after), overStream(after), overPoll(after)]);
      for (const { recovered, gap, data } of told) {
        // Who is told that nothing was lost was given what came after the mark at least.
        if (recovered === true) expect([after, data]).toEqual([after, expect.arrayContaining([5])]);
        else
          expect([after, gap]).toEqual([
            after,
            expect.stringMatching(/^(?:unknown|epoch|bad_request)$/),
          ]);
      }
      expect(new Set(told.map(({ recovered }) => recovered)).size).toBe(1);
    }
  });

  interface Told {
    readonly recovered: unknown;
    readonly gap: unknown;
    readonly data: readonly unknown[];
  }

  let ends = 0;
  const REFUSED: Told = { recovered: undefined, gap: 'bad_request', data: [] };

  function toldOf(recovered: unknown, gap: unknown, data: readonly unknown[]): Told {
    return { recovered, gap: (gap as Fields | undefined)?.['reason'], data };
  }

  /** Reads until there is nothing more to wait for; what never comes fails in time. */
  async function dataOf(recovered: unknown, next: () => Promise<Fields>): Promise<unknown[]> {
    ends += 1;
    const end = `end ${ends}`;
    await server.publish('marked/end', end);
    const data: unknown[] = [];
    const isDone = (): boolean => data.includes(end) && (recovered !== true || data.includes(5));
    while (!isDone()) data.push((await next())['data']);
    return data;
  }

  async function overWebSocket(after: string): Promise<Told> {
    using peer = await open();
    const answer = await peer.call({ type: 'subscribe', id: 1, channel: 'marked/#', after });
    const { type, code, recovered, gap } = answer;
    if (type === 'error') return { ...REFUSED, gap: code };
    return toldOf(recovered, gap, await dataOf(recovered, () => peer.nextOf('message')));
  }

  async function overStream(after: string): Promise<Told> {
    const url = `${server.url}/v1/sse?channel=marked/%23`;
    // No header carries letters that are not ASCII.
    const isHeader = /^[\u0021-\u007e]+$/.test(after);
    using stream = await EventStreamPeer.open(
      isHeader ? url : `${url}&after=${encodeURIComponent(after)}`,
      isHeader ? { 'last-event-id': after } : {},
    );
    if (stream.status !== 200) return { ...REFUSED, gap: (await stream.problem())['code'] };
    const { data: opened } = await stream.expect<Record<string, Fields>>('open');
    const recovered = opened['recovered']?.['marked/#'];
    const data = await dataOf(recovered, async () => {
      const event = await stream.next();
      return event.type === 'message' ? (JSON.parse(event.data) as Fields) : {};
    });
    return toldOf(recovered, opened['gaps']?.['marked/#'], data);
  }

  async function overPoll(after: string): Promise<Told> {
    let told: Told | undefined;
    const data: unknown[] = [];
    let place = after;
    for (let polls = 0; polls < 20; polls += 1) {
      const query = new URLSearchParams({ channel: 'marked/#', after: place }).toString();
      const answer = await server.get(`/v1/poll?${query}`);
      if (answer.status !== 200) return { ...REFUSED, gap: answer.json()['code'] };
      const { recovered, gaps, messages, mark, more } = answer.json<PollAnswer>();
      told ??= toldOf(recovered['marked/#'], gaps['marked/#'], data);
      data.push(...messages.map((message) => message['data']));
      place = mark;
      if (more !== true) break;
    }
    return told ?? REFUSED;
  }
});

describe('a storm of resumes', () => {
  test('[WILD-2] by one mark over 2,000 channels reads each of them a few times, for 300 clients', async () => {
    const first = await subscribed('resume/#');
    await server.publish('resume/mark', 0);
    const { mark } = await first.nextOf('message');
    first[Symbol.dispose]();
    await publishEach('resume', 2_000, 'x'.repeat(50));
    const peers = await Promise.all(Array.from({ length: 300 }, open));
    const { reads } = insides;
    const before = { ...reads };
    const storm = peers.map(async (peer) => {
      peer.send({ type: 'subscribe', id: 1, channel: 'resume/#', after: String(mark) });
      expect(await peer.next()).toMatchObject({ type: 'subscribed', recovered: true });
      await new Tally().readTo(peer, 2_000);
    });
    await Promise.all(storm);
    // What 300 ask for at once is asked of the log a few times for each channel, not 300 times.
    expect(reads.read - before.read).toBeLessThan(3 * 2_000);
    expect(reads.changedSince - before.changedSince).toBeLessThan(2 * 2_000 + 300);
    for (const peer of peers) peer[Symbol.dispose]();
  });
});

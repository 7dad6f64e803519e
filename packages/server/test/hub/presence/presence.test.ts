import {
  BUSY_MS,
  PAGE_COUNT_MAX,
  REPLACED_COUNT_MAX,
} from '@trunkline/server/internal/hub/presence/config.ts';
import { parsePlace } from '@trunkline/server/internal/hub/presence/place.ts';
import type { Stay } from '@trunkline/server/internal/hub/presence/presence.ts';
import { seededRandom } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';
import { GRACE_MS, pass, settle, setUp, someone, TICK_MS, Viewer } from './presence-setup.ts';
import type { World } from './presence-setup.ts';

/** More than any grace time and pause together. */
const LONG_MS = GRACE_MS + BUSY_MS + 10 * TICK_MS;

function sessions({ presence }: World, channel = 'room'): string[] {
  return presence.page(channel, { countMax: PAGE_COUNT_MAX }).members.map(({ session }) => session);
}

describe('members', () => {
  test('are listed with user, info and the time they came [PRES-2]', () => {
    const { clock, presence } = setUp();
    const info = { name: 'Ada' };
    presence.enter('room', { session: 's1', user: 'alice', info });
    const aliceSince = clock.unixMs();
    clock.advance(5);
    presence.enter('room', { session: 's2' });
    presence.enter('elsewhere', { session: 's3' });
    expect(presence.page('room', { countMax: 10 })).toEqual({
      members: [
        { session: 's1', user: 'alice', info, since: aliceSince },
        { session: 's2', since: aliceSince + 5 },
      ],
      count: 2,
    });
    expect(presence.page('nowhere', { countMax: 10 })).toEqual({ members: [], count: 0 });
  });

  test('are sessions, but users are counted, and each stranger by itself [PRES-3]', () => {
    const world = setUp();
    const { presence } = world;
    for (const session of ['a1', 'a2', 'a3']) presence.enter('room', someone('alice', session));
    for (const session of ['x', 'y']) presence.enter('room', { session });
    // Nobody becomes alice by calling the session so.
    presence.enter('room', { session: 'alice' });
    expect(sessions(world)).toHaveLength(6);
    expect(presence.count('room')).toBe(4);
    expect(presence.memberCount).toBe(6);
  });

  test('enter as often as they like and are listed once, until all of it is given back', () => {
    const world = setUp();
    const { presence } = world;
    const stays = [1, 2, 3].map(() => presence.enter('room', someone('alice')));
    expect(sessions(world)).toEqual(['alice']);
    const [first, second, third] = stays as [Stay, Stay, Stay];
    presence.leave(first);
    presence.leave(first);
    presence.leave(second);
    pass(world, LONG_MS);
    expect(sessions(world)).toEqual(['alice']);
    presence.leave(third);
    pass(world, LONG_MS);
    expect(sessions(world)).toEqual([]);
  });

  test('of one session word but two users are two: nobody takes the place of another', () => {
    const world = setUp();
    const { presence } = world;
    presence.enter('room', { session: 's', user: 'alice', info: 'Alice' });
    const stolen = presence.enter('room', { session: 's', user: 'mallory', info: 'Alice!' });
    presence.enter('room', { session: 's' });
    expect(presence.count('room')).toBe(3);
    presence.leave(stolen);
    pass(world, LONG_MS);
    const { members } = presence.page('room', { countMax: 10 });
    expect(members.map(({ user, info }) => [user, info])).toEqual([
      [undefined, undefined],
      ['alice', 'Alice'],
    ]);
  });

  test('show the info that came last, since when they came first', () => {
    const world = setUp();
    const { clock, presence } = world;
    presence.enter('room', { session: 's', user: 'alice', info: 'old' });
    const viewer = new Viewer(world, 'room').show();
    pass(world, 1_000);
    presence.enter('room', { session: 's', user: 'alice', info: 'new' });
    const [member] = presence.page('room', { countMax: 1 }).members;
    expect(member).toMatchObject({ info: 'new', since: clock.unixMs() - 1_000 });
    expect(presence.show(viewer.watch).members).toEqual([member]);
    presence.enter('room', { session: 's', user: 'alice' });
    expect(presence.page('room', { countMax: 1 }).members[0]).not.toHaveProperty('info');
  });

  test('are refused where there are too many, but those that are there come again', () => {
    const { presence } = setUp({ membersMax: 2 });
    presence.enter('room', { session: 'a' });
    presence.enter('room', { session: 'b' });
    expect(() => presence.enter('room', { session: 'c' })).toThrow(
      expect.objectContaining({ code: 'rate_limited', message: 'room may have 2 members' }),
    );
    presence.enter('room', { session: 'b' });
    presence.enter('elsewhere', { session: 'c' });
    expect(presence.memberCount).toBe(3);
  });
});

describe('the grace time', () => {
  test('keeps who is gone in the list and lets nobody know, if he returns in it [PRES-4]', () => {
    const world = setUp();
    const { presence } = world;
    const viewer = new Viewer(world, 'room').show();
    let stay = presence.enter('room', someone('alice', 's1'));
    settle(world);
    expect(viewer.take()).toEqual(['+alice']);
    for (let round = 2; round < 12; round += 1) {
      presence.leave(stay);
      pass(world, GRACE_MS - 1);
      expect(presence.count('room')).toBe(1);
      stay = presence.enter('room', someone('alice', round % 3 === 0 ? `s${round}` : 'again'));
    }
    pass(world, LONG_MS);
    expect(viewer.take()).toEqual([]);
    presence.leave(stay);
    pass(world, GRACE_MS - 1);
    expect(viewer.take()).toEqual([]);
    pass(world, 2 * TICK_MS);
    expect(viewer.take()).toEqual(['-alice']);
    expect(presence.memberCount).toBe(0);
    expect([...presence.toldCounts]).toEqual([
      ['join', 1],
      ['leave', 1],
    ]);
  });

  test('begins when the last session is gone, on whatever transport [PRES-4]', () => {
    const world = setUp();
    const { presence } = world;
    const viewer = new Viewer(world, 'room').show();
    const socket = presence.enter('room', someone('alice', 'socket'));
    const stream = presence.enter('room', someone('alice', 'stream'));
    presence.leave(socket);
    pass(world, LONG_MS);
    expect(viewer.take()).toEqual(['+alice']);
    expect(sessions(world)).toEqual(['stream']);
    presence.leave(stream);
    pass(world, LONG_MS);
    expect(viewer.take()).toEqual(['-alice']);
  });

  test('keeps a poll listed that comes again, with the time it came first [PRES-11]', () => {
    const world = setUp();
    const { clock, presence } = world;
    const viewer = new Viewer(world, 'room').show();
    const startMs = clock.unixMs();
    for (let poll = 0; poll < 5; poll += 1) {
      const stay = presence.enter('room', someone('alice', 'p'));
      pass(world, 20_000);
      presence.leave(stay);
      pass(world, 4_000);
    }
    expect(presence.page('room', { countMax: 1 }).members[0]?.since).toBe(startMs);
    expect(viewer.take()).toEqual(['+alice']);
    pass(world, LONG_MS);
    expect(viewer.take()).toEqual(['-alice']);
  });

  test('ends for a session that was lost when its user comes by another one [PRES-4]', () => {
    const world = setUp();
    const { presence } = world;
    const held = presence.enter('room', someone('alice', 'held'));
    const lost = [1, 2, 3].map((tab) => presence.enter('room', someone('alice', `lost${tab}`)));
    for (const stay of lost) presence.leave(stay);
    expect(sessions(world)).toEqual(['held', 'lost1', 'lost2', 'lost3']);
    presence.enter('room', someone('alice', 'new'));
    presence.enter('room', someone('bob', 'other'));
    expect(sessions(world)).toEqual(['held', 'new', 'other']);
    pass(world, LONG_MS);
    presence.leave(held);
    pass(world, LONG_MS);
    expect(sessions(world)).toEqual(['new', 'other']);
    expect(presence.memberCount).toBe(2);
  });

  test('of very many lost sessions ends for a part of them at once, and for all in time', () => {
    const { clock, presence } = setUp();
    const many = 3 * REPLACED_COUNT_MAX;
    const stays = Array.from({ length: many }, (_, index) =>
      presence.enter('room', someone('alice', `s${index}`)),
    );
    for (const stay of stays) presence.leave(stay);
    presence.enter('room', someone('alice', 'new'));
    expect(presence.memberCount).toBe(many + 1 - REPLACED_COUNT_MAX);
    clock.advance(LONG_MS);
    expect(presence.memberCount).toBe(1);
  });

  test('is the one of the channel, and 0 is none', () => {
    const world = setUp({ graceMsOf: (channel) => (channel === 'fast' ? 0 : 500) });
    const { presence } = world;
    for (const channel of ['fast', 'slow']) {
      presence.leave(presence.enter(channel, someone('alice')));
    }
    expect([presence.count('fast'), presence.count('slow')]).toEqual([0, 1]);
    pass(world, 499);
    expect(presence.count('slow')).toBe(1);
    pass(world, 2 * TICK_MS);
    expect(presence.count('slow')).toBe(0);
  });
});

describe('pages', () => {
  test('have everyone who stays exactly once, whoever comes and goes [PRES-8]', () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const random = seededRandom(seed);
      const { clock, presence } = setUp({ graceMsOf: () => 0 });
      const staying = new Set<string>();
      const moving: Stay[] = [];
      for (let index = 0; index < 500; index += 1) {
        const session = random.word(8);
        const stay = presence.enter('room', someone(`user${index % 400}`, session));
        if (random.chance(0.5)) staying.add(session);
        else moving.push(stay);
        if (random.chance(0.3)) clock.advance(1);
      }
      const seen: string[] = [];
      let after: string | undefined;
      do {
        const page = presence.page('room', {
          countMax: 1 + random.integer(40),
          ...(after === undefined ? {} : { after }),
        });
        seen.push(...page.members.map(({ session }) => session));
        after = page.next;
        for (let step = 0; step < 10; step += 1) {
          const gone = moving.splice(random.integer(moving.length + 1), 1)[0];
          if (gone !== undefined) presence.leave(gone);
          if (random.chance(0.5)) presence.enter('room', someone(`new${step}`, random.word(8)));
          if (random.chance(0.1)) clock.stepUnix(random.integer(20) - 10);
        }
      } while (after !== undefined);
      expect(new Set(seen).size).toBe(seen.length);
      expect(seen.filter((session) => staying.has(session))).toHaveLength(staying.size);
    }
  });

  test('say where to go on only if there is more', () => {
    const { presence } = setUp();
    for (let index = 0; index < 6; index += 1) presence.enter('room', { session: `s${index}` });
    const first = presence.page('room', { countMax: 3 });
    expect(first).toMatchObject({ members: { length: 3 }, count: 6 });
    const { next = '' } = first;
    const second = presence.page('room', { countMax: 3, after: next });
    expect(second.members).toHaveLength(3);
    expect(second).not.toHaveProperty('next');
  });

  test('have at most so many members, and at most so many bytes', () => {
    const { presence } = setUp();
    const info = 'x'.repeat(1_000);
    for (let index = 0; index < PAGE_COUNT_MAX + 10; index += 1) {
      presence.enter('room', { session: `s${index}` });
      presence.enter('large', { session: `s${index}`, info });
    }
    const { members, next } = presence.page('room', { countMax: 1_000_000, sizeMax: 1_000_000 });
    expect(members).toHaveLength(PAGE_COUNT_MAX);
    expect(parsePlace(next ?? '')).toMatchObject({ session: members.at(-1)?.session });
    const large = presence.page('large', { countMax: PAGE_COUNT_MAX });
    expect(JSON.stringify(large).length).toBeLessThanOrEqual(64 * 1024);
    expect(large.members.length).toBeGreaterThan(50);
    expect(presence.page('large', { countMax: 10, sizeMax: 1 }).members).toHaveLength(1);
  });

  test('are refused after something that is no next, in an empty channel as well', () => {
    const { presence } = setUp();
    expect(() => presence.page('room', { countMax: 1, after: 'x' })).toThrow(
      expect.objectContaining({ code: 'bad_request' }),
    );
  });

  test('go on after a restart from where they were', () => {
    const before = setUp();
    const after = setUp();
    for (const world of [before, after]) {
      for (let index = 0; index < 10; index += 1) {
        world.presence.enter('room', { session: `s${index}` });
        world.clock.advance(1);
      }
    }
    const { next = '' } = before.presence.page('room', { countMax: 4 });
    const { members } = after.presence.page('room', { countMax: 10, after: next });
    expect(members.map(({ session }) => session)).toEqual(['s4', 's5', 's6', 's7', 's8', 's9']);
  });
});

describe('close', () => {
  test('forgets everyone and tells nobody; what comes later does nothing', () => {
    const world = setUp();
    const { wheel, presence } = world;
    const viewer = new Viewer(world, 'room').show();
    const alice = presence.enter('room', someone('alice'));
    const bob = presence.enter('room', someone('bob'));
    presence.leave(bob);
    presence.close();
    presence.close();
    expect(presence.memberCount).toBe(0);
    presence.leave(alice);
    presence.leave(presence.enter('room', someone('carol')));
    presence.advance(viewer.watch);
    presence.unwatch(viewer.watch);
    new Viewer(world, 'room').advance();
    pass(world, LONG_MS);
    expect(viewer.take()).toEqual([]);
    expect(presence.count('room')).toBe(0);
    expect(presence.watcherCount).toBe(0);
    expect(wheel.armedCount).toBe(0);
  });
});

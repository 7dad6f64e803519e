import {
  BATCH_MS,
  BUSY_MS,
  CHANGES_MAX,
  FIRST_COUNT_MAX,
  FIRST_SIZE_MAX,
  PAGE_COUNT_MAX,
} from '@trunkline/server/internal/hub/presence/config.ts';
import { describe, expect, test } from 'vitest';
import {
  countingEncoding,
  eventsEncoding,
  GRACE_MS,
  HIGH_WATER_SIZE,
  pass,
  settle,
  setUp,
  someone,
  TICK_MS,
  Viewer,
} from './presence-setup.ts';
import type { World } from './presence-setup.ts';

/** More than any grace time and pause together. */
const LONG_MS = GRACE_MS + BUSY_MS + 10 * TICK_MS;

function sessions({ presence }: World, channel = 'room'): string[] {
  return presence.page(channel, { countMax: PAGE_COUNT_MAX }).members.map(({ session }) => session);
}

describe('watchers', () => {
  test('are shown who is there, and told of the rest in order [PRES-5] [PRES-9]', () => {
    const world = setUp({ graceMsOf: () => 0 });
    const { presence } = world;
    const bob = presence.enter('room', someone('bob'));
    const viewer = new Viewer(world, 'room').show();
    expect(viewer.names).toEqual(['user bob']);
    presence.enter('room', someone('alice'));
    presence.enter('room', someone('alice', 'second'));
    presence.leave(bob);
    presence.enter('room', { session: 's' });
    presence.enter('elsewhere', { session: 't' });
    settle(world);
    expect(viewer.take()).toEqual(['+alice', '-bob', '+s']);
    expect(viewer.names).toEqual(['session s', 'user alice']);
    pass(world, LONG_MS);
    expect(viewer.take()).toEqual([]);
  });

  test('are sent the list if they were not shown it [PRES-10]', () => {
    const world = setUp();
    const { presence } = world;
    presence.enter('room', someone('bob'));
    const viewer = new Viewer(world, 'room');
    presence.enter('room', someone('alice'));
    settle(world);
    expect(viewer.take()).toEqual([]);
    viewer.advance().advance();
    settle(world);
    expect(viewer.take()).toEqual(['=2']);
  });

  test('are told the first change at once and what follows together [PRES-6]', () => {
    const world = setUp({ graceMsOf: () => 0 });
    const { presence } = world;
    const viewer = new Viewer(world, 'room').show();
    presence.enter('room', someone('a'));
    presence.enter('room', someone('b'));
    settle(world);
    expect(viewer.take()).toEqual(['+a', '+b']);
    presence.enter('room', someone('c'));
    presence.leave(presence.enter('room', someone('passing')));
    pass(world, BATCH_MS / 2);
    presence.enter('room', someone('d'));
    expect(viewer.take()).toEqual([]);
    pass(world, BATCH_MS / 2 + 2 * TICK_MS);
    expect(viewer.take()).toEqual(['+c', '+d']);
    pass(world, LONG_MS);
    presence.enter('room', someone('e'));
    settle(world);
    expect(viewer.take()).toEqual(['+e']);
  });

  test('get one snapshot in place of many changes, and then a longer pause [PRES-7]', () => {
    const world = setUp();
    const { presence } = world;
    const viewer = new Viewer(world, 'room').show();
    const enter = (from: number, to: number): void => {
      for (let index = from; index < to; index += 1) presence.enter('room', someone(`u${index}`));
    };
    enter(0, CHANGES_MAX);
    settle(world);
    expect(viewer.take()).toHaveLength(CHANGES_MAX);
    pass(world, LONG_MS);
    enter(CHANGES_MAX, 2 * CHANGES_MAX + 1);
    settle(world);
    expect(viewer.take()).toEqual([`=${2 * CHANGES_MAX + 1}`]);
    enter(2 * CHANGES_MAX + 1, 2 * CHANGES_MAX + 3);
    pass(world, BUSY_MS - TICK_MS);
    expect(viewer.take()).toEqual([]);
    pass(world, 2 * TICK_MS);
    expect(viewer.take()).toEqual([`+u${2 * CHANGES_MAX + 1}`, `+u${2 * CHANGES_MAX + 2}`]);
    expect(viewer.names).toHaveLength(presence.count('room'));
  });

  test('get the first page alone in a snapshot, and where to go on [PRES-7]', () => {
    const world = setUp();
    const { presence } = world;
    for (let index = 0; index < 1_000; index += 1) presence.enter('room', someone(`u${index}`));
    const viewer = new Viewer(world, 'room').show();
    expect(viewer.names).toHaveLength(1_000);
    const page = presence.show(viewer.watch);
    expect(page).toMatchObject({ members: { length: FIRST_COUNT_MAX }, count: 1_000 });
    expect(page.next).toBeTypeOf('string');
    const info = 'x'.repeat(1_000);
    for (let index = 0; index < 50; index += 1)
      presence.enter('large', { session: `${index}`, info });
    const large = presence.show(new Viewer(world, 'large').watch);
    expect(JSON.stringify(large).length).toBeLessThanOrEqual(FIRST_SIZE_MAX);
  });

  test('that do not read are told nothing, and get one snapshot when they do [PRES-7]', () => {
    const world = setUp({ graceMsOf: () => 0 });
    const { presence } = world;
    const slow = new Viewer(world, 'room').show();
    const quick = new Viewer(world, 'room').show();
    slow.link.hold();
    slow.link.send('x'.repeat(HIGH_WATER_SIZE + 1));
    settle(world);
    const pending = slow.link.pendingBytes;
    for (let round = 0; round < 200; round += 1) {
      const stay = presence.enter('room', someone(`u${round}`));
      pass(world, 2 * BATCH_MS);
      if (round % 2 === 0) presence.leave(stay);
      pass(world, 2 * BATCH_MS);
    }
    expect(slow.link.pendingBytes).toBe(pending);
    expect(quick.take()).toHaveLength(300);
    slow.link.release();
    settle(world);
    const [sent = '', ...frames] = slow.link.takeFrames();
    expect(sent).toMatch(/^x+$/);
    expect(frames.map((frame) => JSON.parse(String(frame)))).toMatchObject([
      [{ kind: 'snapshot', page: { count: 100 } }],
    ]);
    presence.enter('room', someone('last'));
    settle(world);
    expect(slow.take()).toEqual(['+last']);
    expect(slow.link.isGone).toBe(false);
  });

  test('that are full when they begin wait for room', () => {
    const world = setUp();
    const { presence } = world;
    presence.enter('room', someone('alice'));
    const viewer = new Viewer(world, 'room');
    viewer.link.hold();
    viewer.link.send('x'.repeat(HIGH_WATER_SIZE + 1));
    viewer.advance();
    settle(world);
    viewer.link.release();
    settle(world);
    expect(viewer.link.takeFrames().map((frame) => String(frame).slice(0, 9))).toEqual([
      'xxxxxxxxx',
      '[{"kind":',
    ]);
  });

  test('are told of a leave also if they were shown the list before the join was told', () => {
    const world = setUp({ graceMsOf: () => 0 });
    const { presence } = world;
    const early = new Viewer(world, 'room').show();
    presence.enter('room', someone('first'));
    settle(world);
    // In the pause: bob comes, the late one sees him in the list, bob goes.
    const bob = presence.enter('room', someone('bob'));
    const late = new Viewer(world, 'room').show();
    expect(late.names).toEqual(['user bob', 'user first']);
    presence.leave(bob);
    pass(world, LONG_MS);
    early.take();
    late.take();
    expect(early.names).toEqual(['user first']);
    expect(late.names).toEqual(['user first']);
  });

  test('are told of a leave also if they saw the one who came on a later page', () => {
    const world = setUp({ graceMsOf: () => 0 });
    const { presence } = world;
    const viewer = new Viewer(world, 'room').show();
    presence.enter('room', someone('first'));
    settle(world);
    viewer.take();
    const bob = presence.enter('room', someone('bob'));
    expect(sessions(world).sort()).toEqual(['bob', 'first']);
    presence.leave(bob);
    pass(world, LONG_MS);
    expect(viewer.take()).toEqual(['+bob', '-bob']);
  });

  test('share one encoding of each batch', () => {
    const world = setUp();
    const { presence } = world;
    const [one, other] = [countingEncoding(), countingEncoding()];
    for (let index = 0; index < 40; index += 1) {
      new Viewer(world, 'room', index % 2 === 0 ? one : other).advance();
    }
    expect([one.count, other.count]).toEqual([1, 1]);
    presence.enter('room', someone('alice'));
    settle(world);
    expect([one.count, other.count]).toEqual([2, 2]);
  });

  test('are told nothing after they ended, and cost nothing', () => {
    const world = setUp();
    const { wheel, presence } = world;
    const viewer = new Viewer(world, 'room').show();
    presence.enter('room', someone('alice'));
    presence.unwatch(viewer.watch);
    presence.unwatch(viewer.watch);
    settle(world);
    expect(viewer.take()).toEqual([]);
    expect(presence.watcherCount).toBe(0);
    expect(wheel.armedCount).toBe(0);
    const next = new Viewer(world, 'room').show();
    presence.unwatch(viewer.watch);
    presence.enter('room', someone('bob'));
    pass(world, LONG_MS);
    expect(next.take()).toEqual(['+bob']);
  });

  test('are refused where there are too many', () => {
    const world = setUp({ watchersMax: 1 });
    const viewer = new Viewer(world, 'room');
    expect(() => new Viewer(world, 'room')).toThrow(
      expect.objectContaining({ code: 'rate_limited' }),
    );
    world.presence.unwatch(viewer.watch);
    expect(new Viewer(world, 'room').show().names).toEqual([]);
  });

  test('whose encoding fails are closed, and the others are told', () => {
    const world = setUp();
    const { presence } = world;
    const broken = new Viewer(world, 'room', {
      ...eventsEncoding,
      encode() {
        throw new Error('broken');
      },
    }).show();
    const whole = new Viewer(world, 'room').show();
    presence.enter('room', someone('alice'));
    settle(world);
    expect(whole.take()).toEqual(['+alice']);
    expect(broken.link.goodbye).toMatchObject({ code: 'internal' });
    settle(world);
    expect(presence.watcherCount).toBe(1);
  });
});

/** What presence costs where very many are there: counted, not timed. */
import {
  BUSY_MS,
  CHANGES_MAX,
  FIRST_COUNT_MAX,
  SWEEP_COUNT_MAX,
} from '@trunkline/server/internal/hub/presence/config.ts';
import { MemberList } from '@trunkline/server/internal/hub/presence/member-list.ts';
import type { Listed } from '@trunkline/server/internal/hub/presence/member-list.ts';
import type { Stay } from '@trunkline/server/internal/hub/presence/presence.ts';
import { Roster } from '@trunkline/server/internal/hub/presence/roster.ts';
import { seededRandom } from '@trunkline/testkit';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { countingEncoding, pass, setUp, someone, TICK_MS, Viewer } from './presence-setup.ts';
import type { World } from './presence-setup.ts';

const MEMBERS = 100_000;
const GRACE_MS = 1_000;

/** Counts the members that lists hand out, which is what a page or a walk costs. */
function countHandedOut(): { count: number } {
  const handedOut = { count: 0 };
  const { after } = MemberList.prototype;
  vi.spyOn(MemberList.prototype, 'after').mockImplementation(function* (
    this: MemberList<Listed>,
    place,
  ) {
    for (const item of after.call(this, place)) {
      handedOut.count += 1;
      yield item;
    }
  });
  return handedOut;
}

describe('a channel with 100,000 members', () => {
  let world: World;
  let stays: Stay[];

  beforeEach(() => {
    world = setUp({ graceMsOf: () => GRACE_MS });
    stays = Array.from({ length: MEMBERS }, (_, index) =>
      world.presence.enter('room', someone(`user${index}`)),
    );
  });

  afterEach(() => {
    vi.restoreAllMocks();
  });

  test('lets 1,000 a second come and go: a page a second, and no walk for any change', () => {
    const { presence, clock } = world;
    const encoding = countingEncoding();
    const viewers = Array.from({ length: 20 }, () => new Viewer(world, 'room', encoding));
    for (const viewer of viewers) presence.show(viewer.watch);
    const sends = viewers.map(({ link }) => vi.spyOn(link, 'sendShared'));
    const handedOut = countHandedOut();
    const random = seededRandom(1);
    const SECONDS = 3;
    for (let ms = 0; ms < SECONDS * 1_000; ms += 1) {
      presence.enter('room', { session: `guest${ms}` });
      const [gone] = stays.splice(random.integer(stays.length), 1);
      if (gone !== undefined) presence.leave(gone);
      pass(world, 1);
    }
    expect(clock.monotonicMs()).toBe(SECONDS * 1_000);
    // The first change alone, one batch, then a snapshot a second.
    expect(encoding.count).toBeLessThanOrEqual(SECONDS + 3);
    expect(encoding.events).toBeLessThanOrEqual(SECONDS + 3 * CHANGES_MAX);
    for (const send of sends) expect(send).toHaveBeenCalledTimes(encoding.count);
    expect(handedOut.count).toBeLessThanOrEqual((SECONDS + 1) * (FIRST_COUNT_MAX + 1));
  });

  test('lets 10,000 go at once over several turns, told as one snapshot', () => {
    const { presence, clock, wheel } = world;
    const encoding = countingEncoding();
    const viewer = new Viewer(world, 'room', encoding);
    presence.show(viewer.watch);
    const handedOut = countHandedOut();
    const removals = vi.spyOn(Roster.prototype, 'delete');
    for (const stay of stays.slice(0, 10_000)) presence.leave(stay);
    expect(removals).not.toHaveBeenCalled();
    expect(wheel.armedCount).toBe(1);
    clock.advance(GRACE_MS + TICK_MS);
    // Never more in one turn than a sweep may, and a turn later the next.
    for (let turn = 1; turn <= 10; turn += 1) {
      expect(removals).toHaveBeenCalledTimes(turn * SWEEP_COUNT_MAX);
      clock.runDeferred();
      clock.runDeferred();
    }
    pass(world, BUSY_MS + TICK_MS);
    expect(presence.count('room')).toBe(MEMBERS - 10_000);
    expect(encoding.count).toBeLessThanOrEqual(2);
    expect(handedOut.count).toBeLessThanOrEqual(2 * (FIRST_COUNT_MAX + 1));
  });

  test('pages cost what they have, wherever they begin', () => {
    const { presence } = world;
    const handedOut = countHandedOut();
    let after: string | undefined;
    let pages = 0;
    let listed = 0;
    do {
      const page = presence.page('room', {
        countMax: 500,
        ...(after === undefined ? {} : { after }),
      });
      after = page.next;
      pages += 1;
      listed += page.members.length;
    } while (after !== undefined);
    expect(listed).toBe(MEMBERS);
    expect(handedOut.count).toBe(MEMBERS + pages - 1);
  });

  test('keeps nothing when all are gone', () => {
    const { presence, wheel } = world;
    for (const stay of stays) presence.leave(stay);
    pass(world, 2 * GRACE_MS);
    expect(presence.memberCount).toBe(0);
    expect(wheel.armedCount).toBe(0);
  });
});

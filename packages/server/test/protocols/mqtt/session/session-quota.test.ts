import { ManualClock } from '@trunkline/testkit';
import { describe, expect, it } from 'vitest';
import { REASONS } from '../../../../src/protocols/mqtt/codec/reasons.ts';
import {
  ownerOf,
  ownerName,
  SessionQuota,
} from '../../../../src/protocols/mqtt/session/session-quota.ts';
import type { Owner } from '../../../../src/protocols/mqtt/session/session-quota.ts';

const EXCEEDED = expect.objectContaining({ reason: REASONS.quotaExceeded });

/** A quota over a store that a test writes to; reading it can be held up after each record. */
function setUp({ sessionsMax = 0, sessionsPerUserMax = 0 } = {}) {
  const clock = new ManualClock();
  const stored = new Map<string, Owner>();
  const world = { reads: 0, betweenTwo: async (_key: string): Promise<void> => {} };
  const quota = new SessionQuota({
    clock,
    config: { sessionsMax, sessionsPerUserMax },
    read: async (see) => {
      world.reads += 1;
      let after = '';
      for (;;) {
        const key = [...stored.keys()].toSorted().find((one) => one > after);
        if (key === undefined) return;
        see(key, stored.get(key) ?? {});
        after = key;
        await world.betweenTwo(key);
      }
    },
  });
  const put = (key: string, owner: Owner): void => {
    stored.set(key, owner);
    quota.add(key, ownerName(owner));
  };
  const remove = (key: string): void => {
    quota.remove(key, ownerName(stored.get(key) ?? {}));
    stored.delete(key);
  };
  const mayStore = (owner: Owner): boolean => {
    try {
      quota.demandRoom(ownerName(owner));
      return true;
    } catch (error) {
      expect(error).toEqual(EXCEEDED);
      return false;
    }
  };
  return { clock, stored, world, quota, put, remove, mayStore };
}

const ANN = { user: 'ann' };
const BOB = { user: 'bob' };

describe('SessionQuota', () => {
  it('has room for so many in all', () => {
    const { put, remove, mayStore, quota } = setUp({ sessionsMax: 2 });
    put('a', ANN);
    expect(mayStore(BOB)).toBe(true);
    put('b', BOB);
    expect(quota.count).toBe(2);
    expect(mayStore({})).toBe(false);
    remove('a');
    expect(mayStore({})).toBe(true);
  });

  it('has room for so many of each user, and none is in the way of another', () => {
    const { put, remove, mayStore } = setUp({ sessionsPerUserMax: 2 });
    put('a', ANN);
    put('b', ANN);
    expect(mayStore(ANN)).toBe(false);
    expect(mayStore(BOB)).toBe(true);
    expect(mayStore({ address: 'ann' })).toBe(true);
    remove('a');
    expect(mayStore(ANN)).toBe(true);
  });

  it('knows no limits of 0, and none of applications but the one of all', () => {
    const { put, mayStore } = setUp({ sessionsPerUserMax: 1 });
    for (let at = 0; at < 100; at += 1) put(`${at}`, {});
    expect(mayStore({})).toBe(true);
  });

  it('counts what is stored when it starts, and each once', async () => {
    const { stored, quota, mayStore, put, world } = setUp({ sessionsPerUserMax: 3 });
    stored.set('b', ANN).set('d', ANN).set('f', BOB);
    world.betweenTwo = async (key) => {
      await Promise.resolve();
      // One before it, which it will not see any more, and one behind it.
      if (key === 'd') {
        put('c', ANN);
        put('e', ANN);
      }
    };
    await quota.recount();
    expect(quota.count).toBe(5);
    expect(mayStore(ANN)).toBe(false);
    expect(mayStore(BOB)).toBe(true);
  });

  it('counts once what is told again after a failure', async () => {
    const { quota } = setUp();
    await quota.recount(async (see) => {
      see('a', ANN);
      see('b', ANN);
      see('b', ANN);
      see('c', ANN);
    });
    expect(quota.count).toBe(3);
  });

  it('takes out what is removed while it counts', async () => {
    const { stored, quota, remove, world } = setUp();
    stored.set('a', ANN).set('b', ANN).set('c', ANN);
    world.betweenTwo = async (key) => {
      if (key === 'b') for (const gone of ['a', 'c']) remove(gone);
    };
    await quota.recount();
    expect(quota.count).toBe(1);
  });

  it('finds out that sessions have ended by themselves, and locks nobody out', async () => {
    const { clock, stored, put, mayStore, world } = setUp({ sessionsPerUserMax: 8 });
    for (let at = 0; at < 8; at += 1) put(`${at}`, ANN);
    stored.delete('3');
    expect(mayStore(ANN)).toBe(false);
    await clock.settle();
    expect(world.reads).toBe(1);
    expect(mayStore(ANN)).toBe(true);
  });

  it('counts anew before a limit is reached', async () => {
    const { clock, stored, put, mayStore, world, quota } = setUp({ sessionsMax: 16 });
    for (let at = 0; at < 14; at += 1) put(`${at}`.padStart(2, '0'), ANN);
    stored.delete('03');
    expect(mayStore(ANN)).toBe(true);
    await clock.settle();
    expect(world.reads).toBe(1);
    expect(quota.count).toBe(13);
  });

  it('counts seldom, however often it is asked, and the seldomer the longer it takes', async () => {
    const { clock, put, mayStore, world } = setUp({ sessionsMax: 1 });
    put('a', ANN);
    world.betweenTwo = () => new Promise((resolve) => void clock.after(10_000, resolve));
    const ask = async (): Promise<void> => {
      for (let count = 0; count < 100; count += 1) expect(mayStore(ANN)).toBe(false);
      await clock.settle();
    };
    await ask();
    await clock.pass(10_000);
    await ask();
    expect(world.reads).toBe(1);
    await clock.pass(199_000);
    await ask();
    expect(world.reads).toBe(1);
    await clock.pass(2_000);
    await ask();
    expect(world.reads).toBe(2);
  });
});

describe('The owner of a session', () => {
  it('is its user, else the address, and nobody of an application', () => {
    expect(ownerOf({ kind: 'user', user: 'ann' }, '::1')).toEqual({ user: 'ann' });
    expect(ownerOf({ kind: 'anonymous' }, '::1')).toEqual({ address: '::1' });
    expect(ownerOf({ kind: 'user' }, '::1')).toEqual({ address: '::1' });
    expect(ownerOf({ kind: 'server' }, '::1')).toEqual({});
    expect(ownerName({ user: 'x' })).not.toBe(ownerName({ address: 'x' }));
    expect(ownerName({})).toBeUndefined();
  });
});

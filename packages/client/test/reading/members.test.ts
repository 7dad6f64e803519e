import { ManualClock } from '@trunkline/testkit';
import type { Member, MemberPage } from '@trunkline/wire';
import { expect, test } from 'vitest';
import { Members, MEMBERS_MAX } from '../../src/reading/members.ts';

/** A page that was asked for and waits to be answered. */
interface Asked {
  readonly after: string | undefined;
  answer(page: Partial<MemberPage>): Promise<void>;
  fail(): Promise<void>;
}

function setUp() {
  const clock = new ManualClock();
  const asked: Asked[] = [];
  const members = new Members(
    (after) =>
      new Promise((resolve, reject) => {
        asked.push({
          after,
          answer(page) {
            resolve({ members: [], count: 0, ...page });
            return clock.settle();
          },
          fail() {
            reject(new Error('lost'));
            return clock.settle();
          },
        });
      }),
    { clock, random: () => 0.5 },
    () => () => {},
  );
  /** Applies and lets everything settle. */
  const told = {
    async list(users: readonly (string | Member)[], more: Partial<MemberPage> = {}) {
      const list = users.map((one) => (typeof one === 'string' ? member(one) : one));
      const page = { members: list, count: list.length, ...more };
      members.apply({ kind: 'presence', channel: 'a', ...page });
      await clock.settle();
    },
    join: (one: string | Member) => change('join', one),
    leave: (one: string | Member) => change('leave', one),
  };
  const change = (kind: 'join' | 'leave', one: string | Member) =>
    members.apply({ kind, channel: 'a', member: typeof one === 'string' ? member(one) : one });
  return { members, asked, clock, told };
}

function member(user: string, since = 1, session = `${user}-${since}`): Member {
  return { session, user, since };
}

function anonymous(session: string): Member {
  return { session, since: 1 };
}

const namesOf = (members: Members): string[] =>
  members.all.map(({ user, session }) => user ?? session).toSorted();

test('[PRES-7] a list replaces what was known', async () => {
  const { members, told } = setUp();
  expect(members).toMatchObject({ all: [], count: 0, isComplete: false, isLive: false });
  await told.list(['ann', 'bob']);
  expect(namesOf(members)).toEqual(['ann', 'bob']);
  expect(members).toMatchObject({ count: 2, isComplete: true, isLive: true });
  await told.list(['bob', 'cho']);
  expect(namesOf(members)).toEqual(['bob', 'cho']);
  expect([members.has('ann'), members.has('cho')]).toEqual([false, true]);
});

test('[PRES-3] people are listed and counted, not their sessions', async () => {
  const { members, told } = setUp();
  await told.list([member('ann', 7), member('ann', 3), member('ann', 5)], { count: 1 });
  expect(members.all).toEqual([member('ann', 3)]);
  expect(members.count).toBe(1);
});

test('[PRES-3] who is nobody counts by session, whatever a user is called', async () => {
  const { members, told } = setUp();
  await told.list([anonymous('x'), anonymous('y'), member('x')]);
  expect(members.count).toBe(3);
  told.leave(anonymous('x'));
  expect(namesOf(members)).toEqual(['x', 'y']);
  expect(members.has('x')).toBe(true);
  expect(members.has('y')).toBe(false);
});

test('[PRES-5] a leave takes the user out, by whatever session', async () => {
  const { members, told } = setUp();
  await told.list([member('ann', 1), member('ann', 2), 'bob'], { count: 2 });
  told.leave(member('ann', 9));
  expect(namesOf(members)).toEqual(['bob']);
  expect(members.count).toBe(1);
  told.leave('ann');
  expect(members.count).toBe(1);
});

test('[PRES-5] a join adds a user, or replaces the one on the list', async () => {
  const { members, told } = setUp();
  await told.list(['ann']);
  told.join(member('bob', 2));
  told.join(member('ann', 8));
  expect(members.count).toBe(2);
  expect(members.all).toEqual([member('bob', 2), member('ann', 8)]);
});

test('the array is the same until something changes, and is never changed itself', async () => {
  const { members, told } = setUp();
  await told.list(['ann']);
  const before = members.all;
  const { version } = members;
  expect(members.all).toBe(before);
  told.join('bob');
  expect(members.all).not.toBe(before);
  expect(members.version).toBeGreaterThan(version);
  expect(before).toEqual([member('ann')]);
});

test('changes of one turn are told once, and not to who has gone', async () => {
  const { members, clock, told } = setUp();
  let heard = 0;
  const end = members.subscribe(() => (heard += 1));
  told.join('ann');
  told.join('bob');
  told.leave('ann');
  expect(heard).toBe(0);
  await clock.settle();
  expect(heard).toBe(1);
  end();
  told.join('cho');
  await clock.settle();
  expect(heard).toBe(1);
});

test('[PRES-7] [PRES-8] reads the other pages, and shows the first list while it comes', async () => {
  const { members, asked, told } = setUp();
  await told.list(['ann'], { count: 3, next: 'n1' });
  expect(members).toMatchObject({ count: 3, isComplete: false, all: [member('ann')] });
  await asked[0]?.answer({ members: [member('bob')], next: 'n2' });
  expect(namesOf(members)).toEqual(['ann', 'bob']);
  await asked[1]?.answer({ members: [member('cho')] });
  expect(namesOf(members)).toEqual(['ann', 'bob', 'cho']);
  expect(members).toMatchObject({ count: 3, isComplete: true });
  expect(asked.map(({ after }) => after)).toEqual(['n1', 'n2']);
});

test('keeps the list from before until all pages of the next one are there', async () => {
  const { members, asked, told } = setUp();
  await told.list(['ann', 'bob', 'cho']);
  await told.list(['ann'], { count: 2, next: 'n' });
  expect(namesOf(members)).toEqual(['ann', 'bob', 'cho']);
  expect(members).toMatchObject({ count: 2, isComplete: false });
  await asked[0]?.answer({ members: [member('dee')] });
  expect(namesOf(members)).toEqual(['ann', 'dee']);
  expect(members).toMatchObject({ count: 2, isComplete: true });
});

test('[PRES-8] what is told while pages are read is newer than they are', async () => {
  const { members, asked, told } = setUp();
  await told.list(['ann', 'bob'], { count: 5, next: 'n' });
  told.leave('cho');
  told.leave('bob');
  told.join(member('dee', 5));
  told.join('eve');
  told.leave('eve');
  await asked[0]?.answer({
    members: [member('bob'), member('cho'), member('dee', 1), member('eve'), member('fay')],
  });
  expect(namesOf(members)).toEqual(['ann', 'dee', 'fay']);
  expect(members.all).toContainEqual(member('dee', 5));
  expect(members).toMatchObject({ count: 3, isComplete: true });
});

test('a list that comes while pages are read is read after a pause, from its beginning', async () => {
  const { members, asked, clock, told } = setUp();
  await told.list(['ann'], { count: 2, next: 'n1' });
  await told.list(['bob'], { count: 7, next: 'n2' });
  await told.list(['bob'], { count: 8, next: 'n3' });
  await asked[0]?.answer({ members: [member('cho')] });
  expect(namesOf(members)).toEqual(['ann', 'cho']);
  expect(members).toMatchObject({ count: 8, isComplete: false });
  expect(asked).toHaveLength(1);
  await clock.pass(7499);
  expect(asked).toHaveLength(1);
  // What is told in the pause is newer than the list.
  told.leave('dee');
  told.join(member('fay', 9));
  await clock.pass(1);
  expect(asked.map(({ after }) => after)).toEqual(['n1', undefined]);
  await asked[1]?.answer({ members: [member('bob')], next: 'n4' });
  await asked[2]?.answer({ members: [member('dee'), member('eve'), member('fay', 1)] });
  expect(namesOf(members)).toEqual(['bob', 'eve', 'fay']);
  expect(members.all).toContainEqual(member('fay', 9));
  expect(members).toMatchObject({ count: 3, isComplete: true });
});

test('a crowd that changes every second is read once in a pause', async () => {
  const { asked, clock, told } = setUp();
  for (let second = 0; second < 60; second += 1) {
    await told.list(['ann'], { count: 2, next: 'n' });
    await asked.at(-1)?.answer({ members: [member('bob')] });
    await clock.pass(1000);
  }
  expect(asked.length).toBeLessThan(20);
});

test('reads again when a page could not be had, ever more seldom', async () => {
  const { members, asked, clock, told } = setUp();
  await told.list(['ann'], { count: 2, next: 'n' });
  const waited: number[] = [];
  for (let time = 0; time < 7; time += 1) {
    await asked.at(-1)?.fail();
    waited.push(clock.nextTimerMs ?? 0);
    await clock.pass(clock.nextTimerMs ?? 0);
    expect(asked).toHaveLength(time + 2);
  }
  expect(waited).toEqual([15_000, 30_000, 60_000, 120_000, 240_000, 240_000, 240_000]);
  expect(namesOf(members)).toEqual(['ann']);
  expect(members.isComplete).toBe(false);
  await asked.at(-1)?.answer({ members: [member('ann'), member('bob')] });
  expect(members).toMatchObject({ count: 2, isComplete: true });
});

test('a lost connection keeps the list, and the next list replaces it', async () => {
  const { members, asked, clock, told } = setUp();
  await told.list(['ann', 'bob'], { count: 3, next: 'n' });
  members.pause();
  expect(members).toMatchObject({ isLive: false, isComplete: false });
  expect(namesOf(members)).toEqual(['ann', 'bob']);
  await asked[0]?.answer({ members: [member('cho')] });
  expect(namesOf(members)).toEqual(['ann', 'bob']);
  expect(clock.timerCount).toBe(0);
  await told.list(['bob'], { count: 2, next: 'n' });
  expect(members.isLive).toBe(true);
  await asked[1]?.answer({ members: [member('dee')] });
  expect(namesOf(members)).toEqual(['bob', 'dee']);
});

test('a connection that stays lost is told once', async () => {
  const { members, told } = setUp();
  await told.list(['ann']);
  members.pause();
  const { version } = members;
  members.pause();
  expect(members.version).toBe(version);
});

test('nobody is there when the subscription has ended, and nothing goes on', async () => {
  const { members, asked, clock, told } = setUp();
  await told.list(['ann'], { count: 2, next: 'n' });
  await asked[0]?.answer({ members: [member('bob')] });
  expect(clock.timerCount).toBe(1);
  members.clear();
  expect(members).toMatchObject({ all: [], count: 0, isComplete: false, isLive: false });
  expect(clock.timerCount).toBe(0);
  await told.list(['cho']);
  expect(namesOf(members)).toEqual(['cho']);
});

test('[PRES-8] where nothing is told it is asked again and again', async () => {
  const { members, asked, clock } = setUp();
  members.open();
  await clock.pass(2000);
  expect(asked).toHaveLength(1);
  await asked[0]?.answer({ members: [member('ann')], count: 1 });
  expect(members).toMatchObject({ count: 1, isComplete: true, isLive: true });
  members.open();
  await clock.pass(7500);
  await asked[1]?.answer({ members: [member('bob')], count: 1, next: 'n' });
  await asked[2]?.answer({ members: [member('cho')] });
  expect(namesOf(members)).toEqual(['bob', 'cho']);
  expect(members).toMatchObject({ count: 2, isComplete: true });
  await clock.pass(7500);
  await asked[3]?.answer({ members: [member('ann')], count: MEMBERS_MAX + 1, next: 'n' });
  expect(asked.map(({ after }) => after)).toEqual([undefined, undefined, 'n', undefined]);
  expect(members).toMatchObject({ count: MEMBERS_MAX + 1, isComplete: false });
  members.pause();
  await clock.pass(60_000);
  expect(asked).toHaveLength(4);
  expect(clock.timerCount).toBe(0);
});

test('[PRES-9] nothing is asked where it is told', async () => {
  const { members, asked, clock, told } = setUp();
  members.open();
  await told.list(['ann'], { count: 2, next: 'n' });
  await asked[0]?.answer({ members: [member('bob')] });
  await clock.pass(60_000);
  expect(asked).toHaveLength(1);
  members.pause();
  members.open();
  await told.list(['ann']);
  await clock.pass(60_000);
  expect(asked).toHaveLength(1);
});

test('what is told after all ends the asking', async () => {
  const { members, asked, clock, told } = setUp();
  members.open();
  await clock.pass(2000);
  await asked[0]?.answer({ members: [member('ann')], count: 1 });
  await told.list(['bob']);
  await clock.pass(60_000);
  expect(asked).toHaveLength(1);
  expect(namesOf(members)).toEqual(['bob']);
});

test('more users than may be listed are only counted', async () => {
  const { members, asked, told } = setUp();
  await told.list(['ann'], { count: MEMBERS_MAX + 1, next: 'n' });
  expect(asked).toEqual([]);
  told.join('bob');
  told.leave('nobody-listed');
  told.leave('another');
  expect(members).toMatchObject({ count: MEMBERS_MAX, isComplete: false });
  expect(namesOf(members)).toEqual(['ann', 'bob']);
});

test('a list that grows over the bound is not complete any more', async () => {
  const { members, told } = setUp();
  await told.list(Array.from({ length: MEMBERS_MAX }, (_, index) => `u${index}`));
  expect(members.isComplete).toBe(true);
  told.join('one-more');
  expect(members).toMatchObject({ count: MEMBERS_MAX + 1, isComplete: false });
  expect(members.all).toHaveLength(MEMBERS_MAX);
  told.leave('one-more');
  expect(members).toMatchObject({ count: MEMBERS_MAX, isComplete: false });
});

test('a server that always has another page is left after so many', async () => {
  const { members, asked, told } = setUp();
  await told.list(['ann'], { count: 2, next: 'n' });
  for (let at = 0; at < asked.length; at += 1) {
    expect(at).toBeLessThan(1000);
    await asked[at]?.answer({ members: [member('ann')], next: 'n' });
  }
  expect(members.isComplete).toBe(false);
});

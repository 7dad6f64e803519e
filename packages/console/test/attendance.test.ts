import type { Member } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { Attendance } from '../src/attendance.ts';

const channel = 'a';
const member = (session: string, user?: string): Member => ({
  session,
  since: 1,
  ...(user === undefined ? {} : { user }),
});

function attendance(...members: readonly Member[]): Attendance {
  const found = new Attendance();
  found.take({ kind: 'page', channel, members, count: members.length });
  return found;
}

const listed = (of: Attendance) => of.members(10).map(({ session }) => session);

describe('an attendance', () => {
  test('follows who comes and who goes', () => {
    const found = attendance(member('s1'));
    found.take({ kind: 'join', channel, member: member('s2') });
    expect([found.count, listed(found)]).toEqual([2, ['s1', 's2']]);
    found.take({ kind: 'leave', channel, member: member('s1') });
    expect([found.count, listed(found)]).toEqual([1, ['s2']]);
    expect(found.changes.map(({ kind, member: { session } }) => `${kind} ${session}`)).toEqual([
      'leave s1',
      'join s2',
    ]);
  });

  test('[PRES-5] takes every session of a user out at a leave, and replaces them at a join', () => {
    const found = attendance(member('s1', 'ann'), member('s2', 'ann'), member('s3', 'bob'));
    found.count = 2; // People are counted.
    found.take({ kind: 'join', channel, member: member('s4', 'ann') });
    expect([found.count, listed(found)]).toEqual([2, ['s3', 's4']]);
    found.take({ kind: 'leave', channel, member: member('s4', 'ann') });
    expect([found.count, listed(found)]).toEqual([1, ['s3']]);
  });

  test('[PRES-7] begins anew with every snapshot', () => {
    const found = attendance(member('s1'));
    found.take({ kind: 'page', channel, members: [member('s9')], count: 1_000, next: 'n' });
    expect([found.count, found.next, listed(found)]).toEqual([1_000, 'n', ['s9']]);
  });

  test('[PRES-8] grows by pages, each member once', () => {
    const found = attendance(member('s1'));
    found.add([member('s1'), member('s2')], 2, undefined);
    expect([found.size, found.next, listed(found)]).toEqual([2, undefined, ['s1', 's2']]);
    expect(found.members(1)).toHaveLength(1);
  });

  test('counts one who leaves unseen, and never below nobody', () => {
    const found = attendance();
    found.count = 1;
    for (const session of ['s8', 's9']) {
      found.take({ kind: 'leave', channel, member: member(session) });
    }
    expect(found.count).toBe(0);
  });

  test('says why nothing is told, until something is', () => {
    const found = new Attendance();
    found.take({ kind: 'refused', channel, reason: 'not for you' });
    expect(found.refusal).toBe('not for you');
    found.take({ kind: 'page', channel, members: [], count: 0 });
    expect(found.refusal).toBeUndefined();
  });

  test('holds a bounded number of members and counts all', () => {
    const found = new Attendance();
    for (let index = 0; index < 5_100; index += 1) {
      found.take({ kind: 'join', channel, member: member(`s${index}`) });
    }
    expect([found.count, found.size]).toEqual([5_100, 5_000]);
  });
});

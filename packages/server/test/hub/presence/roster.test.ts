import { Roster } from '@trunkline/server/internal/hub/presence/roster.ts';
import { describe, expect, test } from 'vitest';

describe('Roster', () => {
  test('says who is the first of a person, and who the last', () => {
    const roster = new Roster('room', 100);
    const first = roster.add({ session: 'a', user: 'alice' }, 1, 'n1');
    const second = roster.add({ session: 'b', user: 'alice' }, 2, 'n1');
    const third = roster.add({ session: 'c', user: 'alice' }, 3, 'n1');
    expect([first, second, third].map(({ isFirst }) => isFirst)).toEqual([true, false, false]);
    expect(roster.add({ session: 'alice' }, 4, 'n1').isFirst).toBe(true);
    expect([roster.count, roster.size]).toEqual([2, 4]);
    expect(roster.delete(first.entry)).toBe(false);
    expect(roster.delete(third.entry)).toBe(false);
    expect(roster.delete(second.entry)).toBe(true);
    expect([roster.count, roster.size]).toEqual([1, 1]);
    expect(roster.add({ session: 'a', user: 'alice' }, 5, 'n1').isFirst).toBe(true);
  });

  test('finds a session by its word and its user', () => {
    const roster = new Roster('room', 100);
    const sessions = ['a', 'b', 'c'].map((session) => ({ session, user: 'alice' }));
    for (const newcomer of sessions) {
      expect(roster.find(newcomer)).toBeUndefined();
      const { entry } = roster.add(newcomer, 1, 'n1');
      for (const known of sessions.slice(0, sessions.indexOf(newcomer) + 1)) {
        expect(roster.find(known)?.member).toMatchObject(known);
      }
      expect(roster.find({ session: newcomer.session })).toBeUndefined();
      expect(entry).toMatchObject({ node: 'n1', holds: 0, person: { isEmpty: false } });
    }
  });

  test('knows the sessions of a person that nothing holds, the first to go first', () => {
    const roster = new Roster('room', 100);
    const entries = ['a', 'b', 'c'].map(
      (session) => roster.add({ session, user: 'alice' }, 1, 'n1').entry,
    );
    const [a, b, c] = entries;
    const person = a?.person;
    if (a === undefined || b === undefined || c === undefined) throw new Error('all were added');
    for (const entry of [c, a, b]) {
      entry.holds = 0;
      person?.setGone(entry, true);
    }
    person?.setGone(a, false);
    person?.setGone(a, false);
    expect([...(person?.gone ?? [])]).toEqual([c, b]);
    roster.delete(c);
    roster.delete(b);
    expect([...(person?.gone ?? [])]).toEqual([]);
  });

  test('knows that a session which is alone is gone, also when others come', () => {
    const roster = new Roster('room', 100);
    const { entry } = roster.add({ session: 'a', user: 'alice' }, 1, 'n1');
    const { person } = entry;
    entry.holds = 1;
    expect([...person.gone]).toEqual([]);
    entry.holds = 0;
    person.setGone(entry, true);
    expect([...person.gone]).toEqual([entry]);
    roster.add({ session: 'b', user: 'alice' }, 2, 'n1').entry.holds = 1;
    expect([...person.gone]).toEqual([entry]);
    person.setGone(entry, false);
    expect([...person.gone]).toEqual([]);
  });
});

import { describe, expect, it } from 'vitest';
import type { KeptMember } from '../../../../src/protocols/mqtt/share/group-record.ts';
import { Members } from '../../../../src/protocols/mqtt/share/members.ts';
import { SharedPlace } from '../../../../src/protocols/mqtt/share/shared-place.ts';

const SHARE = '$share/g/a';

const kept = (key: string, more: Partial<KeptMember> = {}): KeptMember => ({
  ...{ key, qos: 1, expirySeconds: 60 },
  ...more,
});
const placeAt = (offset: number) => new SharedPlace({ channel: 'a', epoch: 'e', offset }, SHARE);

function setUp() {
  let settled = 0;
  const members = new Members(() => void (settled += 1));
  const admit = (key: string, more: Partial<KeptMember> = {}) =>
    members.admit(kept(key, more), [], []).member;
  return { members, admit, settledCount: () => settled };
}

describe('Members', () => {
  it('knows what is lent until it is done with', () => {
    const { members, admit, settledCount } = setUp();
    const member = admit('a');
    const [one, two] = [placeAt(1), placeAt(2)];
    member.lend(one);
    member.lend(two);
    expect(members.lentCount).toBe(2);
    one.onDone();
    one.onDone();
    expect([members.lentCount, settledCount()]).toEqual([1, 1]);
    expect(members.lent).toEqual([{ place: two, holder: 'a' }]);
  });

  it('takes back what those have who go', () => {
    const { members, admit } = setUp();
    const member = admit('a');
    const place = placeAt(1);
    member.lend(place);
    expect(members.remove(member)).toEqual([place]);
    expect(place).toMatchObject({ isTakenBack: true, lender: undefined });
    expect([members.count, members.lentCount]).toEqual([0, 0]);
  });

  it('knows what no window that is stored has, and gives it again when its member is gone', () => {
    const { members, admit } = setUp();
    const [one, two] = [placeAt(1), placeAt(2)];
    const member = admit('a');
    for (const place of [one, two]) member.unstored.add(place);
    expect(members.unstored).toEqual([one, two]);
    expect(member.takeUnstored((place) => place === one)).toEqual([two]);
    expect(members.unstored).toEqual([]);
    member.unstored.add(two);
    expect(members.remove(member)).toEqual([two]);
  });

  it('takes back what those have who are away', () => {
    const { members, admit } = setUp();
    admit('a').lend(placeAt(1));
    expect(members.takeBackFromAway()).toHaveLength(1);
    expect([members.count, members.lentCount]).toEqual([1, 0]);
  });

  it('leaves to who comes back what it still has, and marks the rest', () => {
    const { members } = setUp();
    const owed = [1, 2].map((offset) => ({ place: placeAt(offset), holder: 'a' }));
    expect(members.restore({ members: [kept('a')], owed }, SHARE)).toEqual([]);
    const held = [placeAt(2), placeAt(3)];
    const { member, unknown } = members.admit(kept('a'), held, []);
    expect(held.map(({ isTakenBack }) => isTakenBack)).toEqual([false, true]);
    expect([...member.lent]).toEqual([held[0]]);
    expect(unknown.map(({ offset }) => offset)).toEqual([1]);
  });

  it('takes up what a newcomer has, but for what others have', () => {
    const { members, admit } = setUp();
    admit('a').lend(placeAt(1));
    const held = [placeAt(1), placeAt(2), placeAt(3)];
    const { member } = members.admit(kept('b'), held, [placeAt(2)]);
    expect(held.map(({ isTakenBack }) => isTakenBack)).toEqual([true, true, false]);
    expect([...member.lent]).toEqual([held[2]]);
  });

  it('lets who unsubscribed finish, and take it up again', () => {
    const { members, admit } = setUp();
    const member = admit('a');
    const place = placeAt(1);
    member.lend(place);
    members.retire(member);
    expect([members.count, members.hasLeaving, members.lentCount]).toEqual([0, true, 1]);
    expect(members.lent).toEqual([{ place }]);
    const again = members.admit(kept('a'), [place], []).member;
    expect([...again.lent]).toEqual([place]);
    expect([members.hasLeaving, members.lentCount]).toEqual([false, 1]);
  });

  it('lets go of those who unsubscribed when nobody is left', () => {
    const { members, admit, settledCount } = setUp();
    const member = admit('a');
    const place = placeAt(1);
    member.lend(place);
    members.retire(member);
    members.letGo();
    place.onDone();
    expect(place.isTakenBack).toBe(false);
    expect([members.hasLeaving, members.lentCount, settledCount()]).toEqual([false, 0, 0]);
  });

  it('gives to others what those had whose sessions have ended by themselves', () => {
    const { members } = setUp();
    const all = [kept('a', { expiresAt: 10 }), kept('b', { expiresAt: 11 })];
    const owed = [{ place: placeAt(1), holder: 'a' }, { place: placeAt(2) }];
    expect(members.restore({ members: all, owed }, SHARE)).toHaveLength(1);
    expect(members.removeOver(10).map(({ offset }) => offset)).toEqual([1]);
    expect(members.kept).toEqual([all[1]]);
  });

  it('keeps a place for those alone who are kept and want more than QoS 0', () => {
    const { members, admit } = setUp();
    admit('a', { expirySeconds: 0 });
    expect([members.isKept, members.keepsPlace]).toEqual([false, false]);
    admit('b', { qos: 0 });
    expect([members.isKept, members.keepsPlace]).toEqual([true, false]);
    admit('c', { qos: 2 });
    expect(members.keepsPlace).toBe(true);
    expect(members.kept.map(({ key }) => key)).toEqual(['b', 'c']);
  });
});

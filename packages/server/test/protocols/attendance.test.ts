import { MemoryLink } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';
import type { Caller } from '../../src/hub/hub-types.ts';
import { Attendance } from '../../src/protocols/attendance.ts';
import type { Attending } from '../../src/protocols/attendance.ts';
import { nativePresence } from '../../src/protocols/native/presence.ts';
import { setUp } from '../hub/hub-setup.ts';

async function setUpAttendance(rules: Parameters<typeof setUp>[0] = {}) {
  const world = setUp(rules);
  const { clock, hub, turn } = world;
  await hub.open();
  const attend = (session: string, user?: string) => {
    const link = new MemoryLink({ clock, turn });
    const identity = {
      kind: 'anonymous',
      grants: new Map(),
      ...(user === undefined ? {} : { user, info: { name: user } }),
    } as const;
    const caller = (): Caller => ({ identity, session });
    const attending: Attending = { caller, link, presenceEncoding: nativePresence };
    return { link, attendance: new Attendance(hub, attending) };
  };
  const members = (channel = 'a'): string[] =>
    hub.presence.page(channel, { countMax: 100 }).members.map(({ session }) => session);
  return { ...world, attend, members };
}

describe('the attendance of a session', () => {
  test('lists it once, with who it is, until it leaves', async () => {
    const { attend, clock, hub, members } = await setUpAttendance();
    const { attendance } = attend('s1', 'alice');
    attendance.enter('a');
    attendance.enter('a');
    const page = hub.presence.page('a', { countMax: 100 });
    expect(page.members).toMatchObject([{ session: 's1', user: 'alice', info: { name: 'alice' } }]);
    attendance.leave('a');
    attendance.leave('a');
    await clock.pass(60_000);
    expect(members()).toEqual([]);
  });

  test('tells it who is there, and who comes after that', async () => {
    const { attend, clock } = await setUpAttendance();
    attend('s1').attendance.enter('a');
    const { attendance, link } = attend('s2');
    expect(attendance.watch('a').members).toMatchObject([{ session: 's1' }]);
    attend('s3').attendance.enter('a');
    await clock.pass(5_000);
    expect(link.takeFrames().join('')).toContain('"s3"');
    attendance.unwatch('a');
    attend('s4').attendance.enter('a');
    await clock.pass(5_000);
    expect(link.takeFrames()).toEqual([]);
  });

  test('may not be watched without the permission, and watches nothing then', async () => {
    const { attend } = await setUpAttendance({ allow: { anonymous: [], user: [] } });
    expect(() => attend('s1').attendance.watch('a')).toThrow(
      expect.objectContaining({ code: 'forbidden' }),
    );
  });

  test('ends what is not permitted any more, and goes on with the rest', async () => {
    const { attend, clock } = await setUpAttendance();
    const { attendance, link } = attend('s1');
    attendance.watch('a');
    attendance.watch('b');
    attendance.dropForbidden((channel) => channel === 'b');
    attend('s2').attendance.enter('a');
    attend('s3').attendance.enter('b');
    await clock.pass(5_000);
    const told = link.takeFrames().join('');
    expect(told).toContain('"s3"');
    expect(told).not.toContain('"s2"');
  });

  test('is given back whole when the session is gone', async () => {
    const { attend, clock, members } = await setUpAttendance();
    const { attendance, link } = attend('s1');
    attendance.enter('a');
    attendance.enter('b');
    attendance.watch('c');
    attendance.end();
    await clock.pass(60_000);
    expect([members('a'), members('b')]).toEqual([[], []]);
    attend('s2').attendance.enter('c');
    await clock.pass(5_000);
    expect(link.takeFrames()).toEqual([]);
  });
});

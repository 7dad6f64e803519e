import { describe, expect, test } from 'vitest';
import type { Caller } from '../../../src/hub/hub-types.ts';
import { after, application, setUp, texts } from './reading-setup.ts';

const listed = () => ({ presence: { listed: true, graceMs: 10_000 } });

function user(name: string, session: string): Caller {
  return { identity: { kind: 'user', user: name, grants: new Map() }, session };
}

describe('a poll with presence [PRES-11]', () => {
  const who = { countMax: 100 };

  test('is a member while it waits and for the grace time, and the same one again', async () => {
    const { hub, clock, wait, read } = await setUp(listed);
    const ann = user('ann', 'word');
    const options = { presence: true, caller: ann };
    const { answer } = await wait(['room/1', 'hall/+'], {}, options);
    const sessions = () => hub.members(ann, 'room/1', who).members.map(({ session }) => session);
    expect(sessions()).toEqual(['word']);
    hub.endWaits();
    await answer;
    const [member] = hub.members(ann, 'room/1', who).members;
    clock.advance(5_000);
    expect(sessions()).toEqual(['word']);
    await read(['room/1'], {}, options);
    expect(hub.members(ann, 'room/1', who).members).toEqual([member]);
    clock.advance(9_000);
    expect(sessions()).toEqual(['word']);
    clock.advance(5_000);
    expect(sessions()).toEqual([]);
    expect(hub.members(ann, 'hall/1', who).members).toEqual([]);
  });

  test('with the word of another user is a member of its own', async () => {
    const { hub, wait } = await setUp(listed);
    await wait(['room/1'], {}, { presence: true, caller: user('ann', 'word') });
    await wait(['room/1'], {}, { presence: true, caller: user('mallory', 'word') });
    const { members, count } = hub.members(application, 'room/1', who);
    expect(count).toBe(2);
    expect(members.map((member) => String(member.user)).toSorted()).toEqual(['ann', 'mallory']);
  });

  test('lists nobody where the namespace does not, who may not read, and no application', async () => {
    const { hub, wait, begin } = await setUp((channel) => ({
      presence: { listed: channel === 'room/1', graceMs: 0 },
      ...(channel === 'shut' ? { ...listed(), allow: { anonymous: [], user: [] } } : {}),
    }));
    await wait(['room/1'], {}, { presence: true, caller: application });
    await wait(['room/2'], {}, { presence: true, caller: user('ann', 'word') });
    const refused = begin(['room/1', 'shut'], { presence: true, caller: user('bob', 'word') });
    await expect(refused).rejects.toMatchObject({ code: 'forbidden' });
    for (const channel of ['room/1', 'room/2', 'shut']) {
      expect(hub.members(application, channel, who).members).toEqual([]);
    }
  });

  test('tells members to those who may know them', async () => {
    const { hub } = await setUp(() => ({ allow: { anonymous: [], user: ['subscribe'] } }));
    expect(() => hub.members(user('ann', 's'), 'room/1', who)).toThrow(/may not see who is in/);
  });
});

describe('a poll with snapshots [SNAP-3]', () => {
  const put = async (world: Awaited<ReturnType<typeof setUp>>, channel: string, offset: number) => {
    const { hub, clock, read } = world;
    const now = (await read([channel])).channels[0]?.end;
    const position = { epoch: now?.epoch ?? '', offset };
    const putting = hub.beside.putSnapshot(application, channel, {
      position,
      payload: Buffer.from('"state"'),
    });
    await clock.settle();
    await putting;
    return position;
  };

  test('begins at the snapshot where it is not recovered, and gives what followed', async () => {
    const world = await setUp();
    const { publish, read } = world;
    await publish('doc', ['1', '2', '3']);
    const position = await put(world, 'doc', 2);
    for (const start of [{}, after('k3f9:1'), after('x')]) {
      const result = await read(['doc', 'room/+'], start, { snapshot: true });
      expect(result.channels[0]).toMatchObject({ position, end: { offset: 3 } });
      expect(Buffer.from(result.channels[0]?.snapshot?.payload ?? []).toString()).toBe('"state"');
      expect(texts(result)).toEqual(['doc 3']);
      const rest = await read(['doc', 'room/+'], after(result.mark), { snapshot: true });
      expect(rest.channels[0]).toMatchObject({ recovered: true, messages: [] });
      expect(rest.channels[0]?.snapshot).toBeUndefined();
    }
  });

  test('does not wait when there is one', async () => {
    const world = await setUp();
    await world.publish('doc', ['1']);
    await put(world, 'doc', 1);
    const { answer } = await world.wait(['doc'], {}, { snapshot: true });
    expect((await answer).channels[0]?.snapshot).toBeDefined();
  });

  test('goes without where the resume is recovered, nobody asked, or the log has gone on', async () => {
    const world = await setUp(() => ({ history: { countMax: 2, ageMsMax: 1e9, sizeMax: 1e9 } }));
    const { publish, read } = world;
    await publish('doc', ['1', '2']);
    const position = await put(world, 'doc', 1);
    const place = after(`${position.epoch}:1`);
    expect((await read(['doc'], place, { snapshot: true })).channels[0]?.snapshot).toBeUndefined();
    expect((await read(['doc'])).channels[0]?.snapshot).toBeUndefined();
    await publish('doc', ['3', '4']);
    expect((await read(['doc'], {}, { snapshot: true })).channels[0]?.snapshot).toBeUndefined();
  });
});

describe('messages that have expired [MSG-6]', () => {
  test('are in no poll, and positions move past them', async () => {
    const { clock, publish, read, wait } = await setUp();
    await publish('room/1', ['kept']);
    await publish('room/1', ['gone'], { ttl: 1_000 });
    await publish('room/1', ['also kept']);
    await publish('room/2', ['gone'], { ttl: 1_000 });
    clock.stepUnix(2_000);
    const named = await read(['room/1', 'room/2'], after('start'));
    expect(texts(named)).toEqual(['room/1 kept', 'room/1 also kept']);
    expect(named.channels.map(({ end }) => end.offset)).toEqual([3, 1]);
    const matched = await read(['room/+'], after('start'));
    expect(texts(matched)).toEqual(['room/1 kept', 'room/1 also kept']);
    const { answer } = await wait(['room/2'], after('start'));
    await publish('room/2', ['new']);
    expect(texts(await answer)).toEqual(['room/2 new']);
  });

  test('are in no page of history, forwards or backwards', async () => {
    const { hub, clock, publish } = await setUp();
    const page = async (request: object) => {
      const reading = hub.history(application, 'room/1', { countMax: 2, ...request });
      await clock.settle();
      const { messages, ...rest } = await reading;
      return { ...rest, texts: messages.map(({ payload }) => Buffer.from(payload).toString()) };
    };
    await publish('room/1', ['1', '2']);
    await publish('room/1', ['3', '4', '5'], { ttl: 1_000 });
    await publish('room/1', ['6']);
    await publish('room/1', ['7', '8'], { ttl: 1_000 });
    clock.stepUnix(2_000);
    const { epoch } = await page({});
    const at = (offset: number) => ({ kind: 'position', position: { epoch, offset } });
    expect(await page({ after: at(2) })).toMatchObject({
      texts: [],
      position: { offset: 4 },
      more: true,
    });
    expect(await page({ after: at(4) })).toMatchObject({ texts: ['6'], position: { offset: 6 } });
    // Nothing of the newest page is left: there is still a way back.
    expect(await page({})).toMatchObject({
      texts: ['2', '6'],
      position: { offset: 8 },
      more: true,
    });
    expect(await page({ before: at(2) })).toMatchObject({ texts: ['1'], more: false });
    expect(await page({ before: at(6), countMax: 1 })).toMatchObject({ texts: ['2'], more: true });
  });
});

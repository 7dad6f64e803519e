import { subscribePacket } from '@trunkline/testkit';
import { describe, expect, it } from 'vitest';
import type { Identity } from '../../../../src/auth/identity.ts';
import { MEMBERS_MAX, OWED_MAX } from '../../../../src/protocols/mqtt/share/group.ts';
import { SHARE_PREFIX } from '../../../../src/protocols/mqtt/share/group-record.ts';
import {
  SESSION_PREFIX,
  sessionKey,
} from '../../../../src/protocols/mqtt/session/session-store.ts';
import { anonymous } from '../mqtt-setup.ts';
import { publishes, SHARE, startShare, texts } from './share-setup.ts';

const many = (count: number, from = 1) =>
  Array.from({ length: count }, (_, index) => `m${from + index}`);

const server: Identity = { kind: 'server', grants: new Map() };

type World = Awaited<ReturnType<typeof startShare>>;

async function publishMany({ publish }: World, payloads: readonly string[]) {
  for (const payload of payloads) await publish('a/x', payload);
}

const records = ({ broker }: World) => broker.state.list(SHARE_PREFIX, { countMax: 10 });

describe('ShareGroup', () => {
  it('stands where it is while everybody is away', async () => {
    const world = await startShare();
    const one = await world.join('a', { kept: true, autoAck: true });
    const two = await world.join('b', { kept: true, autoAck: true });
    await publishMany(world, many(2));
    await one.drop();
    await two.drop();
    await publishMany(world, many(4, 3));
    const back = await world.connect('b', { kept: true, autoAck: true });
    expect([...texts(one), ...texts(two)].toSorted()).toEqual(many(2));
    expect(texts(back)).toEqual(many(4, 3));
    const other = await world.connect('a', { kept: true, autoAck: true });
    await publishMany(world, many(2, 7));
    expect([texts(back), texts(other)].map((got) => got.at(-1))).toEqual(['m7', 'm8']);
  });

  it('gives nothing of what came while only members of QoS 0 were away', async () => {
    const world = await startShare();
    const one = await world.join('a', { kept: true, qos: 0 });
    await one.drop();
    await publishMany(world, many(2));
    const back = await world.connect('a', { kept: true });
    await publishMany(world, many(1, 3));
    expect(texts(back)).toEqual(['m3']);
  });

  it('is gone with its last member, and begins anew', async () => {
    const world = await startShare();
    const one = await world.join('a', { kept: true });
    await one.unsubscribe(SHARE);
    await world.clock.pass(2_000);
    expect(await records(world)).toEqual([]);
    await publishMany(world, many(2));
    await one.subscribe({ filter: SHARE, qos: 1 });
    await publishMany(world, many(1, 3));
    expect(texts(one)).toEqual(['m3']);
  });

  it('is gone when the session of its last member ends', async () => {
    const world = await startShare();
    const one = await world.join('a', { kept: true });
    await one.drop();
    expect(await records(world)).toHaveLength(1);
    await publishMany(world, many(2));
    await world.clock.pass(61_000);
    expect(await records(world)).toEqual([]);
    const other = await world.join('b', { autoAck: true });
    await publishMany(world, many(1, 3));
    expect(texts(other)).toEqual(['m3']);
  });

  it('goes on without a session that begins anew', async () => {
    const world = await startShare();
    const one = await world.join('a', { kept: true });
    await publishMany(world, many(2));
    await one.drop();
    const anew = await world.connect('a', { autoAck: true });
    expect(anew.connack.sessionPresent).toBe(false);
    expect(await records(world)).toEqual([]);
    const other = await world.join('b', { autoAck: true });
    await publishMany(world, many(1, 3));
    expect([texts(anew), texts(other)]).toEqual([[], ['m3']]);
  });

  it('gives what a session had that begins anew to another member', async () => {
    const world = await startShare();
    const one = await world.join('a', { kept: true });
    const two = await world.join('b', { kept: true, autoAck: true });
    await two.drop();
    await publishMany(world, many(2));
    await one.drop();
    await world.connect('a');
    const back = await world.connect('b', { kept: true, autoAck: true });
    expect(texts(back)).toEqual(many(2));
  });

  it('stores nothing while no session of it is kept', async () => {
    const world = await startShare();
    await world.join('a', { autoAck: true });
    await world.join('b', { qos: 2, autoAck: true });
    await publishMany(world, many(4));
    await world.clock.pass(5_000);
    expect(await records(world)).toEqual([]);
  });

  it('goes on from its place after a crash of the server', async () => {
    const world = await startShare();
    await world.join('a', { kept: true, autoAck: true });
    await publishMany(world, many(4));
    await world.clock.pass(2_000);
    await world.crash();
    await publishMany(world, many(2, 5));
    const back = await world.connect('a', { kept: true, autoAck: true });
    expect(texts(back)).toEqual(many(2, 5));
  });

  it('runs out after a crash with the sessions that nobody comes back to', async () => {
    const world = await startShare();
    await world.join('a', { kept: true });
    await publishMany(world, many(1));
    await world.clock.pass(2_000);
    await world.crash();
    expect(await records(world)).toHaveLength(1);
    await world.clock.pass(61_000);
    expect(await records(world)).toEqual([]);
  });

  it('tells of what is gone before it could be given again', async () => {
    const world = await startShare();
    const gone = await world.join('a');
    const stays = await world.join('b', { autoAck: true });
    await publishMany(world, many(3));
    await purge(world);
    await gone.drop();
    await publishMany(world, many(1, 4));
    const told = publishes(stays).flatMap(({ properties }) => properties.userProperties ?? []);
    const gaps = told.map(([, text]) => JSON.parse(text) as { reason: string });
    expect(gaps.filter(({ reason }) => reason === 'trimmed')).toMatchObject([
      { channel: 'a/x', from: 1, to: 1 },
      { channel: 'a/x', from: 3, to: 3 },
    ]);
  });

  it('tries again while what is to be given again can not be read', async () => {
    const world = await startShare();
    const gone = await world.join('a');
    const stays = await world.join('b', { autoAck: true });
    await publishMany(world, many(3));
    const { messagesAt } = world.hub;
    world.hub.messagesAt = () => Promise.reject(new Error('away'));
    await gone.drop();
    expect(texts(stays)).toEqual(['m2']);
    world.hub.messagesAt = messagesAt;
    await world.clock.pass(1_000);
    expect(texts(stays)).toEqual(['m2', 'm1', 'm3']);
  });

  it('gives again after a crash what was not acknowledged', async () => {
    const world = await startShare();
    await world.join('a', { kept: true });
    await world.join('b');
    await publishMany(world, many(4));
    await world.clock.pass(2_000);
    await world.crash();
    const comes = await world.join('c', { autoAck: true });
    expect(texts(comes).toSorted()).toEqual(many(4));
    const back = await world.connect('a', { kept: true, autoAck: true });
    expect(texts(back)).toEqual([]);
  });

  it('gives again after a crash what was not stored', async () => {
    const world = await startShare();
    const one = await world.join('a', { kept: true, autoAck: true });
    await publishMany(world, many(4));
    expect(texts(one)).toEqual(many(4));
    await world.crash();
    const back = await world.connect('a', { kept: true, autoAck: true });
    expect(texts(back)).toEqual(many(4));
  });

  it.each([1, 2] as const)(
    'gives QoS 2 once, though the server crashes after %s writes',
    async (c) => {
      const world = await startShare();
      const one = await world.join('a', { kept: true, qos: 2 });
      const two = await world.join('b', { kept: true, qos: 2, autoAck: c === 2 });
      await publishMany(world, many(4));
      await world.crash();
      const back = await world.connect('b', { kept: true, qos: 2, autoAck: true });
      const other = await world.connect('a', { kept: true, qos: 2, autoAck: true });
      await publishMany(world, many(2, 5));
      const dups = [...publishes(back), ...publishes(other)].filter(({ dup }) => dup);
      const fresh = [one, two, back, other]
        .flatMap(publishes)
        .filter(({ dup }) => !dup)
        .map(({ payload }) => Buffer.from(payload).toString());
      expect(fresh.toSorted()).toEqual(many(6));
      expect(dups).toHaveLength(c === 1 ? 4 : 2);
    },
  );

  it.each(['comes back', 'stays away'])(
    'gives QoS 2 again that no window has after a crash, though its member %s',
    async (what) => {
      const isSlow = (key: string) => key === `${SESSION_PREFIX}${sessionKey(anonymous, 'a')}`;
      let isHeld = false;
      const world = await startShare({}, async (key) => {
        if (isHeld && isSlow(key)) await new Promise(() => {});
      });
      const one = await world.join('a', { kept: true, qos: 2 });
      const two = await world.join('b', { kept: true, qos: 2, autoAck: true });
      isHeld = true;
      await publishMany(world, many(4));
      await world.clock.pass(2_000);
      // What the other one was given is stored, and the place of the group with it.
      expect([texts(one), texts(two)]).toEqual([[], ['m2', 'm4']]);
      isHeld = false;
      await world.crash();
      const back = await world.connect('b', { kept: true, autoAck: true });
      const all = [two, back];
      if (what === 'comes back') {
        all.push(await world.connect('a', { kept: true, autoAck: true }));
      }
      await publishMany(world, many(2, 5));
      expect(all.flatMap(texts).toSorted()).toEqual(many(6));
    },
  );

  it('leaves QoS 2 to a member whose connection ended before it was stored', async () => {
    const isSlow = (key: string) => key === `${SESSION_PREFIX}${sessionKey(anonymous, 'a')}`;
    const gate = Promise.withResolvers<void>();
    let isHeld = false;
    const world = await startShare({}, async (key) => {
      if (isHeld && isSlow(key)) await gate.promise;
    });
    const one = await world.join('a', { kept: true, qos: 2 });
    const two = await world.join('b', { kept: true, qos: 2, autoAck: true });
    isHeld = true;
    await publishMany(world, many(4));
    await one.drop();
    gate.resolve();
    await world.clock.pass(2_000);
    expect(texts(two)).toEqual(['m2', 'm4']);
    const back = await world.connect('a', { kept: true, autoAck: true });
    expect(texts(back)).toEqual(['m1', 'm3']);
    await world.crash();
    const later = [
      await world.connect('b', { kept: true, autoAck: true }),
      await world.connect('a', { kept: true, autoAck: true }),
    ];
    expect(later.flatMap(texts)).toEqual([]);
  });

  it('keeps QoS 2 for its member though others come first after a crash', async () => {
    const world = await startShare();
    const one = await world.join('a', { kept: true, qos: 2 });
    await publishMany(world, many(2));
    expect(texts(one)).toEqual(many(2));
    await world.crash();
    const other = await world.join('b', { qos: 2, autoAck: true });
    await publishMany(world, many(1, 3));
    expect(texts(other)).toEqual(['m3']);
    const back = await world.connect('a', { kept: true, qos: 2, autoAck: true });
    expect(publishes(back).map(({ dup }) => dup)).toEqual([true, true]);
    expect(texts(back)).toEqual(many(2));
  });

  it('tells 5.0 of what is lost to it', async () => {
    const world = await startShare();
    const one = await world.join('a', { kept: true, autoAck: true });
    await publishMany(world, many(1));
    await one.drop();
    await publishMany(world, many(1, 2));
    await purge(world);
    await publishMany(world, many(1, 3));
    const back = await world.connect('a', { kept: true, autoAck: true });
    const [told] = back.connack.properties.userProperties ?? [];
    expect(told?.[0]).toBe('trunkline.gap');
    expect(JSON.parse(told?.[1] ?? '')).toMatchObject({ channel: 'a/x', reason: 'epoch' });
    await publishMany(world, many(1, 4));
    expect(texts(back)).toEqual(['m4']);
  });

  it('tells those of 5.0 that are connected, and leaves others alone', async () => {
    const world = await startShare();
    const one = await world.join('a', { autoAck: true });
    const old = await world.join('b', { autoAck: true, version: 4 });
    await publishMany(world, many(2));
    await purge(world);
    await publishMany(world, many(2, 3));
    const told = publishes(one).flatMap(({ properties }) => properties.userProperties ?? []);
    expect(told).toHaveLength(1);
    expect(old.isOver).toBe(false);
  });

  it('ends one connection where only 3.1.1 is there to be told', async () => {
    const world = await startShare();
    const one = await world.join('a', { autoAck: true, version: 4 });
    const two = await world.join('b', { autoAck: true, version: 4 });
    await publishMany(world, many(2));
    await purge(world);
    await publishMany(world, many(2, 3));
    expect([one.isOver, two.isOver]).toEqual([true, false]);
    expect(texts(two)).toEqual(['m2', 'm3', 'm4']);
  });

  it('begins a session of 3.1.1 anew that finds its group has lost something', async () => {
    const world = await startShare();
    const one = await world.join('a', { kept: true, version: 4, autoAck: true });
    await publishMany(world, many(1));
    await one.drop();
    await purge(world);
    await publishMany(world, many(1, 2));
    const back = await world.connect('a', { kept: true, version: 4 });
    expect(back.connack.sessionPresent).toBe(false);
    expect(await records(world)).toEqual([]);
  });

  it('gives QoS 2 only when it is stored, and what waits for that holds up nobody', async () => {
    const gate = Promise.withResolvers<void>();
    let isShut = false;
    const world = await startShare({}, async (key) => {
      if (isShut && key.startsWith(SHARE_PREFIX)) await gate.promise;
    });
    const kept = await world.join('a', { kept: true, qos: 2, autoAck: true });
    const other = await world.join('b', { qos: 1, autoAck: true });
    isShut = true;
    await publishMany(world, many(4));
    expect([texts(kept), texts(other)]).toEqual([[], ['m2', 'm4']]);
    await kept.unsubscribe(SHARE);
    gate.resolve();
    await world.clock.settle();
    expect(texts(kept)).toEqual(['m1', 'm3']);
  });

  it('does not wait for a store that fails, and has the record when that is back', async () => {
    let isAway = false;
    const world = await startShare({}, async (key) => {
      if (isAway && key.startsWith(SHARE_PREFIX)) throw new Error('away');
    });
    const one = await world.join('a', { kept: true, autoAck: true });
    await publishMany(world, many(2));
    isAway = true;
    await one.drop();
    await publishMany(world, many(1, 3));
    isAway = false;
    await world.clock.pass(2_000);
    await world.crash();
    const back = await world.connect('a', { kept: true, autoAck: true });
    expect(texts(back)).toEqual(['m3']);
  });

  it('gives nothing to who goes before it has its answer', async () => {
    const gate = Promise.withResolvers<void>();
    let isShut = false;
    const world = await startShare({}, async (key) => {
      if (isShut && key.startsWith(SHARE_PREFIX)) await gate.promise;
    });
    const stays = await world.join('a', { kept: true, autoAck: true });
    const goes = await world.connect('b', { kept: true });
    isShut = true;
    await goes.send(subscribePacket(1, [{ filter: SHARE, qos: 1 }]));
    await publishMany(world, many(2));
    await goes.drop();
    gate.resolve();
    await publishMany(world, many(1, 3));
    expect([texts(stays), texts(goes)]).toEqual([many(3), []]);
    const back = await world.connect('b', { kept: true });
    await publishMany(world, many(1, 4));
    expect(texts(back)).toEqual([]);
  });

  it('goes on without a member that may not share any more', async () => {
    const world = await startShare();
    const filter = '$share/g/a/x';
    const login = { kept: true, filter } as const;
    const one = await world.join('x', { ...login, password: 'alice' });
    const two = await world.join('b', { kept: true, filter, autoAck: true });
    await two.drop();
    await publishMany(world, many(2));
    await one.drop();
    const back = await world.connect('x', { ...login, password: 'alice b=subscribe' });
    expect(back.connack.sessionPresent).toBe(true);
    await publishMany(world, many(1, 3));
    expect(texts(back)).toEqual([]);
    const other = await world.connect('b', { kept: true, autoAck: true });
    expect(texts(other)).toEqual(many(3));
  });

  it('has at most so many members', async () => {
    const world = await startShare();
    for (let count = 0; count < MEMBERS_MAX; count += 1) await world.join(`m${count}`);
    const more = await world.connect('more');
    expect(await more.subscribe({ filter: SHARE, qos: 1 })).toMatchObject({ reasons: [0x97] });
  });

  it('lends at most so many messages, and goes on as they are acknowledged', async () => {
    const world = await startShare({ config: { inflightMax: 2 * OWED_MAX } });
    const one = await world.join('a');
    for (const payload of many(OWED_MAX + 2)) {
      void world.hub.publish({ identity: anonymous, session: 's' }, 'a/x', {
        payload: Buffer.from(payload),
      });
    }
    await world.clock.settle();
    expect(texts(one)).toHaveLength(OWED_MAX);
    await one.ack('puback', 1);
    expect(texts(one)).toHaveLength(OWED_MAX + 1);
  });

  it('does not give what has expired while nobody had room [MQTT-3.3.2-5]', async () => {
    const world = await startShare();
    const one = await world.join('a', { receiveMaximum: 1 });
    await world.publish('a/x', 'm1');
    await world.publish('a/x', 'm2', { ttl: 1_000 });
    await world.publish('a/x', 'm3');
    await world.clock.pass(2_000);
    one.autoAck = true;
    await one.ack('puback', 1);
    expect(texts(one)).toEqual(['m1', 'm3']);
  });

  it('gives what volatile channels have to who is there', async () => {
    const world = await startShare({ rulesOf: () => ({ volatile: true }) });
    const one = await world.join('a', { kept: true });
    const two = await world.join('b');
    await publishMany(world, many(4));
    expect([texts(one), texts(two)]).toEqual([
      ['m1', 'm3'],
      ['m2', 'm4'],
    ]);
    await one.drop();
    await two.drop();
    await publishMany(world, many(1, 5));
    const back = await world.connect('a', { kept: true });
    await publishMany(world, many(1, 6));
    expect(texts(back)).toEqual(['m6']);
  });

  it('reads a volatile channel by its name as well', async () => {
    const world = await startShare({ rulesOf: () => ({ volatile: true }) });
    const filter = '$share/g/a/x';
    const one = await world.join('a', { kept: true, filter });
    await one.drop();
    const back = await world.connect('a', { kept: true });
    await publishMany(world, many(1));
    expect(texts(back)).toEqual(['m1']);
  });

  it('writes nothing more when nobody is connected', async () => {
    const world = await startShare();
    const one = await world.join('a', { kept: true });
    const two = await world.join('b');
    await publishMany(world, many(2));
    await one.drop();
    await two.drop();
    const stored = await records(world);
    expect(stored).toHaveLength(1);
    await world.clock.pass(5_000);
    expect(await records(world)).toEqual(stored);
  });
});

async function purge({ hub, clock }: World): Promise<void> {
  await hub.beside.purge({ identity: server, session: 'x' }, 'a/x');
  await clock.settle();
}

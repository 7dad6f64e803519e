import { describe, expect, it } from 'vitest';
import { SHARE_PREFIX } from '../../../../src/protocols/mqtt/share/group-record.ts';
import { publishes, SHARE, startShare, texts } from './share-setup.ts';

const many = (count: number, from = 1) =>
  Array.from({ length: count }, (_, index) => `m${from + index}`);

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
    const world = await startShare({ rulesOf: () => ({ history: { count: 2 } }) as object });
    const one = await world.join('a', { kept: true, autoAck: true });
    await one.drop();
    await publishMany(world, many(6));
    const back = await world.connect('a', { kept: true, autoAck: true });
    const told = back.connack.properties.userProperties ?? [];
    expect(told.length + texts(back).length).toBeGreaterThan(0);
  });
});

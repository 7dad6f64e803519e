import { describe, expect, it } from 'vitest';
import { sharedPart } from '../../../../src/protocols/mqtt/share/shares.ts';
import { publishes, SHARE, startShare, texts } from './share-setup.ts';

/** `m1` to `m6`, or from another number on. */
const many = (count: number, from = 1) =>
  Array.from({ length: count }, (_, index) => `m${from + index}`);

async function publishMany(
  { publish }: Awaited<ReturnType<typeof startShare>>,
  payloads: readonly string[],
) {
  for (const payload of payloads) await publish('a/x', payload);
}

describe('sharedPart', () => {
  it('is what of a filter is shared', () => {
    expect(sharedPart('$share/g/a/#')).toBe('a/#');
    expect(sharedPart('a/#')).toBeUndefined();
    expect(sharedPart('$shared/g/a')).toBeUndefined();
  });

  it.each(['$share/', '$share/g', '$share/g/', '$share//a', '$share/+/a', '$share/g/a#'])(
    '[MQTT-4.8.2-1] [MQTT-4.8.2-2] refuses %s',
    (filter) => {
      expect(() => sharedPart(filter)).toThrow(expect.objectContaining({ code: 'not_found' }));
    },
  );
});

describe('Shares', () => {
  it.each([4, 5] as const)('gives each message to one member in MQTT %s', async (version) => {
    const world = await startShare();
    const members = [
      await world.join('a', { version, autoAck: true }),
      await world.join('b', { version, autoAck: true }),
      await world.join('c', { version, autoAck: true }),
    ];
    await publishMany(world, many(9));
    expect(members.map(texts)).toEqual([
      ['m1', 'm4', 'm7'],
      ['m2', 'm5', 'm8'],
      ['m3', 'm6', 'm9'],
    ]);
  });

  it('does not say that shared subscriptions are not available (5.0 §3.2.2.3.13)', async () => {
    const { connect } = await startShare();
    const { connack } = await connect('a');
    expect(connack.properties.sharedSubscriptionAvailable ?? 1).toBe(1);
  });

  it('[MQTT-4.8.2-3] respects the QoS of each member and of the message', async () => {
    const world = await startShare();
    const writer = await world.connect('w');
    const members = [
      await world.join('a', { qos: 0, autoAck: true }),
      await world.join('b', { qos: 1, autoAck: true }),
      await world.join('c', { qos: 2, autoAck: true }),
    ];
    for (const qos of [0, 1, 2] as const) {
      for (const name of ['x', 'y', 'z']) await writer.publishThrough(`a/${name}`, `${qos}`, qos);
    }
    expect(members.map((member) => publishes(member).map(({ qos }) => qos))).toEqual([
      [0, 0, 0],
      [0, 1, 1],
      [0, 1, 2],
    ]);
  });

  it('gives a message to each of two groups, and to who shares nothing', async () => {
    const world = await startShare();
    const one = await world.join('a', { autoAck: true });
    const two = await world.join('b', { autoAck: true, filter: '$share/h/a/#' });
    const other = await world.join('c', { autoAck: true, filter: 'a/#' });
    const both = await world.join('d', { autoAck: true });
    await both.subscribe({ filter: 'a/x', qos: 0 });
    await publishMany(world, many(4));
    expect(texts(one)).toEqual(['m1', 'm3']);
    expect(texts(two)).toEqual(many(4));
    expect(texts(other)).toEqual(many(4));
    // What it shares is apart from what it reads by itself.
    expect(texts(both).toSorted()).toEqual(['m1', 'm2', 'm2', 'm3', 'm4', 'm4']);
  });

  it('shares a channel by its name as it does a pattern', async () => {
    const world = await startShare();
    const one = await world.join('a', { autoAck: true, filter: '$share/g/a/x' });
    const two = await world.join('b', { autoAck: true, filter: '$share/g/a/x' });
    await publishMany(world, many(4));
    expect([texts(one), texts(two)]).toEqual([
      ['m1', 'm3'],
      ['m2', 'm4'],
    ]);
  });

  it('passes over a member that does not acknowledge, and comes back to it', async () => {
    const world = await startShare();
    const slow = await world.join('a', { receiveMaximum: 2 });
    const fast = await world.join('b', { autoAck: true });
    await publishMany(world, many(8));
    expect(texts(slow)).toEqual(['m1', 'm3']);
    expect(texts(fast)).toEqual(['m2', 'm4', 'm5', 'm6', 'm7', 'm8']);
    for (const { packetId } of publishes(slow)) await slow.ack('puback', packetId);
    await publishMany(world, many(2, 9));
    expect([...texts(slow), ...texts(fast)].toSorted()).toEqual(many(10).toSorted());
    expect(texts(slow)).toHaveLength(3);
  });

  it('waits while no member has room, and loses nothing', async () => {
    const world = await startShare();
    const one = await world.join('a', { receiveMaximum: 2 });
    const two = await world.join('b', { receiveMaximum: 2 });
    await publishMany(world, many(20));
    expect([...texts(one), ...texts(two)]).toHaveLength(4);
    for (const peer of [one, two]) {
      peer.autoAck = true;
      const sent = publishes(peer);
      for (const { packetId } of sent) await peer.ack('puback', packetId);
    }
    expect([...texts(one), ...texts(two)].toSorted()).toEqual(many(20).toSorted());
  });

  it('passes over a member whose link is full', async () => {
    const world = await startShare();
    const stuck = await world.join('a', { qos: 0 });
    const other = await world.join('b', { qos: 0 });
    stuck.link.hold();
    for (let count = 0; count < 40; count += 1) await world.publish('a/x', 'x'.repeat(1000));
    stuck.link.release();
    await stuck.settle();
    expect(texts(stuck).length).toBeLessThan(15);
    expect(texts(stuck).length + texts(other).length).toBe(40);
  });

  it('gives a message to who takes packets of its size (5.0 §3.1.2.11.4)', async () => {
    const world = await startShare();
    const small = await world.join('a', { autoAck: true, packetSizeMax: 100 });
    const large = await world.join('b', { autoAck: true });
    const big = 'x'.repeat(200);
    for (const payload of [big, 'm1', big, 'm2']) await world.publish('a/x', payload);
    expect(texts(large).filter((text) => text === big)).toHaveLength(2);
    expect([...texts(small), ...texts(large)].filter((text) => text !== big)).toHaveLength(2);
    await large.drop();
    for (const payload of [big, 'm3']) await world.publish('a/x', payload);
    expect(texts(small).at(-1)).toBe('m3');
  });

  it('gives what a member leaves unacknowledged to another one (5.0 §4.8.2)', async () => {
    const world = await startShare();
    const gone = await world.join('a');
    const stays = await world.join('b', { autoAck: true });
    await publishMany(world, many(4));
    await gone.drop();
    expect(texts(gone)).toEqual(['m1', 'm3']);
    expect(texts(stays).toSorted()).toEqual(many(4));
    expect(publishes(stays).some(({ dup }) => dup)).toBe(false);
  });

  it('gives to another one what a member was sent that is kept, and does not send it again', async () => {
    const world = await startShare();
    const gone = await world.join('a', { kept: true });
    const stays = await world.join('b', { autoAck: true });
    await publishMany(world, many(4));
    await gone.drop();
    expect(texts(stays).toSorted()).toEqual(many(4));
    const back = await world.connect('a', { kept: true, autoAck: true });
    expect(back.connack.sessionPresent).toBe(true);
    expect(texts(back)).toEqual([]);
    await publishMany(world, many(2, 5));
    expect(texts(back)).toHaveLength(1);
  });

  it('[MQTT-4.4.0-1] sends again what nobody else could have taken', async () => {
    const world = await startShare();
    const gone = await world.join('a', { kept: true });
    await publishMany(world, many(2));
    await gone.drop();
    await publishMany(world, many(1, 3));
    const back = await world.connect('a', { kept: true, autoAck: true });
    expect(publishes(back).map(({ dup, packetId }) => [dup, packetId])).toEqual([
      [true, 1],
      [true, 2],
      [false, 3],
    ]);
    expect(texts(back)).toEqual(many(3));
  });

  it('gives to who comes what a member that is away was sent with QoS 1', async () => {
    const world = await startShare();
    const gone = await world.join('a', { kept: true });
    await publishMany(world, many(2));
    await gone.drop();
    const comes = await world.join('b', { autoAck: true });
    expect(texts(comes)).toEqual(many(2));
    const back = await world.connect('a', { kept: true, autoAck: true });
    expect(texts(back)).toEqual([]);
  });

  it('[MQTT-4.8.2-4] completes QoS 2 with the same client', async () => {
    const world = await startShare();
    const gone = await world.join('a', { qos: 2, kept: true });
    const stays = await world.join('b', { qos: 2, autoAck: true });
    await publishMany(world, many(4));
    const [first] = publishes(gone);
    await gone.ack('pubrec', first?.packetId ?? 0);
    await gone.drop();
    await publishMany(world, many(1, 5));
    expect(texts(stays)).toEqual(['m2', 'm4', 'm5']);
    const back = await world.connect('a', { qos: 2, kept: true, autoAck: true });
    expect(back.received.filter(({ kind }) => kind === 'pubrel')).toHaveLength(2);
    expect(texts(back)).toEqual(['m3']);
    expect(publishes(back)[0]).toMatchObject({ dup: true, packetId: 2, qos: 2 });
  });

  it('[MQTT-4.8.2-5] gives nobody else what was sent with QoS 2 to a session that ends', async () => {
    const world = await startShare();
    const gone = await world.join('a', { qos: 2 });
    const stays = await world.join('b', { qos: 2, autoAck: true });
    await publishMany(world, many(4));
    await gone.drop();
    await publishMany(world, many(1, 5));
    expect(texts(gone)).toEqual(['m1', 'm3']);
    expect(texts(stays)).toEqual(['m2', 'm4', 'm5']);
  });

  it.each([1, 2] as const)('[MQTT-4.8.2-6] discards what is refused with QoS %s', async (qos) => {
    const world = await startShare();
    const refuses = await world.join('a', { qos });
    const other = await world.join('b', { qos, autoAck: true });
    await publishMany(world, many(2));
    const [first] = publishes(refuses);
    await refuses.ack(qos === 1 ? 'puback' : 'pubrec', first?.packetId ?? 0, 0x80);
    await refuses.drop();
    await publishMany(world, many(1, 3));
    expect(texts(other)).toEqual(['m2', 'm3']);
  });

  it('[MQTT-3.10.4-3] lets a member finish what it was sent before it unsubscribed', async () => {
    const world = await startShare();
    const leaves = await world.join('a');
    const stays = await world.join('b', { autoAck: true });
    await publishMany(world, many(4));
    expect(await leaves.unsubscribe(SHARE)).toMatchObject({ reasons: [0] });
    expect(await leaves.unsubscribe(SHARE)).toMatchObject({ reasons: [0x11] });
    const [first] = publishes(leaves);
    await leaves.ack('puback', first?.packetId ?? 0);
    await publishMany(world, many(2, 5));
    expect(texts(leaves)).toEqual(['m1', 'm3']);
    expect(texts(stays)).toEqual(['m2', 'm4', 'm5', 'm6']);
    await leaves.drop();
    expect(texts(stays)).toEqual(['m2', 'm4', 'm5', 'm6', 'm3']);
  });

  it('takes up what it has when a member subscribes again', async () => {
    const world = await startShare();
    const member = await world.join('a');
    await publishMany(world, many(2));
    await member.unsubscribe(SHARE);
    await member.subscribe({ filter: SHARE, qos: 1 });
    const other = await world.join('b', { autoAck: true });
    await member.drop();
    expect(texts(other)).toEqual(many(2));
  });

  it('changes the options of a member that subscribes to the same again', async () => {
    const world = await startShare();
    const member = await world.join('a', { autoAck: true });
    await member.subscribe(
      { filter: SHARE, qos: 0 },
      { properties: { subscriptionIdentifiers: [7] } },
    );
    await publishMany(world, many(1));
    expect(publishes(member)).toMatchObject([
      { qos: 0, properties: { subscriptionIdentifiers: [7] } },
    ]);
  });

  it('sends no retained messages (5.0 §4.8.2)', async () => {
    const world = await startShare();
    await world.publish('a/x', 'kept', { retain: true });
    const member = await world.join('a', { autoAck: true });
    expect(texts(member)).toEqual([]);
    await world.publish('a/x', 'new');
    expect(texts(member)).toEqual(['new']);
  });

  it('[MQTT-3.8.3-4] ends the connection of who shares without its own messages', async () => {
    const world = await startShare();
    const member = await world.connect('a');
    await expect(member.subscribe({ filter: SHARE, qos: 1, noLocal: true })).rejects.toThrow();
    expect(member.expectEnd()).toBe(0x82);
  });

  it.each([
    [4, [0x80]],
    [5, [0x87]],
  ] as const)('refuses in MQTT %s who is not granted the filter', async (version, reasons) => {
    const world = await startShare();
    const password = 'alice a/b=subscribe';
    const member = await world.connect('a', { version, password });
    expect(await member.subscribe({ filter: '$share/g/a/x', qos: 1 })).toMatchObject({ reasons });
    expect(await member.subscribe({ filter: '$share/g/a/b', qos: 1 })).toMatchObject({
      reasons: [1],
    });
  });

  it('refuses in 3.1.1 what is malformed, and ends the connection in 5.0', async () => {
    const world = await startShare();
    const old = await world.connect('a', { version: 4 });
    expect(await old.subscribe({ filter: '$share/g', qos: 1 })).toMatchObject({ reasons: [0x80] });
    const other = await world.connect('b');
    await expect(other.subscribe({ filter: '$share/g', qos: 1 })).rejects.toThrow();
    expect(other.expectEnd()).toBe(0x8f);
  });

  it('is one group for all users who are granted the filter', async () => {
    const world = await startShare();
    const alice = await world.join('x', { autoAck: true, password: 'alice' });
    const bob = await world.join('x', { autoAck: true, password: 'bob' });
    await publishMany(world, many(4));
    expect([texts(alice).length, texts(bob).length]).toEqual([2, 2]);
  });

  it('counts shared subscriptions among those of a session', async () => {
    const world = await startShare({ config: { subscriptionsMax: 2 } });
    const member = await world.connect('a');
    const { reasons } = await member.subscribe(
      ['b', '$share/g/a', '$share/h/a'].map((filter) => ({ filter, qos: 1 })),
    );
    expect(reasons).toEqual([1, 1, 0x97]);
  });
});

import type { MqttPeer } from '@trunkline/testkit';
import { describe, expect, it } from 'vitest';
import { startMqtt } from '../mqtt-setup.ts';

/** What came, by topic. */
function told(peer: MqttPeer): Record<string, string> {
  const packets = peer.takeKind('publish');
  expect(packets.every(({ qos }) => qos === 0)).toBe(true);
  return Object.fromEntries(
    packets.map(({ topic, payload, retain }) => [
      topic,
      `${Buffer.from(payload).toString()}${retain ? ' retained' : ''}`,
    ]),
  );
}

/** A node, and a client that is connected. */
async function connected(options: object = {}) {
  const world = await startMqtt();
  const client = world.peer();
  await client.connect({ clientId: 'c', ...options });
  const wait = async (ms: number): Promise<void> => {
    world.clock.advance(ms);
    await world.clock.settle();
  };
  return { ...world, client, wait };
}

describe('SysSubscriptions', () => {
  it.each([4, 5] as const)(
    'tells what the topics say at once, as if that were retained (version %s)',
    async (version) => {
      const { client } = await connected({ version });
      expect((await client.subscribe({ filter: '$SYS/#', qos: 2 })).reasons).toEqual([2]);
      expect(client.received[1]?.kind).toBe('suback');
      expect(told(client)).toMatchObject({
        '$SYS/broker/clients/connected': '1 retained',
        '$SYS/broker/uptime': '0 seconds retained',
        '$SYS/broker/subscriptions/count': '1 retained',
      });
    },
  );

  it('tells what changes then, without RETAIN [MQTT5-3.3.1-12]', async () => {
    const { client, wait } = await connected();
    await client.subscribe('$SYS/broker/uptime');
    client.take();
    await wait(10_000);
    expect(told(client)).toEqual({ '$SYS/broker/uptime': '10 seconds' });
    await wait(5_000);
    client.expectNothing();
  });

  it('tells the flag to who asked for it [MQTT-3.3.1-13]', async () => {
    const { client, wait } = await connected();
    await client.subscribe({ filter: '$SYS/broker/uptime', retainAsPublished: true });
    client.take();
    await wait(10_000);
    expect(told(client)).toEqual({ '$SYS/broker/uptime': '10 seconds retained' });
  });

  it('is found by no wildcard of the first level [MQTT-4.7.2-1]', async () => {
    const { client, wait } = await connected();
    await client.subscribe(['#', '+/broker/uptime', '+/#'].map((filter) => ({ filter, qos: 1 })));
    await wait(30_000);
    client.expectNothing();
  });

  it('tells a topic once, with the identifiers of all that match it [MQTT-3.3.4-4]', async () => {
    const { client, wait } = await connected();
    const identified = (id: number) => ({ properties: { subscriptionIdentifiers: [id] } });
    await client.subscribe({ filter: '$SYS/broker/+', retainHandling: 2 }, identified(9));
    await client.subscribe({ filter: '$SYS/broker/uptime', retainHandling: 2 }, identified(3));
    client.expectNothing();
    await wait(10_000);
    expect(client.expectPacket('publish').properties.subscriptionIdentifiers).toEqual([3, 9]);
    client.expectNothing();
  });

  it('goes by Retain Handling [MQTT5-3.3.1-9] [MQTT5-3.3.1-10] [MQTT5-3.3.1-11]', async () => {
    const { client } = await connected();
    const count = async (retainHandling: 0 | 1 | 2): Promise<number> => {
      await client.subscribe({ filter: '$SYS/broker/uptime', retainHandling });
      return client.takeKind('publish').length;
    };
    expect([await count(1), await count(1), await count(2), await count(0)]).toEqual([1, 0, 0, 1]);
  });

  it('ends with UNSUBSCRIBE', async () => {
    const { client, wait } = await connected();
    await client.subscribe('$SYS/broker/uptime');
    client.take();
    expect((await client.unsubscribe('$SYS/broker/uptime', '$SYS/other')).reasons).toEqual([
      0, 0x11,
    ]);
    await wait(30_000);
    client.expectNothing();
  });

  it('is for those alone who are granted it', async () => {
    const { peer } = await startMqtt();
    const reasonFor = async (password: string): Promise<number | undefined> => {
      const client = peer();
      await client.connect({ clientId: 'c', userName: 'x', password });
      return (await client.subscribe('$SYS/broker/uptime')).reasons[0];
    };
    expect(await reasonFor('alice #=subscribe')).toBe(0x87);
    expect(await reasonFor('alice $SYS/#=publish')).toBe(0x87);
    expect(await reasonFor('alice $SYS/#=subscribe')).toBe(0);
    expect(await reasonFor('alice $SYS/broker/+=subscribe')).toBe(0);
  });

  it('does not go on with a session whose user may not read it any more', async () => {
    const { client, peer, wait } = await connected({
      ...{ clean: false, expiry: 600, userName: 'x' },
      password: 'alice $SYS/#=subscribe',
    });
    await client.subscribe('$SYS/broker/uptime');
    await client.drop();
    const second = peer();
    const login = { userName: 'x', password: 'alice a=subscribe' };
    await second.connect({ clientId: 'c', clean: false, expiry: 600, ...login });
    await wait(20_000);
    second.expectNothing();
  });

  it('refuses what is no filter of it, and more than a session may have', async () => {
    const { client } = await connected();
    const many = Array.from({ length: 33 }, (_, index) => `$SYS/broker/x${index}`);
    const { reasons } = await client.subscribe(['$other/#', ...many]);
    expect(reasons[0]).toBe(0x8f);
    expect(reasons.slice(1, 33).every((reason) => reason === 0)).toBe(true);
    expect(reasons[33]).toBe(0x97);
  });

  it('can be published to by nobody [MQTT-4.7.2-1]', async () => {
    const { client } = await connected();
    const { packetId } = await client.publish('$SYS/broker/uptime', 'x', { qos: 1 });
    expect(client.expectPacket('puback')).toMatchObject({ packetId, reason: 0x90 });
  });

  it('is told nothing while its link is full', async () => {
    const { client, wait, protocol } = await connected();
    await client.subscribe('$SYS/broker/uptime');
    client.take();
    client.link.hold();
    for (let turn = 0; turn < 2_000; turn += 1) await wait(10_000);
    const [connection] = protocol.connections;
    expect(connection?.link.pendingBytes).toBeLessThan(11_000);
  });

  it('goes on with a session that is kept', async () => {
    const options = { clean: false, expiry: 600 };
    const { client, peer, wait, restart } = await connected(options);
    await client.subscribe('$SYS/broker/uptime');
    await client.drop();
    const second = peer();
    await second.connect({ clientId: 'c', ...options });
    second.expectNothing();
    await wait(10_000);
    expect(Object.keys(told(second))).toEqual(['$SYS/broker/uptime']);
    const next = await restart();
    const third = next.peer();
    await third.connect({ clientId: 'c', ...options });
    await wait(10_000);
    expect(told(third)).toEqual({ '$SYS/broker/uptime': '10 seconds' });
  });
});

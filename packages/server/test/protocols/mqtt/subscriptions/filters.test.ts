import { describe, expect, it } from 'vitest';
import { startMqtt } from '../mqtt-setup.ts';

const OPTIONS = { clientId: 'c', clean: false, expiry: 600 };

/** A session that subscribes to one of each kind. */
async function subscribed(more: object = {}) {
  const world = await startMqtt();
  const client = world.peer({ autoAck: true });
  await client.connect({ ...OPTIONS, ...more });
  const filters = ['a', 'b/+', '$share/g/c/#', '$SYS/broker/uptime'];
  const { reasons } = await client.subscribe(filters.map((filter) => ({ filter, qos: 1 })));
  expect(reasons).toEqual([1, 1, 1, 1]);
  client.take();
  const topics = async (): Promise<string[]> => {
    for (const channel of ['a', 'b/1', 'c/1']) await world.publish(channel, 'x');
    world.clock.advance(10_000);
    await world.clock.settle();
    return client
      .takeKind('publish')
      .map(({ topic }) => topic)
      .toSorted();
  };
  const counts = (): number => {
    const [connection] = world.protocol.connections;
    return connection?.session?.subscriptionCount ?? 0;
  };
  return { ...world, client, filters, topics, counts };
}

const ALL = ['$SYS/broker/uptime', 'a', 'b/1', 'c/1'];

describe('Filters', () => {
  it('are each read as what they are', async () => {
    const { topics, counts } = await subscribed();
    expect(await topics()).toEqual(ALL);
    expect(counts()).toBe(4);
  });

  it('end one by one [MQTT-3.10.4-1]', async () => {
    const { client, filters, topics, counts } = await subscribed();
    const { reasons } = await client.unsubscribe(...filters, 'none', '$share/g/none', '$SYS/none');
    expect(reasons).toEqual([0, 0, 0, 0, 0x11, 0x11, 0x11]);
    expect(await topics()).toEqual([]);
    expect(counts()).toBe(0);
  });

  it('go on with a session that is kept, all of them [MQTT5-3.1.2-5]', async () => {
    const { client, peer, publish, clock, counts } = await subscribed();
    await client.drop();
    for (const channel of ['a', 'b/1', 'c/1']) await publish(channel, 'x');
    const second = peer({ autoAck: true });
    expect(await second.connect(OPTIONS)).toMatchObject({ sessionPresent: true });
    clock.advance(10_000);
    await clock.settle();
    const topics = second.takeKind('publish').map(({ topic }) => topic);
    expect(topics.toSorted()).toEqual(ALL);
    expect(counts()).toBe(4);
  });

  it('are as many as the user may still read when the session goes on', async () => {
    const login = { userName: 'x', password: 'alice' };
    const granted = { userName: 'x', password: 'alice a=subscribe' };
    const { client, peer, counts } = await subscribed({
      ...login,
      password: 'alice #=subscribe $SYS/#=subscribe',
    });
    await client.drop();
    const second = peer();
    await second.connect({ ...OPTIONS, ...granted });
    // Patterns are allowed to everybody here.
    expect(counts()).toBe(3);
  });

  it.each(['a=subscribe', 'a=subscribe c/#=subscribe'])(
    'end the connection where a new token does not allow all of them [MQTT-4.12.1-2]: %s',
    async (grants) => {
      const properties = { authenticationMethod: 'token' };
      const { client } = await subscribed({
        properties: {
          ...properties,
          authenticationData: Buffer.from('alice #=subscribe $SYS/#=subscribe'),
        },
      });
      const authenticationData = Buffer.from(`alice ${grants}`);
      await client.send({
        ...{ kind: 'auth', reason: 0x19 },
        properties: { ...properties, authenticationData },
      });
      expect(client.expectEnd()).toBe(0x87);
    },
  );
});

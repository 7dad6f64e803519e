/** Statements of the standards about CONNECT, sessions and wills, as a client sees them. */
import { connectPacket, payloadText, publishPacket, subscribePacket } from '@trunkline/testkit';
import type { MqttPeer } from '@trunkline/testkit';
import { CodedError } from '@trunkline/wire';
import { describe, expect, it } from 'vitest';
import { encode } from '../../../src/protocols/mqtt/codec/encode.ts';
import { anonymous, startMqtt } from './mqtt-setup.ts';

const VERSIONS = [4, 5] as const;
const KEPT = { clientId: 'k', clean: false, expiry: 600 };

function texts(peer: MqttPeer): string[] {
  return peer.takeKind('publish').map(({ payload }) => payloadText(payload));
}

/** A node, and who hears everything. */
async function startListening() {
  const world = await startMqtt();
  const listener = world.peer();
  await listener.connect({ clientId: 'listener' });
  await listener.subscribe({ filter: '#', qos: 0, retainAsPublished: true });
  return { ...world, listener };
}

describe.each(VERSIONS)('A session of MQTT %s', (version) => {
  it('[MQTT4-3.1.2-4] [MQTT5-3.1.2-5] [MQTT5-3.1.2-23] goes on, with all it has', async () => {
    const { peer, publish } = await startMqtt();
    const first = peer();
    await first.connect({ ...KEPT, version });
    await first.subscribe({ filter: 'a', qos: 1 });
    await publish('a', 'unanswered');
    await first.drop();
    const second = peer();
    expect((await second.connect({ ...KEPT, version })).sessionPresent).toBe(true);
    await publish('a', 'new');
    expect(texts(second)).toEqual(['unanswered', 'new']);
  });

  it('[MQTT4-3.1.2-4] [MQTT5-3.1.2-6] begins where there is none', async () => {
    const { peer, publish } = await startMqtt();
    const client = peer();
    expect(await client.connect({ ...KEPT, version })).toMatchObject({
      ...{ reason: 0, sessionPresent: false },
    });
    await client.subscribe({ filter: 'a', qos: 1 });
    await publish('a', 'x');
    expect(texts(client)).toEqual(['x']);
  });

  it('[MQTT4-3.1.2-5] is kept what comes with QoS 1 and 2 while it is away', async () => {
    const { peer } = await startMqtt();
    const first = peer();
    await first.connect({ ...KEPT, version });
    await first.subscribe({ filter: 'a', qos: 2 });
    await first.drop();
    const writer = peer();
    await writer.connect({ clientId: 'w', version });
    for (const qos of [1, 2] as const) await writer.publishThrough('a', `${qos}`, qos);
    const second = peer();
    await second.connect({ ...KEPT, version });
    expect(second.takeKind('publish').map(({ qos }) => qos)).toEqual([1, 2]);
  });

  it('[MQTT4-3.1.2-6] [MQTT5-3.1.2-4] begins anew where that is asked for, and then ends', async () => {
    const { peer, publish, broker } = await startMqtt();
    const first = peer();
    await first.connect({ ...KEPT, version });
    await first.subscribe({ filter: 'a', qos: 1 });
    await publish('a', 'unanswered');
    await first.drop();
    const second = peer();
    const { sessionPresent } = await second.connect({ clientId: 'k', clean: true, version });
    expect(sessionPresent).toBe(false);
    await publish('a', 'new');
    second.expectNothing();
    await second.subscribe({ filter: 'b', qos: 1 });
    await second.drop();
    expect(await broker.state.list('mqtt/', { countMax: 10 })).toEqual([]);
    const third = peer();
    expect((await third.connect({ ...KEPT, version })).sessionPresent).toBe(false);
    await publish('b', 'new');
    third.expectNothing();
  });

  it('[MQTT4-3.1.2-7] is not what retained messages end with', async () => {
    const { peer } = await startMqtt();
    const writer = peer();
    await writer.connect({ clientId: 'w', version });
    await writer.publish('a', 'kept', { retain: true });
    await writer.drop();
    await peer().connect({ clientId: 'w', version });
    const reader = peer();
    await reader.connect({ clientId: 'r', version });
    await reader.subscribe('a');
    expect(texts(reader)).toEqual(['kept']);
  });

  it('[MQTT-3.1.3-2] is known by its client identifier', async () => {
    const { peer, publish } = await startMqtt();
    for (const clientId of ['one', 'One']) {
      const client = peer();
      await client.connect({ ...KEPT, clientId, version });
      await client.subscribe({ filter: clientId, qos: 1 });
      await client.drop();
    }
    for (const topic of ['one', 'One']) await publish(topic, topic);
    for (const clientId of ['one', 'One']) {
      const client = peer();
      expect((await client.connect({ ...KEPT, clientId, version })).sessionPresent).toBe(true);
      expect(texts(client)).toEqual([clientId]);
    }
  });

  it.each([true, false])(
    '[MQTT4-3.1.4-2] [MQTT4-3.1.4-3] [MQTT5-3.1.4-3] [MQTT5-3.1.4-4] taken over is as clean as asked for: %s',
    async (clean) => {
      const { peer, publish } = await startMqtt();
      const [first, second] = [peer(), peer()];
      await first.connect({ ...KEPT, version });
      await first.subscribe({ filter: 'a', qos: 1 });
      expect((await second.connect({ ...KEPT, version, clean })).sessionPresent).toBe(!clean);
      expect(first.expectEnd()).toBe(version === 5 ? 0x8e : undefined);
      await publish('a', 'x');
      expect(texts(second)).toEqual(clean ? [] : ['x']);
    },
  );

  it('[MQTT4-4.1.0-1] [MQTT4-4.1.0-2] [MQTT5-4.1.0-1] lasts while it is connected, however long', async () => {
    const config = { sessionExpirySecondsMax: 600 };
    const { peer, publish, clock } = await startMqtt({ config });
    for (const clean of [true, false]) {
      const client = peer();
      await client.connect({ ...KEPT, clientId: `${clean}`, version, clean, expiry: 5 });
      await client.subscribe({ filter: 'a', qos: 1 });
      await clock.pass(10_000_000);
      await publish('a', 'x');
      expect(texts(client)).toEqual(['x']);
    }
  });

  it('[MQTT5-4.1.0-2] is discarded when it is away for too long', async () => {
    const { peer, broker, clock } = await startMqtt({ config: { sessionExpirySecondsMax: 600 } });
    const first = peer();
    await first.connect({ ...KEPT, version });
    await first.subscribe({ filter: 'a', qos: 1 });
    await first.drop();
    expect(await broker.state.list('mqtt/session/', { countMax: 10 })).toHaveLength(1);
    await clock.pass(601_000);
    expect(await broker.state.list('mqtt/session/', { countMax: 10 })).toEqual([]);
    expect((await peer().connect({ ...KEPT, version })).sessionPresent).toBe(false);
  });
});

describe.each(VERSIONS)('The answer to a CONNECT of MQTT %s', (version) => {
  it('[MQTT4-3.1.4-4] [MQTT5-3.1.4-5] [MQTT-3.2.0-1] [MQTT5-3.2.0-2] is one CONNACK, before all else', async () => {
    const { peer, publish } = await startMqtt();
    const before = peer();
    await before.connect({ ...KEPT, version });
    await before.subscribe({ filter: 'a', qos: 1 });
    await before.drop();
    await publish('a', 'waits');
    const client = peer();
    await client.send(
      connectPacket({ ...KEPT, version }),
      subscribePacket(1, ['b']),
      publishPacket('b', 'own', { qos: 1, packetId: 2 }),
      { kind: 'pingreq' },
    );
    const [first, ...rest] = client.take();
    expect(first).toMatchObject({ kind: 'connack', reason: 0 });
    const kinds = rest.map(({ kind }) => kind).toSorted();
    expect(kinds).toEqual(['pingresp', 'puback', 'publish', 'publish', 'suback']);
  });

  it('[MQTT4-3.1.4-5] [MQTT5-3.1.4-6] [MQTT5-3.14.0-1] [MQTT5-4.13.2-1] is the last, where it refuses', async () => {
    const { peer, hub } = await startMqtt();
    const client = peer();
    await client.send(
      connectPacket({ version, userName: 'eve', password: 'eve' }),
      publishPacket('a', 'x', { qos: 1, packetId: 1 }),
      subscribePacket(2, ['a']),
    );
    const reason = version === 5 ? 0x86 : 4;
    expect(client.take()).toMatchObject([{ kind: 'connack', reason, sessionPresent: false }]);
    expect(client.isOver).toBe(true);
    const caller = { identity: anonymous, session: 's' };
    expect((await hub.history(caller, 'a', { countMax: 10 })).messages).toEqual([]);
    expect(hub.activeChannels('#')).toEqual([]);
  });

  it('[MQTT-3.1.4-1] is no welcome where CONNECT breaks the rules, and in 3.1.1 no CONNACK', async () => {
    const whole = encode(connectPacket({ version, clientId: 'c' }), version);
    const wrongFlag = Buffer.from(whole);
    // Behind the header and the protocol's name and level: the flag that is reserved.
    wrongFlag[9] = (wrongFlag[9] ?? 0) | 1;
    const badText = Buffer.from(whole);
    badText[whole.length - 1] = 0xff;
    for (const bytes of [wrongFlag, badText]) {
      const { peer, protocol } = await startMqtt();
      const client = peer({ version });
      await client.sendRaw(bytes);
      expect(client.isOver).toBe(true);
      expect(client.take()).toMatchObject(version === 4 ? [] : [{ kind: 'connack', reason: 0x81 }]);
      expect([...protocol.connections]).toEqual([]);
    }
  });

  it('[MQTT4-3.2.2-6] [MQTT5-3.14.0-1] is none where no code of 3.1.1 fits', async () => {
    const { peer } = await startMqtt();
    const client = peer();
    await client.send(connectPacket({ version, will: { topic: '$SYS/x' } }));
    const reasons = client.take().map((one) => (one.kind === 'connack' ? one.reason : one.kind));
    expect(reasons).toEqual(version === 5 ? [0x90] : []);
    expect(client.isOver).toBe(true);
  });

  it('[MQTT5-3.14.0-1] is no DISCONNECT, whatever ends the connection before', async () => {
    const { peer, protocol, clock } = await startMqtt({
      loginOf: () => async () => {
        await new Promise(() => {});
        throw new CodedError('unavailable', 'never');
      },
    });
    const [drained, late] = [peer(), peer()];
    for (const one of [drained, late]) await one.send(connectPacket({ version }));
    const [connection] = protocol.connections;
    connection?.close({ code: 'draining' });
    await clock.pass(11_000);
    for (const one of [drained, late]) {
      expect(one.isOver).toBe(true);
      const busy = { kind: 'connack', reason: version === 5 ? 0x88 : 3 };
      expect(one.take()).toMatchObject([busy]);
    }
  });
});

describe('CONNACK of MQTT 5.0', () => {
  it('[MQTT-3.1.2-28] has no response information, asked for or not', async () => {
    const { peer } = await startMqtt();
    for (const requestResponseInformation of [0, 1] as const) {
      const { properties } = await peer().connect({ properties: { requestResponseInformation } });
      expect(properties).not.toHaveProperty('responseInformation');
    }
  });

  it('[MQTT5-3.2.2-22] leaves the keep alive to the client where it names none', async () => {
    const { peer, clock } = await startMqtt();
    const client = peer();
    expect((await client.connect({ keepAlive: 10 })).properties.serverKeepAlive).toBeUndefined();
    await clock.pass(14_900);
    expect(client.isOver).toBe(false);
    await clock.pass(500);
    expect(client.expectEnd()).toBe(0x8d);
  });

  it('[MQTT5-3.1.3-7] names the identifier that the server chose, which counts as its own', async () => {
    const { peer } = await startMqtt();
    const first = peer();
    const { assignedClientIdentifier: clientId = '' } = (await first.connect()).properties;
    await peer().connect({ clientId });
    expect(first.expectEnd()).toBe(0x8e);
  });
});

describe.each(VERSIONS)('A will of MQTT %s', (version) => {
  const will = { topic: 'gone', payload: 'will', qos: 1 } as const;

  it.each([true, false])(
    '[MQTT4-3.1.2-16] [MQTT4-3.1.2-17] [MQTT5-3.1.2-14] [MQTT5-3.1.2-15] is retained as it says: %s',
    async (retain) => {
      const { peer, listener } = await startListening();
      const client = peer();
      await client.connect({ version, clientId: 'c', will: { ...will, retain } });
      await client.drop();
      await listener.settle();
      expect(listener.takeKind('publish')).toMatchObject([{ topic: 'gone', retain }]);
      const later = peer();
      await later.connect({ version, clientId: 'later' });
      await later.subscribe('gone');
      expect(texts(later)).toEqual(retain ? ['will'] : []);
    },
  );

  it('[MQTT4-3.1.2-12] is not published where there is none', async () => {
    const { peer, listener } = await startListening();
    const client = peer();
    await client.connect({ version, clientId: 'c', will });
    await client.disconnect();
    const without = peer();
    await without.connect({ version, clientId: 'c' });
    await without.drop();
    await listener.settle();
    listener.expectNothing();
  });
});

describe('A will of MQTT 5.0', () => {
  const will = { topic: 'gone', payload: 'will', properties: { willDelayInterval: 30 } };

  it('[MQTT5-3.1.2-7] is kept with the session, and published without a connection', async () => {
    const { peer, listener, clock } = await startListening();
    const client = peer();
    await client.connect({ ...KEPT, will });
    await client.drop();
    await clock.pass(29_000);
    listener.expectNothing();
    await clock.pass(2_000);
    expect(texts(listener)).toEqual(['will']);
  });

  it('[MQTT5-3.1.3-9] is not published where the client comes again before', async () => {
    const { peer, listener, clock } = await startListening();
    const client = peer();
    await client.connect({ ...KEPT, will });
    await client.drop();
    await clock.pass(20_000);
    await peer().connect(KEPT);
    await clock.pass(60_000);
    listener.expectNothing();
  });

  it('[MQTT5-3.1.3-10] keeps its user properties in their order', async () => {
    const { peer, listener } = await startListening();
    const userProperties = [
      ['b', '1'],
      ['a', '2'],
      ['b', '0'],
    ] as const;
    const client = peer();
    await client.connect({ will: { topic: 'gone', properties: { userProperties } } });
    await client.drop();
    await listener.settle();
    const [told] = listener.takeKind('publish');
    expect(told?.properties.userProperties).toEqual(userProperties);
  });
});

describe.each(VERSIONS)('PINGREQ of MQTT %s', (version) => {
  it('[MQTT-3.12.4-1] is answered by PINGRESP', async () => {
    const { peer } = await startMqtt();
    const client = peer({ version });
    await client.connect({ version });
    const ping = encode({ kind: 'pingreq' }, version);
    await client.sendRaw(ping, Buffer.concat([ping, ping]));
    expect(client.take().map(({ kind }) => kind)).toEqual(['pingresp', 'pingresp', 'pingresp']);
  });
});

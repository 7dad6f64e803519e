import { payloadText } from '@trunkline/testkit';
import type { MqttPeer } from '@trunkline/testkit';
import { describe, expect, it } from 'vitest';
import { startMqtt } from '../mqtt-setup.ts';

const DURABLE = { clientId: 'r', clean: false, expiry: 600 };

/** What came, as `topic QoS payload`; and a `!` where it is sent again. */
function messages(peer: MqttPeer): string[] {
  return peer.takeKind('publish').map(({ topic, qos, payload, dup }) => {
    return `${topic} ${qos} ${payloadText(payload)}${dup ? '!' : ''}`;
  });
}

describe('Subscriptions that overlap', () => {
  it('[MQTT-3.3.5-1] [MQTT5-3.3.4-2] deliver a message once, with the highest QoS of them', async () => {
    const { peer, publish } = await startMqtt();
    for (const version of [4, 5] as const) {
      const reader = peer({ autoAck: true });
      await reader.connect({ version, clientId: `r${version}` });
      await reader.subscribe([
        { filter: 'a/+', qos: 1 },
        { filter: 'a/#', qos: 2 },
        { filter: 'a/x', qos: 0 },
      ]);
      await publish('a/x', 'one');
      await publish('a/y/z', 'two');
      expect(messages(reader).toSorted()).toEqual(['a/x 2 one', 'a/y/z 2 two']);
    }
  });

  it('[MQTT-3.3.4-3] [MQTT-3.3.4-4] say the identifiers of all that match', async () => {
    const { peer, publish } = await startMqtt();
    const reader = peer();
    await reader.connect();
    for (const [filter, id] of [['a/+', 3], ['a/x', 1], ['a/#', 2], ['a/y']] as const) {
      const properties = id === undefined ? {} : { subscriptionIdentifiers: [id] };
      await reader.subscribe([filter], { properties });
    }
    await publish('a/x', 'one');
    await publish('a/y', 'two');
    await publish('a/b/c', 'three');
    const got = reader.takeKind('publish').map(({ topic, properties }) => {
      return [topic, properties.subscriptionIdentifiers];
    });
    expect(Object.fromEntries(got)).toEqual({ 'a/x': [1, 2, 3], 'a/y': [2, 3], 'a/b/c': [2] });
    await reader.unsubscribe('a/+');
    await publish('a/x', 'four');
    expect(reader.expectPacket('publish').properties.subscriptionIdentifiers).toEqual([1, 2]);
  });

  it('leave out what the session published where all that match are "no local"', async () => {
    const { peer } = await startMqtt();
    const reader = peer();
    await reader.connect();
    await reader.subscribe([
      { filter: 'a/x', noLocal: true },
      { filter: 'a/#', noLocal: true },
      { filter: 'a/+/y' },
    ]);
    await reader.publish('a/x', 'not this');
    await reader.publish('a/q', 'nor this');
    expect(messages(reader)).toEqual([]);
    await reader.publish('a/b/y', 'but this');
    expect(messages(reader)).toEqual(['a/b/y 0 but this']);
    await reader.subscribe([{ filter: 'a/+' }]);
    await reader.publish('a/x', 'from here on');
    expect(messages(reader)).toEqual(['a/x 0 from here on']);
    await reader.unsubscribe('a/+');
    await reader.publish('a/x', 'not any more');
    expect(messages(reader)).toEqual([]);
  });

  it.each([
    ['the pattern first', ['a/+', 'a/x']],
    ['the name first', ['a/x', 'a/+']],
    ['two patterns', ['a/#', '+/x']],
  ] as const)('go on where they were, %s', async (_, filters) => {
    const { peer, publish } = await startMqtt();
    const first = peer({ autoAck: true });
    await first.connect(DURABLE);
    for (const filter of filters) await first.subscribe([{ filter, qos: 2 }]);
    for (const text of ['1', '2', '3']) await publish('a/x', text);
    expect(messages(first)).toEqual(['a/x 2 1', 'a/x 2 2', 'a/x 2 3']);
    await first.drop();
    await publish('a/x', '4');
    const second = peer({ autoAck: true });
    expect(await second.connect(DURABLE)).toMatchObject({ sessionPresent: true });
    expect(messages(second)).toEqual(['a/x 2 4']);
    await second.drop();
    const third = peer({ autoAck: true });
    await third.connect(DURABLE);
    expect(messages(third)).toEqual([]);
  });

  it('[MQTT-3.10.4-2] lose nothing of what others want when one of them is given up', async () => {
    const { peer, publish } = await startMqtt();
    const reader = peer();
    await reader.connect({ properties: { receiveMaximum: 1 } });
    await reader.subscribe([{ filter: 'a/+', qos: 1 }]);
    await reader.subscribe([{ filter: 'a/x', qos: 1 }]);
    await Promise.all(['1', '2', '3'].map((text) => publish('a/x', text)));
    await reader.unsubscribe('a/x');
    reader.autoAck = true;
    await reader.ack('puback', reader.expectPacket('publish').packetId);
    expect(messages(reader)).toEqual(['a/x 1 2', 'a/x 1 3']);
  });
});

describe('A subscription that was replaced, and goes on for others', () => {
  /** It is behind: one message is under way, the others wait. */
  async function replaced() {
    const server = await startMqtt();
    const client = server.peer();
    await client.connect({ ...DURABLE, properties: { receiveMaximum: 1 } });
    await client.subscribe([{ filter: 'a/#', qos: 0 }]);
    await client.subscribe([{ filter: 'a/+', qos: 2 }]);
    for (const text of ['1', '2', '3', '4']) await server.publish('a/x', text);
    await client.subscribe([{ filter: 'a/#', qos: 2 }]);
    return { ...server, client };
  }

  async function acknowledge(client: MqttPeer): Promise<void> {
    client.autoAck = true;
    for (const { packetId } of client.takeKind('publish')) await client.ack('pubrec', packetId);
  }

  it('says to all where they stand by what it is sent', async () => {
    const { client, peer } = await replaced();
    await acknowledge(client);
    expect(messages(client)).toEqual(['a/x 2 2', 'a/x 2 3', 'a/x 2 4']);
    await client.drop();
    const next = peer({ autoAck: true });
    expect((await next.connect(DURABLE)).sessionPresent).toBe(true);
    expect(messages(next)).toEqual([]);
  });

  it('knows what is subscribed to later', async () => {
    const { client, publish, peer } = await replaced();
    await client.unsubscribe('a/+');
    const properties = { subscriptionIdentifiers: [7] };
    await client.subscribe([{ filter: '+/x', qos: 2, noLocal: true }], { properties });
    await publish('a/x', '5');
    await acknowledge(client);
    const got = messages(client);
    expect(got.slice(-1)).toEqual(['a/x 2 5']);
    expect(new Set(got).size).toBe(got.length);
    await client.drop();
    const next = peer({ autoAck: true });
    await next.connect(DURABLE);
    expect(messages(next)).toEqual([]);
  });
});

describe('Subscribing again', () => {
  it.each([
    ['QoS 1 to 2', { qos: 1 }, { qos: 2 }],
    ['no local', { qos: 1 }, { qos: 1, noLocal: true }],
    ['QoS 0 to 1', { qos: 0 }, { qos: 1 }],
    ['QoS 2 to 0', { qos: 2 }, { qos: 0 }],
  ] as const)('[MQTT5-3.8.4-4] loses no message: %s', async (_, before, after) => {
    for (const filter of ['a/x', 'a/+']) {
      const { peer, publish } = await startMqtt();
      const reader = peer();
      await reader.connect({ ...DURABLE, properties: { receiveMaximum: 1 } });
      await reader.subscribe([{ filter, ...before }]);
      for (const text of ['1', '2', '3']) await publish('a/x', text);
      await reader.subscribe([{ filter, ...after }]);
      await publish('a/x', '4');
      reader.autoAck = true;
      for (const { qos, packetId } of reader.received.filter((one) => one.kind === 'publish')) {
        if (qos > 0) await reader.ack(qos === 1 ? 'puback' : 'pubrec', packetId);
      }
      const texts = messages(reader).map((text) => text.split(' ').at(-1));
      expect(texts).toEqual(['1', '2', '3', '4']);
    }
  });

  it('[MQTT-3.8.4-3] changes what is granted from here on', async () => {
    const { peer, publish } = await startMqtt();
    const reader = peer({ autoAck: true });
    await reader.connect();
    await reader.subscribe([{ filter: 'a', qos: 2 }], {
      properties: { subscriptionIdentifiers: [7] },
    });
    await publish('a', '1');
    await reader.subscribe([{ filter: 'a', qos: 1, noLocal: true }]);
    await publish('a', '2');
    await reader.publish('a', 'own');
    const got = reader.takeKind('publish');
    expect(got.map(({ qos, properties }) => [qos, properties.subscriptionIdentifiers])).toEqual([
      [2, [7]],
      [1, undefined],
    ]);
  });
});

describe('A channel that is delivered by a pattern as yet', () => {
  it('is kept from where it stands once it is granted more than QoS 0', async () => {
    const { peer, publish, clock } = await startMqtt();
    const reader = peer();
    await reader.connect(DURABLE);
    await reader.subscribe([{ filter: 'a/+', qos: 1 }]);
    // More than the window has room for.
    for (let at = 1; at <= 10; at += 1) await publish('a/x', `${at}`);
    await reader.subscribe([{ filter: 'a/x', qos: 0 }]);
    for (const { packetId } of reader.takeKind('publish')) await reader.ack('puback', packetId);
    await publish('a/x', '11');
    await reader.subscribe([{ filter: 'a/x', qos: 1 }]);
    await reader.unsubscribe('a/+');
    for (const { packetId } of reader.takeKind('publish')) await reader.ack('puback', packetId);
    await clock.pass(2_000);
    await reader.drop();
    const next = peer();
    expect((await next.connect(DURABLE)).sessionPresent).toBe(true);
    expect(messages(next)).toEqual([]);
  });
});

describe('A session that is kept', () => {
  it('goes on in volatile channels with what comes then', async () => {
    const { peer, publish } = await startMqtt({ rulesOf: () => ({ volatile: true }) });
    const first = peer();
    await first.connect(DURABLE);
    await first.subscribe([{ filter: 'a', qos: 1 }]);
    await first.drop();
    await publish('a', 'nobody is there');
    const second = peer();
    expect(await second.connect(DURABLE)).toMatchObject({ reason: 0, sessionPresent: true });
    await publish('a', 'now');
    expect(messages(second)).toEqual(['a 0 now']);
  });

  it('is resumed whatever the limit of subscriptions is by then', async () => {
    const config = { subscriptionsMax: 3 };
    const { peer, restart, publish } = await startMqtt({ config });
    const first = peer();
    await first.connect(DURABLE);
    await first.subscribe([
      { filter: 'a', qos: 1 },
      { filter: 'b', qos: 1 },
    ]);
    await first.drop();
    config.subscriptionsMax = 1;
    const second = (await restart()).peer();
    expect(await second.connect(DURABLE)).toMatchObject({ reason: 0, sessionPresent: true });
    await publish('b', 'two');
    expect(messages(second)).toEqual(['b 1 two']);
  });
});

import { connectPacket, packetText, payloadText, publishPacket } from '@trunkline/testkit';
import type { MqttPeer } from '@trunkline/testkit';
import { describe, expect, it } from 'vitest';
import { encode } from '../../../../src/protocols/mqtt/codec/encode.ts';
import { GAP_PROPERTY } from '../../../../src/protocols/mqtt/session/losses.ts';
import { heldState } from '../held-state.ts';
import { anonymous, startMqtt } from '../mqtt-setup.ts';

const VERSIONS = [4, 5] as const;
const KEPT = { clientId: 'k', clean: false, expiry: 600 };

/** What came and was not taken, in a few words. */
function said(peer: MqttPeer): string[] {
  return peer.take().map(packetText);
}

describe('MqttSession', () => {
  it.each([4, 5] as const)('delivers what is published in MQTT %s', async (version) => {
    const { peer } = await startMqtt();
    const reader = peer({ autoAck: true });
    const writer = peer();
    expect(await reader.connect({ version, clientId: 'r' })).toMatchObject({ reason: 0 });
    await writer.connect({ version, clientId: 'w' });
    const suback = await reader.subscribe([
      { filter: 'a/b', qos: 0 },
      { filter: 'c/+', qos: 1 },
      { filter: 'd/#', qos: 2 },
    ]);
    expect(suback.reasons).toEqual([0, 1, 2]);
    for (const qos of [0, 1, 2] as const) {
      await writer.publishThrough('a/b', `a${qos}`, qos);
      await writer.publishThrough('c/x', `c${qos}`, qos);
      await writer.publishThrough('d', `d${qos}`, qos);
    }
    const got = reader.received.filter((packet) => packet.kind === 'publish');
    expect(got.map(({ topic, qos, payload }) => `${topic} ${qos} ${payloadText(payload)}`)).toEqual(
      [
        'a/b 0 a0',
        'c/x 0 c0',
        'd 0 d0',
        'a/b 0 a1',
        'c/x 1 c1',
        'd 1 d1',
        'a/b 0 a2',
        'c/x 1 c2',
        'd 2 d2',
      ],
    );
  });

  it.each([4, 5] as const)('keeps a session of MQTT %s without a connection', async (version) => {
    const { peer } = await startMqtt();
    const options = {
      version,
      clientId: 'r',
      clean: false,
      ...(version === 5 ? { expiry: 60 } : {}),
    };
    const before = peer();
    expect(await before.connect(options)).toMatchObject({ sessionPresent: false });
    await before.subscribe([
      { filter: 'c/x', qos: 1 },
      { filter: 'd/+', qos: 2 },
    ]);
    const writer = peer();
    await writer.connect({ version, clientId: 'w' });
    await writer.publishThrough('c/x', 'c1', 1);
    await writer.publishThrough('d/y', 'd1', 2);
    expect(before.expectPayloads(2)).toEqual(['c1', 'd1']);
    await before.drop();
    await writer.publishThrough('c/x', 'c2', 1);
    await writer.publishThrough('d/z', 'd2', 2);
    const after = peer({ autoAck: true });
    expect(await after.connect(options)).toMatchObject({ sessionPresent: true });
    const got = after.received.filter((packet) => packet.kind === 'publish');
    expect(got.map(({ topic, dup, payload }) => `${topic} ${dup} ${payloadText(payload)}`)).toEqual(
      ['c/x true c1', 'd/y true d1', 'c/x false c2', 'd/z false d2'],
    );
  });
});

describe('Delivery of QoS 2', () => {
  it.each(VERSIONS)(
    '[MQTT4-4.3.3-1] [MQTT5-4.3.3-2] [MQTT5-4.3.3-4] stores what MQTT %s is sent, and what it said, before more',
    async (version) => {
      const held = heldState();
      const { peer, publish } = await startMqtt({ stateOf: held.stateOf });
      const client = peer();
      await client.connect({ ...KEPT, version });
      await client.subscribe([{ filter: 'a', qos: 2 }]);
      held.hold();
      await publish('a', 'x');
      client.expectNothing();
      held.releaseOne();
      await client.settle();
      expect(said(client)).toEqual(['publish a q2 #1']);
      await client.ack('pubrec', 1);
      client.expectNothing();
      held.releaseOne();
      await client.settle();
      expect(said(client)).toEqual(['pubrel #1 0x00']);
      // [MQTT-4.3.3-5]: said again, it is answered again.
      held.release();
      await client.ack('pubrec', 1);
      expect(said(client)).toEqual(['pubrel #1 0x00']);
      await client.ack('pubcomp', 1);
      client.expectNothing();
    },
  );

  it('[MQTT5-4.4.0-2] ends with a PUBREC that refuses the message', async () => {
    const { peer, publish } = await startMqtt();
    const client = peer();
    await client.connect({ properties: { receiveMaximum: 1 } });
    await client.subscribe([{ filter: 'a', qos: 2 }]);
    await publish('a', '1');
    await publish('a', '2');
    await client.ack('pubrec', client.expectPacket('publish').packetId, 0x80);
    expect(client.expectPayloads(1)).toEqual(['2']);
  });
});

describe('[MQTT-4.4.0-1] What was not acknowledged', () => {
  it.each(VERSIONS)(
    'is sent to MQTT %s again in its order, with its packet identifiers',
    async (version) => {
      const { peer, publish } = await startMqtt();
      const first = peer();
      await first.connect({ ...KEPT, version });
      await first.subscribe([
        { filter: 'a', qos: 1 },
        { filter: 'b', qos: 2 },
      ]);
      for (const channel of ['a', 'b', 'a', 'b', 'a']) await publish(channel, 'x');
      await first.ack('puback', 3);
      await first.ack('pubrec', 2);
      await first.drop();
      await publish('a', 'new');
      const second = peer();
      expect((await second.connect({ ...KEPT, version })).sessionPresent).toBe(true);
      expect(said(second)).toEqual([
        'publish a q1 #1 dup',
        'pubrel #2 0x00',
        'publish b q2 #4 dup',
        'publish a q1 #5 dup',
        'publish a q1 #6',
      ]);
    },
  );

  it.each(VERSIONS)('is sent to MQTT %s again after a crash of the server', async (version) => {
    const { peer, publish, restart, clock } = await startMqtt();
    const first = peer();
    await first.connect({ ...KEPT, version });
    await first.subscribe([{ filter: 'a', qos: 1 }]);
    await publish('a', '1');
    await publish('a', '2');
    await first.ack('puback', 1);
    // Acknowledgements are stored within this time.
    await clock.pass(1_000);
    await publish('a', '3');
    first.link.setFaults({ freeze: true });
    const second = (await restart()).peer();
    expect((await second.connect({ ...KEPT, version })).sessionPresent).toBe(true);
    expect(second.takeKind('publish').map(({ payload }) => payloadText(payload))).toEqual([
      '2',
      '3',
    ]);
  });

  it('[MQTT-3.3.4-9] keeps to what the client takes at once by then', async () => {
    const { peer, publish } = await startMqtt();
    const first = peer();
    await first.connect(KEPT);
    await first.subscribe([{ filter: 'a', qos: 1 }]);
    for (const text of ['1', '2', '3']) await publish('a', text);
    await first.drop();
    const second = peer();
    await second.connect({ ...KEPT, properties: { receiveMaximum: 1 } });
    expect(said(second)).toEqual(['publish a q1 #1 dup']);
    await second.ack('puback', 1);
    expect(said(second)).toEqual(['publish a q1 #2 dup']);
  });
});

describe('A session that goes on', () => {
  it('is stored as connected before anything leaves', async () => {
    const held = heldState();
    const { peer } = await startMqtt({ stateOf: held.stateOf });
    const [first, writer] = [peer(), peer()];
    await first.connect(KEPT);
    await first.subscribe([{ filter: 'a', qos: 1 }]);
    await first.drop();
    await writer.connect();
    await writer.publish('a', 'zero');
    const second = peer();
    held.hold();
    await second.send(connectPacket(KEPT));
    held.releaseOne(); // It is read.
    await second.settle();
    second.expectNothing();
    held.releaseOne();
    await second.settle();
    expect(said(second)).toEqual(['connack 0x00 session present', 'publish a q0']);
  });

  it('does not run out by the time of the connection before', async () => {
    const { peer, restart, clock } = await startMqtt();
    const first = peer();
    await first.connect(KEPT);
    await first.drop();
    await clock.pass(500_000);
    const second = peer();
    second.link.receive(encode(connectPacket(KEPT), 5));
    // The server is gone as soon as the client has its answer.
    for (let turn = 0; turn < 50 && second.received.length === 0; turn += 1) {
      await Promise.resolve();
      clock.runDeferred();
    }
    expect(second.expectPacket('connack').sessionPresent).toBe(true);
    second.link.setFaults({ freeze: true });
    const next = await restart();
    await clock.pass(500_000);
    expect((await next.peer().connect(KEPT)).sessionPresent).toBe(true);
  });

  it('is sent nothing of QoS 0 again after a crash', async () => {
    const { peer, restart, clock } = await startMqtt();
    const [first, writer] = [peer(), peer()];
    await first.connect(KEPT);
    await first.subscribe([{ filter: 'a', qos: 1 }]);
    await first.drop();
    await writer.connect();
    await writer.publish('a', 'zero');
    const second = peer();
    await second.connect(KEPT);
    expect(second.expectPayloads(1)).toEqual(['zero']);
    await clock.pass(10);
    second.link.setFaults({ freeze: true });
    const third = (await restart()).peer();
    expect((await third.connect(KEPT)).sessionPresent).toBe(true);
    third.expectNothing();
  });
});

describe('Limits of a client', () => {
  it('[MQTT-3.3.4-9] Receive Maximum holds, and what is behind it comes later', async () => {
    const { peer, publish } = await startMqtt();
    const client = peer();
    await client.connect({ properties: { receiveMaximum: 2 } });
    await client.subscribe([
      { filter: 'a', qos: 1 },
      { filter: 'z', qos: 0 },
    ]);
    for (const text of ['1', '2', '3', '4']) await publish('a', text);
    await publish('z', 'zero');
    expect(client.expectPayloads(3)).toEqual(['1', '2', 'zero']);
    client.expectNothing();
    await client.ack('puback', 2);
    expect(client.expectPayloads(1)).toEqual(['3']);
    await client.ack('puback', 1);
    await client.ack('puback', 3);
    expect(client.expectPayloads(1)).toEqual(['4']);
  });

  it('[MQTT-3.1.2-25] Maximum Packet Size: what is larger is left out', async () => {
    const { peer, publish } = await startMqtt();
    const client = peer({ packetSizeMax: 60 });
    await client.connect({ clientId: 'c', properties: { maximumPacketSize: 60 } });
    await client.subscribe([{ filter: 'a', qos: 1 }]);
    await publish('a', 'x'.repeat(60));
    await publish('a', 'small');
    expect(client.expectPayloads(1)).toEqual(['small']);
  });

  it('[MQTT-3.1.2-26] [MQTT5-3.3.2-11] Topic Alias Maximum: no alias is higher', async () => {
    const { peer, publish } = await startMqtt();
    const client = peer();
    await client.connect({ properties: { topicAliasMaximum: 1 } });
    await client.subscribe(['#']);
    for (const channel of ['long/name', 'other/name', 'long/name', 'other/name']) {
      await publish(channel, 'x');
    }
    const got = client.takeKind('publish').map(({ topic, properties: { topicAlias } }) => {
      return [topic, topicAlias];
    });
    expect(got).toEqual([
      ['long/name', 1],
      ['other/name', undefined],
      ['', 1],
      ['other/name', undefined],
    ]);
    const none = peer();
    await none.connect();
    await none.subscribe(['#']);
    await publish('long/name', 'x');
    await publish('long/name', 'x');
    for (const { topic, properties } of none.takeKind('publish')) {
      expect([topic, properties.topicAlias]).toEqual(['long/name', undefined]);
    }
  });
});

describe('What a message says', () => {
  it('[MQTT-3.3.2-15] [MQTT-3.3.2-18] hands on the properties of its publisher, in their order', async () => {
    const { peer } = await startMqtt();
    const [writer, reader] = [peer(), peer()];
    await reader.connect();
    await reader.subscribe(['a']);
    await writer.connect();
    const properties = {
      payloadFormatIndicator: 1 as const,
      contentType: 'Text/Plain',
      responseTopic: 'answers/here',
      correlationData: Buffer.from([1, 2, 3]),
      userProperties: [
        ['b', '2'],
        ['a', '1'],
        ['b', '1'],
      ] as const,
    };
    await writer.publish('a', 'x', { properties });
    const got = reader.expectPacket('publish').properties;
    expect({ ...got, correlationData: Buffer.from(got.correlationData ?? []) }).toEqual(properties);
  });

  it('says what messages of other protocols are', async () => {
    const { peer, publish } = await startMqtt();
    const client = peer({ autoAck: true });
    await client.connect();
    await client.subscribe([{ filter: 'a', qos: 2 }]);
    await publish('a', '{"n":1}');
    await publish('a', 'text', { contentType: 'text/plain' });
    await publish('a', 'bytes', { contentType: 'image/png' });
    const got = client.takeKind('publish').map(({ qos, properties }) => {
      return [qos, properties.contentType, properties.payloadFormatIndicator];
    });
    expect(got).toEqual([
      [2, 'application/json', 1],
      [2, 'text/plain', 1],
      [2, 'image/png', undefined],
    ]);
  });

  it('[MQTT5-3.3.1-12] [MQTT-3.3.1-13] says that it was retained to who asks for it', async () => {
    const { peer } = await startMqtt();
    const client = peer();
    await client.connect();
    await client.subscribe([{ filter: 'a' }, { filter: 'b', retainAsPublished: true }]);
    for (const channel of ['a', 'b']) {
      await client.publish(channel, 'x', { retain: true });
      await client.publish(channel, 'y');
    }
    const got = client.takeKind('publish').map(({ topic, retain }) => [topic, retain]);
    expect(got).toEqual([
      ['a', false],
      ['a', false],
      ['b', true],
      ['b', false],
    ]);
  });

  it('[MQTT5-3.8.3-3] is not for its own session where that wants it so', async () => {
    const { peer } = await startMqtt();
    const [client, other] = [peer(), peer()];
    await client.connect(KEPT);
    await other.connect();
    await client.subscribe([{ filter: 'a', noLocal: true }]);
    await client.publish('a', 'own');
    await other.publish('a', 'other');
    expect(client.expectPayloads(1)).toEqual(['other']);
    // Its session is its own, over another connection too.
    await client.drop();
    const next = peer();
    await next.connect(KEPT);
    await next.publish('a', 'own');
    next.expectNothing();
  });
});

describe('DISCONNECT', () => {
  it('[MQTT-3.14.2-2] changes how long the session is kept', async () => {
    const { peer, clock } = await startMqtt();
    const first = peer();
    await first.connect(KEPT);
    await first.disconnect(0, { sessionExpiryInterval: 5 });
    await clock.pass(4_000);
    const second = peer();
    expect((await second.connect(KEPT)).sessionPresent).toBe(true);
    await second.disconnect(0, { sessionExpiryInterval: 5 });
    await clock.pass(6_000);
    const third = peer();
    expect((await third.connect(KEPT)).sessionPresent).toBe(false);
    await third.disconnect(0, { sessionExpiryInterval: 0 });
    expect((await peer().connect(KEPT)).sessionPresent).toBe(false);
  });

  it('can not keep a session for longer than the server does', async () => {
    const { peer, clock } = await startMqtt();
    const client = peer();
    await client.connect(KEPT);
    await client.disconnect(0, { sessionExpiryInterval: 0xffffffff });
    await clock.pass(86_401_000);
    expect((await peer().connect(KEPT)).sessionPresent).toBe(false);
  });

  it('[MQTT-3.14.2-2] can not keep a session that was to end with its connection', async () => {
    const { peer, broker } = await startMqtt();
    const client = peer();
    await client.connect({ clientId: 'k' });
    await client.send({ kind: 'disconnect', reason: 0, properties: { sessionExpiryInterval: 5 } });
    expect(client.expectEnd()).toBe(0x82);
    expect(await broker.state.list('mqtt/', { countMax: 10 })).toEqual([]);
  });

  it.each(VERSIONS)('is the last that is read of MQTT %s', async (version) => {
    const { peer, hub } = await startMqtt();
    const client = peer();
    await client.connect({ version });
    const packets = [
      publishPacket('a', 'before'),
      { kind: 'disconnect', reason: 0, properties: {} } as const,
      publishPacket('a', 'after'),
    ];
    await client.sendRaw(Buffer.concat(packets.map((packet) => encode(packet, version))));
    expect(client.isOver).toBe(true);
    expect(client.link.goodbye?.code).toBe('normal');
    const caller = { identity: anonymous, session: 's' };
    const { messages } = await hub.history(caller, 'a', { countMax: 10 });
    expect(messages.map(({ payload }) => payloadText(payload))).toEqual(['before']);
  });
});

describe('A loss while a client is connected', () => {
  const rulesOf = () => ({ history: { countMax: 2, ageMsMax: 1e9, sizeMax: 1e9 } });

  async function fallBehind(version: 4 | 5, clean: boolean) {
    const server = await startMqtt({ rulesOf, config: { inflightMax: 1 } });
    const client = server.peer();
    await client.connect({ ...KEPT, version, clean });
    await client.subscribe([{ filter: 'a', qos: 1 }]);
    // Memory keeps some of what the log does not any more.
    for (let index = 0; index < 2_000; index += 1) {
      await server.hub.publish({ identity: anonymous, session: 's' }, 'a', {
        payload: Buffer.alloc(1_000, `${index % 10}`),
      });
      if (index % 50 === 0) await server.clock.settle();
    }
    await server.clock.settle();
    await client.ack('puback', 1);
    return { ...server, client };
  }

  it('is told in 5.0 with the next message', async () => {
    const { client } = await fallBehind(5, true);
    const got = client.takeKind('publish');
    expect(got).toHaveLength(2);
    const [[name, text] = []] = got[1]?.properties.userProperties ?? [];
    expect(name).toBe(GAP_PROPERTY);
    expect(JSON.parse(text ?? '')).toMatchObject({ channel: 'a', reason: 'trimmed', to: 1_998 });
  });

  it.each([true, false])(
    'ends the connection in 3.1.1, and its session, clean %s',
    async (clean) => {
      const { client, peer, hub } = await fallBehind(4, clean);
      expect(client.takeKind('publish')).toHaveLength(1);
      expect(client.isOver).toBe(true);
      expect(hub.activeChannels('#')).toEqual([]);
      expect((await peer().connect({ ...KEPT, version: 4 })).sessionPresent).toBe(false);
    },
  );
});

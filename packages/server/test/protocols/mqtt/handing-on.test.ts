/** Statements of the standards about messages on their way: flags, order, quota, retained ones. */
import { packetText, payloadText, publishPacket } from '@trunkline/testkit';
import type { MqttPeer } from '@trunkline/testkit';
import { CodedError } from '@trunkline/wire';
import { describe, expect, it } from 'vitest';
import { heldState } from './held-state.ts';
import { anonymous, startMqtt } from './mqtt-setup.ts';

const VERSIONS = [4, 5] as const;
const KEPT = { clientId: 'k', clean: false, expiry: 600 };

/** What came and was not taken, in a few words. */
function said(peer: MqttPeer): string[] {
  return peer.take().map(packetText);
}

function texts(peer: MqttPeer): string[] {
  return peer.takeKind('publish').map(({ payload }) => payloadText(payload));
}

/** A node, one who publishes and one who reads with QoS 2. */
async function startPair(version: 4 | 5, filter = 'a/#') {
  const world = await startMqtt();
  const [writer, reader] = [world.peer(), world.peer()];
  await writer.connect({ clientId: 'w', version });
  await reader.connect({ clientId: 'r', version });
  await reader.subscribe({ filter, qos: 2 });
  const logged = async (channel: string): Promise<string[]> => {
    const caller = { identity: anonymous, session: 's' };
    const { messages } = await world.hub.history(caller, channel, { countMax: 100 });
    return messages.map(({ payload }) => payloadText(payload));
  };
  return { ...world, writer, reader, logged };
}

describe.each(VERSIONS)('A PUBLISH of MQTT %s', (version) => {
  it('[MQTT-3.3.4-1] [MQTT4-4.3.2-2] [MQTT4-4.3.3-2] [MQTT5-4.3.3-8] is answered as its QoS asks', async () => {
    const { writer } = await startPair(version);
    await writer.publish('a/1', '0', { qos: 0 });
    expect(said(writer)).toEqual([]);
    await writer.publish('a/1', '1', { qos: 1, packetId: 8 });
    expect(said(writer)).toEqual(['puback #8 0x00']);
    await writer.publish('a/1', '2', { qos: 2, packetId: 9 });
    expect(said(writer)).toEqual(['pubrec #9 0x00']);
    await writer.ack('pubrel', 9);
    expect(said(writer)).toEqual(['pubcomp #9 0x00']);
  });

  it('[MQTT4-4.3.2-2] [MQTT5-4.3.2-5] of QoS 1 is a new one after its PUBACK, whatever DUP says', async () => {
    const { writer, logged } = await startPair(version);
    for (const dup of [false, false, true]) {
      await writer.publish('a/1', 'x', { qos: 1, packetId: 8, dup });
      expect(said(writer)).toEqual(['puback #8 0x00']);
    }
    expect(await logged('a/1')).toEqual(['x', 'x', 'x']);
  });

  it('[MQTT4-4.3.3-2] [MQTT-4.3.3-10] of QoS 2 is handed on once, until PUBREL', async () => {
    const { writer, reader, logged } = await startPair(version);
    for (const dup of [false, true, true]) {
      await writer.publish('a/1', 'x', { qos: 2, packetId: 8, dup });
      expect(said(writer)).toEqual(['pubrec #8 0x00']);
    }
    expect(texts(reader)).toEqual(['x']);
    await writer.ack('pubrel', 8);
    await writer.publish('a/1', 'y', { qos: 2, packetId: 8 });
    expect(await logged('a/1')).toEqual(['x', 'y']);
  });

  it('[MQTT-3.3.1-3] has a DUP of its own on its way to a subscriber', async () => {
    const { writer, reader } = await startPair(version);
    await writer.publish('a/1', 'x', { qos: 1, packetId: 1, dup: true });
    await writer.publish('a/2', 'y', { qos: 2, packetId: 2, dup: true });
    await reader.settle();
    expect(reader.takeKind('publish').map(({ dup }) => dup)).toEqual([false, false]);
  });

  it('[MQTT-3.3.2-3] comes with its topic, which the filter matches', async () => {
    const { writer, reader } = await startPair(version, 'a/+/x');
    const topics = ['a/b/x', 'a/b/y', 'b/b/x', 'a//x', 'a/x', 'a/b/x/c', 'A/b/x'];
    for (const topic of topics) await writer.publish(topic, topic);
    await reader.settle();
    const got = reader.takeKind('publish');
    expect(got.map(({ topic }) => topic)).toEqual(['a/b/x', 'a//x']);
    expect(got.map(({ payload }) => payloadText(payload))).toEqual(['a/b/x', 'a//x']);
  });

  it('[MQTT4-3.8.4-6] [MQTT-3.8.4-8] comes with the lower QoS of the two', async () => {
    const { writer, peer } = await startPair(version);
    for (const granted of [0, 1, 2] as const) {
      const reader = peer({ autoAck: true });
      await reader.connect({ clientId: `r${granted}`, version });
      await reader.subscribe({ filter: 'q', qos: granted });
      for (const qos of [0, 1, 2] as const) await writer.publishThrough('q', 'x', qos);
      await reader.settle();
      const got = reader.takeKind('publish').map(({ qos }) => qos);
      expect(got).toEqual([0, 1, 2].map((qos) => Math.min(qos, granted)));
    }
  });

  it('[MQTT4-4.6.0-5] [MQTT4-4.6.0-6] [MQTT5-4.6.0-5] [MQTT5-4.6.0-6] comes in the order it was sent', async () => {
    const { writer, reader } = await startPair(version);
    reader.autoAck = true;
    const packets = Array.from({ length: 60 }, (_, index) =>
      publishPacket('a/1', `${index}`, {
        ...(index % 3 === 0 ? {} : { qos: (index % 3) as 1 | 2, packetId: index }),
      }),
    );
    for (const packet of packets) {
      await writer.send(packet);
      if (packet.qos === 2) await writer.ack('pubrel', packet.packetId);
    }
    await reader.settle();
    expect(texts(reader)).toEqual(packets.map(({ payload }) => payloadText(payload)));
  });

  it('[MQTT4-4.8.0-2] that meets a passing fault ends its connection in 3.1.1', async () => {
    const { writer, hub } = await startPair(version);
    hub.publish = () => Promise.reject(new CodedError('unavailable', 'the disk is away'));
    await writer.publish('a/1', 'x', { qos: 1, packetId: 1 });
    expect(writer.isOver).toBe(version === 4);
    expect(said(writer)).toEqual(version === 4 ? [] : ['puback #1 0x80']);
  });
});

describe.each(VERSIONS)('What is sent to MQTT %s', (version) => {
  it('[MQTT4-4.3.2-1] [MQTT5-4.3.2-1] [MQTT5-4.3.2-2] [MQTT5-4.3.2-3] with QoS 1 is held until PUBACK', async () => {
    const { peer, publish } = await startMqtt();
    const first = peer();
    await first.connect({ ...KEPT, version });
    await first.subscribe({ filter: 'a', qos: 1 });
    for (const text of ['1', '2', '3']) await publish('a', text);
    const sent = first.takeKind('publish');
    expect(sent.map(packetText).join()).toBe('publish a q1 #1,publish a q1 #2,publish a q1 #3');
    const ids = sent.map(({ packetId }) => packetId);
    expect(new Set(ids).size).toBe(3);
    expect(ids).not.toContain(0);
    await first.ack('puback', ids[1] ?? 0);
    await first.drop();
    const second = peer();
    await second.connect({ ...KEPT, version });
    const again = [ids[0], ids[2]].map((id) => `publish a q1 #${id} dup`);
    expect(said(second)).toEqual(again);
    await second.drop();
    const third = peer();
    await third.connect({ ...KEPT, version });
    expect(said(third)).toEqual(again);
    for (const id of [ids[0], ids[2]]) await third.ack('puback', id ?? 0);
    await third.drop();
    const last = peer();
    await last.connect({ ...KEPT, version });
    last.expectNothing();
  });

  it('[MQTT4-4.3.3-1] [MQTT5-4.3.3-1] [MQTT5-4.3.3-2] [MQTT5-4.3.3-3] [MQTT-4.3.3-5] with QoS 2 is held until PUBREC, then PUBREL until PUBCOMP', async () => {
    const { peer, publish } = await startMqtt();
    const first = peer();
    await first.connect({ ...KEPT, version });
    await first.subscribe({ filter: 'a', qos: 2 });
    for (const text of ['1', '2']) await publish('a', text);
    const sent = first.takeKind('publish');
    expect(sent.map(packetText).join()).toBe('publish a q2 #1,publish a q2 #2');
    const [one = 0, two = 0] = sent.map(({ packetId }) => packetId);
    expect([one === two, one === 0, two === 0]).toEqual([false, false, false]);
    await first.drop();
    const second = peer();
    await second.connect({ ...KEPT, version });
    expect(said(second)).toEqual([`publish a q2 #${one} dup`, `publish a q2 #${two} dup`]);
    await second.ack('pubrec', one);
    expect(said(second)).toEqual([`pubrel #${one} 0x00`]);
    await second.drop();
    const third = peer();
    await third.connect({ ...KEPT, version });
    expect(said(third)).toEqual([`pubrel #${one} 0x00`, `publish a q2 #${two} dup`]);
    await third.ack('pubcomp', one);
    await third.drop();
    const last = peer();
    await last.connect({ ...KEPT, version });
    expect(said(last)).toEqual([`publish a q2 #${two} dup`]);
  });

  it('[MQTT-4.3.1-1] with QoS 0 has no DUP, and does not come again', async () => {
    const { peer } = await startMqtt();
    const [writer, first] = [peer(), peer()];
    await writer.connect({ clientId: 'w', version });
    await first.connect({ ...KEPT, version });
    await first.subscribe({ filter: 'a', qos: 0 });
    await writer.publish('a', 'x', { qos: 1, dup: true });
    await first.settle();
    expect(first.takeKind('publish')).toMatchObject([{ qos: 0, dup: false, packetId: 0 }]);
    await first.drop();
    const second = peer();
    await second.connect({ ...KEPT, version });
    second.expectNothing();
  });

  it('[MQTT5-4.4.0-1] does not come again while it is connected, however long', async () => {
    const { peer, publish, clock } = await startMqtt();
    const client = peer();
    await client.connect({ ...KEPT, version });
    await client.subscribe({ filter: 'a', qos: 2 });
    await publish('a', '1');
    await publish('a', '2');
    const [, second] = client.takeKind('publish');
    await client.ack('pubrec', second?.packetId ?? 0);
    client.expectPacket('pubrel');
    await clock.pass(1_000_000);
    client.expectNothing();
  });

  it('[MQTT-3.10.4-1] ends with the filter that is equal, letter by letter', async () => {
    const { peer, publish } = await startMqtt();
    const client = peer();
    await client.connect({ ...KEPT, version });
    await client.subscribe(['a/b', 'c/+']);
    await client.unsubscribe('A/b', 'a/+', 'a/b/', '/a/b', 'c/x', 'c/#');
    for (const topic of ['a/b', 'c/x']) await publish(topic, topic);
    expect(texts(client)).toEqual(['a/b', 'c/x']);
    await client.unsubscribe('a/b', 'c/+');
    for (const topic of ['a/b', 'c/x']) await publish(topic, topic);
    client.expectNothing();
  });

  it('[MQTT-4.6.0-4] has its PUBRELs in the order of the PUBRECs, however long they are stored', async () => {
    const held = heldState();
    const { peer, publish } = await startMqtt({ stateOf: held.stateOf });
    const client = peer();
    await client.connect({ ...KEPT, version });
    await client.subscribe({ filter: 'a', qos: 2 });
    for (const text of ['1', '2', '3', '4']) await publish('a', text);
    expect(client.takeKind('publish').map(({ packetId }) => packetId)).toEqual([1, 2, 3, 4]);
    held.hold();
    for (const id of [3, 1, 4, 2]) await client.ack('pubrec', id);
    client.expectNothing();
    held.release();
    await client.settle();
    expect(client.takeKind('pubrel').map(({ packetId }) => packetId)).toEqual([3, 1, 4, 2]);
  });
});

describe.each(VERSIONS)('What is retained, in MQTT %s', (version) => {
  it('[MQTT4-3.3.1-7] [MQTT-3.3.1-5] is the last one, of QoS 0 too', async () => {
    const { writer, reader } = await startPair(version, 'other');
    await writer.publish('a', 'first', { qos: 1, retain: true });
    await writer.publish('a', 'last', { qos: 0, retain: true });
    await reader.subscribe('a');
    expect(said(reader)).toEqual(['publish a q0 retained']);
    await reader.subscribe('a');
    expect(texts(reader)).toEqual(['last']);
  });

  it('[MQTT4-3.3.1-6] [MQTT4-3.3.1-8] is sent to a new subscription, for each topic, with RETAIN', async () => {
    const { writer, reader } = await startPair(version, 'other');
    for (const topic of ['a/1', 'a/2', 'b']) await writer.publish(topic, 'x', { retain: true });
    await reader.subscribe('a/+');
    expect(said(reader)).toEqual(['publish a/1 q0 retained', 'publish a/2 q0 retained']);
  });

  it('[MQTT4-3.3.1-9] [MQTT5-3.3.1-12] comes without RETAIN to a subscription there is', async () => {
    const { writer, reader } = await startPair(version);
    await writer.publish('a/1', 'x', { retain: true });
    await reader.settle();
    expect(said(reader)).toEqual(['publish a/1 q0']);
  });

  it('[MQTT4-3.3.1-10] [MQTT4-3.3.1-11] [MQTT5-3.3.1-6] [MQTT5-3.3.1-7] is cleared by an empty one, which is sent on', async () => {
    const { writer, reader, peer } = await startPair(version);
    await writer.publish('a/1', 'x', { retain: true });
    await writer.publish('a/1', '', { retain: true });
    await reader.settle();
    expect(texts(reader)).toEqual(['x', '']);
    const later = peer();
    await later.connect({ clientId: 'later', version });
    await later.subscribe('a/1');
    later.expectNothing();
  });

  it('[MQTT4-3.3.1-12] [MQTT5-3.3.1-8] stays as it is where a message has no RETAIN', async () => {
    const { writer, peer } = await startPair(version);
    await writer.publish('a/1', 'kept', { retain: true });
    await writer.publish('a/1', 'passing');
    await writer.publish('a/1', '');
    const later = peer();
    await later.connect({ clientId: 'later', version });
    await later.subscribe('a/1');
    expect(texts(later)).toEqual(['kept']);
  });
});

describe('The quota of MQTT 5.0', () => {
  it('[MQTT5-4.9.0-1] [MQTT5-4.9.0-2] [MQTT5-4.9.0-3] [MQTT5-3.3.4-10] holds back PUBLISH above QoS 0, and nothing else', async () => {
    const { peer, publish } = await startMqtt();
    const client = peer();
    await client.connect({ properties: { receiveMaximum: 2 } });
    await client.subscribe([{ filter: 'a', qos: 2 }, { filter: 'zero' }]);
    for (const text of ['1', '2', '3']) await publish('a', text);
    expect(texts(client)).toEqual(['1', '2']);
    await client.send({ kind: 'pingreq' });
    await client.publish('own', 'x', { qos: 1, packetId: 10 });
    await client.publish('own', 'x', { qos: 2, packetId: 11 });
    await client.ack('pubrel', 11);
    await publish('zero', 'x');
    expect((await client.subscribe('b')).reasons).toEqual([0]);
    expect((await client.unsubscribe('b')).reasons).toEqual([0]);
    await client.ack('pubrec', 1);
    expect(said(client)).toEqual([
      'pingresp',
      'puback #10 0x00',
      'pubrec #11 0x00',
      'pubcomp #11 0x00',
      'publish zero q0',
      'pubrel #1 0x00',
    ]);
    // PUBREC gives nothing back, PUBCOMP does.
    await client.ack('pubcomp', 1);
    expect(texts(client)).toEqual(['3']);
  });

  it('[MQTT5-4.9.0-1] is at first all, over each connection', async () => {
    const { peer, publish } = await startMqtt();
    for (const receiveMaximum of [3, 1, 5]) {
      const client = peer();
      await client.connect({ ...KEPT, clean: true, properties: { receiveMaximum } });
      await client.subscribe({ filter: 'a', qos: 1 });
      for (let count = 0; count < 8; count += 1) await publish('a', 'x');
      expect(texts(client)).toHaveLength(receiveMaximum);
    }
  });
});

describe('The time of a message of MQTT 5.0', () => {
  it('[MQTT5-4.3.3-7] [MQTT5-4.3.3-13] does not end what was begun', async () => {
    const { peer, clock } = await startMqtt();
    const [writer, first] = [peer(), peer()];
    await first.connect(KEPT);
    await first.subscribe({ filter: 'a', qos: 2 });
    await writer.connect({ ...KEPT, clientId: 'w' });
    const properties = { messageExpiryInterval: 5 };
    await writer.publish('a', 'short', { qos: 2, packetId: 7, properties });
    writer.expectPacket('pubrec');
    expect(said(first)).toEqual(['publish a q2 #1']);
    await first.drop();
    await clock.pass(60_000);
    const second = peer();
    await second.connect(KEPT);
    expect(said(second)).toEqual(['publish a q2 #1 dup']);
    await second.ack('pubrec', 1);
    expect(said(second)).toEqual(['pubrel #1 0x00']);
    await second.ack('pubcomp', 1);
    // The other way too.
    await writer.publish('a', 'short', { qos: 2, packetId: 7, dup: true, properties });
    await writer.ack('pubrel', 7);
    expect(said(writer)).toEqual(['pubrec #7 0x00', 'pubcomp #7 0x00']);
    second.expectNothing();
  });
});

import { encode } from '../../../../src/protocols/mqtt/codec/encode.ts';
import { publishPacket } from '@trunkline/testkit';
import type { MqttPeer } from '@trunkline/testkit';
import { describe, expect, it } from 'vitest';
import { heldState } from '../held-state.ts';
import { holdPublishes, start } from './receiving-setup.ts';

const VERSIONS = [4, 5] as const;
const KEPT = { clientId: 'k', clean: false, expiry: 7_000_000 };

function kinds(peer: MqttPeer): string[] {
  return peer.take().map((packet) => {
    return 'packetId' in packet ? `${packet.kind} ${packet.packetId}` : packet.kind;
  });
}

describe('Receiving', () => {
  it.each(VERSIONS)(
    '[MQTT-4.3.2-4] acknowledges QoS 1 of MQTT %s once it is in the log',
    async (version) => {
      const server = await start();
      const waiting = holdPublishes(server);
      const client = server.peer();
      await client.connect({ version });
      await client.publish('a', 'x', { qos: 1, packetId: 5 });
      client.expectNothing();
      waiting[0]?.go();
      await client.settle();
      expect(client.expectPacket('puback')).toMatchObject({ packetId: 5, reason: 0 });
      expect(await server.texts()).toEqual(['x']);
    },
  );

  it.each(VERSIONS)(
    '[MQTT-4.6.0-2] [MQTT-4.6.0-3] answers MQTT %s in the order of the messages',
    async (version) => {
      const server = await start({ config: { receiveMaximum: 100 } });
      const waiting = holdPublishes(server);
      const client = server.peer();
      await client.connect({ version });
      await client.send(
        publishPacket('a', '1', { qos: 1, packetId: 1 }),
        publishPacket('b', '2', { qos: 2, packetId: 2 }),
        publishPacket('c', '3', { qos: 1, packetId: 3 }),
        publishPacket('d', '4', { qos: 2, packetId: 4 }),
      );
      for (const at of [3, 1, 2]) waiting[at]?.go();
      await client.settle();
      client.expectNothing();
      waiting[0]?.go();
      await client.settle();
      expect(kinds(client)).toEqual(['puback 1', 'pubrec 2', 'puback 3', 'pubrec 4']);
    },
  );

  it('publishes in the order sent, whatever the QoS', async () => {
    const held = heldState();
    const server = await start({ stateOf: held.stateOf });
    const client = server.peer();
    await client.connect(KEPT);
    held.hold();
    await client.send(
      publishPacket('a', '1', { qos: 2, packetId: 1 }),
      publishPacket('a', '2', { qos: 0 }),
      publishPacket('a', '3', { qos: 1, packetId: 3 }),
      publishPacket('a', '4', { qos: 2, packetId: 4 }),
    );
    expect(await server.texts()).toEqual([]);
    held.release();
    await client.settle();
    expect(await server.texts()).toEqual(['1', '2', '3', '4']);
  });

  it.each(VERSIONS)(
    '[MQTT-4.3.3-10] takes a repeated PUBLISH of MQTT %s for the same message',
    async (version) => {
      for (const clean of [true, false]) {
        const server = await start();
        const waiting = holdPublishes(server);
        const client = server.peer();
        await client.connect({ ...KEPT, version, clean });
        const packet = publishPacket('a', 'once', { qos: 2, packetId: 7 });
        const again = { ...packet, dup: true };
        // Before it is in the log, twice, and after it.
        await client.send(packet, again, again);
        for (const { go } of waiting) go();
        await client.settle();
        expect(kinds(client)).toEqual(['pubrec 7', 'pubrec 7', 'pubrec 7']);
        await client.send(again);
        for (const { go } of waiting) go();
        await client.settle();
        expect(kinds(client)).toEqual(['pubrec 7']);
        expect(await server.texts()).toEqual(['once']);
        await client.ack('pubrel', 7);
        expect(client.expectPacket('pubcomp')).toMatchObject({ packetId: 7, reason: 0 });
        // [MQTT-4.3.3-12]: from here on it is another message.
        await client.send(packet);
        for (const { go } of waiting) go();
        await client.settle();
        expect(await server.texts()).toEqual(['once', 'once']);
      }
    },
  );

  it('[MQTT-4.3.3-12] releases once it is stored, and answers a second PUBREL', async () => {
    const held = heldState();
    const server = await start({ stateOf: held.stateOf });
    const client = server.peer();
    await client.connect(KEPT);
    await client.publish('a', 'x', { qos: 2, packetId: 7 });
    client.expectPacket('pubrec');
    held.hold();
    await client.ack('pubrel', 7);
    client.expectNothing();
    held.release();
    await client.settle();
    expect(client.expectPacket('pubcomp').reason).toBe(0);
    await client.ack('pubrel', 7);
    expect(client.expectPacket('pubcomp').reason).toBe(0x92);
  });

  it('[MQTT-4.3.3-11] says over a new connection that what was released is, without a fault', async () => {
    const server = await start();
    const client = server.peer();
    await client.connect(KEPT);
    await client.publish('a', 'x', { qos: 2, packetId: 7 });
    await client.ack('pubrel', 7);
    client.link.setFaults({ freeze: true });
    const next = (await server.restart()).peer();
    expect((await next.connect(KEPT)).sessionPresent).toBe(true);
    await next.ack('pubrel', 7);
    expect(next.expectPacket('pubcomp')).toMatchObject({ packetId: 7, reason: 0 });
  });
});

describe('Receive Maximum of the server', () => {
  it('[MQTT-3.3.4-7] counts a message of QoS 2 once, from PUBLISH to PUBREL', async () => {
    const server = await start();
    const waiting = holdPublishes(server);
    const client = server.peer();
    expect((await client.connect()).properties.receiveMaximum).toBe(4);
    for (const packetId of [1, 2, 3, 4]) await client.publish('a', 'x', { qos: 2, packetId });
    for (const { go } of waiting) go();
    await client.settle();
    expect(client.takeKind('pubrec')).toHaveLength(4);
    await client.ack('pubrel', 1);
    client.expectPacket('pubcomp');
    await client.publish('a', 'x', { qos: 1, packetId: 5 });
    expect(client.isOver).toBe(false);
    await client.publish('a', 'x', { qos: 1, packetId: 6 });
    expect(client.expectEnd()).toBe(0x93);
  });

  it('[MQTT-3.3.4-7] is of one connection: what came before it counts when it comes again', async () => {
    const server = await start();
    const first = server.peer();
    await first.connect(KEPT);
    for (const packetId of [1, 2, 3, 4]) await first.publish('a', 'x', { qos: 2, packetId });
    await first.drop();
    const second = server.peer();
    await second.connect(KEPT);
    await second.publish('a', 'x', { qos: 2, packetId: 1, dup: true });
    for (const packetId of [5, 6, 7]) await second.publish('a', 'y', { qos: 2, packetId });
    expect(second.takeKind('pubrec')).toHaveLength(4);
    expect(await server.texts()).toEqual(['x', 'x', 'x', 'x', 'y', 'y', 'y']);
    await second.ack('pubrel', 2);
    expect(second.expectPacket('pubcomp').reason).toBe(0);
    await second.publish('a', 'x', { qos: 2, packetId: 3, dup: true });
    expect(second.expectEnd()).toBe(0x93);
  });

  it('[MQTT-3.3.4-7] does not count QoS 0, nor what is repeated', async () => {
    const server = await start();
    const client = server.peer();
    await client.connect();
    for (const packetId of [1, 2, 3, 4]) await client.publish('a', 'x', { qos: 2, packetId });
    await client.publish('a', 'zero');
    await client.publish('a', 'x', { qos: 2, packetId: 2, dup: true });
    expect(client.isOver).toBe(false);
    expect(await server.texts()).toEqual(['x', 'x', 'x', 'x', 'zero']);
  });

  it('holds up 3.1.1 until answers have left, and never for PUBREL', async () => {
    const server = await start();
    const waiting = holdPublishes(server);
    const client = server.peer();
    await client.connect({ version: 4 });
    for (let packetId = 1; packetId <= 10; packetId += 1) {
      const packet = publishPacket('a', `${packetId}`, { qos: 2, packetId });
      client.link.receive(encode(packet, 4));
    }
    await client.settle();
    expect(waiting).toHaveLength(4);
    for (let at = 0; at < 10; at += 1) {
      waiting[at]?.go();
      await client.settle();
    }
    expect(client.takeKind('pubrec')).toHaveLength(10);
    for (let packetId = 1; packetId <= 10; packetId += 1) await client.ack('pubrel', packetId);
    expect(client.takeKind('pubcomp')).toHaveLength(10);
    expect(await server.texts()).toHaveLength(10);
  });
});

describe('A PUBLISH that is refused', () => {
  const grants = { userName: 'alice', password: 'alice ok=publish,subscribe' };

  it.each([
    ['without the right', 'other', 0x87],
    ['[MQTT-4.7.2-1] below $', '$SYS/x', 0x90],
  ] as const)('%s is answered in 5.0', async (_, topic, reason) => {
    const server = await start();
    const client = server.peer();
    await client.connect(grants);
    await client.publish(topic, 'x', { qos: 1, packetId: 1 });
    expect(client.expectPacket('puback')).toMatchObject({ packetId: 1, reason });
    await client.publish(topic, 'x', { qos: 2, packetId: 2 });
    expect(client.expectPacket('pubrec')).toMatchObject({ packetId: 2, reason });
    // [MQTT-4.3.3-9]: its packet identifier is free.
    await client.publish('ok', 'x', { qos: 2, packetId: 2 });
    expect(client.expectPacket('pubrec')).toMatchObject({ packetId: 2, reason: 0 });
    expect(await server.texts('ok')).toEqual(['x']);
  });

  it('says what was wrong with it', async () => {
    const server = await start({
      rulesOf: () => ({ messageBytesMax: 10, schema: { type: 'object' } }),
    });
    const client = server.peer();
    await client.connect();
    await client.publish('a', '{"a":"0123456789"}', { qos: 1 });
    expect(client.expectPacket('puback').reason).toBe(0x97);
    await client.publish('a', '[]', { qos: 1 });
    const { reason, properties } = client.expectPacket('puback');
    expect(reason).toBe(0x99);
    expect(properties.reasonString).toBeTypeOf('string');
  });

  it('[MQTT-3.1.2-29] is not explained to who wants no problem information', async () => {
    const server = await start();
    const client = server.peer();
    await client.connect({ properties: { requestProblemInformation: 0 } });
    await client.publish('$no', 'x', { qos: 1 });
    expect(client.expectPacket('puback')).toMatchObject({ reason: 0x90, properties: {} });
    await client.publish('$no', 'x', { qos: 2 });
    expect(client.expectPacket('pubrec')).toMatchObject({ reason: 0x90, properties: {} });
  });

  it.each([1, 2] as const)(
    '[MQTT-3.3.5-2] ends the connection in 3.1.1 with QoS %s',
    async (qos) => {
      const server = await start();
      const client = server.peer();
      await client.connect({ version: 4, ...grants });
      await client.publish('other', 'x', { qos });
      expect(client.isOver).toBe(true);
      client.expectNothing();
    },
  );

  it.each(VERSIONS)('is dropped with QoS 0 in MQTT %s', async (version) => {
    const server = await start();
    const client = server.peer();
    await client.connect({ version, ...grants });
    await client.publish('other', 'x');
    await client.publish('$x', 'x');
    expect(client.isOver).toBe(false);
    client.expectNothing();
    expect(await server.texts('other')).toEqual([]);
  });
});

describe('What becomes of a PUBLISH', () => {
  it('keeps JSON, text and bytes as they were', async () => {
    const server = await start();
    const client = server.peer();
    await client.connect({ version: 4 });
    const payloads = ['{"n": 1.0}', 'hello', Buffer.from([0xff, 0x00]), '', '12', '{no'];
    for (const payload of payloads) await client.publish('a', payload);
    const messages = await server.logged();
    expect(messages.map(({ payload }) => Buffer.from(payload))).toEqual(
      payloads.map((payload) => Buffer.from(payload)),
    );
    expect(messages.map(({ contentType }) => contentType?.split(';')[0])).toEqual([
      undefined,
      'text/plain',
      'application/octet-stream',
      'text/plain',
      undefined,
      'text/plain',
    ]);
  });

  it('[MQTT-3.3.2-20] says the content type that its publisher gave', async () => {
    const server = await start();
    const client = server.peer();
    await client.connect();
    await client.publish('a', '<a/>', { properties: { contentType: 'text/html' } });
    await client.publish('a', 'x', { properties: { contentType: 'not a type' } });
    await client.publish('a', '{', { properties: { contentType: 'application/json' } });
    const types = (await server.logged()).map(({ contentType }) => contentType);
    expect(types).toEqual(['text/html', 'text/plain; charset=utf-8', 'text/plain; charset=utf-8']);
  });

  it('has its user and session, and no session of another', async () => {
    const server = await start();
    const [alice, nobody] = [server.peer(), server.peer()];
    await alice.connect({ userName: 'alice', password: 'alice' });
    await nobody.connect();
    await alice.publish('a', '1');
    await nobody.publish('a', '2');
    const [first, second] = (await server.logged()).map(({ from }) => from);
    expect(first?.user).toBe('alice');
    expect(second?.user).toBeUndefined();
    expect(second?.session).not.toBe(first?.session);
  });

  it('[MQTT-3.3.2-5] is not delivered after its expiry, and says what is left of it', async () => {
    const server = await start();
    const [writer, reader] = [server.peer(), server.peer()];
    await writer.connect();
    await reader.connect(KEPT);
    await reader.subscribe([{ filter: 'a', qos: 1 }]);
    await reader.drop();
    await writer.publish('a', 'short', { properties: { messageExpiryInterval: 10 } });
    await writer.publish('a', 'long', { properties: { messageExpiryInterval: 100 } });
    await server.clock.pass(30_000);
    const next = server.peer();
    await next.connect(KEPT);
    const [only, ...others] = next.takeKind('publish');
    expect(others).toEqual([]);
    expect(Buffer.from(only?.payload ?? []).toString()).toBe('long');
    // [MQTT-3.3.2-6]
    expect(only?.properties.messageExpiryInterval).toBe(70);
  });

  it('has its user property "key" for its key: what comes again is the same message', async () => {
    const server = await start();
    const client = server.peer();
    await client.connect({ userName: 'alice', password: 'alice' });
    const keyed = (key: string) =>
      ({ qos: 1, properties: { userProperties: [['key', key]] } }) as const;
    await client.publish('a', '1', keyed('one'));
    await client.publish('a', '1', keyed('one'));
    await client.publish('a', '2', keyed('two'));
    expect(client.takeKind('puback').map(({ reason }) => reason)).toEqual([0, 0, 0]);
    expect(await server.texts()).toEqual(['1', '2']);
    await client.publish('a', 'another', keyed('one'));
    expect(client.expectPacket('puback').reason).toBe(0x83);
    // What is no key of ours does not count as one.
    await client.publish('a', '3', keyed(''));
    await client.publish('a', '4', keyed(''));
    await client.publish('a', '5', keyed('x'.repeat(5_000)));
    expect(await server.texts()).toEqual(['1', '2', '3', '4', '5']);
  });
});

describe('Topic aliases of a client', () => {
  it('[MQTT-3.3.2-12] stand for the topic named last with them', async () => {
    const server = await start();
    const client = server.peer();
    expect((await client.connect()).properties.topicAliasMaximum).toBe(2);
    const alias = (topicAlias: number) => ({ properties: { topicAlias } });
    await client.publish('a', '1', alias(1));
    await client.publish('', '2', alias(1));
    await client.publish('b', '3', alias(1));
    await client.publish('', '4', alias(1));
    expect(await server.texts('a')).toEqual(['1', '2']);
    expect(await server.texts('b')).toEqual(['3', '4']);
  });

  it.each([
    ['[MQTT-3.3.2-9] higher than allowed', 'a', 3, 0x94],
    ['without a topic', '', 1, 0x82],
  ] as const)('%s end the connection', async (_, topic, topicAlias, reason) => {
    const server = await start();
    const client = server.peer();
    await client.connect();
    await client.publish(topic, 'x', { properties: { topicAlias } });
    expect(client.expectEnd()).toBe(reason);
  });

  it('[MQTT-3.3.2-7] are of one connection', async () => {
    const server = await start();
    const first = server.peer();
    await first.connect(KEPT);
    await first.publish('a', '1', { properties: { topicAlias: 1 } });
    await first.drop();
    const second = server.peer();
    await second.connect(KEPT);
    await second.publish('', '2', { properties: { topicAlias: 1 } });
    expect(second.expectEnd()).toBe(0x82);
  });
});

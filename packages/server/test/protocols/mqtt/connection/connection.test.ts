import { connectPacket, payloadText, publishPacket, subscribePacket } from '@trunkline/testkit';
import { describe, expect, it } from 'vitest';
import { encode } from '../../../../src/protocols/mqtt/codec/encode.ts';
import { heldState } from '../held-state.ts';
import { startMqtt } from '../mqtt-setup.ts';

const VERSIONS = [4, 5] as const;

/** A session that outlives its connection. */
const KEPT = { clientId: 'k', clean: false, expiry: 600 };

describe('MqttConnection before CONNECT', () => {
  it('[MQTT-3.1.0-1] takes nothing else first', async () => {
    const { peer, protocol } = await startMqtt();
    const client = peer();
    await client.send({ kind: 'pingreq' });
    expect(client.expectEnd()).toBeUndefined();
    client.expectNothing();
    expect([...protocol.connections]).toEqual([]);
  });

  it('waits for it, but not for long', async () => {
    const { peer, clock, protocol } = await startMqtt();
    const client = peer();
    await client.sendRaw(Buffer.from([0x10]));
    await clock.pass(9_900);
    expect(client.isOver).toBe(false);
    await clock.pass(400);
    expect(client.isOver).toBe(true);
    expect([...protocol.connections]).toEqual([]);
  });

  it('forgets a client that leaves without a word', async () => {
    const { peer, protocol, wheel } = await startMqtt();
    await peer().drop();
    expect([...protocol.connections]).toEqual([]);
    expect(wheel.armedCount).toBe(0);
  });
});

describe('MqttConnection', () => {
  it.each(VERSIONS)('[MQTT-3.1.0-2] ends at a second CONNECT of MQTT %s', async (version) => {
    const { peer } = await startMqtt();
    const client = peer();
    await client.connect({ version });
    await client.send(connectPacket({ version }));
    expect(client.expectEnd()).toBe(version === 5 ? 0x82 : undefined);
    client.expectNothing();
  });

  it.each(VERSIONS)('reads MQTT %s one byte at a time', async (version) => {
    const { peer } = await startMqtt();
    const client = peer({ version });
    const packets = [
      connectPacket({ version, clientId: 'slow' }),
      subscribePacket(1, [{ filter: 'a', qos: 1 }]),
      publishPacket('a', 'hi', { qos: 1, packetId: 2 }),
      { kind: 'pingreq' } as const,
    ];
    const bytes = Buffer.concat(packets.map((packet) => encode(packet, version)));
    await client.sendRaw(...Array.from(bytes, (_, at) => bytes.subarray(at, at + 1)));
    const kinds = client.take().map(({ kind }) => kind);
    expect(kinds.toSorted()).toEqual(['connack', 'pingresp', 'puback', 'publish', 'suback']);
    expect(kinds[0]).toBe('connack');
  });

  it.each(VERSIONS)(
    '[MQTT-4.8.0-1] answers CONNECT of MQTT %s before the garbage behind it',
    async (version) => {
      const { peer } = await startMqtt();
      const client = peer({ version });
      await client.sendRaw(
        Buffer.concat([encode(connectPacket({ version }), version), Buffer.from([0xff, 0xff])]),
      );
      expect(client.expectPacket('connack').reason).toBe(0);
      expect(client.expectEnd()).toBe(version === 5 ? 0x81 : undefined);
    },
  );

  it('[MQTT-6.0.0-1] takes no frames of text', async () => {
    const { peer } = await startMqtt();
    const client = peer();
    await client.connect();
    client.link.receive('text');
    await client.settle();
    expect(client.expectEnd()).toBe(0x82);
  });

  it('[MQTT-3.2.2-15] takes no packet larger than it said', async () => {
    const { peer } = await startMqtt({ config: { packetBytesMax: 100 } });
    const client = peer();
    expect((await client.connect()).properties.maximumPacketSize).toBe(100);
    await client.publish('a', 'x'.repeat(100));
    expect(client.expectEnd()).toBe(0x95);
  });

  it('begins what is behind a SUBSCRIBE after it', async () => {
    const { peer } = await startMqtt();
    const client = peer({ autoAck: true });
    await client.connect();
    await client.send(
      subscribePacket(1, [{ filter: 'a', qos: 1 }]),
      publishPacket('a', 'own', { qos: 1, packetId: 2 }),
      { kind: 'unsubscribe', packetId: 3, filters: ['b'], properties: {} },
      publishPacket('a', 'too', { qos: 1, packetId: 4 }),
    );
    expect(client.takeKind('publish').map(({ payload }) => payloadText(payload))).toEqual([
      'own',
      'too',
    ]);
    expect(client.takeKind('puback').map(({ packetId }) => packetId)).toEqual([2, 4]);
  });

  it.each(VERSIONS)('tells MQTT %s that the node is going away', async (version) => {
    const { peer, protocol } = await startMqtt();
    const client = peer();
    await client.connect({ version });
    for (const connection of protocol.connections) connection.close({ code: 'draining' });
    await client.settle();
    expect(client.expectEnd()).toBe(version === 5 ? 0x8b : undefined);
    expect(client.link.goodbye?.code).toBe('draining');
  });

  it.each(VERSIONS)('tells MQTT %s of another server, where there is one', async (version) => {
    const serverReference = 'mqtt2.example.com:1883';
    const { peer, protocol } = await startMqtt({ config: { serverReference } });
    const client = peer();
    await client.connect({ version });
    for (const connection of protocol.connections) connection.close({ code: 'draining' });
    await client.settle();
    const last = client.received.at(-1);
    if (version === 4) expect(last?.kind).toBe('connack');
    else expect(last).toMatchObject({ reason: 0x9c, properties: { serverReference } });
    expect(client.link.goodbye?.code).toBe('draining');
  });

  it('is closed by the words of others too', async () => {
    const { peer, protocol } = await startMqtt();
    const client = peer();
    await client.connect();
    for (const connection of protocol.connections) connection.close({ code: 'forbidden' });
    await client.settle();
    expect(client.expectEnd()).toBe(0x98);
  });
});

describe('Keep alive', () => {
  it.each(VERSIONS)(
    '[MQTT4-3.1.2-24] [MQTT5-3.1.2-22] ends MQTT %s after one and a half times of it',
    async (version) => {
      const { peer, clock } = await startMqtt();
      const client = peer();
      await client.connect({ version, keepAlive: 10 });
      await clock.pass(14_000);
      await client.send({ kind: 'pingreq' });
      client.expectPacket('pingresp');
      await clock.pass(14_900);
      expect(client.isOver).toBe(false);
      await clock.pass(500);
      expect(client.expectEnd()).toBe(version === 5 ? 0x8d : undefined);
    },
  );

  it('[MQTT5-3.1.2-21] holds as the server says', async () => {
    const { peer, clock } = await startMqtt({ config: { keepAliveSecondsMax: 20 } });
    const [longer, never, shorter] = [peer(), peer(), peer()];
    expect((await longer.connect({ keepAlive: 60 })).properties.serverKeepAlive).toBe(20);
    expect((await never.connect({ keepAlive: 0 })).properties.serverKeepAlive).toBe(20);
    expect((await shorter.connect({ keepAlive: 5 })).properties.serverKeepAlive).toBeUndefined();
    await clock.pass(8_000);
    expect(shorter.expectEnd()).toBe(0x8d);
    expect(longer.isOver || never.isOver).toBe(false);
    await clock.pass(23_000);
    expect([longer.expectEnd(), never.expectEnd()]).toEqual([0x8d, 0x8d]);
  });

  it('of 0 is never', async () => {
    const { peer, clock, wheel } = await startMqtt();
    const client = peer();
    await client.connect({ version: 4, keepAlive: 0 });
    expect(wheel.armedCount).toBe(0);
    await clock.pass(100_000_000);
    expect(client.isOver).toBe(false);
  });

  it('does not count while the server itself does not read', async () => {
    const held = heldState();
    const { peer, clock } = await startMqtt({ stateOf: held.stateOf });
    const client = peer();
    await client.connect({ ...KEPT, keepAlive: 10 });
    held.hold();
    await client.send(subscribePacket(1, ['a']), { kind: 'pingreq' });
    await clock.pass(60_000);
    expect(client.isOver).toBe(false);
    held.release();
    await client.settle();
    expect(client.take().map(({ kind }) => kind)).toEqual(['suback', 'pingresp']);
    await clock.pass(15_500);
    expect(client.expectEnd()).toBe(0x8d);
  });

  it('ends a client that takes nothing of what it is sent', async () => {
    const { peer, clock, publish } = await startMqtt();
    const client = peer();
    await client.connect({ keepAlive: 10 });
    await client.subscribe('a');
    client.link.hold();
    await publish('a', 'x'.repeat(20_000));
    await client.send({ kind: 'pingreq' });
    expect(client.link.isPaused).toBe(true);
    await clock.pass(16_000);
    await clock.pass(6_000);
    expect(client.isOver).toBe(true);
  });
});

describe('A token that ends', () => {
  it('[AUTH-5] ends the connection with it', async () => {
    const { peer, clock } = await startMqtt();
    const client = peer();
    await client.connect({ userName: 'alice', password: 'alice' });
    await clock.pass(59_900);
    expect(client.isOver).toBe(false);
    await clock.pass(500);
    expect(client.expectEnd()).toBe(0x87);
  });
});

describe('Maximum Packet Size of a client', () => {
  it('[MQTT5-3.1.2-24] [MQTT-3.4.2-2] leaves out reasons that do not fit', async () => {
    const { peer } = await startMqtt({ config: { receiveMaximum: 10 } });
    const client = peer();
    await client.connect({ properties: { maximumPacketSize: 40 } });
    await client.publish('$no', 'x', { qos: 1, packetId: 1 });
    expect(client.expectPacket('puback')).toMatchObject({ reason: 0x90, properties: {} });
  });

  it('holds for a refusal too', async () => {
    const { peer } = await startMqtt();
    const client = peer();
    const properties = { maximumPacketSize: 10 };
    const connack = await client.connect({ clientId: 'x'.repeat(65), properties });
    expect(connack).toMatchObject({ reason: 0x85, properties: {} });
  });

  it('keeps what a client has to know, and ends one that can not be told', async () => {
    const { peer, protocol } = await startMqtt();
    const client = peer();
    await client.send(connectPacket({ properties: { maximumPacketSize: 20 } }));
    expect(client.isOver).toBe(true);
    client.expectNothing();
    expect([...protocol.connections]).toEqual([]);
  });

  it('ends a client whose SUBACK would be too large', async () => {
    const { peer } = await startMqtt();
    const client = peer();
    await client.connect({ clientId: 'c', properties: { maximumPacketSize: 50 } });
    const filters = Array.from({ length: 60 }, (_, index) => `f${index}`);
    await client.send(subscribePacket(1, filters));
    expect(client.isOver).toBe(true);
    client.expectNothing();
  });
});

describe('Takeover', () => {
  it.each(VERSIONS)(
    '[MQTT4-3.1.4-2] [MQTT5-3.1.4-3] ends the connection before of MQTT %s',
    async (version) => {
      const { peer, protocol } = await startMqtt();
      const [first, second] = [peer(), peer()];
      await first.connect({ version, clientId: 'same' });
      expect(await second.connect({ version, clientId: 'same' })).toMatchObject({ reason: 0 });
      expect(first.expectEnd()).toBe(version === 5 ? 0x8e : undefined);
      expect(first.link.goodbye?.code).toBe('replaced');
      expect([...protocol.connections]).toHaveLength(1);
    },
  );

  it('leaves other users alone, and who is nobody', async () => {
    const { peer } = await startMqtt();
    const [alice, bob, nobody] = [peer(), peer(), peer()];
    await alice.connect({ clientId: 'same', userName: 'alice', password: 'alice' });
    await bob.connect({ clientId: 'same', userName: 'bob', password: 'bob' });
    await nobody.connect({ clientId: 'same' });
    expect([alice, bob, nobody].map(({ isOver }) => isOver)).toEqual([false, false, false]);
  });

  it('waits until what the connection before keeps is stored', async () => {
    const held = heldState();
    const { peer, publish } = await startMqtt({ stateOf: held.stateOf });
    const first = peer();
    await first.connect(KEPT);
    await first.subscribe([{ filter: 'a', qos: 1 }]);
    held.hold();
    await first.drop();
    const second = peer();
    await second.send(connectPacket(KEPT));
    second.expectNothing();
    held.release();
    await second.settle();
    expect(second.expectPacket('connack').sessionPresent).toBe(true);
    await publish('a', 'new');
    expect(second.expectPayloads(1)).toEqual(['new']);
  });

  it('lets no older record come over a newer one', async () => {
    const held = heldState();
    const { peer, publish } = await startMqtt({ stateOf: held.stateOf });
    const first = peer();
    await first.connect(KEPT);
    held.hold();
    // Under way when the connection ends: a record without the subscription.
    await first.publish('q', 'x', { qos: 2, packetId: 9 });
    await first.send(subscribePacket(1, [{ filter: 'a', qos: 1 }]));
    expect(held.waitingCount).toBe(1);
    await first.drop();
    expect(held.waitingCount).toBe(1);
    held.release();
    const second = peer();
    expect(await second.connect(KEPT)).toMatchObject({ sessionPresent: true });
    await publish('a', 'kept');
    expect(second.expectPayloads(1)).toEqual(['kept']);
  });

  it('of a client that has not its answer yet ends its session too', async () => {
    const { peer, hub, protocol } = await startMqtt();
    const before = peer();
    await before.connect(KEPT);
    await before.subscribe([{ filter: 'a', qos: 1 }]);
    await before.drop();
    const [first, second, third] = [peer(), peer(), peer()];
    for (const one of [first, second, third]) {
      one.link.receive(encode(connectPacket(KEPT), 5));
    }
    await third.settle();
    await second.settle();
    expect([first, second, third].filter(({ isOver }) => !isOver)).toEqual([third]);
    expect([...protocol.connections]).toHaveLength(1);
    expect(hub.activeChannels('#')).toEqual([{ channel: 'a', subscribers: 1 }]);
    await third.drop();
    expect(hub.activeChannels('#')).toEqual([]);
  });

  it('is no right of a client that has gone by then', async () => {
    const gate = Promise.withResolvers<void>();
    let isSlow = false;
    const { peer } = await startMqtt({
      loginOf: (login) => async (given) => {
        if (isSlow) await gate.promise;
        return login(given);
      },
    });
    const first = peer();
    await first.connect({ clientId: 'same' });
    isSlow = true;
    const second = peer();
    await second.send(connectPacket({ clientId: 'same' }));
    await second.drop();
    gate.resolve();
    await first.settle();
    expect(first.isOver).toBe(false);
  });

  it('is bounded for two that come again and again', async () => {
    const { peer, protocol, hub, wheel } = await startMqtt();
    let last = peer();
    await last.connect(KEPT);
    await last.subscribe([{ filter: 'a', qos: 1 }]);
    const { armedCount } = wheel;
    for (let count = 0; count < 300; count += 1) {
      const next = peer();
      expect((await next.connect(KEPT)).sessionPresent).toBe(true);
      expect(last.expectEnd()).toBe(0x8e);
      last = next;
    }
    expect([...protocol.connections]).toHaveLength(1);
    expect(hub.activeChannels('#')).toEqual([{ channel: 'a', subscribers: 1 }]);
    // A few are the hub's own.
    expect(wheel.armedCount).toBeLessThan(armedCount + 5);
  });
});

describe('A link that closes', () => {
  it('while CONNECT is judged leaves nothing behind', async () => {
    const held = heldState();
    const { peer, protocol, hub, wheel } = await startMqtt({ stateOf: held.stateOf });
    const before = peer();
    await before.connect(KEPT);
    await before.subscribe([{ filter: 'a', qos: 1 }]);
    await before.drop();
    const { armedCount } = wheel;
    held.hold();
    const client = peer();
    await client.send(connectPacket(KEPT));
    await client.drop();
    expect([...protocol.connections]).toEqual([]);
    held.release();
    await client.settle();
    expect(hub.activeChannels('#')).toEqual([]);
    expect(wheel.armedCount).toBe(armedCount);
  });

  it('while SUBSCRIBE is stored leaves the subscription to the session', async () => {
    const held = heldState();
    const { peer, publish, hub } = await startMqtt({ stateOf: held.stateOf });
    const client = peer();
    await client.connect(KEPT);
    held.hold();
    await client.send(subscribePacket(1, [{ filter: 'a', qos: 1 }]));
    await client.drop();
    held.release();
    await client.settle();
    expect(hub.activeChannels('#')).toEqual([]);
    await publish('a', 'meanwhile');
    const next = peer();
    expect((await next.connect(KEPT)).sessionPresent).toBe(true);
    expect(next.expectPayloads(1)).toEqual(['meanwhile']);
  });

  it('while a token is checked is not looked after any more', async () => {
    const { peer, wheel } = await startMqtt();
    const client = peer();
    const method = { authenticationMethod: 'token', authenticationData: Buffer.from('alice') };
    await client.connect({ properties: method });
    client.link.receive(encode({ kind: 'auth', reason: 0x19, properties: method }, 5));
    client.link.drop();
    await client.settle();
    expect(wheel.armedCount).toBe(0);
  });
});

/** Clients that mean no good: what they cost is bounded, and others do not notice them. */
import { ackPacket, publishPacket, subscribePacket } from '@trunkline/testkit';
import { describe, expect, it, vi } from 'vitest';
import { encode } from '../../../src/protocols/mqtt/codec/encode.ts';
import type { Packet } from '../../../src/protocols/mqtt/codec/packets.ts';
import { heldState } from './held-state.ts';
import { startMqtt } from './mqtt-setup.ts';

const VERSIONS = [4, 5] as const;

/** A session that outlives its connection. */
const KEPT = { clientId: 'k', clean: false, expiry: 600 };

describe('A hostile client', () => {
  it.each(VERSIONS)('of MQTT %s that floods and does not read is not read', async (version) => {
    const { peer } = await startMqtt();
    const client = peer();
    await client.connect({ version });
    client.link.hold();
    const ping = encode({ kind: 'pingreq' }, version);
    await client.sendRaw(...Array.from({ length: 5_000 }, () => ping));
    expect(client.link.isPaused).toBe(true);
    expect(client.link.pendingBytes).toBeLessThan(10_000);
    client.link.release();
    await client.settle();
    expect(client.takeKind('pingresp')).toHaveLength(5_000);
  });

  it.each([0, 1, 2] as const)(
    'that floods with QoS %s is read as fast as the log takes it',
    async (qos) => {
      for (const version of VERSIONS) {
        const { peer, hub } = await startMqtt({ config: { receiveMaximum: 10_000 } });
        const client = peer();
        await client.connect({ version });
        const publish = hub.publish.bind(hub);
        const gate = Promise.withResolvers<void>();
        let begun = 0;
        hub.publish = async (...args) => {
          begun += 1;
          await gate.promise;
          return publish(...args);
        };
        const count = 3_000;
        for (let id = 1; id <= count; id += 1) {
          const packet = publishPacket('a', 'x', { qos, packetId: qos === 0 ? 0 : id });
          client.link.receive(encode(packet, version));
        }
        await client.settle();
        expect(begun).toBeLessThan(600);
        expect(client.link.isPaused).toBe(true);
        gate.resolve();
        await client.settle();
        expect(begun).toBe(count);
        const kind = qos === 1 ? 'puback' : 'pubrec';
        const answers = client.takeKind(kind).map(({ packetId }) => packetId);
        // [MQTT-4.6.0-2] [MQTT-4.6.0-3]
        expect(answers).toEqual(qos === 0 ? [] : Array.from({ length: count }, (_, at) => at + 1));
      }
    },
  );

  it('that repeats PUBREC while the log is away is not read for ever', async () => {
    const held = heldState();
    const { peer, publish } = await startMqtt({ stateOf: held.stateOf });
    const client = peer();
    await client.connect(KEPT);
    await client.subscribe([{ filter: 'a', qos: 2 }]);
    await publish('a', 'x');
    const { packetId } = client.expectPacket('publish');
    held.hold();
    const pubrec = encode(ackPacket('pubrec', packetId), 5);
    await client.sendRaw(...Array.from({ length: 3_000 }, () => pubrec));
    expect(client.link.isPaused).toBe(true);
    client.expectNothing();
    held.release();
    await client.settle();
    expect(client.link.isPaused).toBe(false);
    expect(client.takeKind('pubrel')).toHaveLength(3_000);
  });

  it.each(VERSIONS)(
    'that acknowledges what MQTT %s did not send is not minded',
    async (version) => {
      const { peer } = await startMqtt();
      const client = peer();
      await client.connect({ version });
      await client.ack('puback', 7);
      await client.ack('pubcomp', 8);
      client.expectNothing();
      await client.ack('pubrec', 9);
      // §4.3.3: what is not known is answered all the same.
      expect(client.expectPacket('pubrel')).toMatchObject({
        packetId: 9,
        reason: version === 5 ? 0x92 : 0,
      });
      await client.ack('pubrel', 10);
      expect(client.expectPacket('pubcomp')).toMatchObject({
        packetId: 10,
        reason: version === 5 ? 0x92 : 0,
      });
    },
  );

  it.each(VERSIONS)(
    'that answers MQTT %s in the words of another QoS is ended',
    async (version) => {
      const { peer, publish } = await startMqtt();
      const client = peer();
      await client.connect({ version });
      await client.subscribe([{ filter: 'a', qos: 2 }]);
      await publish('a', 'x');
      await client.ack('puback', client.expectPacket('publish').packetId);
      expect(client.expectEnd()).toBe(version === 5 ? 0x82 : undefined);
    },
  );

  it('that never acknowledges is sent no more than it takes', async () => {
    const { peer, publish } = await startMqtt();
    const client = peer();
    await client.connect({ properties: { receiveMaximum: 3 } });
    await client.subscribe([{ filter: 'a', qos: 1 }]);
    for (let count = 0; count < 100; count += 1) await publish('a', `${count}`);
    expect(client.expectPayloads(3)).toEqual(['0', '1', '2']);
    client.expectNothing();
  });
});

describe('A client that sends more than its rate', () => {
  const RATE = { commandsPerSecondMax: 10 };
  const many = (count: number, version: 4 | 5, packet: Packet = { kind: 'pingreq' }) =>
    Array.from({ length: count }, () => encode(packet, version));

  it.each(VERSIONS)('[DEV-40] is read as fast as that, and not ended, MQTT %s', async (version) => {
    const { peer, clock, wheel } = await startMqtt({ config: RATE });
    const client = peer();
    // Far less than it takes to read all of it.
    await client.connect({ version, keepAlive: 2 });
    const armed = wheel.armedCount;
    await client.sendRaw(...many(300, version));
    expect(client.takeKind('pingresp')).toHaveLength(20);
    expect(client.link.isPaused).toBe(true);
    expect(wheel.armedCount).toBe(armed + 1);
    await clock.pass(10_000);
    const { length } = client.takeKind('pingresp');
    expect(length).toBeGreaterThanOrEqual(95);
    expect(length).toBeLessThanOrEqual(100);
    await clock.pass(20_000);
    expect(client.takeKind('pingresp')).toHaveLength(280 - length);
    expect(client.isOver).toBe(false);
    expect(client.link.isPaused).toBe(false);
    // Who says nothing from here on has gone.
    await clock.pass(4_000);
    expect(client.isOver).toBe(true);
  });

  it.each([0, 1, 2] as const)('is read so with QoS %s, and loses nothing', async (qos) => {
    const { peer, clock, hub } = await startMqtt({ config: { ...RATE, receiveMaximum: 100 } });
    const client = peer({ autoAck: true });
    await client.connect();
    let published = 0;
    const publish = hub.publish.bind(hub);
    hub.publish = (...args) => {
      published += 1;
      return publish(...args);
    };
    for (let id = 1; id <= 50; id += 1) {
      client.link.receive(encode(publishPacket('a', 'x', { qos, packetId: qos && id }), 5));
    }
    await client.settle();
    expect(published).toBe(20);
    await clock.pass(4_000);
    expect(published).toBe(50);
    expect(client.isOver).toBe(false);
  });

  it('[DEV-40] pays for each filter, and for acknowledgements of nothing', async () => {
    for (const packet of [
      ackPacket('puback', 7),
      ackPacket('pubrec', 7),
      ackPacket('pubcomp', 7),
      ackPacket('pubrel', 7),
    ]) {
      const { peer } = await startMqtt({ config: RATE });
      const client = peer();
      await client.connect();
      await client.sendRaw(...many(300, 5, packet));
      expect([packet.kind, client.link.isPaused]).toEqual([packet.kind, true]);
      expect(client.received.length).toBeLessThan(30);
    }
    const { peer } = await startMqtt({ config: RATE });
    const client = peer();
    await client.connect();
    const filters = Array.from({ length: 8 }, (_, at) => ({ filter: `a/${at}` }));
    for (let id = 1; id < 5; id += 1) {
      client.link.receive(encode(subscribePacket(id, filters), 5));
    }
    await client.settle();
    expect(client.takeKind('suback')).toHaveLength(3);
  });

  it('acknowledges what it was sent for nothing', async () => {
    const { peer, publish } = await startMqtt({ config: { ...RATE, inflightMax: 200 } });
    const client = peer({ autoAck: true });
    await client.connect();
    await client.subscribe([{ filter: 'a', qos: 2 }]);
    for (let count = 0; count < 100; count += 1) await publish('a', `${count}`);
    expect(client.takeKind('publish')).toHaveLength(100);
    expect(client.link.isPaused).toBe(false);
  });

  it('may go, and does not hold its connection', async () => {
    const { peer, protocol, wheel } = await startMqtt({ config: RATE });
    const client = peer();
    await client.connect();
    await client.sendRaw(...many(300, 5));
    await client.drop();
    expect([...protocol.connections]).toEqual([]);
    expect(wheel.armedCount).toBe(0);
  });
});

describe('Very many small packets at once', () => {
  it('are not moved each time that one is begun', async () => {
    const { peer, hub } = await startMqtt({ config: { receiveMaximum: 10 } });
    const client = peer();
    await client.connect();
    let begun = 0;
    hub.publish = async () => {
      begun += 1;
      await Promise.resolve();
      return undefined;
    };
    const count = 100_000;
    const packet = encode(publishPacket('a', '', {}), 5);
    const { slice } = Array.prototype;
    let moved = 0;
    const counting = vi.spyOn(Array.prototype, 'slice').mockImplementation(function (
      this: unknown[],
      ...args
    ) {
      moved += this.length;
      return slice.apply(this, args);
    });
    try {
      await client.sendRaw(Buffer.concat(Array.from({ length: count }, () => packet)));
    } finally {
      counting.mockRestore();
    }
    expect(begun).toBe(count);
    expect(moved).toBeLessThan(10 * count);
  });
});

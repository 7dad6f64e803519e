/** Clients that mean no good: what they cost is bounded, and others do not notice them. */
import { ackPacket, publishPacket } from '@trunkline/testkit';
import { describe, expect, it } from 'vitest';
import { encode } from '../../../src/protocols/mqtt/codec/encode.ts';
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

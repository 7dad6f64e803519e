/** Statements of the standards about answers that must not be too large, and about the end. */
import { ackPacket, packetText, payloadText } from '@trunkline/testkit';
import { describe, expect, it } from 'vitest';
import { packetSize } from '../../../src/protocols/mqtt/codec/encode.ts';
import type { Packet } from '../../../src/protocols/mqtt/codec/packets.ts';
import { anonymous, startMqtt } from './mqtt-setup.ts';

const REASON = { reasonString: 'because of something that takes many words to be explained' };
const USER = { userProperties: [['because', 'of something that takes many words']] } as const;

/** The statements about the reason string and about the user properties of a packet. */
const CASES: readonly [statements: string, packet: Packet][] = [
  [
    '[MQTT5-3.2.2-19] [MQTT5-3.2.2-20]',
    { kind: 'connack', sessionPresent: false, reason: 0, properties: {} },
  ],
  ['[MQTT5-3.4.2-2] [MQTT5-3.4.2-3]', ackPacket('puback', 7, 0x87)],
  ['[MQTT5-3.5.2-2] [MQTT5-3.5.2-3]', ackPacket('pubrec', 7, 0x87)],
  ['[MQTT5-3.6.2-2] [MQTT5-3.6.2-3]', ackPacket('pubrel', 7, 0x92)],
  ['[MQTT5-3.7.2-2] [MQTT5-3.7.2-3]', ackPacket('pubcomp', 7, 0x92)],
  [
    '[MQTT5-3.9.2-1] [MQTT5-3.9.2-2]',
    { kind: 'suback', packetId: 7, reasons: [0x87], properties: {} },
  ],
  [
    '[MQTT5-3.11.2-1] [MQTT5-3.11.2-2]',
    { kind: 'unsuback', packetId: 7, reasons: [0x11], properties: {} },
  ],
  ['[MQTT5-3.14.2-3] [MQTT5-3.14.2-4]', { kind: 'disconnect', reason: 0x8b, properties: {} }],
  [
    '[MQTT5-3.15.2-2] [MQTT5-3.15.2-3]',
    { kind: 'auth', reason: 0x18, properties: { authenticationMethod: 'token' } },
  ],
];

/** The same packet, which says why. */
function explained(packet: Packet, more: object): Packet {
  const { properties } = packet as { properties?: object };
  return { ...packet, properties: { ...properties, ...more } } as Packet;
}

describe('What makes a packet larger than a client of MQTT 5.0 takes', () => {
  it.each(CASES)('%s is left out of it', async (_, packet) => {
    for (const more of [REASON, USER, { ...REASON, ...USER }]) {
      const whole = explained(packet, more);
      for (const isRoom of [true, false]) {
        const { peer, protocol } = await startMqtt();
        const client = peer();
        // No less than its own CONNACK has.
        const maximumPacketSize = packetSize(whole, 5) - (isRoom ? 0 : 1);
        expect(maximumPacketSize).toBeGreaterThanOrEqual(40);
        await client.connect({ clientId: 'c', properties: { maximumPacketSize } });
        const [connection] = protocol.connections;
        connection?.send(whole);
        await client.settle();
        expect(client.take(), `${packet.kind} ${isRoom}`).toEqual([isRoom ? whole : packet]);
      }
    }
  });

  it('[MQTT5-3.1.2-24] is not sent, where it is needed', async () => {
    const { peer, publish } = await startMqtt();
    for (const size of [41, 42, 50, 60]) {
      const client = peer({ packetSizeMax: size });
      await client.connect({ clientId: 'c', properties: { maximumPacketSize: size } });
      await client.subscribe({ filter: 'a', qos: 1 });
      for (let length = 1; length < 70; length += 1) {
        await publish('a', 'x'.repeat(length), { contentType: 'a/b' });
        for (const { packetId } of client.takeKind('publish')) await client.ack('puback', packetId);
      }
      const sizes = client.received.map((packet) => packetSize(packet, 5));
      expect(Math.max(...sizes)).toBe(size);
    }
  });
});

describe('A DISCONNECT of the server', () => {
  it('[MQTT5-3.14.4-1] [MQTT5-3.14.4-2] [MQTT5-4.13.2-1] is its last packet, and closes the connection', async () => {
    const { peer, publish, hub } = await startMqtt();
    const client = peer();
    await client.connect({ clientId: 'c' });
    await client.subscribe('a');
    // A fault, and behind it what would be answered.
    await client.sendRaw(Buffer.from('c100c000', 'hex'), Buffer.from('c000', 'hex'));
    await publish('a', 'late');
    expect(client.take().map(packetText)).toEqual(['disconnect 0x81']);
    expect(client.isOver).toBe(true);
    const caller = { identity: anonymous, session: 's' };
    const { messages } = await hub.history(caller, 'a', { countMax: 10 });
    expect(messages.map(({ payload }) => payloadText(payload))).toEqual(['late']);
  });
});

describe('AUTH of MQTT 5.0', () => {
  it('[MQTT5-4.12.0-4] that fails ends the connection', async () => {
    const { peer } = await startMqtt();
    const data = (text: string) => ({
      ...{ authenticationMethod: 'token', authenticationData: Buffer.from(text) },
    });
    const refused = peer();
    expect((await refused.connect({ properties: data('eve') })).reason).toBe(0x86);
    expect(refused.isOver).toBe(true);
    const client = peer();
    await client.connect({ properties: data('alice') });
    await client.send({ kind: 'auth', reason: 0x19, properties: data('eve') });
    expect(client.expectEnd()).toBe(0x87);
  });
});

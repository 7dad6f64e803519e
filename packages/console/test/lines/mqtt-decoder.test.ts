/** What the server's own codec writes, as the page reads it. */
import { encode } from '@trunkline/server/internal/protocols/mqtt/codec/encode.ts';
import type { Packet } from '@trunkline/server/internal/protocols/mqtt/codec/packets.ts';
import { seededRandom } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';
import { MqttDecoder } from '../../src/lines/mqtt-decoder.ts';

const user = [['trunkline.position', 'k3f9:7']] as const;
const NONE = { userProperties: [] };

/** Every property that a server may send, so that those which do not matter are read over. */
const PACKETS: readonly Packet[] = [
  {
    kind: 'connack',
    sessionPresent: true,
    reason: 0,
    properties: {
      ...{ sessionExpiryInterval: 60, receiveMaximum: 10, maximumQos: 1, retainAvailable: 1 },
      ...{ maximumPacketSize: 100, assignedClientIdentifier: 'c', topicAliasMaximum: 3 },
      ...{ reasonString: 'welcome', wildcardSubscriptionAvailable: 1, serverKeepAlive: 12 },
      ...{ responseInformation: 'r', serverReference: 's', userProperties: user },
      ...{ authenticationMethod: 'token', authenticationData: Buffer.from('d') },
    },
  },
  { kind: 'suback', packetId: 1, reasons: [1, 0x87], properties: { reasonString: 'no' } },
  { kind: 'pingresp' },
  {
    kind: 'publish',
    ...{ topic: 'größe/1', payload: Buffer.from('{"a":1}'), qos: 1, retain: false, dup: true },
    packetId: 300,
    properties: {
      ...{ payloadFormatIndicator: 1, messageExpiryInterval: 9, contentType: 'application/json' },
      ...{ responseTopic: 'r', correlationData: Buffer.from('c'), topicAlias: 2 },
      ...{ subscriptionIdentifiers: [1, 300], userProperties: user },
    },
  },
  {
    kind: 'publish',
    ...{ topic: 'a', payload: Buffer.alloc(300, 1), qos: 0, retain: false, dup: false },
    ...{ packetId: 0, properties: {} },
  },
  { kind: 'disconnect', reason: 0x8b, properties: { reasonString: 'gone', serverReference: 's' } },
  { kind: 'disconnect', reason: 0x8e, properties: {} },
  { kind: 'disconnect', reason: 0, properties: {} },
];

const READ = [
  {
    kind: 'connack',
    sessionPresent: true,
    reason: 0,
    told: { reasonText: 'welcome', keepAliveSeconds: 12, userProperties: user },
  },
  { kind: 'suback', reasons: [1, 0x87], told: { reasonText: 'no', userProperties: [] } },
  { kind: 'pingresp' },
  {
    kind: 'publish',
    topic: 'größe/1',
    packetId: 300,
    told: { contentType: 'application/json', userProperties: user },
    payload: new TextEncoder().encode('{"a":1}'),
  },
  { kind: 'publish', topic: 'a', packetId: 0, told: NONE, payload: new Uint8Array(300).fill(1) },
  { kind: 'disconnect', reason: 0x8b, told: { reasonText: 'gone', userProperties: [] } },
  { kind: 'disconnect', reason: 0x8e, told: NONE },
  { kind: 'disconnect', reason: 0, told: NONE },
];

const BYTES = Buffer.concat(PACKETS.map((packet) => encode(packet, 5)));

describe('the decoder of the page', () => {
  test('reads every packet of a server, several in one frame', () => {
    expect(new MqttDecoder().push(BYTES)).toEqual(READ);
  });

  test.each([1, 2, 7, 100])('[DEV-4] reads the same in frames of %i bytes', (size) => {
    const decoder = new MqttDecoder();
    const read = [];
    for (let at = 0; at < BYTES.length; at += size) {
      read.push(...decoder.push(BYTES.subarray(at, at + size)));
    }
    expect(read).toEqual(READ);
  });

  test('keeps no more of a frame than the packet that goes on', () => {
    const decoder = new MqttDecoder();
    const chunk = Uint8Array.from(BYTES);
    const read = decoder.push(chunk);
    chunk.fill(0);
    expect(read).toEqual(READ);
  });

  test.each([
    ['a packet of a client', [0xc0, 0]],
    ['a packet larger than the page takes', [0x30, 0xff, 0xff, 0xff, 0x7f]],
    ['a size of five bytes', [0x30, 0xff, 0xff, 0xff, 0xff]],
    ['QoS 2, which it did not ask for', [0x34, 5, 0, 1, 97, 0, 1, 0]],
    ['a text that is cut off', [0x30, 3, 0, 9, 97]],
    ['a text that is no UTF-8', [0x30, 4, 0, 1, 0xff, 0]],
    ['a property that MQTT does not know', [0x30, 5, 0, 1, 97, 1, 0x7f]],
    ['an answer without a reason', [0x20, 1, 0]],
  ])('refuses %s', (_, bytes) => {
    expect(() => new MqttDecoder().push(Uint8Array.from(bytes))).toThrow(RangeError);
  });

  test('ends in packets or a RangeError, whatever comes', () => {
    const random = seededRandom(20261120);
    for (let round = 0; round < 2_000; round += 1) {
      const bytes = Uint8Array.from(BYTES);
      for (let count = 0; count < 3; count += 1) {
        bytes[Math.floor(random.fraction() * bytes.length)] = Math.floor(random.fraction() * 256);
      }
      try {
        new MqttDecoder().push(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
      }
    }
  });
});

/** What the page sends, as the server's own codec reads it. */
import { PacketDecoder } from '@trunkline/server/internal/protocols/mqtt/codec/decoder.ts';
import { describe, expect, test } from 'vitest';
import {
  connectPacket,
  PINGREQ,
  pubackPacket,
  subscribePacket,
} from '../../src/lines/mqtt-packets.ts';
import type { Hello } from '../../src/lines/mqtt-packets.ts';

const HELLO: Hello = {
  clientId: 'console-ü',
  cleanStart: true,
  keepAliveSeconds: 300,
  expirySeconds: 3_600,
  packetSizeMax: 70_000,
  password: undefined,
  userProperties: [['trunkline.positions', '1']],
};

/** The packets after a CONNECT. */
function read(...packets: readonly Uint8Array[]) {
  const decoder = new PacketDecoder({ packetSizeMax: 100_000 });
  return [...packets].flatMap((packet) => [...decoder.push(Buffer.from(packet))]);
}

describe('the packets of the page', () => {
  test('[MQTT-3.1.2-4] begin a session anew, or go on with one', () => {
    for (const cleanStart of [true, false]) {
      const [connect] = read(connectPacket({ ...HELLO, cleanStart }));
      expect(connect).toMatchObject({
        kind: 'connect',
        version: 5,
        clientId: 'console-ü',
        cleanStart,
        keepAlive: 300,
        properties: {
          sessionExpiryInterval: 3_600,
          maximumPacketSize: 70_000,
          userProperties: [['trunkline.positions', '1']],
        },
      });
      expect(connect).not.toHaveProperty('password');
      expect(connect).not.toHaveProperty('will');
    }
  });

  test('[DEV-5] show a token as the password, of any length that fits', () => {
    for (const password of ['t', 'token'.repeat(1_000)]) {
      const [connect] = read(connectPacket({ ...HELLO, password }));
      expect(connect).toMatchObject({ password: Buffer.from(password) });
    }
    expect(() => connectPacket({ ...HELLO, password: 'x'.repeat(70_000) })).toThrow(RangeError);
  });

  test('subscribe with QoS 1, to nothing of what is retained, and acknowledge', () => {
    const filters = ['room/+', 'größe/#'];
    const [, ...others] = read(
      connectPacket(HELLO),
      subscribePacket(7, filters),
      pubackPacket(65_535),
      PINGREQ,
    );
    const options = { qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 2 };
    expect(others).toMatchObject([
      {
        kind: 'subscribe',
        packetId: 7,
        subscriptions: filters.map((filter) => ({ filter, ...options })),
      },
      { kind: 'puback', packetId: 65_535, reason: 0 },
      { kind: 'pingreq' },
    ]);
  });
});

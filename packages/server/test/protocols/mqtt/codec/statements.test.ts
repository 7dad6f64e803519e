/** Statements of the standards about bytes that no single vector shows. */
import { PacketDecoder } from '@trunkline/server/internal/protocols/mqtt/codec/decoder.ts';
import { encode } from '@trunkline/server/internal/protocols/mqtt/codec/encode.ts';
import { REASONS } from '@trunkline/server/internal/protocols/mqtt/codec/reasons.ts';
import type {
  Connect,
  Packet,
  Publish,
  Version,
} from '@trunkline/server/internal/protocols/mqtt/codec/packets.ts';
import {
  ackPacket,
  connectPacket,
  publishPacket,
  subscribePacket,
  unsubscribePacket,
} from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';
import { decodeAll } from './vectors.ts';
import type { Decoded } from './vectors.ts';

const VERSIONS = [4, 5] as const;

/** What a server makes of the first bytes of a connection, or of later ones. */
function read(bytes: Uint8Array, version?: Version): Decoded {
  const packetSizeMax = 1_048_576;
  const later = version === undefined ? {} : { from: 'client' as const, version };
  return decodeAll(new PacketDecoder({ packetSizeMax, ...later }), [bytes]);
}

/** A packet whose every occurrence of `text` is bytes that are none of UTF-8. */
function corrupt(packet: Packet, text: string, version: Version): Buffer {
  const bytes = Buffer.from(encode(packet, version));
  const from = Buffer.from(text);
  const at = bytes.indexOf(from);
  expect(at, 'the text stands in the packet').toBeGreaterThan(0);
  bytes.fill(0xff, at, at + from.length);
  return bytes;
}

/** A CONNECT as bytes, with these flags and behind the client identifier these fields. */
function connectBytes(version: Version, flags: number, ...fields: readonly string[]): Buffer {
  const properties = version === 5 ? [0] : [];
  const head = Buffer.from([0, 4, ...Buffer.from('MQTT'), version, flags, 0, 60, ...properties]);
  const texts = ['id', ...fields].map((text) =>
    text === 'no properties' ? Buffer.of(0) : Buffer.from([0, text.length, ...Buffer.from(text)]),
  );
  const body = Buffer.concat([head, ...texts]);
  return Buffer.concat([Buffer.of(0x10, body.length), body]);
}

function connectOf({ packets, fault }: Decoded): Connect {
  const [packet] = packets;
  if (packet?.kind !== 'connect') throw fault ?? new Error('expected a CONNECT');
  return packet;
}

const FLAGS: readonly [Packet, number][] = [
  [ackPacket('puback', 1), 0],
  [ackPacket('pubrec', 1), 0],
  [ackPacket('pubrel', 1), 2],
  [ackPacket('pubcomp', 1), 0],
  [{ kind: 'connack', sessionPresent: false, reason: 0, properties: {} }, 0],
  [{ kind: 'suback', packetId: 1, reasons: [0], properties: {} }, 0],
  [{ kind: 'unsuback', packetId: 1, reasons: [0], properties: {} }, 0],
  [{ kind: 'pingresp' }, 0],
  [connectPacket(), 0],
  [subscribePacket(1, ['a']), 2],
  [unsubscribePacket(1, ['a']), 2],
  [{ kind: 'disconnect', reason: 0, properties: {} }, 0],
];

describe.each(VERSIONS)('flags of packets of version %i', (version) => {
  test.each(FLAGS.map(([packet, flags]) => [packet.kind, flags, packet] as const))(
    '[MQTT4-2.2.2-1] [MQTT-3.6.1-1] [MQTT-3.14.1-1] are those given: %s',
    (_, flags, packet) => {
      const bytes = encode({ ...packet, version } as Packet, version);
      expect((bytes[0] ?? 0) & 0x0f).toBe(flags);
    },
  );

  test('[MQTT-3.14.1-1] [MQTT-3.6.1-1] others end the connection', () => {
    for (const bytes of ['e100', 'e800', '60020001', '6a020001']) {
      const { packets, fault } = read(Buffer.from(bytes, 'hex'), version);
      expect(packets).toEqual([]);
      expect(fault?.reason, bytes).toBe(REASONS.malformedPacket);
    }
  });
});

test('[MQTT5-3.15.1-1] flags of AUTH are 0, and others end the connection', () => {
  const properties = { authenticationMethod: 'm' };
  const bytes = Buffer.from(encode({ kind: 'auth', reason: 0x18, properties }, 5));
  expect(bytes[0]).toBe(0xf0);
  expect(read(bytes, 5).packets).toHaveLength(1);
  for (let flags = 1; flags < 16; flags += 1) {
    bytes[0] = 0xf0 | flags;
    expect(read(bytes, 5).fault?.reason).toBe(REASONS.malformedPacket);
  }
});

describe.each(VERSIONS)('PUBLISH of version %i', (version) => {
  test('[MQTT4-2.3.1-5] [MQTT5-2.2.1-2] has no identifier with QoS 0', () => {
    const bytes = encode(publishPacket('a', 'xy'), version);
    const properties = version === 5 ? '00' : '';
    expect(bytes.toString('hex')).toBe(version === 5 ? '3006000161007879' : '30050001617879');
    expect(bytes.toString('hex')).toContain(`000161${properties}7879`);
    const [packet] = read(bytes, version).packets;
    expect(packet).toMatchObject({ qos: 0, packetId: 0, payload: Buffer.from('xy') });
  });

  test('[MQTT-3.3.2-1] has its topic first, which is UTF-8', () => {
    const packet = publishPacket('topic/é', 'x', { qos: 1, packetId: 7 });
    const bytes = encode(packet, version);
    expect(bytes.subarray(2, 4)).toEqual(Buffer.from([0, 8]));
    expect(bytes.subarray(4, 12).toString()).toBe('topic/é');
    const { packets, fault } = read(corrupt(packet, 'topic', version), version);
    expect(packets).toEqual([]);
    expect(fault?.reason).toBe(REASONS.malformedPacket);
  });
});

describe.each(VERSIONS)('CONNECT of version %i', (version) => {
  const noProperties = version === 5 ? ['no properties'] : [];
  const will = { topic: 'will/topic', payload: 'gone', qos: 2 as const, retain: true };

  test('[MQTT-3.1.2-9] has topic, message, QoS and flag of its will', () => {
    const bytes = connectBytes(version, 0x36, ...noProperties, 'will/topic', 'gone');
    expect(connectOf(read(bytes)).will).toMatchObject({ ...will, payload: Buffer.from('gone') });
    for (const fields of [[], ['will/topic'], [...noProperties, 'will/topic']]) {
      expect(read(connectBytes(version, 0x36, ...fields)).fault?.reason).toBe(0x81);
    }
  });

  test('[MQTT4-3.1.2-11] has none of it without the flag', () => {
    expect(connectOf(read(connectBytes(version, 0x02))).will).toBeUndefined();
    for (const flags of [0x0a, 0x12, 0x22]) {
      expect(read(connectBytes(version, flags)).fault?.reason).toBe(0x81);
    }
    const fields = [...noProperties, 'will/topic', 'gone'];
    expect(read(connectBytes(version, 0x02, ...fields)).fault?.reason).toBe(0x81);
  });

  test('[MQTT4-3.1.2-18] [MQTT5-3.1.2-16] [MQTT4-3.1.2-19] [MQTT5-3.1.2-17] has a user name exactly with its flag', () => {
    expect(connectOf(read(connectBytes(version, 0x82, 'user'))).userName).toBe('user');
    expect(read(connectBytes(version, 0x82)).fault?.reason).toBe(0x81);
    expect(connectOf(read(connectBytes(version, 0x02))).userName).toBeUndefined();
    expect(read(connectBytes(version, 0x02, 'user')).fault?.reason).toBe(0x81);
  });

  test('[MQTT4-3.1.2-20] [MQTT5-3.1.2-18] [MQTT4-3.1.2-21] [MQTT5-3.1.2-19] has a password exactly with its flag', () => {
    const { password } = connectOf(read(connectBytes(version, 0xc2, 'user', 'secret')));
    expect(password).toEqual(Buffer.from('secret'));
    expect(read(connectBytes(version, 0xc2, 'user')).fault?.reason).toBe(0x81);
    expect(connectOf(read(connectBytes(version, 0x82, 'user'))).password).toBeUndefined();
    expect(read(connectBytes(version, 0x82, 'user', 'secret')).fault?.reason).toBe(0x81);
  });

  test('[MQTT-3.1.3-3] has the client identifier first', () => {
    const fields = [...noProperties, 'will/topic', 'gone', 'user', 'secret'];
    const connect = connectOf(read(connectBytes(version, 0xf6, ...fields)));
    expect(connect).toMatchObject({ clientId: 'id', userName: 'user' });
    // Cut right before it.
    const bytes = connectBytes(version, 0x02).subarray(0, version === 5 ? 13 : 12);
    bytes[1] = bytes.length - 2;
    expect(read(bytes).fault?.reason).toBe(0x81);
  });

  test.each([
    ['[MQTT-3.1.3-4] client identifier', 'client'],
    ['[MQTT4-3.1.3-10] [MQTT5-3.1.3-11] will topic', 'will/topic'],
    ['[MQTT4-3.1.3-11] [MQTT5-3.1.3-12] user name', 'user'],
  ])('%s is UTF-8', (_, text) => {
    const packet = connectPacket({ version, clientId: 'client', userName: 'user', will });
    expect(read(encode(packet, version)).packets).toHaveLength(1);
    const { packets, fault } = read(corrupt(packet, text, version));
    expect(packets).toEqual([]);
    expect(fault?.reason).toBe(REASONS.malformedPacket);
  });
});

describe.each(VERSIONS)('names and filters of version %i', (version) => {
  test.each([
    ['[MQTT-3.8.3-1] SUBSCRIBE', subscribePacket(1, ['filter'])],
    ['[MQTT-3.10.3-1] UNSUBSCRIBE', unsubscribePacket(1, ['filter'])],
  ] as const)('%s: filters are UTF-8', (_, packet) => {
    expect(read(encode(packet, version), version).packets).toHaveLength(1);
    const { packets, fault } = read(corrupt(packet, 'filter', version), version);
    expect(packets).toEqual([]);
    expect(fault?.reason).toBe(REASONS.malformedPacket);
  });

  test('[MQTT-4.7.3-2] hold no U+0000', () => {
    const packets = [
      publishPacket('a/b', ''),
      subscribePacket(1, ['a/b']),
      unsubscribePacket(1, ['a/b']),
    ];
    for (const packet of packets) {
      const bytes = Buffer.from(encode(packet, version));
      bytes[bytes.indexOf('/')] = 0;
      expect(read(bytes, version).fault?.reason, packet.kind).toBe(REASONS.malformedPacket);
    }
  });

  test('[MQTT-4.7.3-3] have at most 65,535 bytes, and as many pass', () => {
    const name = 'é'.repeat(32_767);
    const [packet] = read(encode(publishPacket(`${name}x`, ''), version), version).packets;
    expect((packet as Publish).topic).toBe(`${name}x`);
    expect(() => encode(publishPacket(`${name}xy`, ''), version)).toThrow('65');
    expect(() => encode(subscribePacket(1, [`${name}xy`]), version)).toThrow('65');
  });
});

describe('properties', () => {
  test('[MQTT5-2.2.2-1] have the length 0 where there are none', () => {
    const connack = encode(
      { kind: 'connack', sessionPresent: false, reason: 0, properties: {} },
      5,
    );
    expect(connack.toString('hex')).toBe('2003000000');
    const suback = encode({ kind: 'suback', packetId: 1, reasons: [0], properties: {} }, 5);
    expect(suback.toString('hex')).toBe('900400010000');
    expect(encode(publishPacket('a', ''), 5).toString('hex')).toBe('300400016100');
  });

  test.each(['name', 'value'])('[MQTT5-1.5.7-1] a %s of a pair is a text', (text) => {
    const properties = { userProperties: [['name', 'value']] } as const;
    const packet = publishPacket('a', '', { properties });
    expect(read(encode(packet, 5), 5).packets).toHaveLength(1);
    expect(read(corrupt(packet, text, 5), 5).fault?.reason).toBe(REASONS.malformedPacket);
    const zero = Buffer.from(encode(packet, 5));
    zero[zero.indexOf(text)] = 0;
    expect(read(zero, 5).fault?.reason).toBe(REASONS.malformedPacket);
  });

  test.each([
    ['[MQTT5-3.3.2-13] response topic', { responseTopic: 'told' }],
    ['[MQTT5-3.3.2-19] content type', { contentType: 'told' }],
  ])('%s is UTF-8', (_, properties) => {
    const packet = publishPacket('a', '', { properties });
    expect(read(encode(packet, 5), 5).packets).toHaveLength(1);
    expect(read(corrupt(packet, 'told', 5), 5).fault?.reason).toBe(REASONS.malformedPacket);
  });
});

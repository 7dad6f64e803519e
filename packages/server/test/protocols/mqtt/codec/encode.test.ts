import { encode, encodeWithin } from '@trunkline/server/internal/protocols/mqtt/codec/encode.ts';
import type { Packet } from '@trunkline/server/internal/protocols/mqtt/codec/packets.ts';
import { NO_PROPERTIES } from '@trunkline/server/internal/protocols/mqtt/codec/property-table.ts';
import type { PropertiesOf } from '@trunkline/server/internal/protocols/mqtt/codec/property-table.ts';
import { isMqttText } from '@trunkline/server/internal/protocols/mqtt/codec/writer.ts';
import { describe, expect, test } from 'vitest';

function publish(
  topic: string,
  packetId: number,
  properties: PropertiesOf<'publish'> = NO_PROPERTIES,
): Packet {
  const payload = new Uint8Array(0);
  const qos = 1 as const;
  return { kind: 'publish', topic, payload, qos, retain: false, dup: false, packetId, properties };
}

describe('encode', () => {
  test('leaves out in 3.1.1 what only 5.0 has', () => {
    const properties = { reasonString: 'why', userProperties: [['a', 'b']] } as const;
    const ack: Packet = { kind: 'puback', packetId: 1, reason: 0x87, properties };
    expect(encode(ack, 4).toString('hex')).toBe('40020001');
    const end: Packet = { kind: 'disconnect', reason: 0x8b, properties };
    expect(encode(end, 4).toString('hex')).toBe('e000');
    const suback: Packet = { kind: 'suback', packetId: 1, reasons: [0x80], properties };
    expect(encode(suback, 4).toString('hex')).toBe('9003000180');
    const unsuback: Packet = { kind: 'unsuback', packetId: 1, reasons: [0x11], properties };
    expect(encode(unsuback, 4).toString('hex')).toBe('b0020001');
    expect(encode(publish('a', 1, { contentType: 'x' }), 4).toString('hex')).toBe('32050001610001');
  });

  test('takes properties without values for none', () => {
    const ack: Packet = { kind: 'puback', packetId: 1, reason: 0, properties: {} };
    expect(encode(ack, 5).toString('hex')).toBe('40020001');
  });

  test('[MQTT-2.2.1-4] writes no packet identifier 0, and none that does not fit', () => {
    for (const packetId of [0, -1, 65_536, 1.5, NaN]) {
      expect(() => encode(publish('a', packetId), 5)).toThrow(RangeError);
    }
  });

  test.each([
    ['U+0000', 'a\0'],
    ['a lone surrogate', 'a\uD800'],
    ['over 65,535 bytes', 'é'.repeat(32_768)],
  ])('[MQTT-1.5.4-2] writes no text with %s, anywhere', (_, text) => {
    expect(isMqttText(text)).toBe(false);
    const texts: PropertiesOf<'publish'>[] = [
      { contentType: text },
      { userProperties: [[text, '']] },
      { userProperties: [['', text]] },
    ];
    expect(() => encode(publish(text, 1), 5)).toThrow(RangeError);
    for (const properties of texts) {
      expect(() => encode(publish('a', 1, properties), 5)).toThrow(RangeError);
    }
  });

  test('writes the longest text', () => {
    const text = 'x'.repeat(65_535);
    expect(isMqttText(text)).toBe(true);
    expect(encode(publish(text, 1), 4)).toHaveLength(1 + 3 + 2 + 65_535 + 2);
  });

  test('writes no numbers and bytes that do not fit', () => {
    const wrong: PropertiesOf<'publish'>[] = [
      { messageExpiryInterval: 2 ** 32 },
      { messageExpiryInterval: 0.5 },
      { topicAlias: 65_536 },
      { subscriptionIdentifiers: [2 ** 28] },
      { correlationData: new Uint8Array(65_536) },
    ];
    for (const properties of wrong) {
      expect(() => encode(publish('a', 1, properties), 5)).toThrow(RangeError);
    }
  });
});

describe('encodeWithin', () => {
  const puback = (reasonString?: string): Packet => {
    const properties = reasonString === undefined ? {} : { reasonString };
    return { kind: 'puback', packetId: 7, reason: 0x97, properties };
  };

  test('leaves out what only explains where there is no room for it [MQTT5-3.4.2-2]', () => {
    const whole = encode(puback('no room'), 5);
    expect(encodeWithin(puback('no room'), 5, whole.length)).toEqual(whole);
    expect(encodeWithin(puback('no room'), 5, whole.length - 1)).toEqual(encode(puback(), 5));
    expect(encodeWithin(puback('no room'), 5, 4)).toBeUndefined();
  });
});

import { encode } from '@trunkline/server/internal/protocols/mqtt/codec/encode.ts';
import type { Publish, Will } from '@trunkline/server/internal/protocols/mqtt/codec/packets.ts';
import { hasValidPayload } from '@trunkline/server/internal/protocols/mqtt/codec/publish.ts';
import { describe, expect, test } from 'vitest';

const NO_TEXT = Buffer.from([0xff]);

function publishOf(payload: Uint8Array, properties: Publish['properties']): Publish {
  const flags = { qos: 0, retain: false, dup: true } as const;
  return { kind: 'publish', topic: 'a', payload, packetId: 0, ...flags, properties };
}

describe('PUBLISH', () => {
  test('a payload that claims to be UTF-8 is looked at when asked', () => {
    expect(hasValidPayload(publishOf(NO_TEXT, {}))).toBe(true);
    expect(hasValidPayload(publishOf(NO_TEXT, { payloadFormatIndicator: 0 }))).toBe(true);
    expect(hasValidPayload(publishOf(NO_TEXT, { payloadFormatIndicator: 1 }))).toBe(false);
    const text = Buffer.from('é');
    expect(hasValidPayload(publishOf(text, { payloadFormatIndicator: 1 }))).toBe(true);
    const will: Will = { topic: 'w', payload: NO_TEXT, qos: 0, retain: false, properties: {} };
    expect(hasValidPayload(will)).toBe(true);
  });

  test('[MQTT-3.3.1-2] with QoS 0 is never written as a duplicate', () => {
    expect(encode(publishOf(NO_TEXT, {}), 4).toString('hex')).toBe('3004000161ff');
  });
});

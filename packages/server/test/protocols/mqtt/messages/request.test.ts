import { TEXT_LIMITS, TTL_MAX } from '@trunkline/wire';
import { describe, expect, it } from 'vitest';
import { attributesOf } from '../../../../src/protocols/mqtt/messages/attributes.ts';
import { publishProperties } from '../../../../src/protocols/mqtt/codec/publish-frame.ts';
import type { PropertiesOf } from '../../../../src/protocols/mqtt/codec/property-table.ts';
import { toRequest } from '../../../../src/protocols/mqtt/messages/request.ts';

const from = { session: 's1' };

function request(properties: PropertiesOf<'publish'> = {}, payload = Buffer.from('x')) {
  return toRequest({ payload, qos: 1, retain: false, properties }, from);
}

describe('toRequest', () => {
  it('is from the session, and says nothing that was not said', () => {
    const { attributes, ...rest } = request();
    expect(rest).toEqual({
      from,
      payload: Buffer.from('x'),
      contentType: 'text/plain; charset=utf-8',
    });
    expect(attributes).toEqual(Uint8Array.of(1));
  });

  it('has a payload of its own, whatever becomes of the chunk', () => {
    const chunk = Buffer.from('abc');
    const { payload } = request({}, chunk.subarray(1));
    chunk.fill(0);
    expect(Buffer.from(payload).toString()).toBe('bc');
    expect(payload.buffer.byteLength).toBe(2);
  });

  it('keeps what a server must hand on [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18]', () => {
    const properties = {
      payloadFormatIndicator: 1,
      contentType: 'a/b',
      responseTopic: 'r',
      correlationData: Buffer.of(1),
      userProperties: [
        ['b', '1'],
        ['a', '2'],
      ],
    } as const;
    const { attributes, contentType } = request({ ...properties, topicAlias: 1 });
    expect(contentType).toBe('a/b');
    const message = { payload: new Uint8Array(0), offset: 1, time: 0 };
    const kept = attributesOf(attributes === undefined ? message : { ...message, attributes });
    expect(Buffer.from(kept.properties)).toEqual(Buffer.from(publishProperties(properties)));
  });

  it.each([
    [0, 1],
    [1, 1_000],
    [0xffff_ffff, TTL_MAX],
  ])('has a time to live: %i seconds are %i ms [MQTT-3.3.2-5]', (seconds, ttl) => {
    expect(request({ messageExpiryInterval: seconds }).ttl).toBe(ttl);
  });

  it('is retained where that was asked for [MQTT-3.3.1-5]', () => {
    expect(toRequest({ payload: Buffer.of(), qos: 0, retain: true, properties: {} }, from)).toEqual(
      expect.objectContaining({ retain: true }),
    );
    expect(request()).not.toHaveProperty('retain');
  });

  it('has the key that a user property gives, if it can be one', () => {
    const keyOf = (key: string) => request({ userProperties: [['key', key]] }).key;
    expect(keyOf('order-7')).toBe('order-7');
    expect(keyOf('x'.repeat(TEXT_LIMITS.key))).toBeDefined();
    expect(keyOf('x'.repeat(TEXT_LIMITS.key + 1))).toBeUndefined();
  });
});

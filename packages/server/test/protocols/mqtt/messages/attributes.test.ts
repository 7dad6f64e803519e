import type { Message } from '@trunkline/wire';
import { describe, expect, it } from 'vitest';
import {
  attributesOf,
  encodeAttributes,
} from '../../../../src/protocols/mqtt/messages/attributes.ts';
import { publishProperties } from '../../../../src/protocols/mqtt/codec/publish-frame.ts';
import type { PropertiesOf } from '../../../../src/protocols/mqtt/codec/property-table.ts';

const message = (more: Partial<Message> = {}): Message => ({
  ...{ offset: 1, time: 1, payload: Buffer.from('{}') },
  ...more,
});

const KEPT: PropertiesOf<'publish'> = {
  payloadFormatIndicator: 1,
  contentType: 'text/plain',
  responseTopic: 'answers/ä',
  correlationData: Uint8Array.of(0, 255),
  userProperties: [
    ['b', '1'],
    ['a', '2'],
    ['b', '1'],
  ],
};

describe('attributes', () => {
  it.each([0, 1, 2] as const)('keep QoS %i and RETAIN', (qos) => {
    for (const retain of [false, true]) {
      const attributes = encodeAttributes({ qos, retain, properties: {} });
      expect(attributes).toHaveLength(1);
      expect(attributesOf(message({ attributes }))).toMatchObject({ qos, retain });
    }
  });

  it('keep what is handed on unaltered, in its order [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20]', () => {
    const attributes = encodeAttributes({ qos: 1, retain: true, properties: KEPT });
    const read = attributesOf(message({ attributes }));
    expect(Buffer.from(read.properties)).toEqual(Buffer.from(publishProperties(KEPT)));
  });

  it('leave out what holds for one connection or is reckoned anew', () => {
    const properties = {
      ...KEPT,
      ...{ topicAlias: 3, messageExpiryInterval: 7, subscriptionIdentifiers: [1] },
    };
    expect(encodeAttributes({ qos: 1, retain: false, properties })).toEqual(
      encodeAttributes({ qos: 1, retain: false, properties: KEPT }),
    );
  });

  it('of a will are those of a message, without its delay', () => {
    const will = { qos: 1, retain: false, properties: { ...KEPT, willDelayInterval: 9 } } as const;
    expect(encodeAttributes(will)).toEqual(
      encodeAttributes({ qos: 1, retain: false, properties: KEPT }),
    );
  });

  it('say of a message of another protocol that its reader decides about QoS, and what it is', () => {
    const json = attributesOf(message());
    expect(json).toMatchObject({ qos: 2, retain: false });
    expect(json.properties).toEqual(
      publishProperties({ payloadFormatIndicator: 1, contentType: 'application/json' }),
    );
    // Made once for all.
    expect(attributesOf(message()).properties).toBe(json.properties);
    const text = attributesOf(message({ contentType: 'TEXT/html' }));
    expect(text.properties).toEqual(
      publishProperties({ payloadFormatIndicator: 1, contentType: 'TEXT/html' }),
    );
    const image = attributesOf(message({ contentType: 'image/png' }));
    expect(image.properties).toEqual(publishProperties({ contentType: 'image/png' }));
  });

  it('do not call UTF-8 what is none', () => {
    const contentType = 'text/plain; charset=iso-8859-1';
    const { properties } = attributesOf(message({ contentType, payload: Uint8Array.of(0xe4) }));
    expect(properties).toEqual(publishProperties({ contentType }));
  });

  it('are read whatever stands in them', () => {
    const empty = attributesOf(message({ attributes: new Uint8Array(0) }));
    expect(empty.qos).toBe(2);
    const odd = attributesOf(message({ attributes: Uint8Array.of(0xff) }));
    expect(odd).toMatchObject({ qos: 2, retain: true });
    expect(odd.properties).toHaveLength(0);
  });
});

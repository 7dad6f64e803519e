/**
 * Attributes: what a message that came over MQTT keeps for those who read it over MQTT, beside its
 * payload. Everybody else hands the bytes on unread.
 *
 * One byte of flags, then the properties of 5.0 that a server must hand on unaltered, in their form
 * on the wire, so that they are copied and never parsed ([MQTT-3.3.2-4], [MQTT-3.3.2-15],
 * [MQTT-3.3.2-16], [MQTT-3.3.2-17], [MQTT-3.3.2-18]).
 */
import { isUtf8 } from 'node:buffer';
import type { Message } from '@trunkline/wire';
import type { Publish, Qos, Will } from '../codec/packets.ts';
import type { PropertiesOf } from '../codec/property-table.ts';
import { publishProperties } from '../codec/publish-frame.ts';

/** What was published, apart from topic and payload. */
export interface Attributes {
  /** The QoS that the publisher gave it: nobody gets it with a higher one [MQTT-3.8.4-8]. */
  readonly qos: Qos;
  /** Whether it was published with RETAIN, for those who asked to be told. */
  readonly retain: boolean;
  /** Properties of 5.0 as they stand on the wire. */
  readonly properties: Uint8Array;
}

const QOS = 0x03;
const RETAIN = 0x04;

/** Writes what a message is to keep. */
export function encodeAttributes(
  publish: Pick<Publish | Will, 'qos' | 'retain' | 'properties'>,
): Uint8Array {
  const { qos, retain, properties } = publish;
  const kept = publishProperties(keptOf(properties));
  const bytes = new Uint8Array(1 + kept.length);
  bytes[0] = qos | (retain ? RETAIN : 0);
  bytes.set(kept, 1);
  return bytes;
}

/**
 * Reads what a message keeps. One of another protocol counts as of QoS 2, so that its readers decide,
 * and says what it is by the properties that MQTT has for that.
 */
export function attributesOf(message: Message): Attributes {
  const { attributes } = message;
  if (attributes === undefined || attributes.length === 0) {
    return { qos: 2, retain: false, properties: foreignProperties(message) };
  }
  const flags = attributes[0] ?? 0;
  const qos = flags & QOS;
  return {
    qos: qos === 0 || qos === 1 ? qos : 2,
    retain: (flags & RETAIN) !== 0,
    properties: attributes.subarray(1),
  };
}

/** By far most messages of other protocols are JSON. */
const JSON_PROPERTIES = publishProperties({
  ...{ payloadFormatIndicator: 1, contentType: 'application/json' },
});

/** JSON is UTF-8 and text nearly always, which MQTT says apart from the content type. */
function foreignProperties({ contentType, payload }: Message): Uint8Array {
  if (contentType === undefined) return JSON_PROPERTIES;
  const isText = /^text\//i.test(contentType) && isUtf8(payload);
  return publishProperties({ ...(isText ? { payloadFormatIndicator: 1 } : {}), contentType });
}

function keptOf(
  properties: PropertiesOf<'publish'> | PropertiesOf<'will'>,
): PropertiesOf<'publish'> {
  const { payloadFormatIndicator, contentType, responseTopic, correlationData, userProperties } =
    properties;
  return {
    ...(payloadFormatIndicator === undefined ? {} : { payloadFormatIndicator }),
    ...(contentType === undefined ? {} : { contentType }),
    ...(responseTopic === undefined ? {} : { responseTopic }),
    ...(correlationData === undefined ? {} : { correlationData }),
    ...(userProperties === undefined ? {} : { userProperties }),
  };
}

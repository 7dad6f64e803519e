/**
 * Property table: what MQTT 5.0 adds to a packet beyond its fields (§2.2.2), and who may carry it.
 */

/** A name and a value that MQTT hands on unread. Names may repeat, and order counts. */
export type UserProperty = readonly [name: string, value: string];

/** Every property by its name. Intervals are in seconds. */
export interface Properties {
  /** 1 says that the payload is UTF-8. */
  readonly payloadFormatIndicator?: 0 | 1;
  readonly messageExpiryInterval?: number;
  readonly contentType?: string;
  readonly responseTopic?: string;
  readonly correlationData?: Uint8Array;
  /** At least one; in PUBLISH from a server one for each subscription it matched. */
  readonly subscriptionIdentifiers?: readonly number[];
  /** 0xFFFFFFFF is for ever. */
  readonly sessionExpiryInterval?: number;
  readonly assignedClientIdentifier?: string;
  readonly serverKeepAlive?: number;
  readonly authenticationMethod?: string;
  readonly authenticationData?: Uint8Array;
  readonly requestProblemInformation?: 0 | 1;
  readonly willDelayInterval?: number;
  readonly requestResponseInformation?: 0 | 1;
  readonly responseInformation?: string;
  readonly serverReference?: string;
  readonly reasonString?: string;
  readonly receiveMaximum?: number;
  readonly topicAliasMaximum?: number;
  readonly topicAlias?: number;
  readonly maximumQos?: 0 | 1;
  readonly retainAvailable?: 0 | 1;
  /** At least one, in the order sent. */
  readonly userProperties?: readonly UserProperty[];
  readonly maximumPacketSize?: number;
  readonly wildcardSubscriptionAvailable?: 0 | 1;
  readonly subscriptionIdentifierAvailable?: 0 | 1;
  readonly sharedSubscriptionAvailable?: 0 | 1;
}

/** Which properties a packet may carry, and a will (5.0 table 2-4). */
const ALLOWED = {
  connect: [
    ...(['sessionExpiryInterval', 'authenticationMethod', 'authenticationData'] as const),
    ...(['requestProblemInformation', 'requestResponseInformation', 'receiveMaximum'] as const),
    ...(['topicAliasMaximum', 'userProperties', 'maximumPacketSize'] as const),
  ],
  will: [
    ...(['payloadFormatIndicator', 'messageExpiryInterval', 'contentType'] as const),
    ...(['responseTopic', 'correlationData', 'willDelayInterval', 'userProperties'] as const),
  ],
  connack: [
    ...(['sessionExpiryInterval', 'assignedClientIdentifier', 'serverKeepAlive'] as const),
    ...(['authenticationMethod', 'authenticationData', 'responseInformation'] as const),
    ...(['serverReference', 'reasonString', 'receiveMaximum', 'topicAliasMaximum'] as const),
    ...(['maximumQos', 'retainAvailable', 'userProperties', 'maximumPacketSize'] as const),
    ...(['wildcardSubscriptionAvailable', 'subscriptionIdentifierAvailable'] as const),
    'sharedSubscriptionAvailable' as const,
  ],
  publish: [
    ...(['payloadFormatIndicator', 'messageExpiryInterval', 'contentType'] as const),
    ...(['responseTopic', 'correlationData', 'subscriptionIdentifiers'] as const),
    ...(['topicAlias', 'userProperties'] as const),
  ],
  puback: ['reasonString', 'userProperties'],
  pubrec: ['reasonString', 'userProperties'],
  pubrel: ['reasonString', 'userProperties'],
  pubcomp: ['reasonString', 'userProperties'],
  subscribe: ['subscriptionIdentifiers', 'userProperties'],
  suback: ['reasonString', 'userProperties'],
  unsubscribe: ['userProperties'],
  unsuback: ['reasonString', 'userProperties'],
  disconnect: ['sessionExpiryInterval', 'serverReference', 'reasonString', 'userProperties'],
  auth: ['authenticationMethod', 'authenticationData', 'reasonString', 'userProperties'],
} as const satisfies Record<string, readonly (keyof Properties)[]>;

/** What has properties. */
export type PropertyOwner = keyof typeof ALLOWED;

/** The properties that a packet, or a will, may carry. */
export type PropertiesOf<Owner extends PropertyOwner> = Pick<
  Properties,
  (typeof ALLOWED)[Owner][number]
>;

/** No properties: every packet of 3.1.1 has these, and most of 5.0. */
export const NO_PROPERTIES: Properties = Object.freeze({});

/** How a value stands on the wire: a data type of §1.5, or several of them behind each other. */
export type ValueType = 'byte' | 'uint16' | 'uint32' | 'varints' | 'text' | 'binary' | 'pairs';

/** One line of the table. */
export interface Property {
  readonly id: number;
  readonly name: keyof Properties;
  readonly type: ValueType;
  /** Where the specification says what values it has, and that it comes once. */
  readonly section: string;
  readonly min: number;
  readonly max: number;
}

function line(
  id: number,
  name: keyof Properties,
  type: ValueType,
  section: string,
  { min = 0, max = Infinity } = {},
): Property {
  return { id, name, type, section, min, max };
}

const ID_MAX = 0x2a;
const BINARY = { max: 1 };
const POSITIVE = { min: 1 };

const TABLE: readonly Property[] = [
  line(0x01, 'payloadFormatIndicator', 'byte', '§3.3.2.3.2', BINARY),
  line(0x02, 'messageExpiryInterval', 'uint32', '§3.3.2.3.3'),
  line(0x03, 'contentType', 'text', '§3.3.2.3.9'),
  line(0x08, 'responseTopic', 'text', '§3.3.2.3.5'),
  line(0x09, 'correlationData', 'binary', '§3.3.2.3.6'),
  line(0x0b, 'subscriptionIdentifiers', 'varints', '§3.8.2.1.2', POSITIVE),
  line(0x11, 'sessionExpiryInterval', 'uint32', '§3.1.2.11.2'),
  line(0x12, 'assignedClientIdentifier', 'text', '§3.2.2.3.7'),
  line(0x13, 'serverKeepAlive', 'uint16', '§3.2.2.3.14'),
  line(0x15, 'authenticationMethod', 'text', '§3.1.2.11.9'),
  line(0x16, 'authenticationData', 'binary', '§3.1.2.11.10'),
  line(0x17, 'requestProblemInformation', 'byte', '§3.1.2.11.7', BINARY),
  line(0x18, 'willDelayInterval', 'uint32', '§3.1.3.2.2'),
  line(0x19, 'requestResponseInformation', 'byte', '§3.1.2.11.6', BINARY),
  line(0x1a, 'responseInformation', 'text', '§3.2.2.3.15'),
  line(0x1c, 'serverReference', 'text', '§3.2.2.3.16'),
  line(0x1f, 'reasonString', 'text', '§3.2.2.3.9'),
  line(0x21, 'receiveMaximum', 'uint16', '§3.1.2.11.3', POSITIVE),
  line(0x22, 'topicAliasMaximum', 'uint16', '§3.1.2.11.5'),
  line(0x23, 'topicAlias', 'uint16', '§3.3.2.3.4', POSITIVE),
  line(0x24, 'maximumQos', 'byte', '§3.2.2.3.4', BINARY),
  line(0x25, 'retainAvailable', 'byte', '§3.2.2.3.5', BINARY),
  line(0x26, 'userProperties', 'pairs', '§3.1.2.11.8'),
  line(0x27, 'maximumPacketSize', 'uint32', '§3.1.2.11.4', POSITIVE),
  line(0x28, 'wildcardSubscriptionAvailable', 'byte', '§3.2.2.3.11', BINARY),
  line(0x29, 'subscriptionIdentifierAvailable', 'byte', '§3.2.2.3.12', BINARY),
  line(0x2a, 'sharedSubscriptionAvailable', 'byte', '§3.2.2.3.13', BINARY),
];

const BY_OWNER = mapOwners((owner) => {
  const names: readonly string[] = ALLOWED[owner];
  return TABLE.filter(({ name }) => names.includes(name));
});

/** With the identifier as the index. */
const BY_ID = mapOwners((owner) => {
  const byId: (Property | undefined)[] = Array.from({ length: ID_MAX + 1 });
  for (const one of BY_OWNER[owner]) byId[one.id] = one;
  return byId;
});

function mapOwners<Result>(make: (owner: PropertyOwner) => Result): Record<PropertyOwner, Result> {
  const owners = Object.keys(ALLOWED) as PropertyOwner[];
  return Object.fromEntries(owners.map((owner) => [owner, make(owner)])) as Record<
    PropertyOwner,
    Result
  >;
}

/** The properties that this owner may have, in the order in which they are written. */
export function propertiesOf(owner: PropertyOwner): readonly Property[] {
  return BY_OWNER[owner];
}

/** The property with this identifier; `undefined` when this owner may have none such. */
export function propertyOf(owner: PropertyOwner, id: number): Property | undefined {
  return BY_ID[owner][id];
}

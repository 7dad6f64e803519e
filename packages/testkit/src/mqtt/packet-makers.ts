/** Packet makers: the packets that a client sends, of which a test names only what matters to it. */
import type { AckKind } from '@trunkline/server/internal/protocols/mqtt/codec/acks.ts';
import type {
  Ack,
  Connect,
  Packet,
  PacketKind,
  Publish,
  Qos,
  Subscribe,
  Subscription,
  Unsubscribe,
  Version,
  Will,
} from '@trunkline/server/internal/protocols/mqtt/codec/packets.ts';
import { NO_PROPERTIES } from '@trunkline/server/internal/protocols/mqtt/codec/property-table.ts';
import type { PropertiesOf } from '@trunkline/server/internal/protocols/mqtt/codec/property-table.ts';

/** The packet of a kind. */
export type PacketOf<Kind extends PacketKind> = Extract<Packet, { readonly kind: Kind }>;

/** What a payload may be given as. */
export type Payload = string | Uint8Array;

/** A will as a test writes it: QoS 0, not retained, empty unless it says more. */
export interface WillOptions {
  readonly topic: string;
  readonly payload?: Payload;
  readonly qos?: Qos;
  readonly retain?: boolean;
  readonly properties?: PropertiesOf<'will'>;
}

/** A CONNECT as a test writes it. */
export interface ConnectOptions {
  /** 5 unless given. */
  readonly version?: Version;
  /** Empty unless given. */
  readonly clientId?: string;
  /** Clean Session in 3.1.1, Clean Start in 5.0; true unless given. */
  readonly clean?: boolean;
  /** Seconds the session outlives the connection: the property of 5.0. */
  readonly expiry?: number;
  /** Seconds; 0, which is never, unless given. */
  readonly keepAlive?: number;
  readonly userName?: string;
  readonly password?: Payload;
  readonly will?: WillOptions;
  readonly properties?: PropertiesOf<'connect'>;
}

/** What a PUBLISH says beside its topic and payload; QoS 0 and nothing else unless given. */
export interface PublishOptions {
  readonly qos?: Qos;
  readonly retain?: boolean;
  readonly dup?: boolean;
  /** Chosen by the peer unless given. */
  readonly packetId?: number;
  readonly properties?: PropertiesOf<'publish'>;
}

/** One filter of a SUBSCRIBE; QoS 0 and no options unless given. A string is a filter alone. */
export type FilterOptions = string | (Pick<Subscription, 'filter'> & Partial<Subscription>);

const encoder = new TextEncoder();

/** The bytes of a payload. */
export function payloadBytes(payload: Payload): Uint8Array {
  return typeof payload === 'string' ? encoder.encode(payload) : payload;
}

/** A CONNECT. */
export function connectPacket(options: ConnectOptions = {}): Connect {
  const { version = 5, clientId = '', clean = true, keepAlive = 0 } = options;
  const { expiry, userName, password, will } = options;
  const properties = expiry === undefined ? {} : { sessionExpiryInterval: expiry };
  return {
    kind: 'connect',
    version,
    clientId,
    cleanStart: clean,
    keepAlive,
    ...(will === undefined ? {} : { will: willOf(will) }),
    ...(userName === undefined ? {} : { userName }),
    ...(password === undefined ? {} : { password: payloadBytes(password) }),
    properties: { ...properties, ...options.properties },
  };
}

function willOf({ topic, payload = '', qos = 0, retain = false, ...rest }: WillOptions): Will {
  const { properties = NO_PROPERTIES } = rest;
  return { topic, payload: payloadBytes(payload), qos, retain, properties };
}

/** A PUBLISH. Its packet identifier is left at 0 unless given. */
export function publishPacket(
  topic: string,
  payload: Payload,
  options: PublishOptions = {},
): Publish {
  const { qos = 0, retain = false, dup = false, packetId = 0 } = options;
  const { properties = NO_PROPERTIES } = options;
  const bytes = payloadBytes(payload);
  return { kind: 'publish', topic, payload: bytes, qos, retain, dup, packetId, properties };
}

/** An acknowledgement of any of the four kinds; success unless a reason is given. */
export function ackPacket<Kind extends AckKind>(
  kind: Kind,
  packetId: number,
  reason = 0,
): Ack<Kind> {
  return { kind, packetId, reason, properties: NO_PROPERTIES };
}

/** A SUBSCRIBE. */
export function subscribePacket(
  packetId: number,
  filters: readonly FilterOptions[],
  properties: PropertiesOf<'subscribe'> = NO_PROPERTIES,
): Subscribe {
  const subscriptions = filters.map((one) => ({
    qos: 0 as const,
    noLocal: false,
    retainAsPublished: false,
    retainHandling: 0 as const,
    ...(typeof one === 'string' ? { filter: one } : one),
  }));
  return { kind: 'subscribe', packetId, subscriptions, properties };
}

/** An UNSUBSCRIBE. */
export function unsubscribePacket(packetId: number, filters: readonly string[]): Unsubscribe {
  return { kind: 'unsubscribe', packetId, filters, properties: NO_PROPERTIES };
}

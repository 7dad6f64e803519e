/**
 * Terms: what a CONNECT asks for and what it is granted.
 */
import { MqttError } from '../codec/faults.ts';
import type { Connect, Version } from '../codec/packets.ts';
import type { PropertiesOf } from '../codec/property-table.ts';
import { REASONS } from '../codec/reasons.ts';
import { VARINT_MAX } from '../codec/writer.ts';
import { POSITIONS_PROPERTY } from '../messages/encoding.ts';
import type { MqttConfig } from '../parts.ts';

/** A packet is never larger than its length can say. */
const PACKET_SIZE_MAX = VARINT_MAX + 5;

/** Messages under way of a session that is stored: their places have room in its record. */
const KEPT_INFLIGHT_MAX = 1_000;

/** `Receive Maximum` when nothing is said of it (5.0 §3.1.2.11.3). */
const RECEIVE_MAXIMUM = 65_535;

/** What CONNECT agreed on. */
export interface Terms {
  readonly version: Version;
  readonly clientId: string;
  /** Its key in the store. */
  readonly key: string;
  /** Seconds that the session is kept without a connection; with 0 nothing is stored. */
  readonly expirySeconds: number;
  /** Messages that the client takes without having acknowledged them. */
  readonly receiveMaximum: number;
  /** Bytes of the largest packet that the client takes. */
  readonly packetSizeMax: number;
  /** Topic aliases that the client takes. */
  readonly topicAliasMaximum: number;
  /** False where reasons and user properties stand only in PUBLISH, CONNACK and DISCONNECT. */
  readonly wantsProblems: boolean;
  /** True when each message is to say where it stands. */
  readonly positions: boolean;
  /** True where CONNECT named an authentication method: then the token may be renewed. */
  readonly hasMethod: boolean;
}

/** What a client is granted, but for who it is. */
export type Granted = Omit<Terms, 'key'>;

/**
 * Decides what a client is granted.
 *
 * @param assigned the client identifier of one that leaves it to the server.
 * @throws {MqttError} when it asks for what it can't have.
 */
export function grant(connect: Connect, config: MqttConfig, assigned: string): Granted {
  const { version, clientId, properties } = connect;
  const { clientIdLengthMax, sessionExpirySecondsMax } = config;
  if (Buffer.byteLength(clientId) > clientIdLengthMax) {
    const message = `expected a client identifier of at most ${clientIdLengthMax} bytes`;
    throw new MqttError(REASONS.clientIdentifierNotValid, '[MQTT-3.1.3-5]', message);
  }
  return {
    version,
    clientId: clientId === '' ? assigned : clientId,
    expirySeconds: Math.min(wantedExpiry(connect), sessionExpirySecondsMax),
    receiveMaximum: properties.receiveMaximum ?? RECEIVE_MAXIMUM,
    packetSizeMax: properties.maximumPacketSize ?? PACKET_SIZE_MAX,
    topicAliasMaximum: Math.min(properties.topicAliasMaximum ?? 0, config.topicAliasMax),
    wantsProblems: version === 5 && properties.requestProblemInformation !== 0,
    positions: asksForPositions(connect),
    hasMethod: properties.authenticationMethod !== undefined,
  };
}

/** Seconds that a client wants its session to be kept: 3.1.1 says only whether. */
function wantedExpiry({ version, cleanStart, properties }: Connect): number {
  if (version === 5) return properties.sessionExpiryInterval ?? 0;
  return cleanStart ? 0 : Number.POSITIVE_INFINITY;
}

function asksForPositions({ properties: { userProperties = [] } }: Connect): boolean {
  return userProperties.some(([name, value]) => name === POSITIONS_PROPERTY && value === '1');
}

/** Messages that a client may have that it has not acknowledged. */
export function inflightMax(
  { receiveMaximum, expirySeconds }: Pick<Terms, 'receiveMaximum' | 'expirySeconds'>,
  config: Pick<MqttConfig, 'inflightMax'>,
): number {
  const countMax = Math.min(receiveMaximum, config.inflightMax);
  return expirySeconds > 0 ? Math.min(countMax, KEPT_INFLIGHT_MAX) : countMax;
}

/** How long after the last packet of a client it counts as gone, in ms; 0 is never [MQTT-3.1.2-22]. */
export function silenceMs(keepAlive: number): number {
  return keepAlive * 1500;
}

/** The keep alive that holds: 5.0 can be told of a shorter one. */
export function keepAliveFor({ version, keepAlive }: Connect, config: MqttConfig): number {
  const { keepAliveSecondsMax: max } = config;
  const isTooLong = keepAlive === 0 || keepAlive > max;
  return version === 5 && max > 0 && isTooLong ? max : keepAlive;
}

/** What CONNACK tells of the terms. */
export function grantedProperties(
  connect: Connect,
  terms: Granted,
  config: MqttConfig,
): PropertiesOf<'connack'> {
  const keepAlive = keepAliveFor(connect, config);
  const { expirySeconds, clientId } = terms;
  return {
    ...(expirySeconds === wantedExpiry(connect) ? {} : { sessionExpiryInterval: expirySeconds }),
    ...(connect.clientId === '' ? { assignedClientIdentifier: clientId } : {}),
    ...(keepAlive === connect.keepAlive ? {} : { serverKeepAlive: keepAlive }),
    receiveMaximum: config.receiveMaximum,
    maximumPacketSize: config.packetBytesMax,
    ...(config.topicAliasMax === 0 ? {} : { topicAliasMaximum: config.topicAliasMax }),
  };
}

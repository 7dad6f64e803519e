/**
 * Reasons: the reason codes of MQTT 5.0 (§2.4), which of them a packet may carry, and what 3.1.1 makes
 * of them. From 0x80 on they are refusals.
 */
import type { Version } from './packets.ts';

/** Every reason code by its name. Success is also a normal disconnection and granted QoS 0. */
export const REASONS = {
  success: 0x00,
  grantedQos1: 0x01,
  grantedQos2: 0x02,
  disconnectWithWill: 0x04,
  noMatchingSubscribers: 0x10,
  noSubscriptionExisted: 0x11,
  continueAuthentication: 0x18,
  reauthenticate: 0x19,
  unspecifiedError: 0x80,
  malformedPacket: 0x81,
  protocolError: 0x82,
  implementationSpecificError: 0x83,
  unsupportedProtocolVersion: 0x84,
  clientIdentifierNotValid: 0x85,
  badUserNameOrPassword: 0x86,
  notAuthorized: 0x87,
  serverUnavailable: 0x88,
  serverBusy: 0x89,
  banned: 0x8a,
  serverShuttingDown: 0x8b,
  badAuthenticationMethod: 0x8c,
  keepAliveTimeout: 0x8d,
  sessionTakenOver: 0x8e,
  topicFilterInvalid: 0x8f,
  topicNameInvalid: 0x90,
  packetIdentifierInUse: 0x91,
  packetIdentifierNotFound: 0x92,
  receiveMaximumExceeded: 0x93,
  topicAliasInvalid: 0x94,
  packetTooLarge: 0x95,
  messageRateTooHigh: 0x96,
  quotaExceeded: 0x97,
  administrativeAction: 0x98,
  payloadFormatInvalid: 0x99,
  retainNotSupported: 0x9a,
  qosNotSupported: 0x9b,
  useAnotherServer: 0x9c,
  serverMoved: 0x9d,
  sharedSubscriptionsNotSupported: 0x9e,
  connectionRateExceeded: 0x9f,
  maximumConnectTime: 0xa0,
  subscriptionIdentifiersNotSupported: 0xa1,
  wildcardSubscriptionsNotSupported: 0xa2,
} as const;

/** What a packet may say, and the clause that says so. */
export interface AllowedReasons {
  readonly codes: ReadonlySet<number>;
  readonly clause: string;
}

function allow(clause: string, ...codes: readonly number[]): AllowedReasons {
  return { codes: new Set(codes), clause };
}

const ACCEPT_REASONS = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
/** DISCONNECT codes for either end; the server has more (5.0 §3.14.2.1). */
const END_REASONS = [
  ...[0x00, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99],
];
const SERVER_END_REASONS = [
  ...[0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2],
];

/** The reason codes that each packet of 5.0 may carry. */
export const ALLOWED_REASONS = {
  connack: allow(
    '[MQTT-3.2.2-8]',
    ...[0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90],
    ...[0x95, 0x97, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f],
  ),
  puback: allow('[MQTT-3.4.2-1]', ...ACCEPT_REASONS),
  pubrec: allow('[MQTT-3.5.2-1]', ...ACCEPT_REASONS),
  pubrel: allow('[MQTT-3.6.2-1]', 0x00, 0x92),
  pubcomp: allow('[MQTT-3.7.2-1]', 0x00, 0x92),
  suback: allow(
    '[MQTT-3.9.3-2]',
    ...[0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2],
  ),
  unsuback: allow('[MQTT-3.11.3-2]', 0x00, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91),
  clientDisconnect: allow('[MQTT-3.14.2-1]', 0x04, ...END_REASONS),
  serverDisconnect: allow('[MQTT-3.14.2-1]', ...END_REASONS, ...SERVER_END_REASONS),
  clientAuth: allow('[MQTT-3.15.2-1]', 0x18, 0x19),
  serverAuth: allow('[MQTT-3.15.2-1]', 0x00, 0x18),
} as const satisfies Record<string, AllowedReasons>;

/** The codes of 3.1.1 for the two packets that have any. */
export const ALLOWED_RETURN_CODES = {
  connack: allow('§3.2.2.3', 0, 1, 2, 3, 4, 5),
  suback: allow('[MQTT-3.9.3-2]', 0x00, 0x01, 0x02, 0x80),
} as const satisfies Record<string, AllowedReasons>;

/**
 * The CONNACK code of this reason. `undefined` when none fits, and the connection is closed without
 * a CONNACK: in 3.1.1 what is no proper CONNECT gets none ([MQTT-3.1.4-1], [MQTT-3.2.2-6]).
 */
export function connackCode(reason: number, version: Version): number | undefined {
  if (version === 5) return ALLOWED_REASONS.connack.codes.has(reason) ? reason : undefined;
  switch (reason) {
    case REASONS.success:
      return 0;
    case REASONS.unsupportedProtocolVersion:
      return 1;
    case REASONS.clientIdentifierNotValid:
      return 2;
    case REASONS.serverUnavailable:
    case REASONS.serverBusy:
    case REASONS.quotaExceeded:
    case REASONS.connectionRateExceeded:
      return 3;
    case REASONS.badUserNameOrPassword:
    case REASONS.badAuthenticationMethod:
      return 4;
    case REASONS.notAuthorized:
    case REASONS.banned:
      return 5;
    default:
      return undefined;
  }
}

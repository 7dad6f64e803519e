/**
 * Faults: every way in which a peer can break MQTT, with the reason code that tells it so and the
 * clause of either version that it broke.
 *
 * A rule without a number is cited by its section. Reasons are those of 5.0; in 3.1.1 the connection
 * ends without a word ([MQTT-4.8.0-1]), but for the codes of a CONNACK.
 */
import type { Version } from './packets.ts';
import { REASONS } from './reasons.ts';

/** The peer broke the protocol or a limit: the connection has to end. */
export class MqttError extends Error {
  override readonly name = 'MqttError';
  /** A reason code of MQTT 5.0, fit for a DISCONNECT, or a CONNACK when it came with CONNECT. */
  readonly reason: number;
  /** The clause that was broken, as `[MQTT-3.3.1-4]`, or the section, as `§2.2.3`. */
  readonly clause: string;

  constructor(reason: number, clause: string, message: string) {
    super(`${message} ${clause}`);
    this.reason = reason;
    this.clause = clause;
  }
}

interface Fault {
  readonly reason: number;
  readonly clauses: Readonly<Record<Version, string>>;
}

const MALFORMED = REASONS.malformedPacket;
const PROTOCOL = REASONS.protocolError;
const FILTER = REASONS.topicFilterInvalid;

function fault(reason: number, clause4: string, clause5 = clause4): Fault {
  return { reason, clauses: { 4: clause4, 5: clause5 } };
}

const FAULTS = {
  // The fixed header.
  reservedType: fault(MALFORMED, '§2.2.1', '§2.1.2'),
  wrongSender: fault(PROTOCOL, '§2.2.1', '§2.1.2'),
  notConnect: fault(PROTOCOL, '[MQTT-3.1.0-1]'),
  secondConnect: fault(PROTOCOL, '[MQTT-3.1.0-2]'),
  flags: fault(MALFORMED, '[MQTT-2.2.2-2]', '[MQTT-2.1.3-1]'),
  remainingLength: fault(MALFORMED, '§2.2.3', '§2.1.4'),
  tooLarge: fault(REASONS.packetTooLarge, '§2.2.3', '[MQTT-3.2.2-15]'),
  // Fields. What can't be parsed is malformed (5.0 §1.2).
  truncated: fault(MALFORMED, '[MQTT-4.8.0-1]', '[MQTT-4.13.1-1]'),
  trailing: fault(MALFORMED, '[MQTT-4.8.0-1]', '[MQTT-4.13.1-1]'),
  longVarint: fault(MALFORMED, '§2.2.3', '§1.5.5'),
  paddedVarint: fault(MALFORMED, '§2.2.3', '[MQTT-1.5.5-1]'),
  utf8: fault(MALFORMED, '[MQTT-1.5.3-1]', '[MQTT-1.5.4-1]'),
  nul: fault(MALFORMED, '[MQTT-1.5.3-2]', '[MQTT-1.5.4-2]'),
  packetId: fault(PROTOCOL, '[MQTT-2.3.1-1]', '[MQTT-2.2.1-3]'),
  sentPacketId: fault(PROTOCOL, '[MQTT-2.3.1-1]', '[MQTT-2.2.1-4]'),
  ackPacketId: fault(PROTOCOL, '[MQTT-2.3.1-6]', '[MQTT-2.2.1-5]'),
  subackPacketId: fault(PROTOCOL, '[MQTT-2.3.1-7]', '[MQTT-2.2.1-6]'),
  // Lists that one packet may make long are bounded beyond what the specification asks.
  tooMany: fault(REASONS.quotaExceeded, '§4.8', '§4.13.2'),
  // CONNECT and CONNACK.
  protocolName: fault(REASONS.unsupportedProtocolVersion, '[MQTT-3.1.2-1]'),
  protocolLevel: fault(REASONS.unsupportedProtocolVersion, '[MQTT-3.1.2-2]'),
  connectFlags: fault(MALFORMED, '[MQTT-3.1.2-3]'),
  absentWillQos: fault(MALFORMED, '[MQTT-3.1.2-13]', '[MQTT-3.1.2-11]'),
  willQos: fault(MALFORMED, '[MQTT-3.1.2-14]', '[MQTT-3.1.2-12]'),
  absentWillRetain: fault(MALFORMED, '[MQTT-3.1.2-15]', '[MQTT-3.1.2-13]'),
  passwordAlone: fault(MALFORMED, '[MQTT-3.1.2-22]'),
  emptyClientId: fault(REASONS.clientIdentifierNotValid, '[MQTT-3.1.3-8]'),
  connackFlags: fault(MALFORMED, '§3.2.2.1', '[MQTT-3.2.2-1]'),
  refusedSession: fault(PROTOCOL, '[MQTT-3.2.2-4]', '[MQTT-3.2.2-6]'),
  // PUBLISH and topic names. The codes for names and filters are a courtesy: they tell more than
  // that something was malformed.
  dupQos0: fault(MALFORMED, '[MQTT-3.3.1-2]'),
  publishQos: fault(MALFORMED, '[MQTT-3.3.1-4]'),
  wildcardInName: fault(REASONS.topicNameInvalid, '[MQTT-3.3.2-2]'),
  wildcardInWill: fault(REASONS.topicNameInvalid, '[MQTT-4.7.1-1]', '[MQTT-4.7.0-1]'),
  emptyName: fault(REASONS.topicNameInvalid, '[MQTT-4.7.3-1]'),
  noTopic: fault(PROTOCOL, '§3.3.2.1'),
  responseTopic: fault(PROTOCOL, '[MQTT-3.3.2-14]'),
  clientSubscriptionId: fault(PROTOCOL, '[MQTT-3.3.4-6]'),
  // SUBSCRIBE, UNSUBSCRIBE and filters.
  noSubscriptions: fault(PROTOCOL, '[MQTT-3.8.3-3]', '[MQTT-3.8.3-2]'),
  noFilters: fault(PROTOCOL, '[MQTT-3.10.3-2]'),
  subscriptionOptions: fault(MALFORMED, '[MQTT-3-8.3-4]', '[MQTT-3.8.3-5]'),
  subscriptionQos: fault(PROTOCOL, '[MQTT-3-8.3-4]', '§3.8.3.1'),
  retainHandling: fault(PROTOCOL, '§3.8.3.1'),
  sharedNoLocal: fault(PROTOCOL, '[MQTT-3.8.3-4]'),
  emptyFilter: fault(FILTER, '[MQTT-4.7.3-1]'),
  multiLevelWildcard: fault(FILTER, '[MQTT-4.7.1-2]', '[MQTT-4.7.1-1]'),
  singleLevelWildcard: fault(FILTER, '[MQTT-4.7.1-3]', '[MQTT-4.7.1-2]'),
  shareName: fault(FILTER, '[MQTT-4.8.2-1]'),
  shareFilter: fault(FILTER, '[MQTT-4.8.2-2]'),
  // Properties and authentication (5.0).
  foreignProperty: fault(MALFORMED, '§2.2.2.2'),
  authenticationData: fault(PROTOCOL, '§3.1.2.11.10'),
  authenticationMethod: fault(PROTOCOL, '§3.15.2.2.2'),
  sessionExpiry: fault(PROTOCOL, '[MQTT-3.14.2-2]'),
} as const satisfies Record<string, Fault>;

/** The name of a fault. */
export type FaultName = keyof typeof FAULTS;

/**
 * Refuses what a peer sent.
 *
 * @param version `undefined` as long as no CONNECT told it; then 5.0 is cited.
 * @param message what was expected and what came; never anything of another session.
 */
export function fail(version: Version | undefined, name: FaultName, message: string): never {
  const { reason, clauses } = FAULTS[name];
  throw new MqttError(reason, clauses[version ?? 5], message);
}

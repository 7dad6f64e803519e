/**
 * Packets: what MQTT 3.1.1 and 5.0 say to each other, as values. One union serves both versions: what
 * 3.1.1 lacks has the value that 5.0 gives to its absence, such as no properties and reason 0.
 *
 * Bytes in a packet that was read are views of the chunk it came in. Nobody changes them, and who
 * keeps them for longer than the turn copies them, lest a small payload keep a whole chunk alive.
 */
import type { PropertiesOf } from './property-table.ts';

/** The protocol level in CONNECT: 4 is MQTT 3.1.1, 5 is MQTT 5.0. */
export type Version = 4 | 5;

/** Which end of a connection speaks. */
export type Side = 'client' | 'server';

/** At most once, at least once, exactly once. */
export type Qos = 0 | 1 | 2;

/** Opens a connection; the first packet of a client. */
export interface Connect {
  readonly kind: 'connect';
  readonly version: Version;
  /** Empty when the server is to choose one. */
  readonly clientId: string;
  /** `Clean Session` in 3.1.1. */
  readonly cleanStart: boolean;
  /** Seconds; 0 means never. */
  readonly keepAlive: number;
  readonly will?: Will;
  readonly userName?: string;
  readonly password?: Uint8Array;
  readonly properties: PropertiesOf<'connect'>;
}

/** What the server publishes for a client that went away without a word. */
export interface Will {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly properties: PropertiesOf<'will'>;
}

/** The server's answer to CONNECT. */
export interface Connack {
  readonly kind: 'connack';
  readonly sessionPresent: boolean;
  /** A reason code; in 3.1.1 a return code from 0 to 5. */
  readonly reason: number;
  readonly properties: PropertiesOf<'connack'>;
}

/** A message on its way, in either direction. */
export interface Publish {
  readonly kind: 'publish';
  /** Empty when only the alias names the topic (5.0). */
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly dup: boolean;
  /** From 1 to 65,535; 0 with QoS 0, which has none. */
  readonly packetId: number;
  readonly properties: PropertiesOf<'publish'>;
}

/** The four packets that acknowledge a PUBLISH or each other. */
export interface Ack<Kind extends 'puback' | 'pubrec' | 'pubrel' | 'pubcomp'> {
  readonly kind: Kind;
  readonly packetId: number;
  /** Always 0 in 3.1.1. */
  readonly reason: number;
  readonly properties: PropertiesOf<Kind>;
}

/** Asks for the messages of some topics. */
export interface Subscribe {
  readonly kind: 'subscribe';
  readonly packetId: number;
  /** At least one. */
  readonly subscriptions: readonly Subscription[];
  readonly properties: PropertiesOf<'subscribe'>;
}

/** One filter of a SUBSCRIBE and its options, all but `qos` false and 0 in 3.1.1. */
export interface Subscription {
  readonly filter: string;
  readonly qos: Qos;
  /** Not what the same client published. */
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  /** Retained messages: 0 at each SUBSCRIBE, 1 at a new subscription, 2 never. */
  readonly retainHandling: 0 | 1 | 2;
}

/** The answer to SUBSCRIBE, a reason for each filter in its order. */
export interface Suback {
  readonly kind: 'suback';
  readonly packetId: number;
  readonly reasons: readonly number[];
  readonly properties: PropertiesOf<'suback'>;
}

/** Ends subscriptions. */
export interface Unsubscribe {
  readonly kind: 'unsubscribe';
  readonly packetId: number;
  /** At least one. */
  readonly filters: readonly string[];
  readonly properties: PropertiesOf<'unsubscribe'>;
}

/** The answer to UNSUBSCRIBE; in 3.1.1 without reasons. */
export interface Unsuback {
  readonly kind: 'unsuback';
  readonly packetId: number;
  readonly reasons: readonly number[];
  readonly properties: PropertiesOf<'unsuback'>;
}

/** Asks whether the server is there. */
export interface Pingreq {
  readonly kind: 'pingreq';
}

/** The answer to PINGREQ. */
export interface Pingresp {
  readonly kind: 'pingresp';
}

/** The last packet: of a client, and in 5.0 of a server too. */
export interface Disconnect {
  readonly kind: 'disconnect';
  /** Always 0 in 3.1.1. */
  readonly reason: number;
  readonly properties: PropertiesOf<'disconnect'>;
}

/** A step of an authentication that takes several (5.0). */
export interface Auth {
  readonly kind: 'auth';
  readonly reason: number;
  readonly properties: PropertiesOf<'auth'>;
}

/** Any packet of either version. */
export type Packet =
  | Connect
  | Connack
  | Publish
  | Ack<'puback'>
  | Ack<'pubrec'>
  | Ack<'pubrel'>
  | Ack<'pubcomp'>
  | Subscribe
  | Suback
  | Unsubscribe
  | Unsuback
  | Pingreq
  | Pingresp
  | Disconnect
  | Auth;

/** The name of a packet. */
export type PacketKind = Packet['kind'];

/** ClientTraits: how a simulated client speaks, and what follows for its CONNECT. */
import type {
  Connect,
  Qos,
  Version,
} from '@trunkline/server/internal/protocols/mqtt/codec/packets.ts';
import { connectPacket } from '../mqtt/packet-makers.ts';

/** The session expiry of 5.0 that never comes. */
const FOR_EVER = 0xffffffff;

/** How a client speaks. */
export interface MqttClientTraits {
  readonly user: string;
  readonly clientId: string;
  readonly version: Version;
  /** False for one that begins anew with each connection. */
  readonly keepsSession: boolean;
  /** Seconds for which its session outlives a connection (5.0); infinite is for ever. */
  readonly expiry: number;
  /** Messages of QoS 1 and 2 that it takes at once. */
  readonly receiveMaximum?: number;
  /** True when it asks where each message stands. */
  readonly positions: boolean;
  /** What it subscribes to at first. */
  readonly filters: ReadonlyMap<string, Qos>;
}

/** The CONNECT of such a client. */
export function connectFor(traits: MqttClientTraits, clean: boolean): Connect {
  const { version, clientId, expiry, receiveMaximum, positions } = traits;
  return connectPacket({
    version,
    clientId,
    clean,
    ...(version === 5 && {
      expiry: Number.isFinite(expiry) ? expiry : FOR_EVER,
      properties: {
        ...(receiveMaximum === undefined ? {} : { receiveMaximum }),
        ...(positions ? { userProperties: [['trunkline.positions', '1'] as const] } : {}),
      },
    }),
  });
}

/** Milliseconds for which the session of such a CONNECT outlives its connection. */
export function keptMs({ version, expiry }: MqttClientTraits, clean: boolean): number {
  if (version === 5) return expiry * 1000;
  return clean ? 0 : Infinity;
}

/** A session expiry in milliseconds. */
export function toMs(expirySeconds: number): number {
  return expirySeconds === FOR_EVER ? Infinity : expirySeconds * 1000;
}

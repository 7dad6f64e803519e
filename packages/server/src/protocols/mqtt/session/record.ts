/**
 * Record: what is stored of a session that outlives its connection, as JSON. It holds no message: what
 * was sent and not acknowledged is known by its place in the log.
 */
import { formatPosition, parsePosition } from '@trunkline/wire';
import type { Awaited, Sent } from '../delivery/window.ts';
import { SharedPlace } from '../share/shared-place.ts';
import type { KeptRetained } from '../subscriptions/retained.ts';
import type { KeptSubscription } from '../subscriptions/subscriptions.ts';
import type { Loss } from './losses.ts';

/** A session as it is stored. */
export interface SessionRecord {
  readonly clientId: string;
  /** Absent where nobody knows who it is. */
  readonly user?: string;
  /** Then, from where it was connected last. */
  readonly address?: string;
  /** The session's word: whose messages its own are, over all of its connections. */
  readonly session: string;
  /** Seconds it is kept without a connection. */
  readonly expirySeconds: number;
  /** True while it has a connection; after a crash of the server it stays so. */
  readonly isConnected: boolean;
  readonly subscriptions: readonly KeptSubscription[];
  /** What is still to be sent of what is retained; absent where nothing is. */
  readonly retained?: readonly KeptRetained[];
  /**
   * Unix milliseconds: an earlier life of the server was cut off before it could store up to where it had
   * sent, so that older messages of QoS 0 may have been; absent where none was.
   */
  readonly quietBefore?: number;
  /** Losses that it was told of in an answer which it may not have got; absent where there are none. */
  readonly untold?: readonly Loss[];
  /** Sent and not acknowledged, in the order sent. */
  readonly sent: readonly Sent[];
  /** Received with QoS 2 and not released, with the words of their keys. */
  readonly received: readonly (readonly [packetId: number, word: string])[];
}

/**
 * How it stands in JSON: what is sent by packet identifier, what is awaited, channel, position; and
 * `true` where it was sent because it was retained, or the filter of the group that it was sent for.
 */
interface Stored extends Omit<SessionRecord, 'sent'> {
  readonly format: number;
  readonly sent: readonly (readonly [number, Awaited, string, string, (true | string)?])[];
}

/** Of a record with another number nothing is known. */
const FORMAT = 1;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Writes a record. */
export function encodeRecord({ sent, ...record }: SessionRecord): Uint8Array {
  const stored: Stored = {
    format: FORMAT,
    ...record,
    sent: sent.map(({ packetId, awaited, place }) => {
      const { channel, isRetained } = place;
      const told = [packetId, awaited, channel, formatPosition(place)] as const;
      if (place instanceof SharedPlace) return [...told, place.share];
      return isRetained === true ? [...told, isRetained] : told;
    }),
  };
  return encoder.encode(JSON.stringify(stored));
}

/** Reads a record; `undefined` when it was written by another version of the server. */
export function decodeRecord(value: Uint8Array): SessionRecord | undefined {
  try {
    const { format, sent, ...record } = JSON.parse(decoder.decode(value)) as Stored;
    if (format !== FORMAT) return undefined;
    return { ...record, sent: sent.flatMap(toSent) };
  } catch {
    return undefined;
  }
}

function toSent([packetId, awaited, channel, text, why]: Stored['sent'][number]): Sent[] {
  const position = parsePosition(text);
  if (position === undefined || !isPacketId(packetId)) return [];
  const place = { channel, ...position, ...(why === true ? { isRetained: why } : {}) };
  const isShared = typeof why === 'string';
  return [{ packetId, awaited, place: isShared ? new SharedPlace(place, why) : place }];
}

/** A window would look for any other one for ever. */
function isPacketId(packetId: number): boolean {
  return Number.isInteger(packetId) && packetId >= 1 && packetId <= 0xffff;
}

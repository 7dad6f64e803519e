/**
 * GroupRecord: what is stored of a group, as JSON: where it stands, who its members are, and what was
 * given to them with QoS 1 and is not acknowledged. Like that of a session it holds no message.
 */
import { hash } from 'node:crypto';
import { formatPosition, parsePosition } from '@trunkline/wire';
import type { Qos } from '../codec/packets.ts';
import type { Place } from '../messages/place.ts';

/** All keys of records begin with this. */
export const SHARE_PREFIX = 'mqtt/share/';

/** A member whose session is stored. */
export interface KeptMember {
  /** The key of its session. */
  readonly key: string;
  readonly qos: Qos;
  /** Seconds that the session is kept without a connection. */
  readonly expirySeconds: number;
  /** Unix milliseconds at which the session ends; absent while it has a connection. */
  readonly expiresAt?: number;
}

/** A message that is to be acknowledged by somebody. */
export interface OwedPlace {
  readonly place: Place;
  /** The key of the member that has it; absent where it is to be given again. */
  readonly holder?: string;
}

/** A group as it is stored. */
export interface GroupRecord {
  /** The whole filter, for people who look at records. */
  readonly share: string;
  /**
   * True when members may have more in their windows than this tells: while any is connected, and
   * after a crash of the server.
   */
  readonly isOpen: boolean;
  /** Everything up to here was given; absent where it begins anew each time. */
  readonly place?: string;
  readonly members: readonly KeptMember[];
  readonly owed: readonly OwedPlace[];
}

/** How it stands in JSON: what is owed by channel, position and the number of the holder, or -1. */
interface Stored extends Omit<GroupRecord, 'owed'> {
  readonly format: number;
  readonly owed: readonly (readonly [channel: string, position: string, holder: number])[];
}

/** Of a record with another number nothing is known. */
const FORMAT = 1;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The key of a group's record: a filter may be longer than a key. */
export function shareKey(share: string): string {
  return `${SHARE_PREFIX}${hash('sha256', share, 'base64url')}`;
}

/** A group is gone with the last of its sessions, unless one has a connection. */
export function expiryOf({ members }: GroupRecord): { readonly expiresAt?: number } {
  const ends = members.map(({ expiresAt = Number.POSITIVE_INFINITY }) => expiresAt);
  const expiresAt = Math.max(...ends);
  return expiresAt === Number.POSITIVE_INFINITY ? {} : { expiresAt };
}

/** The record of a group whose members a crash has cut off: they have been away since, at the latest. */
export function withEnds(record: GroupRecord, nowMs: number): GroupRecord {
  const members = record.members.map((member) => {
    return { expiresAt: nowMs + member.expirySeconds * 1000, ...member };
  });
  return { ...record, members };
}

/** Writes a record. */
export function encodeGroup({ owed, ...record }: GroupRecord): Uint8Array {
  const numbers = new Map(record.members.map(({ key }, index) => [key, index]));
  const stored: Stored = {
    format: FORMAT,
    ...record,
    owed: owed.map(({ place, holder }) => {
      return [place.channel, formatPosition(place), numbers.get(holder ?? '') ?? -1];
    }),
  };
  return encoder.encode(JSON.stringify(stored));
}

/** Reads a record; `undefined` when it was written by another version of the server. */
export function decodeGroup(value: Uint8Array): GroupRecord | undefined {
  try {
    const { format, owed, ...record } = JSON.parse(decoder.decode(value)) as Stored;
    if (format !== FORMAT) return undefined;
    const places = owed.flatMap(([channel, text, number]): OwedPlace[] => {
      const position = parsePosition(text);
      const holder = record.members[number]?.key;
      if (position === undefined) return [];
      const place = { channel, ...position };
      return [holder === undefined ? { place } : { place, holder }];
    });
    return { ...record, owed: places };
  } catch {
    return undefined;
  }
}

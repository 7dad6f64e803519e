/** Reads what the server tells, the same on every transport, as a line's own words. */
import { CODES, decodeUtf8, encodeBase64, isCodeName, payloadKind } from '@trunkline/wire';
import type { ChannelMessage, Gap, Member, PayloadKind, WireMessage } from '@trunkline/wire';
import type { Beginning, LineMessage, LineSnapshot, PresenceNews } from './line.ts';

/** A message object as it came, ready to be shown. */
export function toLineMessage(message: WireMessage): LineMessage {
  const { channel, offset, epoch, time, event } = message;
  return {
    channel,
    ...(offset === undefined || epoch === undefined ? {} : { position: { epoch, offset } }),
    ...payloadOf(message),
    time,
    ...(event === undefined ? {} : { event }),
  };
}

/** The same of a message that came in binary, its payload as it was published. */
export function fromBinary(message: ChannelMessage): LineMessage {
  const { channel, offset, epoch, time, event, contentType, payload } = message;
  const kind = payloadKind(contentType);
  const text = kind === 'bytes' ? undefined : decodeUtf8(payload);
  return {
    channel,
    ...(offset === undefined || epoch === undefined ? {} : { position: { epoch, offset } }),
    kind: text === undefined ? 'bytes' : kind,
    payload: text ?? encodeBase64(payload),
    time,
    ...(event === undefined ? {} : { event }),
  };
}

/** The state of a channel, from what a frame, an event or an answer says of it. */
export function toSnapshot(channel: string, told: unknown): LineSnapshot {
  const time = entryOf(told, 'time');
  return {
    channel,
    position: String(entryOf(told, 'position')),
    time: typeof time === 'number' ? time : 0,
    ...payloadOf(told ?? {}),
  };
}

/** What was said of who is in a channel; `undefined` when it can't be understood. */
export function toPresence(type: string, told: unknown): PresenceNews | undefined {
  const channel = entryOf(told, 'channel');
  if (typeof channel !== 'string') return undefined;
  if (type === 'join' || type === 'leave') {
    const member = entryOf(told, 'member');
    return isMember(member) ? { kind: type, channel, member } : undefined;
  }
  const members = entryOf(told, 'members');
  const count = entryOf(told, 'count');
  const next = entryOf(told, 'next');
  if (!Array.isArray(members) || typeof count !== 'number') return undefined;
  return {
    kind: 'page',
    channel,
    members: members.filter(isMember),
    count,
    ...(typeof next === 'string' ? { next } : {}),
  };
}

/** What an answer that is kept by channel says of one channel or pattern. */
export function beginningOf(filter: string, answer: unknown, place: unknown): Beginning {
  const recovered = entryOf(entryOf(answer, 'recovered'), filter);
  const volatile = entryOf(answer, 'volatile');
  const isVolatile = Array.isArray(volatile) && volatile.includes(filter);
  return {
    filter,
    place: typeof place === 'string' && !isVolatile ? place : undefined,
    recovered: typeof recovered === 'boolean' ? recovered : undefined,
    gap: gapOf(entryOf(entryOf(answer, 'gaps'), filter)),
    isVolatile,
  };
}

/** True when a code says that the same input may work later; unknown codes may. */
export function isTemporary(code: unknown): boolean {
  return !isCodeName(code) || CODES[code].temporary;
}

/** The one entry of a record by name, whatever came. */
export function entryOf(record: unknown, name: string): unknown {
  if (typeof record !== 'object' || record === null || !Object.hasOwn(record, name)) {
    return undefined;
  }
  return (record as Readonly<Record<string, unknown>>)[name];
}

/** A gap from untrusted input; without a known shape its reason is `unknown`. */
export function gapOf(value: unknown): Gap | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  return 'reason' in value && typeof value.reason === 'string'
    ? (value as Gap)
    : { reason: 'unknown' };
}

/** JSON from untrusted input; `undefined` when it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isMember(value: unknown): value is Member {
  return typeof entryOf(value, 'session') === 'string';
}

function payloadOf(told: Partial<WireMessage>): { kind: PayloadKind; payload: string } {
  const { data, bytes, contentType } = told;
  if (bytes !== undefined) return { kind: 'bytes', payload: bytes };
  const kind = payloadKind(contentType);
  const isText = kind === 'text' && typeof data === 'string';
  return { kind, payload: isText ? data : JSON.stringify(data ?? null) };
}

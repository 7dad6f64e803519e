/** Events: what a subscription gives to the application, and how the wire's objects become them. */
import { CodedError, decodeBase64, isCodeName, parsePosition } from '@trunkline/wire';
import type {
  CodeName,
  ErrorDetails,
  Gap,
  GapReason,
  Member,
  MemberPage,
  Sender,
} from '@trunkline/wire';

/** Messages of a channel, or of those a pattern matches, flow from here on. */
export interface OpenEvent {
  readonly kind: 'open';
  /** The name or pattern that was subscribed to. */
  readonly channel: string;
  /** Of a channel that is not volatile. */
  readonly position?: string;
  /** Of a pattern, or of several channels on an event stream. */
  readonly mark?: string;
  readonly volatile?: true;
  /** Absent when there was no position to resume from. */
  readonly recovered?: boolean;
  /** Why not everything was recovered. */
  readonly gap?: Gap;
}

/** A message, with everything that its transport tells of it. */
export interface ReceivedMessage {
  readonly kind: 'message';
  readonly channel: string;
  /** Absent, as `epoch` is, in a volatile channel. */
  readonly offset?: number;
  readonly epoch?: string;
  /** Unix milliseconds; an event stream of one channel does not tell. */
  readonly time?: number;
  /** The parsed JSON value, or a string for text. Absent for bytes. */
  readonly data?: unknown;
  /** The payload's JSON as published, in which large numbers survive. */
  readonly source?: string;
  readonly bytes?: Uint8Array;
  /** Absent means JSON. An event stream of one channel tells text from bytes, no more. */
  readonly contentType?: string;
  readonly event?: string;
  readonly from?: Sender;
  /** Everything up to this mark was delivered to the patterns that match. */
  readonly mark?: string;
}

/** Messages of a channel were lost to this subscription, which goes on after `position`. */
export interface GapEvent {
  readonly kind: 'gap';
  readonly channel: string;
  readonly gap: Gap;
  readonly position: string;
}

/** Everything up to the mark was told of the channels that the pattern matches. */
export interface MarkEvent {
  readonly kind: 'mark';
  /** The pattern. */
  readonly channel: string;
  readonly mark: string;
}

/** Who came or went, or who is there; the list replaces what was known. */
export type PresenceEvent =
  | { readonly kind: 'join' | 'leave'; readonly channel: string; readonly member: Member }
  | ({ readonly kind: 'presence'; readonly channel: string } & MemberPage);

/** The state of a channel at a position, in place of the messages before it. */
export interface SnapshotEvent {
  readonly kind: 'snapshot';
  readonly channel: string;
  readonly position: string;
  readonly data?: unknown;
  readonly source?: string;
  readonly bytes?: Uint8Array;
  readonly contentType?: string;
}

/** Untrusted JSON as an object; `undefined` when it is none. */
export function asObject(value: unknown): Readonly<Record<string, unknown>> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return value as Readonly<Record<string, unknown>>;
}

/** Parses JSON text that should be an object; `undefined` when it is none. */
export function parseObject(json: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return asObject(JSON.parse(json));
  } catch {
    return undefined;
  }
}

/** The members of these names, as far as they are of this type: others are ignored. [MSG-5] */
export function known<N extends string>(
  fields: Readonly<Record<string, unknown>>,
  type: 'string',
  names: readonly N[],
): { readonly [K in N]?: string };
export function known<N extends string>(
  fields: Readonly<Record<string, unknown>>,
  type: 'number',
  names: readonly N[],
): { readonly [K in N]?: number };
export function known(
  fields: Readonly<Record<string, unknown>>,
  type: string,
  names: readonly string[],
): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const name of names) if (typeof fields[name] === type) found[name] = fields[name];
  return found;
}

/**
 * Reads a message object; `undefined` when it is none. [MSG-2]
 *
 * @param source the text of its `data`, exactly as it came, where that is kept.
 */
export function toMessage(
  fields: Readonly<Record<string, unknown>>,
  source?: string,
): ReceivedMessage | undefined {
  const { channel, offset, epoch } = fields;
  if (typeof channel !== 'string') return undefined;
  const place = { offset, epoch };
  const isLogged = isPlace(place);
  if (!isLogged && (offset !== undefined || epoch !== undefined)) return undefined;
  const bytes = toBytes(fields['bytes']);
  if (bytes === undefined && fields['bytes'] !== undefined) return undefined;
  const from = toSender(fields['from']);
  const told = known(fields, 'string', ['contentType', 'event', 'mark']);
  const isJson = bytes === undefined && told.contentType === undefined;
  return {
    kind: 'message',
    channel,
    ...(isLogged && place),
    ...known(fields, 'number', ['time']),
    ...(bytes === undefined ? { data: fields['data'] } : { bytes }),
    ...(isJson && source !== undefined && { source }),
    ...told,
    ...(from !== undefined && { from }),
  };
}

function isPlace(place: {
  readonly offset: unknown;
  readonly epoch: unknown;
}): place is { offset: number; epoch: string } {
  return (
    typeof place.epoch === 'string' &&
    Number.isSafeInteger(place.offset) &&
    Number(place.offset) > 0
  );
}

/** Reads a push or event about presence; `undefined` when it is none. [PRES-5] */
export function toPresence(
  kind: string,
  fields: Readonly<Record<string, unknown>>,
): PresenceEvent | undefined {
  const { channel, members, count } = fields;
  if (typeof channel !== 'string') return undefined;
  if (kind === 'join' || kind === 'leave') {
    const member = toMember(fields['member']);
    return member && { kind, channel, member };
  }
  if (kind !== 'presence' || !Array.isArray(members) || typeof count !== 'number') return undefined;
  const listed = members.flatMap((one: unknown) => toMember(one) ?? []);
  return { kind, channel, members: listed, count, ...known(fields, 'string', ['next']) };
}

function toMember(value: unknown): Member | undefined {
  const fields = asObject(value) ?? {};
  const { session, since } = fields;
  if (typeof session !== 'string' || typeof since !== 'number') return undefined;
  return {
    session,
    ...known(fields, 'string', ['user']),
    ...('info' in fields && { info: fields['info'] }),
    since,
  };
}

/** Reads a snapshot; `undefined` when it is none. [SNAP-4] */
export function toSnapshot(
  fields: Readonly<Record<string, unknown>>,
  source?: string,
): SnapshotEvent | undefined {
  const message = toMessage({ ...fields, offset: undefined, epoch: undefined }, source);
  const { position } = fields;
  if (message === undefined || typeof position !== 'string') return undefined;
  const { kind: _kind, time: _time, ...rest } = message;
  return { kind: 'snapshot', position, ...rest };
}

/** Base64, or bytes where they came as such. */
function toBytes(value: unknown): Uint8Array | undefined {
  if (value instanceof Uint8Array) return value;
  return typeof value === 'string' ? decodeBase64(value) : undefined;
}

function toSender(value: unknown): Sender | undefined {
  const fields = asObject(value) ?? {};
  const { session } = fields;
  if (typeof session !== 'string') return undefined;
  return { ...known(fields, 'string', ['user']), session };
}

/** Reads a gap; `undefined` when it is none. A reason that is not known here is kept. */
export function toGap(value: unknown): Gap | undefined {
  const fields = asObject(value) ?? {};
  const { reason } = fields;
  if (typeof reason !== 'string') return undefined;
  return { reason: reason as GapReason, ...known(fields, 'number', ['from', 'to']) };
}

/** Reads the answer to a subscribe; `undefined` when it is none. */
export function toOpening(
  channel: string,
  fields: {
    readonly position?: unknown;
    readonly mark?: unknown;
    readonly recovered?: unknown;
    readonly gap?: unknown;
    readonly volatile?: unknown;
  },
): OpenEvent | undefined {
  const { position, recovered } = fields;
  const isPlaced = typeof position === 'string' && parsePosition(position) !== undefined;
  const marked = known(fields, 'string', ['mark']);
  const isVolatile = fields.volatile === true;
  if (!isPlaced && marked.mark === undefined && !isVolatile) return undefined;
  const gap = toGap(fields.gap);
  return {
    kind: 'open',
    channel,
    ...(isPlaced && { position }),
    ...marked,
    ...(isVolatile && { volatile: true }),
    ...(typeof recovered === 'boolean' && { recovered }),
    ...(gap !== undefined && { gap }),
  };
}

/** The code that untrusted text names; what is not known is `fallback`. */
export function toCode(value: unknown, fallback: CodeName): CodeName {
  return isCodeName(value) ? value : fallback;
}

/** What is known of an error beside what the server says of it. */
interface Otherwise extends ErrorDetails {
  readonly code: CodeName;
  readonly message: string;
}

/** The error that an object of the server tells; what it does not say is as it is known otherwise. */
export function toError(
  { code, message, retryAfter, stored }: Readonly<Record<string, unknown>>,
  otherwise: Otherwise,
): CodedError {
  const hasTime = typeof retryAfter === 'number' && retryAfter >= 0;
  return new CodedError(
    toCode(code, otherwise.code),
    typeof message === 'string' ? message : otherwise.message,
    {
      retryAfter: hasTime ? retryAfter : otherwise.retryAfter,
      stored: stored === false || stored === 'unknown' ? stored : otherwise.stored,
    },
  );
}

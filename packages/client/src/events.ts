/** Events: what a subscription gives to the application, and how the wire's objects become them. */
import {
  decodeBase64,
  elementSources,
  isCodeName,
  memberSource,
  parsePosition,
} from '@trunkline/wire';
import type { CodeName, Gap, GapReason, Position, Sender } from '@trunkline/wire';
import type { ConnectionState } from './connection-state.ts';

/** Messages flow, from `position` on. */
export interface OpenEvent {
  readonly kind: 'open';
  readonly position: string;
  /** Absent when there was no position to resume from. */
  readonly recovered?: boolean;
  /** Why not everything was recovered. */
  readonly gap?: Gap;
}

/** A message, with everything that its transport tells of it. */
export interface ReceivedMessage {
  readonly kind: 'message';
  readonly channel: string;
  readonly offset: number;
  readonly epoch: string;
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
}

/** Messages were lost to this subscription, which goes on after `position`. */
export interface GapEvent {
  readonly kind: 'gap';
  readonly gap: Gap;
  readonly position: string;
}

/** The connection changed. */
export interface StateEvent {
  readonly kind: 'state';
  readonly state: ConnectionState;
  readonly reason?: string;
}

/** Everything that a subscription gives to the application. */
export type SubscriptionEvent = OpenEvent | ReceivedMessage | GapEvent | StateEvent;

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

/**
 * Reads a message object; `undefined` when it is none. [MSG-2]
 *
 * @param source the text of its `data`, exactly as it came.
 */
export function toMessage(
  fields: Readonly<Record<string, unknown>>,
  source: string | undefined,
): ReceivedMessage | undefined {
  const { channel, offset, epoch, time, contentType, event } = fields;
  if (typeof channel !== 'string' || typeof epoch !== 'string') return undefined;
  if (typeof offset !== 'number' || !Number.isSafeInteger(offset)) return undefined;
  const bytes = typeof fields['bytes'] === 'string' ? decodeBase64(fields['bytes']) : undefined;
  const from = toSender(fields['from']);
  const isJson = bytes === undefined && contentType === undefined;
  return {
    kind: 'message',
    channel,
    offset,
    epoch,
    ...(typeof time === 'number' ? { time } : {}),
    ...(bytes === undefined ? { data: fields['data'] } : { bytes }),
    ...(isJson && source !== undefined ? { source } : {}),
    ...(typeof contentType === 'string' ? { contentType } : {}),
    ...(typeof event === 'string' ? { event } : {}),
    ...(from === undefined ? {} : { from }),
  };
}

/** The messages of an answer to a poll or for history, each with the source of its payload. */
export function toMessages(answer: string): ReceivedMessage[] {
  return elementSources(memberSource(answer, 'messages') ?? '[]').flatMap((source) => {
    const fields = parseObject(source);
    const message = fields && toMessage(fields, memberSource(source, 'data'));
    return message === undefined ? [] : [message];
  });
}

function toSender(value: unknown): Sender | undefined {
  const fields = asObject(value);
  const session = fields?.['session'];
  if (fields === undefined || typeof session !== 'string') return undefined;
  const user = fields['user'];
  return typeof user === 'string' ? { user, session } : { session };
}

/** Reads a gap; `undefined` when it is none. A reason that is not known here is kept. */
export function toGap(value: unknown): Gap | undefined {
  const fields = asObject(value);
  const reason = fields?.['reason'];
  if (fields === undefined || typeof reason !== 'string') return undefined;
  const { from, to } = fields;
  return {
    reason: reason as GapReason,
    ...(typeof from === 'number' ? { from } : {}),
    ...(typeof to === 'number' ? { to } : {}),
  };
}

/** Reads the answer to a subscribe; `undefined` when it is none. */
export function toOpening(
  position: unknown,
  recovered: unknown,
  gap: unknown,
): OpenEvent | undefined {
  if (typeof position !== 'string' || parsePosition(position) === undefined) return undefined;
  const missed = toGap(gap);
  return {
    kind: 'open',
    position,
    ...(typeof recovered === 'boolean' ? { recovered } : {}),
    ...(missed === undefined ? {} : { gap: missed }),
  };
}

/** The code that untrusted text names; what is not known is `fallback`. */
export function toCode(value: unknown, fallback: CodeName): CodeName {
  return isCodeName(value) ? value : fallback;
}

/** The position of a message. */
export function positionOf(message: ReceivedMessage): Position {
  return { epoch: message.epoch, offset: message.offset };
}

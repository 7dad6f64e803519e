/**
 * Commands: what a client sends over a session, and how untrusted JSON becomes one (PROTOCOL §5).
 */
import { channelNameFault, isWildcard, patternFault } from './channel.ts';
import { CodedError } from './codes.ts';
import { elementSources, memberSource } from './json-source.ts';
import { decodeBase64 } from './base64.ts';
import { payloadBytes } from './message.ts';

/** A number the client chose; echoed in the reply. */
export type CommandId = number;

/** What a publish carries, on every transport. */
export interface PublishFields {
  readonly payload: Uint8Array;
  readonly contentType?: string;
  readonly event?: string;
  /** Idempotency key: the same key again answers with the first position. */
  readonly key?: string;
}

/** Everything a client may ask for, by `type`. */
export type Command =
  | {
      readonly type: 'hello';
      readonly id?: CommandId;
      readonly token?: string;
      readonly resume?: string;
      readonly client?: string;
    }
  | {
      readonly type: 'subscribe';
      readonly id: CommandId;
      readonly channel: string;
      readonly after?: string;
      readonly last?: number;
      readonly partial?: boolean;
    }
  | { readonly type: 'unsubscribe'; readonly id: CommandId; readonly channel: string }
  | ({
      readonly type: 'publish';
      readonly id?: CommandId;
      readonly channel: string;
    } & PublishFields)
  | {
      readonly type: 'history';
      readonly id: CommandId;
      readonly channel: string;
      readonly after?: string;
      readonly before?: string;
      readonly last?: number;
      readonly limit?: number;
    }
  | { readonly type: 'refresh'; readonly id: CommandId; readonly token: string }
  | { readonly type: 'ping' };

/** A command, or why there is none: answered by `id` where one could be read. */
export type Decoded =
  | { readonly ok: true; readonly command: Command }
  | { readonly ok: false; readonly id?: CommandId; readonly error: CodedError };

/** Characters a key, an event name, a content type or a token may have. */
export const TEXT_LIMITS = { key: 256, event: 128, contentType: 128, token: 16_384 } as const;

/** Publications that one body may ask for, counting each of `channels`. */
export const PUBLISH_BATCH_MAX = 1000;

/** RFC 9110 §8.3.1: two tokens, then parameters, which are handed on as they are. */
const CONTENT_TYPE = /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+(?:[ \t]*;[\t -~]*)?$/;

/** Event names the event stream uses itself (PROTOCOL §4). */
const RESERVED_EVENTS = new Set(['open', 'gap', 'close', 'join', 'leave', 'error', 'message']);

/** Why `event` can't be a message's event, or `undefined` when it can. */
export function eventFault(event: string): string | undefined {
  if (event.length === 0) return 'must not be empty';
  if (event.length > TEXT_LIMITS.event) return `must have at most ${TEXT_LIMITS.event} characters`;
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f]|\p{Surrogate}/u.test(event))
    return 'must not contain control characters';
  if (RESERVED_EVENTS.has(event) || event.startsWith('bytes:')) {
    return 'must not be open, gap, close, join, leave, error, message or begin with bytes:';
  }
  return undefined;
}

/** Why `contentType` is none, or `undefined` when it is one. */
export function contentTypeFault(contentType: string): string | undefined {
  if (contentType.length > TEXT_LIMITS.contentType) {
    return `must have at most ${TEXT_LIMITS.contentType} characters`;
  }
  if (!CONTENT_TYPE.test(contentType)) return 'must look like type/subtype';
  return undefined;
}

/** True for content types that mean "JSON", which is the absence of one. */
export function isJsonContentType(contentType: string): boolean {
  return /^application\/json(?:\s*;|$)/i.test(contentType);
}

/**
 * Reads one command from JSON text.
 *
 * @returns never throws: a malformed command becomes an error with the id it carried, if any.
 */
export function decodeCommand(json: string): Decoded {
  let fields: Record<string, unknown>;
  try {
    fields = parseObject(json);
  } catch (error) {
    return { ok: false, error: asCoded(error) };
  }
  const id =
    typeof fields['id'] === 'number' && Number.isSafeInteger(fields['id'])
      ? fields['id']
      : undefined;
  try {
    return { ok: true, command: toCommand(json, fields) };
  } catch (error) {
    return { ok: false, ...(id === undefined ? {} : { id }), error: asCoded(error) };
  }
}

/** One element of a publish body: a channel or several, and what to publish. */
export interface PublishRequest extends PublishFields {
  readonly channel?: string;
  readonly channels?: readonly string[];
}

/**
 * Reads the body of `POST /v1/publish`: an object, or an array of objects as a batch whose faulty
 * elements become errors in their place.
 *
 * @throws {CodedError} when the body as a whole is neither, or asks for more than
 *   {@link PUBLISH_BATCH_MAX}.
 */
export function decodePublishBody(json: string): PublishRequest | (PublishRequest | CodedError)[] {
  let body: unknown;
  try {
    body = JSON.parse(json);
  } catch (error) {
    throw notJson(error);
  }
  if (!Array.isArray(body)) {
    checkBatchSize([body]);
    return toPublishRequest(json, body);
  }
  const elements: unknown[] = body;
  checkBatchSize(elements);
  return elementSources(json).map((source, index) => {
    try {
      return toPublishRequest(source, elements[index]);
    } catch (error) {
      return asCoded(error);
    }
  });
}

/** Checked before anything is made of a body: an element may cost its sender no more than two bytes. */
function checkBatchSize(elements: readonly unknown[]): void {
  let count = elements.length;
  for (const element of elements) {
    const channels = isFields(element) ? element['channels'] : undefined;
    if (Array.isArray(channels) && channels.length > 0) count += channels.length - 1;
  }
  if (count > PUBLISH_BATCH_MAX) {
    const message = `one body publishes at most ${PUBLISH_BATCH_MAX} messages, got ${count}`;
    throw new CodedError('too_large', message);
  }
}

function toPublishRequest(json: string, body: unknown): PublishRequest {
  const fields = asFields(body);
  const payload = publishFields(json, fields);
  const channels = fields['channels'];
  if (channels !== undefined) {
    if (fields['channel'] !== undefined) throw bad('give channel or channels, not both');
    if (!Array.isArray(channels) || channels.length === 0) {
      throw bad('channels must be an array with at least one channel');
    }
    return { ...payload, channels: channels.map((name) => channelName(name)) };
  }
  return { ...payload, channel: channelName(fields['channel']) };
}

function toCommand(json: string, fields: Record<string, unknown>): Command {
  const type = fields['type'];
  if (type === 'ping') return { type };
  if (type === 'publish') return publishCommand(json, fields);
  if (type === 'hello') {
    return {
      type,
      ...optional('id', fields['id'] === undefined ? undefined : commandId(fields)),
      ...optional('token', optionalText(fields, 'token', TEXT_LIMITS.token)),
      ...optional('resume', optionalText(fields, 'resume', TEXT_LIMITS.token)),
      ...optional('client', optionalText(fields, 'client', 256)),
    };
  }
  const id = commandId(fields);
  switch (type) {
    case 'subscribe':
      return {
        type,
        id,
        channel: channelOrPattern(fields['channel']),
        ...optional('after', optionalText(fields, 'after', 1024)),
        ...optional('last', optionalCount(fields, 'last')),
        ...optional('partial', optionalFlag(fields, 'partial')),
      };
    case 'unsubscribe':
      return { type, id, channel: channelOrPattern(fields['channel']) };
    case 'history':
      return {
        type,
        id,
        channel: channelName(fields['channel']),
        ...optional('after', optionalText(fields, 'after', 1024)),
        ...optional('before', optionalText(fields, 'before', 1024)),
        ...optional('last', optionalCount(fields, 'last')),
        ...optional('limit', optionalCount(fields, 'limit')),
      };
    case 'refresh': {
      const token = optionalText(fields, 'token', TEXT_LIMITS.token);
      if (token === undefined) throw bad('token must be a string');
      return { type, id, token };
    }
    default:
      throw bad(`type must be a command, got ${show(type)}`);
  }
}

function publishCommand(json: string, fields: Record<string, unknown>): Command {
  const command = {
    type: 'publish' as const,
    channel: channelName(fields['channel']),
    ...publishFields(json, fields),
  };
  return fields['id'] === undefined ? command : { ...command, id: commandId(fields) };
}

function publishFields(json: string, fields: Record<string, unknown>): PublishFields {
  const given = optionalText(fields, 'contentType', TEXT_LIMITS.contentType);
  const contentType = given === undefined || isJsonContentType(given) ? undefined : given;
  if (contentType !== undefined) {
    const fault = contentTypeFault(contentType);
    if (fault !== undefined) throw bad(`contentType ${fault}, got ${show(contentType)}`);
  }
  const event = optionalText(fields, 'event', TEXT_LIMITS.event);
  if (event !== undefined) {
    const fault = eventFault(event);
    if (fault !== undefined) throw bad(`event ${fault}, got ${show(event)}`);
  }
  const key = optionalText(fields, 'key', TEXT_LIMITS.key);
  if (key === '') throw bad('key must not be empty');
  return {
    payload: publishPayload(json, fields, contentType),
    ...optional(
      'contentType',
      contentType ?? (fields['bytes'] === undefined ? undefined : 'application/octet-stream'),
    ),
    ...optional('event', event),
    ...optional('key', key),
  };
}

function publishPayload(
  json: string,
  fields: Record<string, unknown>,
  contentType: string | undefined,
): Uint8Array {
  const hasData = Object.hasOwn(fields, 'data');
  const bytes = fields['bytes'];
  if (hasData === (bytes !== undefined)) throw bad('give either data or bytes');
  if (bytes !== undefined) {
    const payload = typeof bytes === 'string' ? decodeBase64(bytes) : undefined;
    if (payload === undefined) throw bad('bytes must be base64 with padding (RFC 4648 §4)');
    return payload;
  }
  const source = memberSource(json, 'data');
  if (source === undefined) throw bad('data is missing');
  const payload = payloadBytes({ data: source }, contentType);
  if (payload === undefined) {
    throw bad(`data must be a string of Unicode text when contentType is ${contentType}`);
  }
  return payload;
}

function parseObject(json: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw notJson(error);
  }
  return asFields(value);
}

function asFields(value: unknown): Record<string, unknown> {
  if (!isFields(value)) throw bad(`expected a JSON object, got ${show(value)}`);
  return value;
}

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function commandId(fields: Record<string, unknown>): CommandId {
  const id = fields['id'];
  if (typeof id !== 'number' || !Number.isSafeInteger(id) || id < 0) {
    throw bad(`id must be a whole number ≥ 0, got ${show(id)}`);
  }
  return id;
}

function channelName(value: unknown): string {
  if (typeof value !== 'string') throw bad(`channel must be a string, got ${show(value)}`);
  const fault = channelNameFault(value);
  if (fault !== undefined) throw bad(`channel ${fault}, got ${show(value)}`);
  return value;
}

function channelOrPattern(value: unknown): string {
  if (typeof value !== 'string' || !isWildcard(value)) return channelName(value);
  const fault = patternFault(value);
  if (fault !== undefined) throw bad(`channel ${fault}, got ${show(value)}`);
  return value;
}

function optionalText(
  fields: Record<string, unknown>,
  name: string,
  lengthMax: number,
): string | undefined {
  const value = fields[name];
  if (value === undefined) return undefined;
  if (typeof value !== 'string') throw bad(`${name} must be a string, got ${show(value)}`);
  if (value.length > lengthMax) throw bad(`${name} must have at most ${lengthMax} characters`);
  if (!value.isWellFormed()) throw bad(`${name} must not contain lone surrogates`);
  return value;
}

function optionalCount(fields: Record<string, unknown>, name: string): number | undefined {
  const value = fields[name];
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw bad(`${name} must be a whole number ≥ 0, got ${show(value)}`);
  }
  return value;
}

function optionalFlag(fields: Record<string, unknown>, name: string): boolean | undefined {
  const value = fields[name];
  if (value === undefined || typeof value === 'boolean') return value;
  throw bad(`${name} must be true or false, got ${show(value)}`);
}

function optional<K extends string, V>(name: K, value: V | undefined): { [P in K]?: V } {
  return (value === undefined ? {} : { [name]: value }) as { [P in K]?: V };
}

function bad(message: string): CodedError {
  return new CodedError('bad_request', message);
}

function notJson(error: unknown): CodedError {
  const detail = error instanceof Error ? error.message : String(error);
  return new CodedError('bad_request', `not valid JSON: ${detail.slice(0, 120)}`);
}

function asCoded(error: unknown): CodedError {
  if (error instanceof CodedError) return error;
  throw error;
}

/** Untrusted input in an error message: short, and never a second problem. */
function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'string') {
    return value.length > 60 ? `${JSON.stringify(value.slice(0, 60))}…` : JSON.stringify(value);
  }
  // Never written out: writing a value that is nested deep enough fails.
  if (typeof value === 'object' && value !== null)
    return Array.isArray(value) ? 'an array' : 'an object';
  return String(value);
}

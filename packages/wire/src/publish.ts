/**
 * Publish: what a publisher gives, in a command or in the body of `POST /v1/publish`, out of
 * untrusted JSON ([PUB-1], [HTTP-10]).
 */
import { decodeBase64 } from './base64.ts';
import { CodedError } from './codes.ts';
import {
  asCoded,
  asFields,
  bad,
  channelName,
  isFields,
  optionalCount,
  optionalFlag,
  optionalText,
  parseJson,
  show,
  TEXT_LIMITS,
} from './fields.ts';
import { elementSources, memberSource } from './json-source.ts';
import { decodeUtf8, payloadBytes } from './message.ts';

/** What a publish carries, on every transport. */
export interface PublishFields {
  readonly payload: Uint8Array;
  readonly contentType?: string;
  readonly event?: string;
  /** Idempotency key: the same key again answers with the first position. */
  readonly key?: string;
  /** Keeps it as the channel's retained message until it is replaced; an empty one clears it. */
  readonly retain?: boolean;
  /** Volatile channels: what a slow reader gets only the newest message of. */
  readonly slot?: string;
  /** Milliseconds after which it is not delivered any more. */
  readonly ttl?: number;
}

/** The same while it is being read. */
type OpenFields = { -readonly [Field in keyof PublishFields]: PublishFields[Field] };

/** Milliseconds a message may live at most where it says so: a year. */
export const TTL_MAX = 31_536_000_000;

/** Publications that one body may ask for, counting each of `channels`. */
export const PUBLISH_BATCH_MAX = 1000;

/** The content type of bytes of which nothing was said ([PUB-1]). */
export const BYTES_TYPE = 'application/octet-stream';

/** RFC 9110 §8.3.1: two tokens, then parameters, which are handed on as they are. */
const CONTENT_TYPE = /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+(?:[ \t]*;[\t -~]*)?$/;

/** Event names the event stream uses itself ([MSG-4]). */
const RESERVED_EVENTS = new Set(
  'open gap close join leave presence snapshot error message'.split(' '),
);

/** Why `event` can't be a message's event, or `undefined` when it can. */
export function eventFault(event: string): string | undefined {
  if (event.length === 0) return 'must not be empty';
  if (event.length > TEXT_LIMITS.event) return `must have at most ${TEXT_LIMITS.event} characters`;
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f-\u009f]|\p{Surrogate}/u.test(event)) {
    return 'must not contain control characters or lone surrogates';
  }
  if (RESERVED_EVENTS.has(event) || event.startsWith('bytes:')) {
    return `must not be ${[...RESERVED_EVENTS].join(', ')} or begin with bytes:`;
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
  const body = parseJson(json);
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

/**
 * What is published, out of the members of a command or a body.
 *
 * @param json the source of `fields`: JSON payloads are cut out of it as they were written.
 */
export function publishFields(json: string, fields: Record<string, unknown>): PublishFields {
  return withOptions(fields, publishPayload(json, fields));
}

/**
 * What is published, where the payload stands beside its members as it is.
 *
 * @param payload kept as it is: the caller sees to it that nobody writes to it.
 */
export function rawPublishFields(
  payload: Uint8Array,
  fields: Record<string, unknown>,
): PublishFields {
  return withOptions(fields, rawPayload(payload, checkedContentType(fields), 'the payload'));
}

/** Adds everything but the payload. Nearly always there is nothing to add, which costs nothing. */
function withOptions(fields: Record<string, unknown>, publish: OpenFields): PublishFields {
  const event = optionalText(fields, 'event', TEXT_LIMITS.event);
  if (event !== undefined) {
    const fault = eventFault(event);
    if (fault !== undefined) throw bad(`event ${fault}, got ${show(event)}`);
  }
  const key = optionalText(fields, 'key', TEXT_LIMITS.key);
  if (key === '') throw bad('key must not be empty');
  const retain = optionalFlag(fields, 'retain');
  const slot = optionalText(fields, 'slot', TEXT_LIMITS.slot);
  const ttl = timeToLive(fields);
  if (event !== undefined) publish.event = event;
  if (key !== undefined) publish.key = key;
  if (retain !== undefined) publish.retain = retain;
  if (slot !== undefined) publish.slot = slot;
  if (ttl !== undefined) publish.ttl = ttl;
  return publish;
}

function timeToLive(fields: Record<string, unknown>): number | undefined {
  const ttl = optionalCount(fields, 'ttl');
  if (ttl === undefined || (ttl >= 1 && ttl <= TTL_MAX)) return ttl;
  throw bad(`ttl must be from 1 to ${TTL_MAX} milliseconds, got ${ttl}`);
}

function publishPayload(json: string, fields: Record<string, unknown>): OpenFields {
  const contentType = checkedContentType(fields);
  if (Object.hasOwn(fields, 'data') === Object.hasOwn(fields, 'bytes')) {
    throw bad('give either data or bytes');
  }
  if (!Object.hasOwn(fields, 'bytes')) {
    const isJson = contentType !== undefined && isJsonContentType(contentType);
    if (contentType === undefined || isJson) return { payload: dataPayload(json, undefined) };
    return { payload: dataPayload(json, contentType), contentType };
  }
  return rawPayload(bytesPayload(fields['bytes']), contentType ?? BYTES_TYPE, 'bytes');
}

function checkedContentType(fields: Record<string, unknown>): string | undefined {
  const contentType = optionalText(fields, 'contentType', TEXT_LIMITS.contentType);
  if (contentType === undefined) return undefined;
  const fault = contentTypeFault(contentType);
  if (fault !== undefined) throw bad(`contentType ${fault}, got ${show(contentType)}`);
  return contentType;
}

/**
 * A payload that came as bytes.
 *
 * @param contentType absent means JSON, as in a message.
 */
function rawPayload(
  payload: Uint8Array,
  contentType: string | undefined,
  name: string,
): OpenFields {
  if (contentType !== undefined && !isJsonContentType(contentType)) return { payload, contentType };
  // What counts as JSON is embedded in frames unread: it must be JSON and nothing else.
  if (isJsonText(payload)) return { payload };
  const type =
    contentType === undefined ? 'there is no contentType' : `contentType is ${contentType}`;
  throw bad(`${name} must be JSON in UTF-8 when ${type}`);
}

function dataPayload(json: string, contentType: string | undefined): Uint8Array {
  const data = memberSource(json, 'data');
  const payload = data === undefined ? undefined : payloadBytes({ data }, contentType);
  if (payload === undefined) {
    throw bad(`data must be a string of Unicode text when contentType is ${contentType}`);
  }
  return payload;
}

function bytesPayload(bytes: unknown): Uint8Array {
  const payload = typeof bytes === 'string' ? decodeBase64(bytes) : undefined;
  if (payload === undefined) throw bad('bytes must be base64 with padding (RFC 4648 §4)');
  return payload;
}

/** True when the bytes are one JSON text in UTF-8, so that they may stand without a content type. */
export function isJsonText(bytes: Uint8Array): boolean {
  const text = decodeUtf8(bytes);
  if (text === undefined) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * Messages: what is published in a channel, and how its payload appears on text transports.
 *
 * The payload's bytes are kept and handed on as published. Absent content type means JSON, which
 * is embedded byte for byte, so that large numbers survive ([MSG-3]).
 */
import { decodeBase64, encodeBase64 } from './base64.ts';

/** Who published a message. */
export interface Sender {
  readonly user?: string;
  readonly session: string;
}

/** What a publisher says: all of a message that is the same before and after it has its place. */
interface Content {
  /** JSON text as UTF-8 unless `contentType` says otherwise. */
  readonly payload: Uint8Array;
  readonly contentType?: string;
  /** A name for the kind of message; `event:` on SSE. */
  readonly event?: string;
  readonly from?: Sender;
  /**
   * In a volatile channel: of several drafts in one slot a reader that is too slow gets only the
   * newest. At most {@link SLOT_LENGTH_MAX} characters; not kept where messages are.
   */
  readonly slot?: string;
  /**
   * What a protocol keeps with a message for its own readers, opaque to everybody else. It is stored
   * with the message, and no encoding of this package shows it or takes it from a client. At most
   * {@link ATTRIBUTES_SIZE_MAX} bytes; absent wherever there is nothing to keep.
   */
  readonly attributes?: Uint8Array;
}

/** Characters that a slot's name may have. */
export const SLOT_LENGTH_MAX = 128;

/** Bytes that the attributes of a message may have. */
export const ATTRIBUTES_SIZE_MAX = 64 * 1024;

/** What a publisher gives: a message without its place. */
export interface Draft extends Content {
  /** Milliseconds after which it is not delivered any more; absent is for ever. */
  readonly ttl?: number;
}

/** A message in a channel's stream. */
export interface Message extends Content {
  /** 1, 2, 3 … within one epoch of one channel, without holes. */
  readonly offset: number;
  /** Milliseconds since 1970 at which the server stored it. */
  readonly time: number;
  /** Milliseconds since 1970 from which on it is not delivered; absent is never. */
  readonly expiresAt?: number;
}

/** Bytes of a message that count against sizes: those of its payload and of its attributes. */
export function contentSize({ payload, attributes }: Content): number {
  return attributes === undefined ? payload.length : payload.length + attributes.length;
}

/** How a payload appears as a member of a JSON object. */
export type PayloadKind = 'json' | 'text' | 'bytes';

/** Tells how a payload of this content type appears on text transports. */
export function payloadKind(contentType: string | undefined): PayloadKind {
  if (contentType === undefined) return 'json';
  return /^text\//i.test(contentType) ? 'text' : 'bytes';
}

const encoder = /* @__PURE__ */ new TextEncoder();
const utf8 = /* @__PURE__ */ new TextDecoder('utf-8', { ignoreBOM: true });
const strictUtf8 = /* @__PURE__ */ new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });

/**
 * The payload as JSON members, without a leading comma: `"data":…`, or `"data":"…","contentType":…`,
 * or `"bytes":"…","contentType":…`. Free of CR and LF.
 */
export function payloadMembers(message: Draft): string {
  const { payload, contentType } = message;
  const kind = payloadKind(contentType);
  if (kind === 'json') return `"data":${oneLine(utf8.decode(payload))}`;
  const type = `"contentType":${JSON.stringify(contentType)}`;
  if (kind === 'text') {
    const text = decodeUtf8(payload);
    if (text !== undefined) return `"data":${JSON.stringify(text)},${type}`;
  }
  return `"bytes":"${encodeBase64(payload)}",${type}`;
}

/** Decodes UTF-8; `undefined` when the bytes are not valid. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return undefined;
  }
}

/**
 * JSON text on one line. Between tokens CR and LF are mere white space, and inside strings JSON
 * has them escaped, so replacing them changes no value.
 */
export function oneLine(json: string): string {
  return /[\r\n]/.test(json) ? json.replace(/[\r\n]/g, ' ') : json;
}

/**
 * A payload that arrived as members of a JSON object, as bytes again: `data` is the member's JSON
 * source, `bytes` its decoded string. `undefined` when `bytes` is no base64, or when `data` has a
 * content type and is no string, or one with a lone surrogate, which UTF-8 can't hold.
 */
export function payloadBytes(
  members: { readonly data?: string; readonly bytes?: string },
  contentType: string | undefined,
): Uint8Array | undefined {
  if (members.bytes !== undefined) return decodeBase64(members.bytes);
  if (members.data === undefined) return undefined;
  if (contentType === undefined) return encoder.encode(members.data);
  const text: unknown = JSON.parse(members.data);
  return typeof text === 'string' && text.isWellFormed() ? encoder.encode(text) : undefined;
}

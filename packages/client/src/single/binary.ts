/** Binary: what comes in `trunkline.v1.bin` as the frames and answers that come in JSON. */
import {
  BINARY_MEDIA_TYPE,
  CodedError,
  decodeServerRecords,
  decodeUtf8,
  payloadKind,
} from '@trunkline/wire';
import type { ChannelMessage } from '@trunkline/wire';
import { toMessages } from '../encodings/exact.ts';
import { parseObject, toMessage } from '../events.ts';
import type { ReceivedMessage } from '../events.ts';
import { bytesOf, textOf } from '../http.ts';
import type { Frame } from './session.ts';

/** How messages are written on the way: as JSON text, or with payloads as raw bytes. */
export type EncodingName = 'json' | 'binary';

/** An answer that has messages. */
export interface Answer {
  /** Its JSON; in binary without the messages. */
  readonly text: string;
  readonly messages: readonly ReceivedMessage[];
}

/** The `Accept` of a request for messages. A server without binary answers JSON. */
export function acceptOf(encoding: EncodingName | undefined): string {
  return encoding === 'binary'
    ? `${BINARY_MEDIA_TYPE}, application/json;q=0.5`
    : 'application/json';
}

/** Reads an answer in either encoding. @throws {CodedError} when it is none. */
export async function answerOf(response: Response): Promise<Answer> {
  if (response.headers.get('content-type') !== BINARY_MEDIA_TYPE) {
    const text = await textOf(response);
    return { text, messages: toMessages(text) };
  }
  const [page] = decodeServerRecords(await bytesOf(response));
  if (page?.kind !== 'page') throw new CodedError('bad_request', 'expected a page of messages');
  const messages = page.messages.flatMap((message) => {
    const { fields, source } = toFrame(message);
    return toMessage(fields, source) ?? [];
  });
  return { text: page.json, messages };
}

/** Reads a frame of a session. @throws {CodedError} when it is none. */
export function framesOf(bytes: Uint8Array): Frame[] {
  return decodeServerRecords(bytes).flatMap((record) => {
    if (record.kind === 'messages') return record.messages.map(toFrame);
    const fields = parseObject(record.json);
    if (fields === undefined) throw notJson(record.json);
    return [{ fields, text: record.json }];
  });
}

/** A message as the push it would be in JSON, its bytes as bytes. */
function toFrame({ payload, ...members }: ChannelMessage): Frame {
  const kind = payloadKind(members.contentType);
  const text = kind === 'bytes' ? undefined : decodeUtf8(payload);
  const fields = { type: 'message', ...members };
  if (kind === 'json') {
    return { fields: { ...fields, data: parsed(text ?? '') }, text: '', source: text ?? '' };
  }
  // A copy: a view would keep the whole frame.
  const data = text === undefined ? { bytes: payload.slice() } : { data: text };
  return { fields: { ...fields, ...data }, text: '' };
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json) as unknown;
  } catch {
    throw notJson(json);
  }
}

function notJson(text: string): CodedError {
  return new CodedError('bad_request', `expected JSON from the server, got ${text.slice(0, 60)}`);
}

/** Binary: payloads as raw bytes and few bytes around them; what has no payload is JSON. */
import {
  BINARY_MEDIA_TYPE,
  BINARY_SUBPROTOCOL,
  decodeServerRecords,
  decodeUtf8,
  encodeJsonRecord,
  payloadKind,
} from '@trunkline/wire';
import type { ChannelMessage, ServerRecord } from '@trunkline/wire';
import type { Encoding, Frame } from './encoding.ts';
import { exactJson } from './exact.ts';
import { messageOf, notJson } from './json.ts';

/** `trunkline.v1.bin` (spec/binary.md). JSON payloads keep their `source`. */
export const binary: Encoding = {
  subprotocol: BINARY_SUBPROTOCOL,
  mediaType: BINARY_MEDIA_TYPE,
  commandOf: encodeJsonRecord,
  framesOf(data) {
    if (typeof data === 'string') throw notJson('text, not binary records');
    return decodeServerRecords(new Uint8Array(data)).flatMap(framesOfRecord);
  },
  answerOf(body, mediaType) {
    // A server that has no binary answers JSON. [BIN-2]
    if (mediaType !== BINARY_MEDIA_TYPE) return exactJson.answerOf(body, mediaType);
    const [page] = decodeServerRecords(body).flatMap(framesOfRecord);
    if (page?.messages === undefined) throw notJson('no page of messages');
    return page;
  },
  eventOf: exactJson.eventOf,
};

function framesOfRecord(record: ServerRecord): Frame[] {
  if (record.kind === 'messages') return record.messages.map(toFrame);
  if (record.kind === 'json') return [exactJson.eventOf(record.json)];
  const messages = record.messages.map((message) => {
    const { fields, source } = toFrame(message);
    return messageOf(fields, source);
  });
  return [{ ...exactJson.eventOf(record.json), messages }];
}

/** A message as the push it would be in JSON, its bytes as bytes. */
function toFrame({ payload, ...members }: ChannelMessage): Frame {
  const kind = payloadKind(members.contentType);
  const fields = { type: 'message', ...members };
  const text = kind === 'bytes' ? undefined : decodeUtf8(payload);
  // A copy: a view would keep the whole frame.
  if (kind !== 'json') return { fields: { ...fields, ...textOr(text, payload.slice()) } };
  try {
    return { fields: { ...fields, data: JSON.parse(text ?? '') as unknown }, source: text ?? '' };
  } catch {
    throw notJson(`the payload ${text ?? 'that is no UTF-8'}`.slice(0, 60));
  }
}

function textOr(data: string | undefined, bytes: Uint8Array): object {
  return data === undefined ? { bytes } : { data };
}

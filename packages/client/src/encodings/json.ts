/** JSON: the default encoding. Payloads are what `JSON.parse` makes of them. */
import { CodedError, JSON_SUBPROTOCOL } from '@trunkline/wire';
import { asObject, parseObject, toMessage } from '../events.ts';
import type { ReceivedMessage } from '../events.ts';
import type { Encoding, Frame } from './encoding.ts';

const decoder = new TextDecoder();

/** `trunkline.v1.json`, for numbers that a double holds. */
export const json: Encoding = {
  subprotocol: JSON_SUBPROTOCOL,
  mediaType: 'application/json',
  commandOf: (text) => text,
  framesOf: (data) => linesOf(data).map(frameOf),
  answerOf: (body) => frameOf(decoder.decode(body)),
  eventOf: frameOf,
};

/** The lines that are not blank. @throws {CodedError} when it is no text. [WS-1] */
export function linesOf(data: string | ArrayBuffer): string[] {
  if (typeof data !== 'string') throw notJson('bytes');
  return data.split('\n').filter((line) => line.trim() !== '');
}

/** Parses what must be an object. @throws {CodedError} when it is none. */
export function fieldsOf(text: string): Frame['fields'] {
  const fields = parseObject(text);
  if (fields === undefined) throw notJson(text.slice(0, 60));
  return fields;
}

/**
 * A message of an answer. The answer says where it leads, so that one that was left out would be
 * lost without a word.
 *
 * @throws {CodedError} when it is none.
 */
export function messageOf(fields: Frame['fields'], source?: string): ReceivedMessage {
  const message = toMessage(fields, source);
  if (message === undefined) throw notJson('a broken message');
  return message;
}

/** The complaint about something that came in place of an object. */
export function notJson(text: string): CodedError {
  return new CodedError('bad_request', `expected a JSON object from the server, got ${text}`);
}

function frameOf(text: string): Frame {
  const fields = fieldsOf(text);
  const { messages } = fields;
  if (!Array.isArray(messages)) return { fields };
  return {
    fields,
    messages: messages.map((one: unknown) => messageOf(asObject(one) ?? {})),
  };
}

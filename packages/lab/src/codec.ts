/**
 * Codec: the two encodings of the native protocol. A test says and reads JSON objects, and they
 * travel in either, so that it proves its clause in both.
 */
import {
  BINARY_MEDIA_TYPE,
  BINARY_SUBPROTOCOL,
  decodeCommand,
  decodeServerRecords,
  decodeUtf8,
  encodeBinaryCommand,
  encodeJsonRecord,
  JSON_SUBPROTOCOL,
  payloadKind,
  payloadMembers,
} from '@trunkline/wire';
import type { ChannelMessage } from '@trunkline/wire';
import type { Fields } from './http.ts';

/** One encoding, over each transport that has both. */
export interface Codec {
  /** What stands before the name of a transport. */
  readonly prefix: '' | 'binary ';
  readonly subprotocol: string;
  /** Headers of a request whose answer shall have it. */
  readonly headers: Readonly<Record<string, string>>;
}

/** `trunkline.v1.json`. */
export const JSON_CODEC: Codec = { prefix: '', subprotocol: JSON_SUBPROTOCOL, headers: {} };

/** `trunkline.v1.bin`. */
export const BINARY_CODEC: Codec = {
  prefix: 'binary ',
  subprotocol: BINARY_SUBPROTOCOL,
  headers: { accept: BINARY_MEDIA_TYPE },
};

/** Both. */
export const CODECS: readonly Codec[] = [JSON_CODEC, BINARY_CODEC];

/** Commands as one binary frame: a publish with its payload as it is, and everything else as JSON. */
export function binaryFrame(commands: readonly string[]): Buffer {
  return Buffer.concat(
    commands.map((json) => {
      const decoded = decodeCommand(json);
      // What is no command is said as it stands.
      return decoded.ok && decoded.command.type === 'publish'
        ? encodeBinaryCommand(decoded.command)
        : encodeJsonRecord(json);
    }),
  );
}

/** What the server said in a binary frame as the objects of the JSON protocol, with their source. */
export function fieldsOf(frame: Uint8Array): Fields[] {
  return decodeServerRecords(frame).flatMap((record) => {
    if (record.kind === 'json') return [toFields(record.json)];
    const messages = record.messages.map(messageSource);
    if (record.kind === 'page') return [toFields(withMessages(record.json, messages))];
    return messages.map((source) => toFields(`{"type":"message",${source.slice(1)}`));
  });
}

/** The JSON of an answer that came as one binary frame. */
export function pageText(body: Uint8Array): string {
  const [page, ...others] = decodeServerRecords(body);
  if (page?.kind !== 'page' || others.length > 0) throw new Error('expected one page');
  return withMessages(page.json, page.messages.map(messageSource));
}

function toFields(source: string): Fields {
  return { ...(JSON.parse(source) as Fields), source };
}

function withMessages(json: string, messages: readonly string[]): string {
  const rest = json.slice(1);
  return `{"messages":[${messages.join()}]${rest === '}' ? rest : `,${rest}`}`;
}

/** A message as JSON, its payload as it came: line breaks stay. */
function messageSource(message: ChannelMessage): string {
  const { payload, contentType, ...rest } = message;
  const members = JSON.stringify(rest).slice(0, -1);
  const json = payloadKind(contentType) === 'json' ? decodeUtf8(payload) : undefined;
  return `${members},${json === undefined ? payloadMembers(message) : `"data":${json}`}}`;
}

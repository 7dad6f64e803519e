/**
 * Payload: what kind of content it is, where the publisher does not say. MQTT carries bytes; the other
 * protocols show JSON as JSON and text as text.
 */
import { isUtf8 } from 'node:buffer';
import { contentTypeFault, isJsonContentType, isJsonText } from '@trunkline/wire';

const BYTES_TYPE = 'application/octet-stream';
const TEXT_TYPE = 'text/plain; charset=utf-8';

/** What JSON text can begin with, after white space: so that most of what is none is not parsed. */
const JSON_STARTS = new Set(Buffer.from('{["-0123456789tfn'));
const WHITE_SPACE = new Set(Buffer.from(' \t\r\n'));

/**
 * The content type of a message, which is absent for JSON.
 *
 * @param told the publisher's own. What is no type, or calls itself JSON and is none, can't be told to
 *   the other protocols; over MQTT it is handed on as it is.
 */
export function contentTypeFor(payload: Uint8Array, told: string | undefined): string | undefined {
  if (told !== undefined && !isJsonContentType(told) && contentTypeFault(told) === undefined) {
    return told;
  }
  if (isJson(payload)) return undefined;
  return isUtf8(payload) ? TEXT_TYPE : BYTES_TYPE;
}

function isJson(payload: Uint8Array): boolean {
  const start = payload.find((byte) => !WHITE_SPACE.has(byte));
  return start !== undefined && JSON_STARTS.has(start) && isJsonText(payload);
}

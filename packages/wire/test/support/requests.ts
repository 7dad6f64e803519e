/** How `commands.json` writes down what was read. */
import { CodedError, decodeUtf8, encodeBase64 } from '../../src/index.ts';
import type { Decoded, PublishRequest } from '../../src/index.ts';

/** Members with the payload as text, or as base64 where the vector has it so. */
export function toVector(fields: object, like: object): Record<string, unknown> {
  if (!('payload' in fields) || !(fields.payload instanceof Uint8Array)) return { ...fields };
  const { payload, ...rest } = fields;
  if ('payloadBase64' in like) return { ...rest, payloadBase64: encodeBase64(payload) };
  return { ...rest, payload: decodeUtf8(payload) };
}

/** A result of `decodeCommands` as the vector would say it. */
export function toResult(decoded: Decoded, like: object): Record<string, unknown> {
  if (decoded.ok) return { command: toVector(decoded.command, like) };
  const { id } = decoded;
  return { error: decoded.error.code, ...(id === undefined ? {} : { id }) };
}

/** An element of a batch as the vector would say it. */
export function toElement(
  element: PublishRequest | CodedError,
  like: object,
): Record<string, unknown> {
  if (element instanceof CodedError) return { error: element.code };
  return toVector(element, like);
}

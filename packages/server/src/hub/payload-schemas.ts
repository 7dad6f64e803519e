/**
 * Payload schemas: what a namespace says its JSON payloads look like, held before anything is
 * stored [SCHEMA-1]. The payload itself is never changed: its bytes stay as published.
 */
import { CodedError, decodeUtf8, isJsonContentType } from '@trunkline/wire';
import type { Draft } from '@trunkline/wire';
import type { ErrorObject } from 'ajv/dist/2020.js';
import { compileSchema } from '../config/json-schema.ts';
import type { SchemaCheck } from '../config/json-schema.ts';
import type { NamespaceRules } from '../config/namespace-rules.ts';

/** Faults that one refusal tells, and characters of each part of one. */
const FAULT_COUNT_MAX = 3;
const PLACE_LENGTH_MAX = 80;
const MESSAGE_LENGTH_MAX = 120;
const NAME_LENGTH_MAX = 40;

/**
 * Holds a draft against the schema of its channel, if there is one.
 *
 * @throws {CodedError} `bad_request`, not stored, that says where the payload is wrong and what was
 *   expected; of the payload itself it repeats short names alone.
 */
export function checkPayload(
  rules: Pick<NamespaceRules, 'schema'>,
  channel: string,
  draft: Draft,
): void {
  const { schema } = rules;
  if (schema === undefined) return;
  const { contentType } = draft;
  if (contentType !== undefined && !isJsonContentType(contentType)) {
    throw refused(`${channel} takes JSON alone: it has a schema, got ${contentType}`);
  }
  const faults = faultsOf(compileSchema(schema), parse(channel, draft.payload), channel);
  if (faults === undefined) return;
  const told = faults.slice(0, FAULT_COUNT_MAX).map(describe).join('; ');
  throw refused(`the payload does not satisfy the schema of ${channel}: ${told}`);
}

function parse(channel: string, payload: Uint8Array): unknown {
  const text = decodeUtf8(payload);
  try {
    if (text !== undefined) return JSON.parse(text);
  } catch {
    // As if it were no text.
  }
  throw refused(`${channel} takes JSON alone: it has a schema, and this payload is no JSON`);
}

function faultsOf(
  check: SchemaCheck,
  value: unknown,
  channel: string,
): readonly ErrorObject[] | undefined {
  try {
    return check(value);
  } catch (error) {
    // A schema that refers to itself follows the payload as deep as that goes.
    if (!(error instanceof RangeError)) throw error;
    throw refused(`the payload is nested too deeply to be held against the schema of ${channel}`);
  }
}

/** One fault: where in the payload, what was expected. */
function describe({ instancePath, message = 'is not valid', params }: ErrorObject): string {
  const place = instancePath === '' ? 'the payload' : shorten(instancePath, PLACE_LENGTH_MAX);
  const name: unknown = params['additionalProperty'] ?? params['unevaluatedProperty'];
  const culprit = typeof name === 'string' ? ` (${shorten(name, NAME_LENGTH_MAX)})` : '';
  return `${place} ${shorten(message, MESSAGE_LENGTH_MAX)}${culprit}`;
}

function shorten(text: string, lengthMax: number): string {
  return text.length > lengthMax ? `${text.slice(0, lengthMax).toWellFormed()}…` : text;
}

function refused(message: string): CodedError {
  return new CodedError('bad_request', message, { stored: false });
}

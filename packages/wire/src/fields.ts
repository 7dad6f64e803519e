/** Fields: reading the members of untrusted JSON, each with a message that says what was expected. */
import { channelNameFault, isWildcard, patternFault } from './channel.ts';
import { CodedError } from './codes.ts';

/** Characters a key, an event name, a slot, a content type or a token may have. */
export const TEXT_LIMITS = {
  key: 256,
  event: 128,
  slot: 128,
  contentType: 128,
  token: 16_384,
  /** A position or a mark. */
  place: 4_096,
} as const;

/** The greatest number of a subscription that stands apart from the others of its session. */
export const APART_MAX = 999;

/** Parses JSON text. @throws {CodedError} `bad_request` when it is none. */
export function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw bad(`not valid JSON: ${detail.slice(0, 120)}`);
  }
}

/** The members of a JSON object; refuses everything else. */
export function asFields(value: unknown): Record<string, unknown> {
  if (!isFields(value)) throw bad(`expected a JSON object, got ${show(value)}`);
  return value;
}

/** True for what JSON calls an object. */
export function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A channel name, or the reason why not. */
export function channelName(value: unknown): string {
  if (typeof value !== 'string') throw bad(`channel must be a string, got ${show(value)}`);
  const fault = channelNameFault(value);
  if (fault !== undefined) throw bad(`channel ${fault}, got ${show(value)}`);
  return value;
}

/** A channel name, or a pattern when it holds a wildcard. */
export function channelOrPattern(value: unknown): string {
  if (typeof value !== 'string' || !isWildcard(value)) return channelName(value);
  const fault = patternFault(value);
  if (fault !== undefined) throw bad(`channel ${fault}, got ${show(value)}`);
  return value;
}

/** A member that is text of at most `lengthMax` characters, if it is there. */
export function optionalText(
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

/** A member that is a whole number from 0, if it is there. */
export function optionalCount(fields: Record<string, unknown>, name: string): number | undefined {
  const value = fields[name];
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw bad(`${name} must be a whole number ≥ 0, got ${show(value)}`);
  }
  return value;
}

/** A member that is true or false, if it is there. */
export function optionalFlag(fields: Record<string, unknown>, name: string): boolean | undefined {
  const value = fields[name];
  if (value === undefined || typeof value === 'boolean') return value;
  throw bad(`${name} must be true or false, got ${show(value)}`);
}

/** The number of a subscription that stands apart, if it does ([APART-1]). */
export function optionalNumberApart(fields: Record<string, unknown>): number | undefined {
  const as = fields['as'];
  if (as === undefined) return undefined;
  if (typeof as !== 'number' || !Number.isInteger(as) || as < 1 || as > APART_MAX) {
    throw bad(`as must be a whole number from 1 to ${APART_MAX}, got ${show(as)}`);
  }
  return as;
}

/** An object with this member, or without it when there is no value. */
export function optional<K extends string, V>(name: K, value: V | undefined): { [P in K]?: V } {
  return (value === undefined ? {} : { [name]: value }) as { [P in K]?: V };
}

/** What a malformed input is answered with. */
export function bad(message: string): CodedError {
  return new CodedError('bad_request', message);
}

/** An error for the peer; anything else is a fault of this code and goes on. */
export function asCoded(error: unknown): CodedError {
  if (error instanceof CodedError) return error;
  throw error;
}

/** Untrusted input in an error message: short, and never a second problem. */
export function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'string') {
    return value.length > 60 ? `${JSON.stringify(value.slice(0, 60))}…` : JSON.stringify(value);
  }
  // Never written out: writing a value that is nested deep enough fails.
  if (Array.isArray(value)) return 'an array';
  return isFields(value) ? 'an object' : JSON.stringify(value);
}

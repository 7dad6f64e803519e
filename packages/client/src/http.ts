/** HTTP: addresses, headers and refusals of the API, for publishing, history, polls and streams. */
import { CodedError, CODE_RULES } from '@trunkline/wire';
import type { CodeName } from '@trunkline/wire';
import { parseObject, toCode } from './events.ts';

/** Bytes of an answer that are read at most. */
const ANSWER_SIZE_MAX = 64 * 1024 * 1024;

/** A token, or what gives a fresh one for every attempt. */
export type TokenSource = string | (() => string | Promise<string>);

/** Parameters of a call; an array is given once for each of its texts. */
export type Query = Readonly<Record<string, string | number | readonly string[] | undefined>>;

/** The address of a call below `/v1/`. @throws {CodedError} when `base` is no address. */
export function addressOf(
  base: string,
  scheme: 'http' | 'ws',
  call: string,
  query: Query = {},
): string {
  let address: URL;
  try {
    address = new URL(`v1/${call}`, base.endsWith('/') ? base : `${base}/`);
  } catch (error) {
    throw badAddress(base, error);
  }
  const secure = address.protocol === 'https:' || address.protocol === 'wss:';
  if (!secure && address.protocol !== 'http:' && address.protocol !== 'ws:') {
    throw badAddress(base);
  }
  // Assigned as a whole: the setter of `protocol` refuses some changes of scheme.
  const path = address.href.slice(address.protocol.length);
  const whole = new URL(`${scheme}${secure ? 's' : ''}:${path}`);
  for (const [name, value] of Object.entries(query)) {
    const values = Array.isArray(value) ? value : [value];
    for (const one of values) if (one !== undefined) whole.searchParams.append(name, String(one));
  }
  return whole.href;
}

function badAddress(base: string, cause?: unknown): CodedError {
  const message = `url must be like http://host:port, got ${base}`;
  return new CodedError('bad_request', message, { cause });
}

/** The headers that carry a token. */
export function tokenHeaders(token: string | undefined): Record<string, string> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}

/** Asks the token source, if there is one. */
export async function currentToken(source: TokenSource | undefined): Promise<string | undefined> {
  return typeof source === 'function' ? source() : source;
}

/** Reads a refusal (RFC 9457 problem details with a `code`), or makes one out of the status. */
export async function refusalOf(response: Response): Promise<CodedError> {
  const problem = parseObject(await textOf(response).catch(() => ''));
  const code = toCode(problem?.['code'], codeOfStatus(response.status));
  const detail = problem?.['detail'] ?? problem?.['title'];
  const message = typeof detail === 'string' ? detail : `HTTP status ${response.status}`;
  const retryAfter = retryAfterMs(response, problem?.['retryAfter']);
  const stored = problem?.['stored'];
  return new CodedError(code, message, {
    ...(retryAfter === undefined ? {} : { retryAfter }),
    ...(stored === false || stored === 'unknown' ? { stored } : {}),
  });
}

/** The whole text of an answer. @throws {CodedError} when it is over the bound. */
export async function textOf(response: Response): Promise<string> {
  return new TextDecoder().decode(await bytesOf(response));
}

/** The whole answer as bytes. @throws {CodedError} when it is over the bound. */
export async function bytesOf(response: Response): Promise<Uint8Array> {
  // Some runtimes have no streams.
  if (!response.body) return new Uint8Array(await response.arrayBuffer());
  const pieces: Uint8Array[] = [];
  const reader = response.body.getReader();
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    pieces.push(value);
    size += value.length;
    if (size <= ANSWER_SIZE_MAX) continue;
    reader.cancel().catch(() => {}); // Whatever comes of it.
    throw new CodedError('too_large', `the answer is longer than ${ANSWER_SIZE_MAX} bytes`);
  }
  const [first] = pieces;
  if (pieces.length === 1 && first !== undefined) return first;
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** A failure below HTTP: no connection, or one that broke. */
export function networkError(error: unknown, stored?: 'unknown'): CodedError {
  if (error instanceof CodedError) return error;
  const text = error instanceof Error ? error.message : String(error);
  // Node says only "fetch failed" and has the reason in the cause.
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : undefined;
  const detail = cause === undefined || cause.message === '' ? text : cause.message;
  return new CodedError('unavailable', detail, {
    cause: error,
    ...(stored === undefined ? {} : { stored }),
  });
}

/** What only the server can say. */
const SERVERS_OWN: readonly CodeName[] = ['bad_request', 'forbidden', 'conflict', 'replaced'];

/**
 * What a status means that came without a code, so not from the server: something on the way does
 * not let this through. That is no final word, since another transport or another network may.
 */
function codeOfStatus(status: number): CodeName {
  const names = Object.keys(CODE_RULES) as CodeName[];
  const exact = names.find((name) => CODE_RULES[name].http === status);
  if (exact !== undefined && !SERVERS_OWN.includes(exact)) return exact;
  // Gateways have more 5xx than the registry: 502 and 504 mean that the server is away.
  return status >= 500 ? 'unavailable' : 'not_found';
}

/** The problem's own milliseconds, or `Retry-After` in seconds (RFC 9110 §10.2.3). */
function retryAfterMs(response: Response, member: unknown): number | undefined {
  if (typeof member === 'number' && member >= 0) return member;
  const seconds = response.headers.get('retry-after') ?? '';
  return /^[0-9]{1,9}$/.test(seconds) ? Number(seconds) * 1000 : undefined;
}

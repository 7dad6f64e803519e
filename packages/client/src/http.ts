/** HTTP: addresses, headers and refusals of the API, for publishing, history, polls and streams. */
import { CodedError, CODE_RULES } from '@trunkline/wire';
import type { CodeName } from '@trunkline/wire';
import { parseObject, toError } from './events.ts';

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
  // Assigned as a whole: the setter of `protocol` refuses some changes of scheme.
  const [, secureAndPath] = /^(?:http|ws)(s?:.*)$/.exec(absolute(base, `v1/${call}`)) ?? [];
  if (secureAndPath === undefined) {
    throw new CodedError('bad_request', `url must be like http://host:port, got ${base}`);
  }
  const whole = new URL(scheme + secureAndPath);
  for (const [name, value] of Object.entries(query)) {
    const values = Array.isArray(value) ? value : [value];
    for (const one of values) if (one !== undefined) whole.searchParams.append(name, String(one));
  }
  return whole.href;
}

function absolute(base: string, path: string): string {
  try {
    return new URL(path, base.endsWith('/') ? base : `${base}/`).href;
  } catch {
    return '';
  }
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
  const problem = parseObject(await textOf(response).catch(() => '')) ?? {};
  const { status } = response;
  return toError(
    { ...problem, message: problem['detail'] ?? problem['title'] },
    {
      code: codeOfStatus(status),
      message: `HTTP status ${status}`,
      retryAfter: retryAfterMs(response),
    },
  );
}

/** The whole text of an answer. @throws {CodedError} when it is over the bound. */
export async function textOf(response: Response): Promise<string> {
  return new TextDecoder().decode(await bytesOf(response));
}

/** The whole answer as bytes. @throws {CodedError} when it is over the bound. */
export async function bytesOf(response: Response): Promise<Uint8Array> {
  // Some runtimes have no streams.
  if (!response.body) return new Uint8Array(await response.arrayBuffer());
  const pieces: Uint8Array<ArrayBuffer>[] = [];
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
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}

/** A failure below HTTP: no connection, or one that broke. */
export function networkError(error: unknown, stored?: 'unknown'): CodedError {
  if (error instanceof CodedError) return error;
  const text = error instanceof Error ? error.message : String(error);
  // Node says only "fetch failed" and has the reason in the cause.
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : undefined;
  const detail = cause === undefined || cause.message === '' ? text : cause.message;
  return new CodedError('unavailable', detail, { cause: error, stored });
}

/** Bad requests, forbidden ones and conflicts: of those only the server can say so. */
const SERVERS_OWN = [400, 403, 409];

/**
 * What a status means that came without a code, so not from the server: something on the way does
 * not let this through. That is no final word, since another transport or another network may.
 */
function codeOfStatus(status: number): CodeName {
  const names = Object.keys(CODE_RULES) as CodeName[];
  const exact = names.find((name) => CODE_RULES[name].http === status);
  if (exact !== undefined && !SERVERS_OWN.includes(status)) return exact;
  // Gateways have more 5xx than the registry: 502 and 504 mean that the server is away.
  return status >= 500 ? 'unavailable' : 'not_found';
}

/** The milliseconds of `Retry-After`, which has seconds (RFC 9110 §10.2.3). */
function retryAfterMs(response: Response): number | undefined {
  const seconds = response.headers.get('retry-after') ?? '';
  return /^[0-9]{1,9}$/.test(seconds) ? Number(seconds) * 1000 : undefined;
}

/** Problems: every failed request is answered with the same few fields (RFC 9457). */
import { STATUS_CODES } from 'node:http';
import { CODES, type CodeName } from '@trunkline/wire';
import type { HttpAnswer } from './request.ts';

/** What a problem may tell beside its code and detail. */
export interface ProblemDetails {
  /** Replaces the code's own status where HTTP has a more exact one, e.g. 431. */
  readonly status?: number;
  /** Milliseconds after which the same request may work; also sent as `Retry-After`. */
  readonly retryAfter?: number;
  /** For a refused publish: whether it may have been stored. */
  readonly stored?: false | 'unknown';
  readonly headers?: Readonly<Record<string, string>>;
}

/** The answer to a request that failed with `code`; `detail` is for the developer who asked. */
export function problemAnswer(
  code: CodeName,
  detail: string,
  details: ProblemDetails = {},
): HttpAnswer {
  const { retryAfter, stored } = details;
  const status = details.status ?? CODES[code].http;
  const headers: Record<string, string> = {
    ...details.headers,
    'content-type': 'application/problem+json',
    'cache-control': 'no-store',
  };
  // Whole seconds, rounded up: coming back too early is refused again.
  if (retryAfter !== undefined) headers['retry-after'] = String(Math.ceil(retryAfter / 1000));
  const body = {
    // RFC 9457 §4.2.1: with `about:blank` the title is the phrase of the status.
    type: 'about:blank',
    title: STATUS_CODES[status] ?? CODES[code].reason,
    status,
    code,
    detail,
    ...(retryAfter === undefined ? {} : { retryAfter }),
    ...(stored === undefined ? {} : { stored }),
  };
  return { status, headers, body: JSON.stringify(body) };
}

/** What a peer is told of a fault of ours: nothing but that; the log has the rest. */
export const INTERNAL_PROBLEM: HttpAnswer = problemAnswer(
  'internal',
  'The server failed to answer; its log says why.',
);

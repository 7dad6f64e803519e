/**
 * Codes: the one registry of everything that can go wrong on the wire.
 *
 * A name never changes its meaning. On the wire errors carry the name; a WebSocket close carries
 * the number, and the number alone says whether to come back: see {@link reconnectAfterClose}.
 */

/** What one code means on each transport. */
export interface Code {
  /** The HTTP status of an answer that fails with it. */
  readonly http: number;
  /** The WebSocket close code that ends a connection with it. */
  readonly close: number;
  /** A fixed phrase for close frames; at most 123 bytes (RFC 6455 §5.5). */
  readonly reason: string;
  /** True when the same input may work later. */
  readonly temporary: boolean;
}

/** Every code, by name (spec/codes.md). */
export const CODES = {
  bad_request: { http: 400, close: 4400, reason: 'bad request', temporary: false },
  unauthenticated: { http: 401, close: 4401, reason: 'a valid token is needed', temporary: false },
  forbidden: { http: 403, close: 4403, reason: 'not allowed', temporary: false },
  not_found: { http: 404, close: 4404, reason: 'no such thing', temporary: false },
  conflict: { http: 409, close: 4409, reason: 'same key, other payload', temporary: false },
  replaced: {
    http: 409,
    close: 4409,
    reason: 'the same identity connected again',
    temporary: false,
  },
  too_large: { http: 413, close: 1009, reason: 'over the size limit', temporary: false },
  rate_limited: { http: 429, close: 4429, reason: 'over a rate limit', temporary: true },
  internal: { http: 500, close: 1011, reason: 'internal error', temporary: true },
  unavailable: { http: 503, close: 1013, reason: 'not available now', temporary: true },
  draining: { http: 503, close: 1001, reason: 'this node is going away', temporary: true },
  timeout: { http: 408, close: 4508, reason: 'no answer in time', temporary: true },
  slow: { http: 503, close: 4510, reason: 'too slow to catch up', temporary: true },
} as const satisfies Record<string, Code>;

/** The name of a code, as it stands on the wire. */
export type CodeName = keyof typeof CODES;

/** True for a name of the registry; narrows untrusted text. */
export function isCodeName(text: unknown): text is CodeName {
  return typeof text === 'string' && Object.hasOwn(CODES, text);
}

/** What a WebSocket close code asks of a client ([CODE-2] to [CODE-4]). */
export type AfterClose =
  /** The same input would be refused again. */
  | 'stay'
  /** Come back with a fresh token. */
  | 'refresh'
  /** Come back after the `retryAfter` that was told. */
  | 'wait'
  /** Come back with exponential backoff and full jitter. */
  | 'reconnect';

/** Reads a WebSocket close code as the registry's rule, for codes not listed here as well. */
export function reconnectAfterClose(close: number): AfterClose {
  if (close === CODES.unauthenticated.close) return 'refresh';
  if (close === CODES.rate_limited.close) return 'wait';
  if (close === 1000 || close === 1002 || close === 1003 || close === 1007 || close === 1009) {
    return 'stay';
  }
  if (close >= 4400 && close <= 4499) return 'stay';
  return 'reconnect';
}

/** An error that has a code of the registry: what a refused command, request or link answers. */
export class CodedError extends Error {
  override readonly name = 'CodedError';
  readonly code: CodeName;
  /** Milliseconds after which the same input may work; set with temporary codes only. */
  readonly retryAfter?: number;
  /** For a refused publish: whether it may have been stored ([PUB-4]). */
  readonly stored?: false | 'unknown';

  constructor(code: CodeName, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    if (details.retryAfter !== undefined) this.retryAfter = details.retryAfter;
    if (details.stored !== undefined) this.stored = details.stored;
  }
}

/** What a {@link CodedError} may tell beside its code and message. */
export interface ErrorDetails {
  readonly retryAfter?: number;
  readonly stored?: false | 'unknown';
  readonly cause?: unknown;
}

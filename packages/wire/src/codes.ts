/**
 * Codes: the one registry of everything that can go wrong on the wire.
 *
 * A name never changes its meaning. On the wire errors carry the name; a WebSocket close carries
 * the number, and the number alone says whether to come back: see {@link reconnectAfterClose}.
 */

/** What programs go by. */
export interface CodeRule {
  /** The HTTP status of an answer that fails with it. */
  readonly http: number;
  /** The WebSocket close code that ends a connection with it. */
  readonly close: number;
  /** True when the same input may work later. */
  readonly temporary: boolean;
}

/** What one code means on each transport. */
export interface Code extends CodeRule {
  /** A fixed phrase for close frames; at most 123 bytes (RFC 6455 §5.5). */
  readonly reason: string;
}

/** Every code, by name (spec/codes.md), without the words: clients load no more than that. */
export const CODE_RULES = {
  bad_request: { http: 400, close: 4400, temporary: false },
  unauthenticated: { http: 401, close: 4401, temporary: false },
  forbidden: { http: 403, close: 4403, temporary: false },
  not_found: { http: 404, close: 4404, temporary: false },
  conflict: { http: 409, close: 4409, temporary: false },
  replaced: { http: 409, close: 4409, temporary: false },
  too_large: { http: 413, close: 1009, temporary: false },
  rate_limited: { http: 429, close: 4429, temporary: true },
  internal: { http: 500, close: 1011, temporary: true },
  unavailable: { http: 503, close: 1013, temporary: true },
  draining: { http: 503, close: 1001, temporary: true },
  timeout: { http: 408, close: 4508, temporary: true },
  slow: { http: 503, close: 4510, temporary: true },
} as const satisfies Record<string, CodeRule>;

const REASONS: Readonly<Record<CodeName, string>> = {
  bad_request: 'bad request',
  unauthenticated: 'a valid token is needed',
  forbidden: 'not allowed',
  not_found: 'no such thing',
  conflict: 'same key, other payload',
  replaced: 'the same identity connected again',
  too_large: 'over the size limit',
  rate_limited: 'over a rate limit',
  internal: 'internal error',
  unavailable: 'not available now',
  draining: 'this node is going away',
  timeout: 'no answer in time',
  slow: 'too slow to catch up',
};

/** Every code, with its words. */
export const CODES = /* @__PURE__ */ withReasons();

function withReasons(): Readonly<Record<CodeName, Code>> {
  const names = Object.keys(REASONS) as CodeName[];
  const codes = names.map((name) => [name, { ...CODE_RULES[name], reason: REASONS[name] }]);
  return Object.fromEntries(codes) as Record<CodeName, Code>;
}

/** The name of a code, as it stands on the wire. */
export type CodeName = keyof typeof CODE_RULES;

/** True for a name of the registry; narrows untrusted text. */
export function isCodeName(text: unknown): text is CodeName {
  return typeof text === 'string' && Object.hasOwn(CODE_RULES, text);
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
  if (close === CODE_RULES.unauthenticated.close) return 'refresh';
  if (close === CODE_RULES.rate_limited.close) return 'wait';
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
  readonly retryAfter?: number | undefined;
  readonly stored?: false | 'unknown' | undefined;
  readonly cause?: unknown;
}

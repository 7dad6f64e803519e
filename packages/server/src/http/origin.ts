/**
 * Origin: which browser pages may talk to this server, and what their browsers are told (CORS).
 *
 * A browser names the page's origin in `Origin`; other programs send none or any, so it protects
 * a browser's user and nobody else. Pure.
 */
import type { HttpAnswer, RequestHead } from './request.ts';
import { problemAnswer } from './problem.ts';

/** Which browser pages may call, and what their browsers are told. */
export interface OriginRules {
  /** True when the request names an `Origin` that is not allowed. */
  isForeign(head: RequestHead): boolean;
  /**
   * True when a page of the request's `Origin` may act for its user, so that a cookie counts: it
   * is the server's own or one that was allowed by name. `*` alone lets pages in, not cookies.
   */
  isTrusted(head: RequestHead): boolean;
  /** The CORS headers of an answer to this request. */
  headersFor(head: RequestHead): Readonly<Record<string, string>>;
  /** The answer to a preflight for a path that has these methods. */
  preflight(head: RequestHead, methods: readonly string[]): HttpAnswer;
}

/** What the rules are made of. */
export interface OriginOptions {
  /**
   * Origins beside the server's own: `https://app.example.com`, `https://*.example.com` with any
   * one label for the `*`, `http://localhost:*` with any port, or `*` for all.
   */
  readonly allowed: readonly string[];
  /** True to allow pages that this machine serves, whatever their port. */
  readonly development: boolean;
}

/** An origin in its parts, all of them lower case. */
interface Origin {
  readonly scheme: string;
  /** A name, an IPv4 address, or an IPv6 address in brackets. */
  readonly host: string;
  readonly port: string;
}

/** What a page may send beside what any page may (Fetch, CORS-safelisted request header). */
const ALLOWED_HEADERS =
  'Authorization, Content-Type, Idempotency-Key, Last-Event-ID, If-None-Match';
/** What a page may read beside what any page may. */
const EXPOSED_HEADERS = 'ETag, Retry-After';
/** Seconds; the most that Chromium keeps a preflight's answer. */
const PREFLIGHT_MAX_AGE = '7200';

const ORIGIN = /^([a-z][a-z0-9+.-]*):\/\/(\[[0-9a-f:.]+\]|[a-z0-9*._-]+)(?::([0-9]+|\*))?$/;
/** A host as the `Host` field has it, with or without a port. */
const HOST = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]+))?$/;
const IPV4_LOOPBACK = /^127(?:\.[0-9]{1,3}){3}$/;
const DEFAULT_PORTS: Readonly<Record<string, string>> = { http: '80', https: '443' };

/**
 * Reads the rules.
 *
 * @throws {Error} for a pattern that is no origin.
 */
export function createOriginRules(options: OriginOptions): OriginRules {
  const anyone = options.allowed.includes('*');
  const patterns = options.allowed.filter((text) => text !== '*').map(parsePattern);
  return new Rules(patterns, anyone, options.development);
}

class Rules implements OriginRules {
  readonly #patterns: readonly Origin[];
  readonly #anyone: boolean;
  readonly #development: boolean;

  constructor(patterns: readonly Origin[], anyone: boolean, development: boolean) {
    this.#patterns = patterns;
    this.#anyone = anyone;
    this.#development = development;
  }

  isForeign(head: RequestHead): boolean {
    return head.headers['origin'] !== undefined && !this.#anyone && !this.isTrusted(head);
  }

  isTrusted(head: RequestHead): boolean {
    const { origin: text } = head.headers;
    if (text === undefined) return false;
    // A page without an origin of its own, e.g. in a sandbox, says `null`.
    const origin = parseOrigin(text);
    if (origin === undefined) return false;
    if (isSame(origin, head)) return true;
    if (this.#development && isWeb(origin) && isLocalName(origin.host)) return true;
    return this.#patterns.some((pattern) => matches(pattern, origin));
  }

  headersFor(head: RequestHead): Readonly<Record<string, string>> {
    const { origin } = head.headers;
    // Also without an `Origin`: a cache must not give that answer to a page.
    if (origin === undefined || this.isForeign(head)) return { vary: 'Origin' };
    return {
      'access-control-allow-origin': origin,
      'access-control-allow-credentials': 'true',
      'access-control-expose-headers': EXPOSED_HEADERS,
      vary: 'Origin',
    };
  }

  preflight(head: RequestHead, methods: readonly string[]): HttpAnswer {
    const headers = { ...this.headersFor(head), allow: methods.join(', ') };
    // RFC 9110 §9.3.7: without an origin it is a plain question for the methods.
    if (head.headers['origin'] === undefined) return { status: 204, headers };
    if (this.isForeign(head)) {
      return problemAnswer('forbidden', 'This origin is not among the allowed ones.', { headers });
    }
    return {
      status: 204,
      headers: {
        ...headers,
        'access-control-allow-methods': methods.join(', '),
        'access-control-allow-headers': ALLOWED_HEADERS,
        'access-control-max-age': PREFLIGHT_MAX_AGE,
        vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers',
      },
    };
  }
}

/**
 * True when a `Host` field names this machine. In development mode every request must: a page of
 * a stranger whose name is made to resolve to 127.0.0.1 (DNS rebinding) still names itself.
 */
export function isLocalHost(host: string | undefined): boolean {
  const name = HOST.exec(host?.toLowerCase() ?? '')?.[1];
  return name !== undefined && isLocalName(name);
}

/** True when a proxy says that it forwarded the request for somebody else. */
export function isForwarded(headers: RequestHead['headers']): boolean {
  for (const name of Object.keys(headers)) {
    if (name === 'forwarded' || name === 'via' || name === 'x-real-ip') return true;
    if (name.startsWith('x-forwarded-')) return true;
  }
  return false;
}

/** RFC 6761 §6.3: `localhost` and all below it are loopback. */
function isLocalName(host: string): boolean {
  if (host === 'localhost' || host.endsWith('.localhost') || host === '[::1]') return true;
  return IPV4_LOOPBACK.test(host);
}

function isWeb(origin: Origin): boolean {
  return DEFAULT_PORTS[origin.scheme] !== undefined;
}

/**
 * True when the page came from this server. Its scheme is told only where TLS ends here: behind a
 * proxy that ends it, an https page talks to us over http.
 */
function isSame(origin: Origin, head: RequestHead): boolean {
  if (!isWeb(origin) || (head.secure && origin.scheme !== 'https')) return false;
  const host = HOST.exec(head.headers['host']?.toLowerCase() ?? '');
  if (host === null) return false;
  const port = host[2] ?? DEFAULT_PORTS[origin.scheme];
  return host[1] === origin.host && port === origin.port;
}

/** Reads an `Origin` field; undefined for `null` and whatever else is no single origin. */
function parseOrigin(text: string): Origin | undefined {
  return text.includes('*') ? undefined : split(text.toLowerCase());
}

function parsePattern(text: string): Origin {
  const origin = split(text.toLowerCase());
  const rest = origin?.host.startsWith('*.') ? origin.host.slice(2) : (origin?.host ?? '');
  if (origin === undefined || rest === '' || rest.includes('*')) {
    throw new Error(
      'an allowed origin must be like https://app.example.com, https://*.example.com or *, ' +
        `without a path, got ${text}`,
    );
  }
  return origin;
}

function split(text: string): Origin | undefined {
  const parts = ORIGIN.exec(text);
  if (parts === null) return undefined;
  const [, scheme = '', host = '', port] = parts;
  return { scheme, host, port: port ?? DEFAULT_PORTS[scheme] ?? '' };
}

function matches(pattern: Origin, origin: Origin): boolean {
  if (pattern.scheme !== origin.scheme) return false;
  if (pattern.port !== '*' && pattern.port !== origin.port) return false;
  if (!pattern.host.startsWith('*.')) return pattern.host === origin.host;
  const label = origin.host.slice(0, -(pattern.host.length - 1));
  // One label and no more, as in certificates: `*` does not reach across dots.
  return label !== '' && !label.includes('.') && origin.host.endsWith(pattern.host.slice(1));
}

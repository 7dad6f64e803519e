/**
 * Head: a strict parser for the heads of GET requests without a body (RFC 9112).
 *
 * It accepts only what leaves no doubt. Everything unusual, valid or not, is `foreign`: node:http
 * decides about that, so there is one opinion about every request and nothing to smuggle between
 * two. Pure: bytes in, a head out.
 */

/** The head of a GET request. */
export interface Head {
  /** The path as sent, without the query. */
  readonly path: string;
  /** The query as sent, without the question mark. */
  readonly search: string;
  readonly headers: HeaderFields;
  /** Bytes of the head, the empty line included; what follows belongs to the next thing. */
  readonly size: number;
}

/** Header fields by lower-case name; without a prototype, so no name is special. */
export type HeaderFields = Record<string, string | undefined>;

/** What the head may measure. */
export interface HeadLimits {
  readonly headSizeMax: number;
  readonly headersMax: number;
}

const METHOD = 'GET ';
const END = '\r\n\r\n';

/**
 * Bytes that may stand in no head of ours: controls, CR or LF alone, and a line that begins with
 * a blank, which continues the one before it (obs-fold, RFC 9112 §5.2).
 */
// oxlint-disable-next-line no-control-regex -- Control characters are what it looks for.
const UNUSUAL = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|\r[^\n]|(?<!\r)\n|\n[ \t]/;
/** Origin-form in visible ASCII without `#` (RFC 9112 §3.2.1). */
const REQUEST_LINE = /^GET (\/[!"$-~]*) HTTP\/1\.1$/;
/** RFC 9110 §5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** What a Host field may hold: names, addresses, ports (RFC 9110 §7.2); no user, path or list. */
export const HOST = /^[A-Za-z0-9\-._~%!$&'()*+;=:[\]]+$/;

const SPACE = 0x20;
const TAB = 0x09;

/**
 * Parses the head at the start of `bytes`, which is all that came so far.
 *
 * `partial` asks for more bytes; `foreign` means that the request is not for this parser. Once
 * either `foreign` or a head, more bytes do not change the answer.
 */
export function parseHead(bytes: Buffer, limits: HeadLimits): Head | 'partial' | 'foreign' {
  const end = bytes.indexOf(END, 0, 'latin1');
  if (end === -1) return looksLikeHead(bytes, limits) ? 'partial' : 'foreign';
  const size = end + END.length;
  if (size > limits.headSizeMax) return 'foreign';

  const text = bytes.toString('latin1', 0, size);
  // With the last line end, so that a CR before it is seen to stand alone.
  if (UNUSUAL.test(text)) return 'foreign';
  const lines = text.slice(0, end).split('\r\n');
  const target = REQUEST_LINE.exec(lines[0] ?? '')?.[1];
  if (target === undefined || lines.length - 1 > limits.headersMax) return 'foreign';

  const headers = parseFields(lines);
  if (headers === undefined) return 'foreign';
  return { ...splitTarget(target), headers, size };
}

/** True while more bytes may complete a head of ours. */
function looksLikeHead(bytes: Buffer, limits: HeadLimits): boolean {
  if (bytes.length >= limits.headSizeMax) return false;
  const text = bytes.toString('latin1');
  const begins = text.length < METHOD.length ? METHOD.startsWith(text) : text.startsWith(METHOD);
  return begins && !UNUSUAL.test(text);
}

/** Reads the header lines, from the second line on; undefined when one is not for us. */
function parseFields(lines: readonly string[]): HeaderFields | undefined {
  const headers = createFields();
  for (let index = 1; index < lines.length; index += 1) {
    const line = lines[index] ?? '';
    const colon = line.indexOf(':');
    if (colon === -1) return undefined;
    // A blank before the colon is no token character and so refused (RFC 9112 §5.1).
    const name = line.slice(0, colon);
    if (!TOKEN.test(name)) return undefined;
    if (!addField(headers, name.toLowerCase(), trimBlanks(line, colon + 1))) return undefined;
  }
  const host = headers['host'];
  if (host === undefined || !HOST.test(host)) return undefined;
  // A body, or a client that waits to be asked for one.
  if (headers['content-length'] !== undefined) return undefined;
  if (headers['transfer-encoding'] !== undefined) return undefined;
  if (headers['expect'] !== undefined) return undefined;
  return headers;
}

/** Makes an empty set of header fields. */
export function createFields(): HeaderFields {
  return Object.create(null) as HeaderFields;
}

/**
 * Adds a field by its lower-case name; repeated ones are joined (RFC 9110 §5.3, RFC 6265 §5.4).
 *
 * @returns false for a second `host`, which no request may have (RFC 9112 §3.2).
 */
export function addField(headers: HeaderFields, name: string, value: string): boolean {
  const before = headers[name];
  if (before === undefined) {
    headers[name] = value;
    return true;
  }
  if (name === 'host') return false;
  headers[name] = name === 'cookie' ? `${before}; ${value}` : `${before}, ${value}`;
  return true;
}

/** Splits a target in origin-form into path and query. */
export function splitTarget(target: string): { readonly path: string; readonly search: string } {
  const mark = target.indexOf('?');
  if (mark === -1) return { path: target, search: '' };
  return { path: target.slice(0, mark), search: target.slice(mark + 1) };
}

/** The rest of `line` from `start`, without spaces and tabs around it; no other blank counts. */
function trimBlanks(line: string, start: number): string {
  let from = start;
  let to = line.length;
  while (from < to && isBlank(line.charCodeAt(from))) from += 1;
  while (to > from && isBlank(line.charCodeAt(to - 1))) to -= 1;
  return line.slice(from, to);
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

/** True when the fields ask to switch to WebSocket (RFC 6455 §4.2.1 items 3 and 4). */
export function asksForWebSocket(headers: Readonly<HeaderFields>): boolean {
  return hasToken(headers['upgrade'], 'websocket') && hasToken(headers['connection'], 'upgrade');
}

/** True when a comma-separated list holds `token`, in any case. */
function hasToken(list: string | undefined, token: string): boolean {
  if (list === undefined) return false;
  const lower = list.toLowerCase();
  if (lower === token) return true;
  return lower.includes(token) && lower.split(',').some((item) => item.trim() === token);
}

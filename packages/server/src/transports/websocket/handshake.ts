/** Handshake: what a request must say to become a WebSocket (RFC 6455 §4.2.1). Pure. */
import { hash } from 'node:crypto';
import type { RequestHead } from '../../http/request.ts';

/** RFC 6455 §1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** The only version there is. */
const VERSION = '13';

/** 16 bytes in base64. */
const KEY = /^[+/0-9A-Za-z]{22}==$/;

/** A token of RFC 9110 §5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Subprotocols a client may offer; nobody has a use for more. */
const SUBPROTOCOLS_MAX = 32;

/** A handshake, read. */
export type Handshake =
  | {
      readonly kind: 'valid';
      /** What `Sec-WebSocket-Accept` answers; absent where HTTP/2 or 3 carries the WebSocket. */
      readonly accept?: string;
      /** In the client's order of preference; empty when it offered none. */
      readonly subprotocols: readonly string[];
    }
  | {
      readonly kind: 'invalid';
      readonly status: 400 | 405 | 426;
      /** What was expected, for the developer at the other end. */
      readonly message: string;
      /** What the answer must tell beside. */
      readonly headers: Readonly<Record<string, string>>;
    };

/**
 * Checks the head of an HTTP/1.1 upgrade or of an extended CONNECT (RFC 8441 §5). The target, the
 * host and the origin are others' to check.
 */
export function readHandshake(head: RequestHead): Handshake {
  const { headers } = head;
  // Who hands the request on has seen that it is one for a WebSocket. HTTP/2 and 3 need no proof
  // that the server read it, and their errors have no `Upgrade`.
  if (head.version === '2' || head.version === '3') return readExtended(headers);
  if (head.method !== 'GET') {
    return invalid(405, 'a WebSocket handshake is a GET request', { allow: 'GET' });
  }
  if (head.version === '1.0') return invalid(400, 'a WebSocket handshake needs HTTP/1.1');
  if (!hasToken(headers['upgrade'], 'websocket') || !hasToken(headers['connection'], 'upgrade')) {
    return invalid(426, 'expected the headers Connection: Upgrade and Upgrade: websocket', {
      connection: 'Upgrade',
      upgrade: 'websocket',
    });
  }
  if (headers['sec-websocket-version'] !== VERSION) {
    // RFC 6455 §4.4.
    return invalid(426, `expected Sec-WebSocket-Version: ${VERSION}`, {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': VERSION,
    });
  }
  const key = headers['sec-websocket-key'];
  if (key === undefined || !KEY.test(key)) {
    return invalid(400, 'expected Sec-WebSocket-Key with 16 bytes in base64');
  }
  const subprotocols = parseSubprotocols(headers['sec-websocket-protocol']);
  if (subprotocols === undefined) return BAD_SUBPROTOCOLS;
  return { kind: 'valid', accept: acceptKey(key), subprotocols };
}

function readExtended(headers: RequestHead['headers']): Handshake {
  if (headers['sec-websocket-version'] !== VERSION) {
    const message = `expected Sec-WebSocket-Version: ${VERSION}`;
    return invalid(400, message, { 'sec-websocket-version': VERSION });
  }
  const subprotocols = parseSubprotocols(headers['sec-websocket-protocol']);
  if (subprotocols === undefined) return BAD_SUBPROTOCOLS;
  // RFC 8441 has no use for a key, but there are clients that send one and want its proof.
  const key = headers['sec-websocket-key'];
  const proof = key !== undefined && KEY.test(key) ? { accept: acceptKey(key) } : {};
  return { kind: 'valid', ...proof, subprotocols };
}

/**
 * Reads the value of `Sec-WebSocket-Protocol`: no header is an empty list, and `undefined` means
 * that it is not a list of different tokens (RFC 6455 §4.1, item 10).
 */
export function parseSubprotocols(value: string | undefined): readonly string[] | undefined {
  if (value === undefined) return [];
  const names = listOf(value);
  const isValid =
    names.length > 0 &&
    names.length <= SUBPROTOCOLS_MAX &&
    new Set(names).size === names.length &&
    names.every((name) => TOKEN.test(name));
  return isValid ? names : undefined;
}

/** Proves that the server read the key (RFC 6455 §4.2.2, item 5.4). */
export function acceptKey(key: string): string {
  return hash('sha1', key + GUID, 'base64');
}

function hasToken(value: string | undefined, token: string): boolean {
  if (value === undefined) return false;
  return listOf(value).some((element) => element.toLowerCase() === token);
}

/** The elements of a list; empty ones do not count (RFC 9110 §5.6.1). */
function listOf(value: string): string[] {
  return value
    .split(',')
    .map((element) => element.trim())
    .filter((element) => element !== '');
}

function invalid(
  status: 400 | 405 | 426,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): Handshake {
  return { kind: 'invalid', status, message, headers };
}

const BAD_SUBPROTOCOLS: Handshake = invalid(
  400,
  'expected Sec-WebSocket-Protocol to list different names',
);

/**
 * Heads of HTTP/2 requests, as ours (RFC 9113 §8.3). nghttp2 has checked what makes a head well
 * formed: which pseudo-header fields there are, that none is of HTTP/1.1's connection, and what
 * names and values may hold. A field whose name or value may not be, it leaves out. Pure.
 */
import { addField, createFields, HOST, type HeaderFields, splitTarget } from './head.ts';
import { problemAnswer } from './problem.ts';
import type { HttpAnswer, RequestHead } from './request.ts';

/** A head, what it asks for, and the answer to one that can't be served. */
export interface Http2Head {
  readonly head: RequestHead;
  /** True for an extended CONNECT that asks for a WebSocket (RFC 8441 §4). */
  readonly asksForWebSocket: boolean;
  readonly refusal?: HttpAnswer;
}

/** What the listener knows of the peer. */
export interface Http2Peer {
  readonly remoteAddress: string;
  readonly secure: boolean;
}

/** Visible ASCII. */
const TARGET = /^[!-~]+$/;

/** @param rawHeaders names and values in turn, as node:http2 gives them. */
export function readHttp2Head(
  rawHeaders: readonly string[],
  peer: Http2Peer,
  limits: { readonly headersMax: number },
): Http2Head {
  const headers = createFields();
  const pseudo = createFields();
  const oneHost = split(rawHeaders, headers, pseudo);
  const method = pseudo[':method'] ?? '';
  const protocol = pseudo[':protocol'];
  const target = readTarget(method, pseudo[':path'] ?? '');
  const head: RequestHead = {
    method,
    path: target?.path ?? '',
    search: target?.search ?? '',
    headers,
    remoteAddress: peer.remoteAddress,
    secure: peer.secure,
    version: '2',
  };
  const asksForWebSocket = method === 'CONNECT' && protocol?.toLowerCase() === 'websocket';
  const refuse = (detail: string, status = 400): Http2Head => ({
    head,
    asksForWebSocket,
    refusal: problemAnswer(status === 431 ? 'too_large' : 'bad_request', detail, { status }),
  });

  if (rawHeaders.length > 2 * limits.headersMax) {
    return refuse(`A request must have at most ${limits.headersMax} header fields.`, 431);
  }
  if (method === 'CONNECT' && protocol === undefined)
    return refuse('This server is no proxy.', 501);
  // RFC 9220 §3 asks for 501; RFC 8441 leaves it open.
  if (method === 'CONNECT' && !asksForWebSocket) {
    return refuse('The only protocol that CONNECT can ask for is websocket.', 501);
  }
  if (target === undefined) return refuse('The :path must be a path.');
  // RFC 9113 §8.3.1: `:authority` is what HTTP/1.1 has as Host, and both must say the same.
  const authority = pseudo[':authority'];
  const { host } = headers;
  if (!oneHost || (host !== undefined && authority !== undefined && !isSame(host, authority))) {
    return refuse('A request must not name two hosts.');
  }
  const named = authority ?? host;
  if (named === undefined || !HOST.test(named)) return refuse('A request must have an :authority.');
  headers['host'] = named;
  return { head, asksForWebSocket };
}

/** @returns false when there is a second Host. */
function split(raw: readonly string[], headers: HeaderFields, pseudo: HeaderFields): boolean {
  let good = true;
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index] ?? '';
    const value = raw[index + 1] ?? '';
    if (name.startsWith(':')) pseudo[name] = value;
    else good = addField(headers, name, value) && good;
  }
  return good;
}

function readTarget(
  method: string,
  path: string,
): { readonly path: string; readonly search: string } | undefined {
  if (path === '*' && method === 'OPTIONS') return { path: '*', search: '' };
  if (!path.startsWith('/') || !TARGET.test(path) || path.includes('#')) return undefined;
  return splitTarget(path);
}

function isSame(host: string, authority: string): boolean {
  return host.toLowerCase() === authority.toLowerCase();
}

/** Heads that node:http parsed, as ours: what it leaves open is decided here. */
import type { IncomingMessage } from 'node:http';
import { addField, createFields, HOST, type HeaderFields, splitTarget } from './head.ts';
import type { HttpLimits } from './limits.ts';
import { problemAnswer } from './problem.ts';
import type { HttpAnswer, RequestHead } from './request.ts';

/** The head of a request, or the answer to one that can't be served. */
export type HeadOrRefusal =
  | { readonly head: Http1Head; readonly refusal?: undefined }
  | { readonly head: Http1Head; readonly refusal: HttpAnswer };

/** The head of an HTTP/1 request. */
export interface Http1Head extends RequestHead {
  readonly version: '1.0' | '1.1';
}

/** Visible ASCII. */
const TARGET = /^[!-~]+$/;
/** RFC 9112 §3.2.2: the authority stands above the Host field. */
const ABSOLUTE_FORM = /^https?:\/\/([^/?#]+)([^?#]*)(?:\?([^#]*))?$/i;

/** Reads the head of a request that node:http parsed. */
export function readHead(
  request: IncomingMessage,
  peer: { readonly remoteAddress: string; readonly secure: boolean },
  limits: HttpLimits,
): HeadOrRefusal {
  const { httpVersion, method = '' } = request;
  const version = httpVersion === '1.0' ? '1.0' : '1.1';
  const headers = createFields();
  const { remoteAddress, secure } = peer;
  const head = { method, path: '', search: '', headers, remoteAddress, secure, version };
  const refuse = (detail: string, status = 400): HeadOrRefusal => ({
    head: head as Http1Head,
    refusal: problemAnswer(status === 431 ? 'too_large' : 'bad_request', detail, { status }),
  });

  if (httpVersion !== version) return refuse('HTTP/1.0 and HTTP/1.1 are spoken here.', 505);
  const { rawHeaders } = request;
  if (rawHeaders.length > 2 * limits.headersMax) {
    return refuse(`A request must have at most ${limits.headersMax} header fields.`, 431);
  }
  if (!addFields(headers, rawHeaders)) return refuse('A request must have one Host field.');
  const target = readTarget(method, request.url ?? '', headers);
  if (target === undefined) return refuse('The request target must be a path.');
  const { host } = headers;
  // RFC 9112 §3.2: one valid Host, which HTTP/1.0 may leave out.
  if (host === undefined ? version === '1.1' : !HOST.test(host)) {
    return refuse('A request must have a valid Host field.');
  }
  return { head: { ...head, ...target, version } };
}

/** True when the head announces a body. */
export function announcesBody(headers: Readonly<HeaderFields>): boolean {
  const length = headers['content-length'];
  return headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
}

/** @returns false when there is a second Host. */
function addFields(headers: HeaderFields, rawHeaders: readonly string[]): boolean {
  let good = true;
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? '').toLowerCase();
    good = addField(headers, name, rawHeaders[index + 1] ?? '') && good;
  }
  return good;
}

function readTarget(
  method: string,
  url: string,
  headers: HeaderFields,
): { readonly path: string; readonly search: string } | undefined {
  if (!TARGET.test(url)) return undefined;
  if (url.startsWith('/')) return url.includes('#') ? undefined : splitTarget(url);
  if (url === '*' && method === 'OPTIONS') return { path: '*', search: '' };
  const absolute = ABSOLUTE_FORM.exec(url);
  if (absolute === null) return undefined;
  headers['host'] = absolute[1];
  return { path: absolute[2] || '/', search: absolute[3] ?? '' };
}

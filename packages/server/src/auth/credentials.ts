/**
 * Credentials: where in a request a token may stand [AUTH-1]. An explicit place wins over the
 * cookie, which browsers send by themselves.
 */
import { CodedError } from '@trunkline/wire';
import type { RequestHead } from '../http/request.ts';

/** The cookie that may carry a token. */
export const TOKEN_COOKIE = 'trunkline_token';

/** A token as it stood in a request, unchecked. */
export interface Credential {
  readonly place: 'header' | 'query' | 'cookie';
  readonly token: string;
}

/**
 * Finds the token of a request: `Authorization: Bearer`, then `access_token` in the query, then
 * the cookie. Other authorization schemes are not ours and say nothing, e.g. a proxy's `Basic`.
 *
 * @throws {CodedError} `unauthenticated` when a place is used but holds no token: whoever meant to
 *   say who it is must not be taken for a stranger.
 */
export function findCredential(head: RequestHead): Credential | undefined {
  const { authorization, cookie } = head.headers;
  if (authorization !== undefined) {
    // RFC 9110 §11.4: a scheme's name in any case, then spaces, then the token.
    const bearer = /^bearer(?: +(.*))?$/i.exec(authorization.trim());
    if (bearer !== null) return { place: 'header', token: oneToken(bearer[1], 'Authorization') };
  }
  if (head.search.includes('access_token')) {
    const given = new URLSearchParams(head.search).getAll('access_token');
    if (given.length > 1) throw refused('give access_token once');
    if (given.length === 1) return { place: 'query', token: oneToken(given[0], 'access_token') };
  }
  const token = cookie === undefined ? undefined : cookieValue(cookie, TOKEN_COOKIE);
  return token === undefined || token === '' ? undefined : { place: 'cookie', token };
}

function oneToken(text: string | undefined, place: string): string {
  if (text === undefined || text === '') throw refused(`${place} has no token`);
  return text;
}

/** The first cookie of this name: that of the longest path (RFC 6265 §5.4). */
function cookieValue(header: string, name: string): string | undefined {
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=');
    if (equals < 0 || pair.slice(0, equals).trim() !== name) continue;
    const value = pair.slice(equals + 1).trim();
    return /^".*"$/.test(value) ? value.slice(1, -1) : value;
  }
  return undefined;
}

function refused(message: string): CodedError {
  return new CodedError('unauthenticated', message);
}

/** `POST /v1/token`: mints a token for anyone who asks, in development mode only. */
import { CodedError, decodeUtf8 } from '@trunkline/wire';
import { grantsFromClaim, infoFault, userFault } from '../auth/claims.ts';
import { ACTIONS } from '../auth/identity.ts';
import type { Grants } from '../auth/identity.ts';
import { mintToken } from '../auth/tokens.ts';
import type { TokenRequest } from '../auth/tokens.ts';
import type { Clock } from '../clock.ts';
import type { HttpAnswer, HttpRequest } from '../http/request.ts';
import { jsonAnswer } from './answers.ts';
import { MINTED_TOKEN_MS } from './config.ts';

/** A request for a token is small. */
const BODY_SIZE_MAX = 64 * 1024;

/** What a token grants that was asked for without `channels`: as much as no token does. */
const EVERYTHING: Grants = new Map([['#', new Set(ACTIONS)]]);

/** Mints a token for `{"user","info"?,"channels"?,"ttl"?}`; `ttl` is its life in milliseconds. */
export async function mint(
  request: HttpRequest,
  secret: string,
  clock: Clock,
): Promise<HttpAnswer> {
  const body = parseBody(await request.body(BODY_SIZE_MAX));
  return jsonAnswer(JSON.stringify(await mintToken(secret, toTokenRequest(body), clock)));
}

function parseBody(bytes: Uint8Array): Record<string, unknown> {
  const text = decodeUtf8(bytes);
  let body: unknown;
  try {
    body = text === undefined ? undefined : JSON.parse(text);
  } catch {
    body = undefined;
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw bad('expected a JSON object with user, and info, channels and ttl if wanted');
  }
  return body as Record<string, unknown>;
}

function toTokenRequest(body: Record<string, unknown>): TokenRequest {
  const { user, info, channels, ttl = MINTED_TOKEN_MS.default } = body;
  const fault = userFault(user);
  if (fault !== undefined) throw bad(`user ${fault}`);
  const tooMuch = infoFault(info);
  if (tooMuch !== undefined) throw bad(`info ${tooMuch}`);
  if (typeof ttl !== 'number' || !(ttl > 0 && ttl <= MINTED_TOKEN_MS.max)) {
    throw bad(`ttl must be a number of milliseconds up to ${MINTED_TOKEN_MS.max}`);
  }
  return {
    user: String(user),
    info,
    lifeMs: ttl,
    grants: channels === undefined ? EVERYTHING : grantsOf(channels),
  };
}

/** Here a faulty map is the caller's request, not a token that fails to prove something. */
function grantsOf(channels: unknown): Grants {
  try {
    return grantsFromClaim(channels);
  } catch (error) {
    throw error instanceof CodedError ? bad(error.message) : error;
  }
}

function bad(message: string): CodedError {
  return new CodedError('bad_request', message);
}

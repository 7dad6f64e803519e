/**
 * Tokens: signed JWTs that say who a client is and what it may do (RFC 7519).
 *
 * The algorithms are ours to choose, never the token's (RFC 8725 §3.1). What was verified once is
 * remembered, so that a storm of reconnects with the same tokens costs a hash each.
 */
import { hash } from 'node:crypto';
import { CodedError } from '@trunkline/wire';
import { errors, jwtVerify, SignJWT } from 'jose';
import type { JWSAlgorithm, JWTVerifyGetKey, KeyInput } from 'jose';
import type { Clock } from '../clock.ts';
import { claimFromGrants, identityFromClaims } from './claims.ts';
import { CLOCK_TOLERANCE_MS, VERIFIED_TOKENS_MAX } from './config.ts';
import type { Grants, Identity } from './identity.ts';

/** Characters of a token. */
export const TOKEN_LENGTH_MAX = 16_384;

/** Which signatures count: the seam for other algorithms and for key sets by URL. */
export interface TokenKeys {
  /** A token that names another algorithm is refused before any key is looked at. */
  readonly algorithms: readonly JWSAlgorithm[];
  /** One key, or a function that chooses one by the token's header. */
  readonly key: KeyInput | JWTVerifyGetKey;
}

/** Keys for tokens signed with a shared secret. */
export function sharedSecretKeys(secret: string): TokenKeys {
  return { algorithms: ['HS256'], key: new TextEncoder().encode(secret) };
}

/** Checks tokens against one set of keys. */
export class TokenVerifier {
  readonly #keys: TokenKeys;
  readonly #clock: Clock;
  readonly #cacheMax: number;
  /** By the token's hash, oldest first: tokens themselves are secrets and large. */
  readonly #verified = new Map<string, Identity>();

  constructor(keys: TokenKeys, clock: Clock, cacheMax: number = VERIFIED_TOKENS_MAX) {
    this.#keys = keys;
    this.#clock = clock;
    this.#cacheMax = cacheMax;
  }

  /**
   * Who the token names: at once when it was verified before.
   *
   * @throws {CodedError} `unauthenticated`, thrown or as a rejection; the message says why.
   */
  verify(token: string): Identity | Promise<Identity> {
    if (token.length > TOKEN_LENGTH_MAX) {
      throw refused(`a token must have at most ${TOKEN_LENGTH_MAX} characters`);
    }
    const digest = hash('sha256', token, 'base64');
    const known = this.#verified.get(digest);
    if (known === undefined) return this.#verifyAnew(token, digest);
    if (this.#isOver(known)) {
      this.#verified.delete(digest);
      throw expired();
    }
    return known;
  }

  async #verifyAnew(token: string, digest: string): Promise<Identity> {
    const { payload } = await this.#checkSignature(token);
    const identity = identityFromClaims(payload);
    if (this.#isOver(identity)) throw expired();
    this.#remember(digest, identity);
    return identity;
  }

  async #checkSignature(token: string): ReturnType<typeof jwtVerify> {
    try {
      return await jwtVerify(token, this.#keys.key, {
        algorithms: [...this.#keys.algorithms],
        clockTolerance: CLOCK_TOLERANCE_MS / 1000,
        currentDate: new Date(this.#clock.unixMs()),
      });
    } catch (error) {
      throw refused(faultOf(error, this.#keys.algorithms), error);
    }
  }

  #isOver(identity: Identity): boolean {
    return identity.expiresAt !== undefined && identity.expiresAt <= this.#clock.unixMs();
  }

  #remember(digest: string, identity: Identity): void {
    if (this.#cacheMax === 0) return;
    if (this.#verified.size >= this.#cacheMax) {
      const oldest = this.#verified.keys().next();
      if (oldest.done !== true) this.#verified.delete(oldest.value);
    }
    this.#verified.set(digest, identity);
  }
}

/** What a new token is to say. */
export interface TokenRequest {
  readonly user: string;
  /** What others see of the user in presence. */
  readonly info?: unknown;
  /** Absent: nothing beyond what the namespaces allow everyone. */
  readonly grants?: Grants;
  /** How long the token is good for. */
  readonly lifeMs: number;
}

/** A token and when it ends, in Unix milliseconds. */
export interface MintedToken {
  readonly token: string;
  readonly expires: number;
}

/** Signs a token with a shared secret (HS256). Its end is a whole second, as JWTs have it. */
export async function mintToken(
  secret: string,
  request: TokenRequest,
  clock: Clock,
): Promise<MintedToken> {
  const issuedAt = Math.floor(clock.unixMs() / 1000);
  const expires = Math.ceil((clock.unixMs() + request.lifeMs) / 1000);
  const { grants, info } = request;
  const claims = {
    ...(info === undefined ? {} : { info }),
    ...(grants === undefined ? {} : { channels: claimFromGrants(grants) }),
  };
  const token = await new SignJWT(claims)
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject(request.user)
    .setIssuedAt(issuedAt)
    .setExpirationTime(expires)
    .sign(new TextEncoder().encode(secret));
  return { token, expires: expires * 1000 };
}

/** What was wrong with a token, for the developer who holds it. */
function faultOf(error: unknown, algorithms: readonly string[]): string {
  if (error instanceof errors.JWTExpired) return EXPIRED;
  if (error instanceof errors.JWTClaimValidationFailed) {
    return error.claim === 'nbf'
      ? 'the token is not valid yet'
      : `the token's ${error.claim} claim is not acceptable`;
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) {
    return 'the token is not signed with the configured key';
  }
  if (error instanceof errors.JOSEAlgNotAllowed) {
    return `the token must be signed with ${algorithms.join(' or ')}`;
  }
  if (error instanceof errors.JOSEError) return 'the token is not a signed JWT';
  throw error;
}

const EXPIRED = 'the token has expired';

function expired(): CodedError {
  return refused(EXPIRED);
}

function refused(message: string, cause?: unknown): CodedError {
  return new CodedError('unauthenticated', message, { cause });
}

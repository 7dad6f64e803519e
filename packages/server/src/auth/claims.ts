/**
 * Claims: what a token says once its signature holds, read strictly [AUTH-2]. A claim
 * that is not understood refuses the whole token: ignoring it would grant something else than was
 * meant.
 */
import { CodedError } from '@trunkline/wire';
import { ACTIONS, grantFault } from './identity.ts';
import type { Action, Grants, Identity } from './identity.ts';

/** Characters of a user's name. */
export const USER_LENGTH_MAX = 255;

/** Bytes of a user's info, as JSON without spaces: everyone who sees her in presence gets it. */
export const INFO_BYTES_MAX = 1_024;

const NO_GRANTS: Grants = new Map();

/** What is read of a token's payload. */
export interface Claims {
  readonly sub?: unknown;
  readonly exp?: unknown;
  readonly channels?: unknown;
  readonly info?: unknown;
}

/**
 * Turns verified claims into an identity.
 *
 * @throws {CodedError} `unauthenticated` when a claim is not what it has to be.
 */
export function identityFromClaims(claims: Claims): Identity {
  const { sub, exp, channels, info } = claims;
  const fault = userFault(sub);
  if (fault !== undefined) throw refused(`the token's sub ${fault}`);
  const tooMuch = infoFault(info);
  if (tooMuch !== undefined) throw refused(`the token's info ${tooMuch}`);
  const expiresAt = exp === undefined ? undefined : toUnixMs(exp);
  return {
    kind: 'user',
    user: String(sub),
    ...(info === undefined ? {} : { info }),
    grants: channels === undefined ? NO_GRANTS : grantsFromClaim(channels),
    ...(expiresAt === undefined ? {} : { expiresAt }),
  };
}

/** What is granted to somebody whom the configuration or a certificate names. */
export interface UserRights {
  readonly channels?: Readonly<Record<string, readonly Action[]>> | undefined;
  readonly info?: unknown;
}

/** The identity of a user who showed no token: nothing of it ends by itself. */
export function userIdentity(user: string, { channels, info }: UserRights): Identity {
  const grants = channels === undefined ? NO_GRANTS : grantsFromClaim(channels);
  return { kind: 'user', user, ...(info === undefined ? {} : { info }), grants };
}

/** Why `user` names nobody, or `undefined` when it can be a user's name. */
export function userFault(user: unknown): string | undefined {
  if (typeof user !== 'string') return `must be a string that names the user, got ${show(user)}`;
  if (user === '') return 'must not be empty';
  if (user.length > USER_LENGTH_MAX) return `must have at most ${USER_LENGTH_MAX} characters`;
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f-\u009f]|\p{Surrogate}/u.test(user)) {
    return 'must not contain control characters or lone surrogates';
  }
  return undefined;
}

/** Why `info` is too much to be shown to others, or `undefined` when it is not [AUTH-8]. */
export function infoFault(info: unknown): string | undefined {
  let size: number;
  try {
    size = Buffer.byteLength(JSON.stringify(info) ?? '');
  } catch {
    return 'is nested too deep to be written';
  }
  if (size <= INFO_BYTES_MAX) return undefined;
  return `must have at most ${INFO_BYTES_MAX} bytes as JSON, got ${size}: name what is larger by its URL`;
}

/**
 * Reads the `channels` claim: a map from pattern to a list of actions.
 *
 * @throws {CodedError} `unauthenticated` for anything else.
 */
export function grantsFromClaim(claim: unknown): Grants {
  if (typeof claim !== 'object' || claim === null || Array.isArray(claim)) {
    throw refused(`channels must map patterns to lists of actions, got ${show(claim)}`);
  }
  const grants = new Map<string, ReadonlySet<Action>>();
  for (const [pattern, actions] of Object.entries(claim)) {
    const fault = grantFault(pattern);
    if (fault !== undefined) throw refused(`channels: pattern ${show(pattern)} ${fault}`);
    if (!Array.isArray(actions)) {
      throw refused(`channels: ${show(pattern)} must have a list, got ${show(actions)}`);
    }
    grants.set(pattern, new Set(actions.map((action) => knownAction(pattern, action))));
  }
  return grants;
}

/** Writes grants as the `channels` claim. */
export function claimFromGrants(grants: Grants): Record<string, Action[]> {
  return Object.fromEntries([...grants].map(([pattern, actions]) => [pattern, [...actions]]));
}

function toUnixMs(exp: unknown): number {
  const unixMs = typeof exp === 'number' ? Math.floor(exp * 1000) : Number.NaN;
  if (Number.isSafeInteger(unixMs)) return unixMs;
  throw refused(`the token's exp must be a number of seconds, got ${show(exp)}`);
}

function knownAction(pattern: string, action: unknown): Action {
  const known = ACTIONS.find((name) => name === action);
  if (known !== undefined) return known;
  throw refused(`channels: ${show(pattern)} may list ${ACTIONS.join(', ')}, got ${show(action)}`);
}

function refused(message: string): CodedError {
  return new CodedError('unauthenticated', message);
}

/** A claim in an error message: short. What is nested is not written out: it may be too deep to. */
function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object' && value !== null) return 'an object';
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

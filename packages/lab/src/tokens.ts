/** Tokens for tests: any claims under any signature, valid or not. */
import { createHmac } from 'node:crypto';

/** The secret of servers that check tokens. */
export const JWT_SECRET = 'a shared secret of at least thirty-two characters';

/** The key of an application. */
export const API_KEY = 'an-api-key-of-the-lab';

/** What a test's token says. */
export type Claims = Readonly<Record<string, unknown>>;

/** Signs claims with HS256; `header` replaces the usual one. */
export function sign(
  claims: Claims,
  secret: string = JWT_SECRET,
  header: Claims = { alg: 'HS256', typ: 'JWT' },
): string {
  const text = `${encode(header)}.${encode(claims)}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

/** A token of `user` that may do everything in every channel, for an hour. */
export function tokenOf(user: string, claims: Claims = {}): string {
  const channels = { '#': ['subscribe', 'publish', 'history', 'presence'] };
  return sign({ sub: user, exp: inSeconds(3600), channels, ...claims });
}

/** The `exp` of a token that ends after so many seconds; it may have a fraction. */
export function inSeconds(seconds: number): number {
  return Date.now() / 1000 + seconds;
}

function encode(value: Claims): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** Login: a user name and a password as a device sends them, and what they turn out to be. Pure. */
import { CodedError } from '@trunkline/wire';
import { TOKEN_LENGTH_MAX } from './tokens.ts';

/** What a device says of itself; both may be missing. */
export interface Login {
  readonly user?: string;
  /** A token, an API key or the user's own; UTF-8. */
  readonly password?: Uint8Array;
  /** From where; absent where nobody knows. */
  readonly address?: string;
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The text of a password.
 *
 * @throws {CodedError} `unauthenticated` when it is none.
 */
export function passwordText(bytes: Uint8Array): string {
  // No token and no password is as long, in whatever characters.
  if (bytes.length > 4 * TOKEN_LENGTH_MAX) {
    const most = `${TOKEN_LENGTH_MAX} characters`;
    throw new CodedError('unauthenticated', `a password or token must have at most ${most}`);
  }
  try {
    return UTF8.decode(bytes);
  } catch (cause) {
    throw new CodedError('unauthenticated', 'a password must be UTF-8', { cause });
  }
}

/**
 * True for text of the form of a signed JWT (RFC 7515 §7.1), valid or not: three parts, the first of
 * them an object that names an algorithm. Such text is never taken for somebody's own password.
 */
export function isTokenShaped(text: string): boolean {
  const header = /^([\w-]+)\.[\w-]*\.[\w-]*$/.exec(text)?.[1];
  if (header === undefined) return false;
  try {
    const read: unknown = JSON.parse(Buffer.from(header, 'base64url').toString());
    return typeof read === 'object' && read !== null && 'alg' in read;
  } catch {
    return false;
  }
}

/**
 * CertificateIdentity: whom a client certificate names, and what that user may do [AUTH-12]. Pure.
 *
 * Only for certificates that the handshake verified. What a certificate says is written by whoever
 * asked for it, so a name is taken only where there is one of its kind, and put into a pattern only
 * where it is a segment of one.
 */
import { CodedError } from '@trunkline/wire';
import { userFault, userIdentity } from './claims.ts';
import { USER_PLACE } from './config.ts';
import type { AuthConfig } from './config.ts';
import type { Action, Identity } from './identity.ts';

/** A client's certificate, as `getPeerCertificate` of node:tls tells it. */
export interface ClientCertificate {
  readonly subject: { readonly CN?: string | readonly string[] | undefined };
  readonly subjectaltname?: string | undefined;
  readonly valid_to: string;
}

/** How a certificate becomes a user. */
export interface CertificateRules {
  /** Where the name stands. */
  readonly name: AuthConfig['certificates']['name'];
  /** What is granted to users that `users` does not know; `%u` stands for the user. */
  readonly channels: AuthConfig['certificates']['channels'];
  readonly users: AuthConfig['users'];
  readonly nowMs: number;
}

/** Kinds of alternative names, as node:tls writes them. */
const KINDS = { dns: 'DNS', uri: 'URI' } as const;

/** One alternative name; those with characters that could be mistaken are JSON strings. */
const ALTERNATIVE_NAME = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:, (?=.)|$)/y;

/**
 * The user of a verified certificate. She ends with it.
 *
 * @throws {CodedError} `unauthenticated` when it names nobody, or is not valid any more: a session
 *   of TLS may be resumed after that.
 */
export function identityOfCertificate(
  certificate: ClientCertificate,
  rules: CertificateRules,
): Identity {
  const expiresAt = Date.parse(certificate.valid_to);
  // Not a number where it can't be read, and then not greater either.
  if (!(expiresAt > rules.nowMs)) throw refused('has expired');
  const user = nameOf(certificate, rules.name);
  const fault = userFault(user);
  if (fault !== undefined) throw refused(`has a name that ${fault}`);
  const known = Object.hasOwn(rules.users, user) ? rules.users[user] : undefined;
  const channels = known?.channels ?? channelsOf(user, rules.channels);
  return { ...userIdentity(user, { channels, info: known?.info }), expiresAt };
}

function nameOf(certificate: ClientCertificate, kind: CertificateRules['name']): string {
  const names = kind === 'commonName' ? commonNames(certificate) : alternatives(certificate, kind);
  const [name] = names;
  if (name !== undefined && names.length === 1) return name;
  const expected =
    kind === 'commonName' ? 'common name' : `alternative name of kind ${KINDS[kind]}`;
  throw refused(`must have one ${expected}, got ${names.length}`);
}

function commonNames({ subject }: ClientCertificate): readonly string[] {
  const { CN } = subject;
  if (CN === undefined) return [];
  return typeof CN === 'string' ? [CN] : CN;
}

function alternatives({ subjectaltname }: ClientCertificate, kind: keyof typeof KINDS): string[] {
  const text = subjectaltname ?? '';
  const names: string[] = [];
  ALTERNATIVE_NAME.lastIndex = 0;
  while (ALTERNATIVE_NAME.lastIndex < text.length) {
    const match = ALTERNATIVE_NAME.exec(text);
    // The expression begins anew after a fault.
    if (match === null) throw unreadable();
    const [, type, name = ''] = match;
    if (type === KINDS[kind]) names.push(name.startsWith('"') ? unquoted(name) : name);
  }
  return names;
}

function unquoted(name: string): string {
  try {
    return String(JSON.parse(name));
  } catch {
    throw unreadable();
  }
}

function unreadable(): CodedError {
  return refused('has alternative names that can not be read');
}

function channelsOf(
  user: string,
  channels: CertificateRules['channels'],
): Record<string, readonly Action[]> {
  const entries = Object.entries(channels);
  // Else the name would be a wildcard, or reach into the channels of somebody else.
  if (/[/+#]/.test(user) && entries.some(([pattern]) => pattern.includes(USER_PLACE))) {
    throw refused(`has a name with /, + or #, which can not stand for ${USER_PLACE} in a pattern`);
  }
  // By a function: a name may have what `replaceAll` reads as a sign.
  return Object.fromEntries(
    entries.map(([pattern, actions]) => [pattern.replaceAll(USER_PLACE, () => user), actions]),
  );
}

function refused(what: string): CodedError {
  return new CodedError('unauthenticated', `the client certificate ${what}`);
}

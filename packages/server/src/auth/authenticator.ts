/**
 * Authenticator: who is asking. It answers at once wherever it can, because handshakes come in
 * storms: only a token that was not seen before costs a promise.
 */
import { createHmac, hash, timingSafeEqual } from 'node:crypto';
import { CodedError } from '@trunkline/wire';
import type { CodeName } from '@trunkline/wire';
import type { Clock } from '../clock.ts';
import type { OriginRules } from '../http/origin.ts';
import type { RequestHead } from '../http/request.ts';
import type { AuthOptions } from './config.ts';
import { findCredential } from './credentials.ts';
import type { Credential } from './credentials.ts';
import { identityOfCertificate } from './certificate-identity.ts';
import type { CertificateRules, ClientCertificate } from './certificate-identity.ts';
import type { Identity } from './identity.ts';
import { isTokenShaped, passwordText } from './login.ts';
import type { Login } from './login.ts';
import { PasswordVerifier } from './password-verifier.ts';
import { sharedSecretKeys, TokenVerifier } from './tokens.ts';
import { Tickets } from './tickets.ts';

/** A client that proved nothing; shared, because there may be very many. */
export const ANONYMOUS: Identity = { kind: 'anonymous', grants: new Map() };

/** An application that showed an API key. */
const SERVER: Identity = { kind: 'server', grants: new Map() };

/** The answer to "who is asking". */
export type Authentication =
  | { readonly kind: 'identity'; readonly identity: Identity }
  /** Nobody, and strangers are not let in: a session may still say hello with a token. */
  | { readonly kind: 'none' }
  /** Someone claimed to be somebody and could not prove it. */
  | { readonly kind: 'refused'; readonly error: CodedError };

/** What authentication needs to know of the world. */
export interface AuthenticatorSurroundings {
  readonly clock: Clock;
  /** Tells with which `Origin` a cookie counts. */
  readonly origins: Pick<OriginRules, 'isTrusted'>;
}

const NOBODY: Authentication = { kind: 'none' };
const STRANGER: Authentication = { kind: 'identity', identity: ANONYMOUS };
const APPLICATION: Authentication = { kind: 'identity', identity: SERVER };

/** Finds out who is asking: by a request, a token, a ticket, a login or a certificate. */
export class Authenticator {
  /** True when clients without a token are let in. */
  readonly mayAnonymous: boolean;
  /** What was refused since the start, by code; for the metrics. */
  readonly refusedCounts = new Map<CodeName, number>();
  readonly #apiKeyDigests: readonly Uint8Array[];
  readonly #verifier: TokenVerifier | undefined;
  readonly #tickets: Tickets;
  readonly #passwords: PasswordVerifier;
  readonly #certified: Omit<CertificateRules, 'nowMs'>;
  readonly #clock: Clock;
  readonly #origins: Pick<OriginRules, 'isTrusted'>;

  constructor(options: AuthOptions, { clock, origins }: AuthenticatorSurroundings) {
    this.mayAnonymous = options.anonymous ?? options.development;
    this.#apiKeyDigests = (options.apiKeys ?? []).map(digest);
    const secret = tokenSecret(options);
    this.#verifier =
      secret === undefined ? undefined : new TokenVerifier(sharedSecretKeys(secret), clock);
    this.#tickets = new Tickets(options.secret, clock);
    const { users = {}, certificates = { name: 'commonName', channels: {} } } = options;
    this.#passwords = new PasswordVerifier(users, { clock, secret: options.secret });
    this.#certified = { ...certificates, users };
    this.#clock = clock;
    this.#origins = origins;
  }

  /** Who sent this request. A cookie counts only with a trusted `Origin`. Never rejects. */
  fromRequest(head: RequestHead): Authentication | Promise<Authentication> {
    let credential: Credential | undefined;
    try {
      credential = findCredential(head);
    } catch (error) {
      return this.#refuse(error);
    }
    if (
      credential === undefined ||
      (credential.place === 'cookie' && !this.#origins.isTrusted(head))
    ) {
      return this.mayAnonymous ? STRANGER : NOBODY;
    }
    const { place, token } = credential;
    if (place === 'header') return this.fromToken(token);
    if (this.#isApiKey(token)) {
      const message =
        'an API key goes in the Authorization header: URLs and cookies are not secret';
      return this.#refuse(new CodedError('unauthenticated', message));
    }
    return this.#fromJwt(token);
  }

  /** Who holds this token or API key. Never rejects. */
  fromToken(token: string): Authentication | Promise<Authentication> {
    return this.#isApiKey(token) ? APPLICATION : this.#fromJwt(token);
  }

  /**
   * Who logs in with these, as devices do [AUTH-9]: with a token or an API key for a password, else
   * by a name and a password of the configuration. Never rejects.
   */
  fromLogin({ user = '', password, address }: Login): Authentication | Promise<Authentication> {
    // A name alone proves nothing, and claims nothing either: many devices have to send one.
    if (password === undefined) return this.mayAnonymous ? STRANGER : NOBODY;
    let text: string;
    try {
      text = passwordText(password);
    } catch (error) {
      return this.#refuse(error);
    }
    if (this.#isApiKey(text)) return APPLICATION;
    if (!isTokenShaped(text)) return this.fromPassword(user, text, address);
    const authentication = this.#fromJwt(text);
    if (authentication instanceof Promise)
      return authentication.then((it) => this.#named(user, it));
    return this.#named(user, authentication);
  }

  /** Who has this name and password in the configuration [AUTH-10]. Never rejects. */
  fromPassword(
    user: string,
    password: string,
    address?: string,
  ): Authentication | Promise<Authentication> {
    return this.#settled(() => this.#passwords.verify(user, password, address));
  }

  /**
   * Whom a client certificate names [AUTH-12].
   *
   * @param certificate one that the handshake verified: anything else is the caller's mistake.
   */
  fromCertificate(certificate: ClientCertificate): Authentication {
    try {
      const nowMs = this.#clock.unixMs();
      return accepted(identityOfCertificate(certificate, { ...this.#certified, nowMs }));
    } catch (error) {
      return this.#refuse(error);
    }
  }

  /** Who holds this resume ticket. */
  fromTicket(ticket: string): Authentication {
    let identity: Identity;
    try {
      identity = this.#tickets.verify(ticket);
    } catch (error) {
      return this.#refuse(error);
    }
    if (identity.kind !== 'anonymous') return { kind: 'identity', identity };
    // The ticket may be older than the rule that keeps strangers out.
    return this.mayAnonymous ? STRANGER : NOBODY;
  }

  /** The `resume` ticket with which this identity comes back. */
  ticketFor(identity: Identity): string {
    return this.#tickets.sign(identity);
  }

  readonly #refuse = (error: unknown): Authentication => {
    const refused = codedError(error);
    this.refusedCounts.set(refused.code, (this.refusedCounts.get(refused.code) ?? 0) + 1);
    return { kind: 'refused', error: refused };
  };

  #fromJwt(token: string): Authentication | Promise<Authentication> {
    if (this.#verifier === undefined) {
      const message = 'no token can be checked here: the server has no JWT secret configured';
      return this.#refuse(new CodedError('unauthenticated', message));
    }
    const verifier = this.#verifier;
    return this.#settled(() => verifier.verify(token));
  }

  #settled(verify: () => Identity | Promise<Identity>): Authentication | Promise<Authentication> {
    try {
      const identity = verify();
      if (identity instanceof Promise) return identity.then(accepted, this.#refuse);
      return accepted(identity);
    } catch (error) {
      return this.#refuse(error);
    }
  }

  /** Refuses a token beside which another name stands than its own. */
  #named(user: string, authentication: Authentication): Authentication {
    if (authentication.kind !== 'identity' || user === '') return authentication;
    if (authentication.identity.user === user) return authentication;
    const message = 'the user name must be that of the token, or empty';
    return this.#refuse(new CodedError('unauthenticated', message));
  }

  /** Compares digests, which have one length, and all of them: the time tells nothing. */
  #isApiKey(token: string): boolean {
    if (this.#apiKeyDigests.length === 0) return false;
    const given = digest(token);
    let found = false;
    for (const known of this.#apiKeyDigests) {
      if (timingSafeEqual(given, known)) found = true;
    }
    return found;
  }
}

/**
 * The secret that tokens are signed with. Development mode needs none configured: it has one of
 * its own, so that `/v1/token` works out of the box.
 */
export function tokenSecret(options: AuthOptions): string | undefined {
  if (options.jwtSecret !== undefined || !options.development) return options.jwtSecret;
  return createHmac('sha256', options.secret).update('trunkline development tokens').digest('hex');
}

function digest(text: string): Uint8Array {
  return hash('sha256', text, 'buffer');
}

function accepted(identity: Identity): Authentication {
  return { kind: 'identity', identity };
}

function codedError(error: unknown): CodedError {
  if (error instanceof CodedError) return error;
  return new CodedError('internal', 'who is asking could not be checked', { cause: error });
}

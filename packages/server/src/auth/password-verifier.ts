/**
 * PasswordVerifier: who logs in by a name and a password [AUTH-10].
 *
 * A check is meant to be slow, so it is made off the event loop, few at a time; a bounded number
 * waits. What was right is remembered for a while by a keyed digest, never as it was given. An unknown
 * name costs what a wrong password costs: it is checked against a hash of somebody else.
 */
import { createHmac } from 'node:crypto';
import { CodedError } from '@trunkline/wire';
import type { Clock } from '../clock.ts';
import { userIdentity } from './claims.ts';
import {
  PASSWORD_CHECKS_MAX,
  PASSWORD_RETRY_MS,
  PASSWORDS_WAITING_MAX,
  PASSWORDS_WAITING_PER_ADDRESS_MAX,
  VERIFIED_PASSWORD_MS,
  VERIFIED_PASSWORDS_MAX,
} from './config.ts';
import type { AuthConfig } from './config.ts';
import type { Identity } from './identity.ts';
import { matchesHash, parsePasswordHash, passwordFault } from './password-hash.ts';
import type { PasswordHash } from './password-hash.ts';

/** What a verifier needs of the world. */
export interface PasswordVerifierParts {
  readonly clock: Clock;
  /** Keys the digests of what is remembered; the same on all nodes. */
  readonly secret: string;
  /** Compares a password with a hash, slowly; that of RFC 7914 unless a test says otherwise. */
  readonly matches?: (password: string, known: PasswordHash) => Promise<boolean>;
}

/** Somebody who may log in. */
interface Account {
  readonly identity: Identity;
  readonly hash: PasswordHash;
}

/** Checks passwords against those of the configuration. */
export class PasswordVerifier {
  readonly #accounts = new Map<string, Account>();
  /** Whose hashes stand in for those of unknown names. */
  readonly #hashes: readonly PasswordHash[];
  readonly #clock: Clock;
  readonly #key: Uint8Array;
  readonly #matches: (password: string, known: PasswordHash) => Promise<boolean>;
  /** Until when each right login is remembered, by its digest, the oldest first. */
  readonly #right = new Map<string, number>();
  /** Checks that run or wait, by the digest of the login: who asks for the same shares one. */
  readonly #underWay = new Map<string, Promise<boolean>>();
  #running = 0;
  /** What lets those begin that wait, in their order. */
  readonly #waiting = new Set<() => void>();
  /** How many of those each address has; without zeros. */
  readonly #waitingOf = new Map<string, number>();

  constructor(users: AuthConfig['users'], parts: PasswordVerifierParts) {
    const { clock, secret, matches = matchesHash } = parts;
    for (const [user, { password, channels, info }] of Object.entries(users)) {
      // Somebody without a password comes with a certificate alone.
      if (password === undefined) continue;
      const hash = parsePasswordHash(password);
      this.#accounts.set(user, { identity: userIdentity(user, { channels, info }), hash });
    }
    this.#hashes = [...this.#accounts.values()].map(({ hash }) => hash);
    this.#clock = clock;
    this.#key = createHmac('sha256', secret).update('trunkline passwords').digest();
    this.#matches = matches;
  }

  /**
   * Who logs in: at once when that was found right a short while ago.
   *
   * @param address from where; each has only so many that wait.
   * @throws {CodedError} thrown or as a rejection: `unauthenticated` for a wrong name or password,
   *   which are not told apart, and `unavailable` when too many passwords wait for their check.
   */
  verify(user: string, password: string, address?: string): Identity | Promise<Identity> {
    const account = this.#accounts.get(user);
    const digest = this.#digest(user, password);
    if (account !== undefined && this.#isRemembered(digest)) return account.identity;
    const known = account?.hash ?? this.#standIn(user);
    // Where nobody has a password there is nobody to hide.
    if (known === undefined) throw nobody();
    // No password that anybody has, whoever asks.
    if (passwordFault(password) !== undefined) throw wrong();
    const check = () => this.#inTurn(address, () => this.#matches(password, known));
    return this.#verifyAnew(account, digest, check);
  }

  async #verifyAnew(
    account: Account | undefined,
    digest: string,
    check: () => Promise<boolean>,
  ): Promise<Identity> {
    const isRight = await this.#share(digest, check);
    if (account === undefined || !isRight) throw wrong();
    this.#remember(digest);
    return account.identity;
  }

  async #share(digest: string, check: () => Promise<boolean>): Promise<boolean> {
    const known = this.#underWay.get(digest);
    if (known !== undefined) return known;
    const made = check();
    this.#underWay.set(digest, made);
    try {
      return await made;
    } finally {
      this.#underWay.delete(digest);
    }
  }

  async #inTurn(address: string | undefined, check: () => Promise<boolean>): Promise<boolean> {
    if (this.#running >= PASSWORD_CHECKS_MAX) {
      this.#countWaiting(address);
      // Whoever ends hands its place on, so that nobody who comes then takes it first.
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
      this.#forgetWaiting(address);
    } else {
      this.#running += 1;
    }
    try {
      return await check();
    } catch (cause) {
      // Its memory could not be had: nothing is said of the password.
      throw unavailable('the password could not be checked: try again', cause);
    } finally {
      this.#handOn();
    }
  }

  /** @throws {CodedError} when too many wait, or too many of the address. */
  #countWaiting(address: string | undefined): void {
    if (this.#waiting.size >= PASSWORDS_WAITING_MAX) throw busy();
    if (address === undefined) return;
    const own = this.#waitingOf.get(address) ?? 0;
    if (own >= PASSWORDS_WAITING_PER_ADDRESS_MAX) throw busyThere();
    this.#waitingOf.set(address, own + 1);
  }

  #forgetWaiting(address: string | undefined): void {
    if (address === undefined) return;
    const left = (this.#waitingOf.get(address) ?? 0) - 1;
    if (left > 0) this.#waitingOf.set(address, left);
    else this.#waitingOf.delete(address);
  }

  #handOn(): void {
    for (const begin of this.#waiting) {
      this.#waiting.delete(begin);
      begin();
      return;
    }
    this.#running -= 1;
  }

  #isRemembered(digest: string): boolean {
    const until = this.#right.get(digest);
    if (until === undefined) return false;
    if (this.#clock.monotonicMs() < until) return true;
    this.#right.delete(digest);
    return false;
  }

  #remember(digest: string): void {
    // Anew, so that it stands behind those that end before it.
    this.#right.delete(digest);
    if (this.#right.size >= VERIFIED_PASSWORDS_MAX) {
      const oldest = this.#right.keys().next();
      if (oldest.done !== true) this.#right.delete(oldest.value);
    }
    this.#right.set(digest, this.#clock.monotonicMs() + VERIFIED_PASSWORD_MS);
  }

  /** Somebody's hash, always the same one for the same name: costs may differ between them. */
  #standIn(user: string): PasswordHash | undefined {
    const bytes = createHmac('sha256', this.#key).update(user).digest();
    return this.#hashes[bytes.readUInt32BE(0) % this.#hashes.length];
  }

  #digest(user: string, password: string): string {
    const text = JSON.stringify([user, password]);
    return createHmac('sha256', this.#key).update(text).digest('base64');
  }
}

function wrong(): CodedError {
  return new CodedError('unauthenticated', 'the user name or the password is wrong');
}

function nobody(): CodedError {
  const message = 'nobody has a password here: show a token, or name users in auth.users';
  return new CodedError('unauthenticated', message);
}

function busy(): CodedError {
  return unavailable(
    `more than ${PASSWORDS_WAITING_MAX} passwords wait for their check: try again`,
  );
}

function busyThere(): CodedError {
  const countMax = PASSWORDS_WAITING_PER_ADDRESS_MAX;
  return unavailable(
    `more than ${countMax} passwords of an address wait for their check: try again`,
  );
}

function unavailable(message: string, cause?: unknown): CodedError {
  return new CodedError('unavailable', message, { retryAfter: PASSWORD_RETRY_MS, cause });
}

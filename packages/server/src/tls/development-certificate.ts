/** DevelopmentCertificate: a self-signed one, made at the start and again before it ends. */
import type { SecureContext } from 'node:tls';
import type { Clock, Timer } from '../clock.ts';
import type { Log } from '../observe/log.ts';
import type { Certificate } from './certificate.ts';
import { type KeyPair, readKeyPair } from './key-pair.ts';
import { createSelfSigned, SELF_SIGNED_VALID_MS } from './self-signed.ts';

/** A day before it ends: who looks at its hash has time to take the new one. */
const RENEW_MS = SELF_SIGNED_VALID_MS - 24 * 60 * 60 * 1000;

/** Names of this machine that every development certificate has. */
const LOCAL = ['localhost', '127.0.0.1', '::1'];

/** Addresses that stand for all; nobody connects to them by that name. */
const ANY = new Set(['0.0.0.0', '::']);

/** A certificate for this machine and for `host`. */
export class DevelopmentCertificate implements Certificate {
  readonly #hosts: readonly string[];
  readonly #clock: Clock;
  readonly #log: Log;
  #pair: KeyPair | undefined;
  #timer: Timer | undefined;

  /** @param host where the server listens. */
  constructor(host: string, clock: Clock, log: Log) {
    const name = host.replace(/^\[(.*)\]$/, '$1');
    this.#hosts = ANY.has(name) ? LOCAL : [...new Set([...LOCAL, name])];
    this.#clock = clock;
    this.#log = log;
  }

  get context(): SecureContext {
    return this.#current.context;
  }

  get sha256(): string {
    return this.#current.sha256;
  }

  contextFor(authorities: readonly string[]): SecureContext {
    return this.#current.contextFor(authorities);
  }

  async open(): Promise<void> {
    this.#make();
  }

  close(): void {
    this.#timer?.cancel();
  }

  get #current(): KeyPair {
    if (this.#pair === undefined) throw new Error('a certificate is there once it was opened');
    return this.#pair;
  }

  #make(): void {
    const { cert, key } = createSelfSigned(this.#hosts, this.#clock.unixMs());
    this.#pair = readKeyPair(cert, key);
    this.#timer = this.#clock.after(RENEW_MS, () => {
      this.#make();
      const { sha256 } = this.#current;
      this.#log.info({ sha256 }, 'the development certificate was made anew');
    });
  }
}

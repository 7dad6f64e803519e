/**
 * CertificateFiles: a certificate and its key from two files, read again while the server runs.
 *
 * The files are read and compared, not watched: renewers replace files, links to files and links to
 * folders, over networks too, and reading few kilobytes now and then sees each of these alike. A new
 * pair is served only when it is whole: between the writes of its two files nothing changes.
 */
import { readFile } from 'node:fs/promises';
import type { SecureContext } from 'node:tls';
import type { Clock, Timer } from '../clock.ts';
import { ConfigError } from '../config/config-error.ts';
import type { Log } from '../observe/log.ts';
import type { Certificate } from './certificate.ts';
import { type KeyPair, KeyPairError, readKeyPair } from './key-pair.ts';

/** How often the files are read again. */
export const RELOAD_INTERVAL_MS = 10_000;

/** Where the pair is, and what else is needed. */
export interface CertificateFilesParts {
  readonly cert: string;
  readonly key: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Reads a file; the system's unless a test says otherwise. */
  readonly read?: (path: string) => Promise<Buffer>;
}

/** The bytes of both files at one moment. */
interface Contents {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** A certificate that somebody else renews. */
export class CertificateFiles implements Certificate {
  readonly #parts: CertificateFilesParts;
  #pair: KeyPair | undefined;
  /** What was looked at last, so that a pair that does not fit is complained of once. */
  #seen: Contents | undefined;
  #complaint = '';
  #timer: Timer | undefined;
  #closed = false;

  constructor(parts: CertificateFilesParts) {
    this.#parts = parts;
  }

  get context(): SecureContext {
    return this.#current.context;
  }

  get sha256(): string {
    return this.#current.sha256;
  }

  async open(): Promise<void> {
    const { cert, key, clock, log } = this.#parts;
    try {
      this.#seen = await this.#read();
      this.#pair = readKeyPair(this.#seen.cert, this.#seen.key);
    } catch (error) {
      throw new ConfigError([`tls: ${cert}, ${key}: ${describe(error)}`], error);
    }
    const fault = faultOfTime(this.#pair, clock.unixMs());
    if (fault !== undefined) log.warn({ cert }, `the certificate ${fault}; clients will refuse it`);
    this.#schedule();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  get #current(): KeyPair {
    if (this.#pair === undefined) throw new Error('a certificate is there once it was opened');
    return this.#pair;
  }

  #schedule(): void {
    if (this.#closed) return;
    // Never rejects.
    this.#timer = this.#parts.clock.after(RELOAD_INTERVAL_MS, () => void this.#look());
  }

  async #look(): Promise<void> {
    try {
      await this.#reload();
      this.#complaint = '';
    } catch (error) {
      this.#complain(error);
    }
    this.#schedule();
  }

  async #reload(): Promise<void> {
    const contents = await this.#read();
    const { cert, key } = contents;
    const seen = this.#seen;
    if (seen !== undefined && seen.cert.equals(cert) && seen.key.equals(key)) return;
    const pair = readKeyPair(cert, key);
    // One that begins later is served as soon as a look finds that it has begun.
    const fault = faultOfTime(pair, this.#parts.clock.unixMs());
    if (fault !== undefined) throw new KeyPairError(`the new certificate ${fault}`);
    this.#seen = contents;
    this.#pair = pair;
    const { sha256, validToMs } = pair;
    const validTo = new Date(validToMs).toISOString();
    this.#parts.log.info({ sha256, validTo }, 'serving a new certificate');
  }

  /** Once for each fault: the files are looked at again and again until they are right. */
  #complain(error: unknown): void {
    const complaint = describe(error);
    if (complaint === this.#complaint) return;
    this.#complaint = complaint;
    const { cert, key } = this.#parts;
    this.#parts.log.warn(
      { error, cert, key },
      `the new certificate is not served, the old one still is: ${complaint}`,
    );
  }

  async #read(): Promise<Contents> {
    const { read = readFile } = this.#parts;
    const [cert, key] = await Promise.all([read(this.#parts.cert), read(this.#parts.key)]);
    return { cert, key };
  }
}

/** Why clients would refuse it at this time. */
function faultOfTime({ validFromMs, validToMs }: KeyPair, nowMs: number): string | undefined {
  if (validToMs <= nowMs) return 'is not valid any more';
  return validFromMs > nowMs ? 'is not valid yet' : undefined;
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

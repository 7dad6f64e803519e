/** CertificateFiles: a certificate and its key from two files, read again while the server runs. */
import type { SecureContext } from 'node:tls';
import type { Clock } from '../clock.ts';
import type { Log } from '../observe/log.ts';
import type { Certificate } from './certificate.ts';
import { type KeyPair, KeyPairError, readKeyPair } from './key-pair.ts';
import { WatchedFiles } from './watched-files.ts';

/** Where the pair is, and what else is needed. */
export interface CertificateFilesParts {
  readonly cert: string;
  readonly key: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** A certificate that somebody else renews. */
export class CertificateFiles implements Certificate {
  readonly #parts: CertificateFilesParts;
  readonly #files: WatchedFiles;
  #pair: KeyPair | undefined;

  constructor(parts: CertificateFilesParts) {
    const { cert, key, clock, log } = parts;
    this.#parts = parts;
    this.#files = new WatchedFiles({
      paths: [cert, key],
      what: 'certificate',
      take: (contents) => this.#take(contents),
      clock,
      log,
    });
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

  open(): Promise<void> {
    return this.#files.open();
  }

  close(): void {
    this.#files.close();
  }

  get #current(): KeyPair {
    if (this.#pair === undefined) throw new Error('a certificate is there once it was opened');
    return this.#pair;
  }

  #take([cert = EMPTY, key = EMPTY]: readonly Buffer[]): void {
    const { clock, log } = this.#parts;
    const pair = readKeyPair(cert, key);
    const fault = faultOfTime(pair, clock.unixMs());
    const isFirst = this.#pair === undefined;
    // One that begins later is served as soon as a look finds that it has begun.
    if (fault !== undefined && !isFirst) throw new KeyPairError(`the new certificate ${fault}`);
    this.#pair = pair;
    if (!isFirst) {
      const { sha256, validToMs } = pair;
      const validTo = new Date(validToMs).toISOString();
      log.info({ sha256, validTo }, 'serving a new certificate');
    } else if (fault !== undefined) {
      log.warn({ cert: this.#parts.cert }, `the certificate ${fault}; clients will refuse it`);
    }
  }
}

const EMPTY = Buffer.alloc(0);

/** Why clients would refuse it at this time. */
function faultOfTime({ validFromMs, validToMs }: KeyPair, nowMs: number): string | undefined {
  if (validToMs <= nowMs) return 'is not valid any more';
  return validFromMs > nowMs ? 'is not valid yet' : undefined;
}

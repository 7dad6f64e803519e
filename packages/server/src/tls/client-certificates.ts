/**
 * ClientCertificates: how a listener asks its clients who they are, and what came of it [AUTH-12].
 *
 * A certificate counts when one of the configured authorities signed it, and never because somebody
 * else vouches for it: the roots that the machine trusts sign for anybody. The authorities are read
 * again while the server runs; handshakes that begin after a change know the new ones alone, those of
 * resumed sessions included, for a new context knows no old session.
 */
import { X509Certificate } from 'node:crypto';
import type { PeerCertificate, SecureContext, TLSSocket } from 'node:tls';
import type { Clock } from '../clock.ts';
import type { Log } from '../observe/log.ts';
import type { Certificate } from './certificate.ts';
import type { TlsConfig } from './config.ts';
import { WatchedFiles } from './watched-files.ts';

/** What a handshake of node:tls is told, so that it asks for a certificate. */
export interface ClientCertificateTerms {
  /** The server's certificate, and the authorities. */
  readonly context: SecureContext;
  readonly requestCert: true;
  /** Ends the handshakes of those who show none. Who shows a bad one is left to `judge`. */
  readonly rejectUnauthorized: boolean;
}

/** What a client has shown. */
export type ClientVerdict =
  | { readonly kind: 'verified'; readonly certificate: PeerCertificate }
  /** No certificate, and none is required: it has to prove otherwise who it is. */
  | { readonly kind: 'none' }
  /** One that does not hold, or none where one is required: its connection is to be cut. */
  | { readonly kind: 'refused'; readonly reason: string };

/** What the questions are made from. */
export interface ClientCertificatesParts {
  /** The server's own; opened and closed by its owner. */
  readonly certificate: Pick<Certificate, 'context' | 'contextFor'>;
  readonly clock: Clock;
  readonly log: Log;
}

/** What node:tls asks for the sockets of its own servers, and leaves to others for theirs. */
interface Verifiable extends TLSSocket {
  /** `null` when all is well. */
  readonly ssl?: { verifyError?(): NodeJS.ErrnoException | null | undefined } | null;
}

/** Makes them; `undefined` where clients are not asked. */
export function createClientCertificates(
  { clientCa, clientCertificate }: Pick<TlsConfig, 'clientCa' | 'clientCertificate'>,
  parts: ClientCertificatesParts,
): ClientCertificates | undefined {
  if (clientCertificate === 'none') return undefined;
  return new ClientCertificates(clientCa, clientCertificate === 'require', parts);
}

/** Asks clients for certificates of authorities that stand in files. */
export class ClientCertificates {
  readonly #required: boolean;
  readonly #certificate: ClientCertificatesParts['certificate'];
  readonly #files: WatchedFiles;
  #authorities: readonly string[] = [];
  #context: SecureContext | undefined;
  /** The server's context when that one was made. */
  #madeFor: SecureContext | undefined;

  constructor(paths: readonly string[], required: boolean, parts: ClientCertificatesParts) {
    const { certificate, clock, log } = parts;
    this.#required = required;
    this.#certificate = certificate;
    const take = (contents: readonly Buffer[]): void => {
      const isFirst = this.#authorities.length === 0;
      this.#authorities = contents.flatMap(readAuthorities);
      this.#context = undefined;
      const { length: count } = this.#authorities;
      if (!isFirst) log.info({ count }, 'client certificates are held against new authorities');
    };
    this.#files = new WatchedFiles({ paths, what: 'client CA', take, clock, log });
  }

  /** What a handshake that begins now is told. @throws before both certificates are open. */
  get terms(): ClientCertificateTerms {
    return { context: this.#current(), requestCert: true, rejectUnauthorized: this.#required };
  }

  /** Reads the authorities, and from now on what they change to. @throws {ConfigError} */
  open(): Promise<void> {
    return this.#files.open();
  }

  /** Reads them no more. Idempotent. */
  close(): void {
    this.#files.close();
  }

  /** What came of a handshake with `terms` that is done. To be asked of every one. */
  judge(socket: TLSSocket): ClientVerdict {
    const certificate = socket.getPeerCertificate() as Partial<PeerCertificate> | null;
    // Before the verdict of node:tls: in a session of TLS 1.3 that is resumed all is well for it even
    // if nothing was ever shown.
    if (!isWhole(certificate)) {
      if (!this.#required) return { kind: 'none' };
      return { kind: 'refused', reason: 'a client certificate is required' };
    }
    const fault = verifyFault(socket);
    if (fault === undefined) return { kind: 'verified', certificate };
    return { kind: 'refused', reason: `the client certificate does not hold: ${fault}` };
  }

  #current(): SecureContext {
    if (this.#authorities.length === 0) throw new Error('client CAs are there once opened');
    const { context } = this.#certificate;
    if (this.#context === undefined || this.#madeFor !== context) {
      this.#context = this.#certificate.contextFor(this.#authorities);
      this.#madeFor = context;
    }
    return this.#context;
  }
}

/**
 * Why a certificate does not hold, in OpenSSL's word for it. It is asked here, because a socket made
 * apart has no `authorized` that would say it.
 */
function verifyFault(socket: TLSSocket): string | undefined {
  const { ssl }: Verifiable = socket;
  const error = ssl?.verifyError?.();
  // A plain null alone says that all is well.
  return error === null ? undefined : (error?.code ?? 'it was not verified');
}

function isWhole(certificate: Partial<PeerCertificate> | null): certificate is PeerCertificate {
  return certificate?.raw !== undefined && certificate.subject !== undefined;
}

const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** Each certificate of a file. node:tls skips what it can't read, and nobody would know. */
function readAuthorities(contents: Buffer): string[] {
  const found = contents.toString('latin1').match(PEM) ?? [];
  if (found.length === 0) throw new Error('expected a certificate in PEM, got none');
  for (const pem of found) {
    try {
      void new X509Certificate(pem);
    } catch (cause) {
      throw new Error('one of the certificates can not be read', { cause });
    }
  }
  return found;
}

/** Which certificate a configuration asks for. */
import type { Clock } from '../clock.ts';
import type { Log } from '../observe/log.ts';
import { CertificateFiles } from './certificate-files.ts';
import type { Certificate } from './certificate.ts';
import type { TlsConfig } from './config.ts';
import { DevelopmentCertificate } from './development-certificate.ts';

/** What a certificate is made from. */
export interface CertificateParts {
  /** Where the server listens. */
  readonly host: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** Makes the certificate; `undefined` where TLS is not configured. */
export function createCertificate(
  { cert, key, dev }: Pick<TlsConfig, 'cert' | 'key' | 'dev'>,
  { host, clock, log }: CertificateParts,
): Certificate | undefined {
  if (dev) return new DevelopmentCertificate(host, clock, log);
  if (cert === undefined || key === undefined) return undefined;
  return new CertificateFiles({ cert, key, clock, log });
}

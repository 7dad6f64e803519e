/** SignedCertificate: an X.509 certificate of version 3 out of its parts (RFC 5280 §4.1). */
import { randomBytes, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import {
  bitString,
  octetString,
  oid,
  sequence,
  setOf,
  tagged,
  TRUE,
  unsigned,
  utcTime,
  utf8String,
} from './der.ts';

/** RFC 5280, RFC 5758. */
const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2';
const COMMON_NAME = '2.5.4.3';

/** RFC 5280 §4.1.2.2 allows up to 20 bytes. */
const SERIAL_SIZE = 16;

/** What a certificate says, and who says it. */
export interface CertificateBody {
  /** A name of {@link commonNames}. */
  readonly subject: Uint8Array;
  readonly publicKey: KeyObject;
  /** The name of who signs, and her key on P-256. */
  readonly issuer: { readonly name: Uint8Array; readonly key: KeyObject };
  readonly validFromMs: number;
  readonly validToMs: number;
  readonly extensions: readonly Uint8Array[];
}

/** Signs a certificate. @returns its DER. */
export function signCertificate(certificate: CertificateBody): Uint8Array {
  const { subject, publicKey, issuer, validFromMs, validToMs, extensions } = certificate;
  const algorithm = sequence(oid(ECDSA_WITH_SHA256));
  const body = sequence(
    tagged(0, unsigned(Buffer.of(2))), // Version 3.
    serialNumber(),
    algorithm,
    issuer.name,
    sequence(utcTime(validFromMs), utcTime(validToMs)),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    tagged(3, sequence(...extensions)),
  );
  return sequence(body, algorithm, bitString(sign('sha256', body, issuer.key)));
}

/** A distinguished name of nothing but common names. */
export function commonNames(...names: readonly string[]): Uint8Array {
  return sequence(...names.map((name) => setOf(sequence(oid(COMMON_NAME), utf8String(name)))));
}

/** One extension. Whoever does not know a critical one has to refuse the certificate. */
export function extension(id: string, value: Uint8Array, critical: boolean): Uint8Array {
  return sequence(oid(id), ...(critical ? [TRUE] : []), octetString(value));
}

/** DER as PEM (RFC 7468). */
export function certificatePem(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

function serialNumber(): Uint8Array {
  const serial = randomBytes(SERIAL_SIZE);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40; // Positive, and of one length.
  return unsigned(serial);
}

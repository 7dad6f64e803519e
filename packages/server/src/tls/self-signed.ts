/**
 * SelfSigned: a certificate made on the spot, for development. Nobody trusts it but who is told its
 * SHA-256 or says so.
 *
 * ECDSA on P-256 and valid for less than two weeks: so it also serves those whom a browser lets
 * connect by the hash of the certificate (WebTransport §6.2, custom certificate requirements).
 */
import { createHash, generateKeyPairSync } from 'node:crypto';
import { isIP } from 'node:net';
import { bits, oid, sequence, taggedBytes } from './der.ts';
import { certificatePem, commonNames, extension, signCertificate } from './signed-certificate.ts';

const HOUR_MS = 60 * 60 * 1000;

/** Clocks of clients may be behind. */
const BACKDATED_MS = HOUR_MS;

/** How long a certificate is valid from the moment it is made. */
export const SELF_SIGNED_VALID_MS: number = 13 * 24 * HOUR_MS;

/** RFC 5280 §4.2.1. */
const OIDS = {
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
};

/** RFC 5280 §4.2.1.6: the kinds of a subject's other names. */
const DNS_NAME = 2;
const IP_ADDRESS = 7;

/** A certificate and its key. */
export interface SelfSigned {
  /** PEM. */
  readonly cert: string;
  /** PEM, PKCS #8. */
  readonly key: string;
  /** Of the certificate's DER, in lower-case hex. */
  readonly sha256: string;
}

/** Makes a certificate for these names and addresses. */
export function createSelfSigned(hosts: readonly string[], nowMs: number): SelfSigned {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const name = commonNames('Trunkline development');
  const der = signCertificate({
    subject: name,
    publicKey,
    issuer: { name, key: privateKey },
    validFromMs: nowMs - BACKDATED_MS,
    validToMs: nowMs + SELF_SIGNED_VALID_MS,
    extensions: extensions(hosts),
  });
  return {
    cert: certificatePem(der),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    sha256: createHash('sha256').update(der).digest('hex'),
  };
}

function extensions(hosts: readonly string[]): Uint8Array[] {
  return [
    extension(OIDS.basicConstraints, sequence(), true),
    // digitalSignature, the first of the bits.
    extension(OIDS.keyUsage, bits(0x80, 1), true),
    extension(OIDS.extendedKeyUsage, sequence(oid(OIDS.serverAuth)), false),
    extension(OIDS.subjectAltName, sequence(...hosts.map(generalName)), false),
  ];
}

function generalName(host: string): Uint8Array {
  return isIP(host) === 0
    ? taggedBytes(DNS_NAME, Buffer.from(host, 'latin1'))
    : taggedBytes(IP_ADDRESS, addressBytes(host));
}

/** The bytes of an IPv4 or IPv6 address. */
export function addressBytes(address: string): Uint8Array {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  // The URL parser knows every way an IPv6 address can be written, and writes it in one.
  const text = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const [before = '', after] = text.split('::');
  const head = groups(before);
  const tail = after === undefined ? [] : groups(after);
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => 0);
  return Buffer.from([...head, ...zeros, ...tail].flatMap((group) => [group >> 8, group & 0xff]));
}

function groups(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
}

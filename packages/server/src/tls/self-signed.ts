/**
 * SelfSigned: a certificate made on the spot, for development. Nobody trusts it but who is told its
 * SHA-256 or says so.
 *
 * ECDSA on P-256 and valid for less than two weeks: so it also serves those whom a browser lets
 * connect by the hash of the certificate (WebTransport §6.2, custom certificate requirements).
 */
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';
import {
  bits,
  bitString,
  octetString,
  oid,
  sequence,
  setOf,
  tagged,
  taggedBytes,
  TRUE,
  unsigned,
  utcTime,
  utf8String,
} from './der.ts';

const HOUR_MS = 60 * 60 * 1000;

/** Clocks of clients may be behind. */
const BACKDATED_MS = HOUR_MS;

/** How long a certificate is valid from the moment it is made. */
export const SELF_SIGNED_VALID_MS: number = 13 * 24 * HOUR_MS;

/** RFC 5280, RFC 5758. */
const OIDS = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  commonName: '2.5.4.3',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
};

/** RFC 5280 §4.2.1.6: the kinds of a subject's other names. */
const DNS_NAME = 2;
const IP_ADDRESS = 7;

/** RFC 5280 §4.1.2.2 allows up to 20 bytes. */
const SERIAL_SIZE = 16;

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
  const name = distinguishedName('Trunkline development');
  const algorithm = sequence(oid(OIDS.ecdsaWithSha256));
  const body = sequence(
    tagged(0, unsigned(Buffer.of(2))), // Version 3.
    serialNumber(),
    algorithm,
    name,
    sequence(utcTime(nowMs - BACKDATED_MS), utcTime(nowMs + SELF_SIGNED_VALID_MS)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    tagged(3, extensions(hosts)),
  );
  const signature = sign('sha256', body, privateKey);
  const der = sequence(body, algorithm, bitString(signature));
  return {
    cert: toPem(der),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    sha256: createHash('sha256').update(der).digest('hex'),
  };
}

function serialNumber(): Uint8Array {
  const serial = randomBytes(SERIAL_SIZE);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40; // Positive, and of one length.
  return unsigned(serial);
}

function distinguishedName(commonName: string): Uint8Array {
  return sequence(setOf(sequence(oid(OIDS.commonName), utf8String(commonName))));
}

function extensions(hosts: readonly string[]): Uint8Array {
  return sequence(
    extension(OIDS.basicConstraints, sequence(), true),
    // digitalSignature, the first of the bits.
    extension(OIDS.keyUsage, bits(0x80, 1), true),
    extension(OIDS.extendedKeyUsage, sequence(oid(OIDS.serverAuth)), false),
    extension(OIDS.subjectAltName, sequence(...hosts.map(generalName)), false),
  );
}

function extension(id: string, value: Uint8Array, critical: boolean): Uint8Array {
  return sequence(oid(id), ...(critical ? [TRUE] : []), octetString(value));
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

function toPem(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

/** An authority for tests: it signs what it is asked to, on the spot and without a network. */
import { generateKeyPairSync } from 'node:crypto';
import { bits, oid, sequence, taggedBytes, TRUE } from '@trunkline/server/internal/tls/der.ts';
import {
  certificatePem,
  commonNames,
  extension,
  signCertificate,
} from '@trunkline/server/internal/tls/signed-certificate.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const OIDS = {
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  extendedKeyUsage: '2.5.29.37',
};
const PURPOSES = { serverAuth: '1.3.6.1.5.5.7.3.1', clientAuth: '1.3.6.1.5.5.7.3.2' };
/** RFC 5280 §4.2.1.6. */
const ALTERNATIVES = { email: 1, dns: 2, uri: 6 };

/** A certificate and its key, in PEM. */
export interface Issued {
  readonly cert: string;
  readonly key: string;
}

/** What a certificate is to say. */
export interface Wanted {
  readonly names?: readonly string[];
  readonly alternatives?: readonly (readonly [kind: keyof typeof ALTERNATIVES, name: string])[];
  readonly purpose?: keyof typeof PURPOSES;
  /** Days from now; negative ones are over. */
  readonly days?: number;
}

/** Signs certificates of clients. */
export class Authority {
  readonly cert: string;
  readonly #name: Uint8Array;
  readonly #keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });

  constructor(name = 'Authority of a test') {
    this.#name = commonNames(name);
    // keyCertSign and cRLSign, the sixth and seventh of the bits.
    const usage = extension(OIDS.keyUsage, bits(0x06, 7), true);
    const isAuthority = extension(OIDS.basicConstraints, sequence(TRUE), true);
    this.cert = this.#sign(this.#name, this.#keys.publicKey, 365, [isAuthority, usage]);
  }

  /** Signs one for `wanted`; a client's, valid for a day, unless that says otherwise. */
  issue({ names = [], alternatives = [], purpose = 'clientAuth', days = 1 }: Wanted): Issued {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const others = alternatives.map(([kind, name]) =>
      taggedBytes(ALTERNATIVES[kind], Buffer.from(name, 'latin1')),
    );
    const extensions = [
      extension(OIDS.extendedKeyUsage, sequence(oid(PURPOSES[purpose])), false),
      ...(others.length === 0 ? [] : [extension(OIDS.subjectAltName, sequence(...others), false)]),
    ];
    return {
      cert: this.#sign(commonNames(...names), publicKey, days, extensions),
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    };
  }

  #sign(
    subject: Uint8Array,
    publicKey: Parameters<typeof signCertificate>[0]['publicKey'],
    days: number,
    extensions: readonly Uint8Array[],
  ): string {
    const nowMs = Date.now();
    const der = signCertificate({
      subject,
      publicKey,
      issuer: { name: this.#name, key: this.#keys.privateKey },
      validFromMs: nowMs - 10 * DAY_MS,
      validToMs: nowMs + days * DAY_MS,
      extensions,
    });
    return certificatePem(der);
  }
}

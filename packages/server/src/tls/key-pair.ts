/** KeyPair: a certificate and its key as files have them, checked before anybody is served them. */
import { constants, createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { SecureContext } from 'node:tls';

/** A pair that fits. */
export interface KeyPair {
  readonly context: SecureContext;
  /** Another one, which holds clients' certificates against these authorities, in PEM. */
  contextFor(authorities: readonly string[]): SecureContext;
  /** Of the certificate's DER, in lower-case hex. */
  readonly sha256: string;
  /** When its validity begins and ends, in milliseconds since 1970. */
  readonly validFromMs: number;
  readonly validToMs: number;
}

/**
 * TLS 1.2 without what TLS 1.3 has no more: a peer that asks for handshake after handshake (RFC 9113
 * §9.2.1), and one that has the last word on the cipher, though it likes an older one (§9.2.2).
 */
const SECURE_OPTIONS =
  constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_CIPHER_SERVER_PREFERENCE;

/** OpenSSL resumes no session in which a client was asked for its certificate without a name for it. */
const SESSIONS = 'trunkline';

/** The pair can't be served; the message says why. */
export class KeyPairError extends Error {
  override readonly name = 'KeyPairError';
}

/**
 * Reads a pair in PEM: the server's certificate first, then those between it and a root.
 *
 * @throws {KeyPairError} when either can't be read, or the key is not the certificate's.
 */
export function readKeyPair(cert: string | Buffer, key: string | Buffer): KeyPair {
  const certificate = attempt('the certificate is not PEM', () => new X509Certificate(cert));
  const privateKey = attempt('the key is not PEM without a passphrase', () =>
    createPrivateKey(key),
  );
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new KeyPairError('the key is not the one of the certificate');
  }
  const options = { cert, key, secureOptions: SECURE_OPTIONS };
  return {
    // Sees what else is in the file: the certificates of the chain.
    context: attempt('the certificate or its chain can not be used', () =>
      createSecureContext(options),
    ),
    contextFor: (authorities) =>
      createSecureContext({ ...options, ca: [...authorities], sessionIdContext: SESSIONS }),
    sha256: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    validFromMs: certificate.validFromDate.getTime(),
    validToMs: certificate.validToDate.getTime(),
  };
}

function attempt<T>(fault: string, task: () => T): T {
  try {
    return task();
  } catch (cause) {
    throw new KeyPairError(fault, { cause });
  }
}

import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { KeyPairError, readKeyPair } from '@trunkline/server/internal/tls/key-pair.ts';
import { createSelfSigned } from '@trunkline/server/internal/tls/self-signed.ts';

const NOW = Date.UTC(2026, 10, 20);
const good = createSelfSigned(['localhost'], NOW);
const other = createSelfSigned(['localhost'], NOW);

describe('readKeyPair', () => {
  test('reads a pair that fits, with what stands behind the certificate', () => {
    const pair = readKeyPair(good.cert + other.cert, Buffer.from(good.key));
    expect(pair.sha256).toBe(good.sha256);
    expect(pair.validFromMs).toBeLessThan(NOW);
    expect(pair.validToMs).toBeGreaterThan(NOW);
  });

  test.each([
    ['no certificate', '', good.key, 'certificate is not PEM'],
    ['half a certificate', good.cert.slice(0, 300), good.key, 'certificate is not PEM'],
    ['a key for a certificate', good.key, good.key, 'certificate is not PEM'],
    ['no key', good.cert, '', 'key is not PEM'],
    ['the key of another', good.cert, other.key, 'not the one of the certificate'],
    ['a key of another kind', good.cert, rsaKey(), 'not the one of the certificate'],
    [
      'a broken chain',
      `${good.cert}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`,
      good.key,
      'chain can not be used',
    ],
  ])('refuses %s', (_what, cert, key, message) => {
    expect(() => readKeyPair(cert, key)).toThrow(KeyPairError);
    expect(() => readKeyPair(cert, key)).toThrow(message);
  });
});

function rsaKey(): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return privateKey.export({ type: 'pkcs8', format: 'pem' });
}

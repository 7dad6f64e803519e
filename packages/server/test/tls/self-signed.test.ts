import { X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  addressBytes,
  createSelfSigned,
  SELF_SIGNED_VALID_MS,
} from '@trunkline/server/internal/tls/self-signed.ts';

const NOW = Date.UTC(2026, 10, 20, 12);
const HOSTS = ['localhost', '127.0.0.1', '::1', 'dev.example', '2001:db8::7'];
const DAY_MS = 24 * 60 * 60 * 1000;

describe('a self-signed certificate', () => {
  const made = createSelfSigned(HOSTS, NOW);
  const certificate = new X509Certificate(made.cert);

  test('is one for node:crypto, signed with its own key', () => {
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.issuer).toBe(certificate.subject);
    expect(certificate.ca).toBe(false);
  });

  test('has a key on P-256, as those need whom a browser trusts by hash', () => {
    expect(certificate.publicKey.asymmetricKeyType).toBe('ec');
    expect(certificate.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1');
  });

  test('is valid now and for less than two weeks altogether', () => {
    const from = certificate.validFromDate.getTime();
    const to = certificate.validToDate.getTime();
    expect(from).toBeLessThan(NOW);
    expect(to).toBe(NOW + SELF_SIGNED_VALID_MS);
    expect(to - from).toBeLessThan(14 * DAY_MS);
  });

  test('is for its hosts and no others', () => {
    expect(certificate.checkHost('localhost')).toBe('localhost');
    expect(certificate.checkHost('dev.example')).toBe('dev.example');
    expect(certificate.checkHost('other.example')).toBeUndefined();
    for (const address of ['127.0.0.1', '::1', '2001:db8::7']) {
      expect(certificate.checkIP(address)).toBe(address);
    }
    expect(certificate.checkIP('127.0.0.2')).toBeUndefined();
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
  });

  test('tells its SHA-256', () => {
    expect(made.sha256).toBe(certificate.fingerprint256.replaceAll(':', '').toLowerCase());
  });

  test('is another each time, with another key and number', () => {
    const other = createSelfSigned(HOSTS, NOW);
    expect(other.key).not.toBe(made.key);
    const { serialNumber } = new X509Certificate(other.cert);
    expect(serialNumber).not.toBe(certificate.serialNumber);
    expect(serialNumber).toHaveLength(32);
  });
});

describe('addressBytes', () => {
  test.each([
    ['127.0.0.1', '7f000001'],
    ['::1', '00000000000000000000000000000001'],
    ['::', '00000000000000000000000000000000'],
    ['2001:db8::7', '20010db8000000000000000000000007'],
    ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
    ['::ffff:192.0.2.1', '00000000000000000000ffffc0000201'],
  ])('reads %s', (address, hex) => {
    expect(Buffer.from(addressBytes(address)).toString('hex')).toBe(hex);
  });
});

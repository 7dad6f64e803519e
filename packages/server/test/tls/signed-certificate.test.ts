import { X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { Authority } from './authority.ts';

describe('a signed certificate', () => {
  const authority = new Authority('Test CA');
  const root = new X509Certificate(authority.cert);

  test('is one for node:crypto, signed by its authority', () => {
    const alternatives = [
      ['dns', 'one.example'],
      ['uri', 'urn:device:7'],
    ] as const;
    const { cert } = authority.issue({ names: ['sensor-1'], alternatives });
    const read = new X509Certificate(cert);
    expect(read.subject).toBe('CN=sensor-1');
    expect(read.issuer).toBe('CN=Test CA');
    expect(read.subjectAltName).toBe('DNS:one.example, URI:urn:device:7');
    expect(read.checkIssued(root)).toBe(true);
    expect(read.verify(root.publicKey)).toBe(true);
    expect(read.ca).toBe(false);
  });

  test('may be that of an authority', () => {
    expect(root.ca).toBe(true);
    expect(root.verify(root.publicKey)).toBe(true);
  });

  test('has a serial number of its own, positive and of one length', () => {
    const serials = Array.from({ length: 20 }, () => {
      return new X509Certificate(authority.issue({ names: ['a'] }).cert).serialNumber;
    });
    expect(new Set(serials).size).toBe(20);
    for (const serial of serials) expect(serial).toMatch(/^[4-7][0-9A-F]{31}$/);
  });
});

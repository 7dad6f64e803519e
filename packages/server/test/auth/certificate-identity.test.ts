import { X509Certificate } from 'node:crypto';
import { CodedError } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { identityOfCertificate } from '@trunkline/server/internal/auth/certificate-identity.ts';
import type {
  CertificateRules,
  ClientCertificate,
} from '@trunkline/server/internal/auth/certificate-identity.ts';
import { isGranted } from '@trunkline/server/internal/auth/identity.ts';
import type { Identity } from '@trunkline/server/internal/auth/identity.ts';
import { Authority } from '../tls/authority.ts';
import type { Wanted } from '../tls/authority.ts';

const authority = new Authority();

/** What node:tls tells of a certificate. */
function shown(wanted: Wanted): ClientCertificate {
  return new X509Certificate(authority.issue(wanted).cert).toLegacyObject();
}

function identify(certificate: ClientCertificate, rules: Partial<CertificateRules> = {}): Identity {
  const standing = { name: 'commonName', channels: {}, users: {}, nowMs: Date.now() } as const;
  return identityOfCertificate(certificate, { ...standing, ...rules });
}

function refusal(certificate: ClientCertificate, rules?: Partial<CertificateRules>): string {
  try {
    identify(certificate, rules);
  } catch (error) {
    if (error instanceof CodedError && error.code === 'unauthenticated') return error.message;
    throw error;
  }
  throw new Error('expected a refusal');
}

describe('the user of a client certificate', () => {
  test('[AUTH-12] has its common name, and ends with it', () => {
    const certificate = shown({ names: ['sensor-1'] });
    const identity = identify(certificate);
    const expiresAt = Date.parse(certificate.valid_to);
    expect(identity).toEqual({ kind: 'user', user: 'sensor-1', grants: new Map(), expiresAt });
    expect(refusal(certificate, { nowMs: expiresAt })).toContain('has expired');
    expect(identify(certificate, { nowMs: expiresAt - 1 }).user).toBe('sensor-1');
    expect(refusal({ ...certificate, valid_to: 'some day' })).toContain('has expired');
  });

  test('[AUTH-12] has the only alternative name of the kind that is configured', () => {
    const certificate = shown({
      names: ['not this one'],
      alternatives: [
        ['email', 'ann@example.org'],
        ['dns', 'sensor-1.example'],
        ['uri', 'spiffe://example.org/sensor/1'],
      ],
    });
    expect(identify(certificate, { name: 'dns' }).user).toBe('sensor-1.example');
    expect(identify(certificate, { name: 'uri' }).user).toBe('spiffe://example.org/sensor/1');
  });

  test.each<[string, Wanted, CertificateRules['name'], string]>([
    ['no common name', { alternatives: [['dns', 'a']] }, 'commonName', 'one common name, got 0'],
    ['two common names', { names: ['a', 'b'] }, 'commonName', 'one common name, got 2'],
    ['an empty name', { names: [''] }, 'commonName', 'a name that must not be empty'],
    ['a line break in its name', { names: ['a\nb'] }, 'commonName', 'control characters'],
    ['a NUL in its name', { names: ['admin\0.example'] }, 'commonName', 'control characters'],
    ['a long name', { names: ['a'.repeat(256)] }, 'commonName', 'at most 255 characters'],
    ['no alternative name', { names: ['a'] }, 'dns', 'of kind DNS, got 0'],
    ['one of another kind', { alternatives: [['uri', 'a:b']] }, 'dns', 'of kind DNS, got 0'],
    [
      'two of the kind',
      {
        alternatives: [
          ['dns', 'a'],
          ['dns', 'b'],
        ],
      },
      'dns',
      'of kind DNS, got 2',
    ],
  ])('is nobody with %s', (_what, wanted, name, message) => {
    expect(refusal(shown(wanted), { name })).toContain(message);
  });

  // A name may be written so that its text reads as several (CVE-2021-44532).
  test('is nobody else by a name that looks like several', () => {
    const sly = shown({ alternatives: [['uri', 'urn:x, DNS:admin']] });
    expect(sly.subjectaltname).toContain('DNS:admin');
    expect(refusal(sly, { name: 'dns' })).toContain('got 0');
    expect(identify(sly, { name: 'uri' }).user).toBe('urn:x, DNS:admin');
  });

  test.each(['DNS:a, ', 'DNS:"a', 'DNS', 'DNS:"\\x"', 'DNS:a,DNS:b', ', DNS:a', '"', 'DNS:a"b'])(
    'is nobody where the alternative names are %j',
    (subjectaltname) => {
      const certificate = { subject: {}, subjectaltname, valid_to: 'Dec 31 23:59:59 2037 GMT' };
      expect(refusal(certificate, { name: 'dns' })).toContain('can not be read');
    },
  );
});

describe('the grants of a client certificate', () => {
  const channels = { 'sensors/%u/#': ['publish' as const], 'all/%u/%u': ['subscribe' as const] };

  test('[AUTH-12] are those for all, with the user in them', () => {
    const ann = identify(shown({ names: ['ann'] }), { channels });
    expect([...ann.grants.keys()]).toEqual(['sensors/ann/#', 'all/ann/ann']);
    expect(isGranted(ann, 'publish', 'sensors/ann/1')).toBe(true);
    expect(isGranted(ann, 'publish', 'sensors/bob/1')).toBe(false);
  });

  test('[AUTH-12] are those of the user where the configuration knows her', () => {
    const users = { ann: { channels: { own: ['subscribe' as const] }, info: 7 }, bob: {} };
    const ann = identify(shown({ names: ['ann'] }), { channels, users });
    expect([...ann.grants.keys()]).toEqual(['own']);
    expect(ann.info).toBe(7);
    const bob = identify(shown({ names: ['bob'] }), { channels, users });
    expect([...bob.grants.keys()]).toEqual(['sensors/bob/#', 'all/bob/bob']);
    // What every object has is nobody's name.
    expect(identify(shown({ names: ['toString'] }), { users }).grants.size).toBe(0);
  });

  test.each(['#', '+', 'ann/1', '+/x', 'a#'])(
    '[AUTH-12] are none for %j, which would reach further than a segment',
    (name) => {
      const certificate = shown({ names: [name] });
      expect(refusal(certificate, { channels })).toContain('can not stand for %u');
      // Where it stands for nothing it is a name like any other.
      const plain = identify(certificate, { channels: { news: ['subscribe'] } });
      expect([...plain.grants.keys()]).toEqual(['news']);
      const users = { [name]: { channels: { own: ['publish' as const] } } };
      expect([...identify(certificate, { channels, users }).grants.keys()]).toEqual(['own']);
    },
  );

  test('take a name as it is, whatever signs it has', () => {
    const ann = identify(shown({ names: ['$&%u$1'] }), { channels });
    expect([...ann.grants.keys()][0]).toBe('sensors/$&%u$1/#');
  });

  test('are refused where the name makes a pattern too long', () => {
    const certificate = shown({ names: ['a'.repeat(255)] });
    expect(refusal(certificate, { channels })).toContain('at most 255 bytes');
  });
});

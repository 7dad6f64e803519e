import { describe, expect, test } from 'vitest';
import { ManualClock } from '@trunkline/testkit';
import { silentLog } from '@trunkline/server/internal/observe/log.ts';
import { CertificateFiles } from '@trunkline/server/internal/tls/certificate-files.ts';
import { createCertificate } from '@trunkline/server/internal/tls/create.ts';
import { DevelopmentCertificate } from '@trunkline/server/internal/tls/development-certificate.ts';

const PARTS = { host: 'localhost', clock: new ManualClock(), log: silentLog };

describe('createCertificate', () => {
  test('makes what the configuration asks for', () => {
    expect(createCertificate({ dev: false }, PARTS)).toBeUndefined();
    expect(createCertificate({ dev: true }, PARTS)).toBeInstanceOf(DevelopmentCertificate);
    const files = createCertificate({ cert: 'a', key: 'b', dev: false }, PARTS);
    expect(files).toBeInstanceOf(CertificateFiles);
  });
});

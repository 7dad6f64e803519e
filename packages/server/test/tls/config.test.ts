import { describe, expect, test } from 'vitest';
import { resolveConfig } from '@trunkline/server';

const CLIENTS = { clientCa: [], clientCertificate: 'none' };
const load = (tls: object) => resolveConfig({ file: { path: 'x', value: { tls } } }).config.tls;

describe('the configuration of TLS', () => {
  test('is off unless it is asked for', () => {
    expect(resolveConfig({}).config.tls).toEqual({ dev: false, ...CLIENTS });
  });

  test('takes a certificate with its key, or one made on the spot', () => {
    expect(load({ cert: 'a', key: 'b' })).toEqual({ cert: 'a', key: 'b', dev: false, ...CLIENTS });
    expect(load({ dev: true })).toEqual({ dev: true, ...CLIENTS });
    const env = { TRUNKLINE_TLS_CERT: 'a', TRUNKLINE_TLS_KEY: 'b' };
    expect(resolveConfig({ env }).config.tls).toMatchObject({ cert: 'a', key: 'b' });
  });

  test('takes authorities of client certificates', () => {
    const env = {
      TRUNKLINE_TLS_DEV: '1',
      TRUNKLINE_TLS_CLIENT_CA: 'a.pem, b.pem',
      TRUNKLINE_TLS_CLIENT_CERTIFICATE: 'require',
    };
    const clients = { clientCa: ['a.pem', 'b.pem'], clientCertificate: 'require' };
    expect(resolveConfig({ env }).config.tls).toMatchObject(clients);
  });

  test.each([
    ['a certificate alone', { cert: 'a' }, 'tls.key: must be given too'],
    ['a key alone', { key: 'a' }, 'tls.cert: must be given too'],
    [
      'client certificates without an authority',
      { dev: true, clientCertificate: 'require' },
      'tls.clientCa: must be given where tls.clientCertificate is require',
    ],
    [
      'an authority that nobody is held against',
      { dev: true, clientCa: ['ca.pem'] },
      'tls.clientCertificate: must be request or require',
    ],
    [
      'client certificates without TLS',
      { clientCa: ['ca.pem'], clientCertificate: 'request' },
      'tls.clientCertificate: needs TLS',
    ],
    ['both kinds', { cert: 'a', key: 'b', dev: true }, 'exclude each other'],
  ])('refuses %s', (_what, tls, message) => {
    expect(() => load(tls)).toThrow(message);
  });
});

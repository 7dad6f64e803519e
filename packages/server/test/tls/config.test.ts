import { describe, expect, test } from 'vitest';
import { resolveConfig } from '@trunkline/server';

const load = (tls: object) => resolveConfig({ file: { path: 'x', value: { tls } } }).config.tls;

describe('the configuration of TLS', () => {
  test('is off unless it is asked for', () => {
    expect(resolveConfig({}).config.tls).toEqual({ dev: false });
  });

  test('takes a certificate with its key, or one made on the spot', () => {
    expect(load({ cert: 'a', key: 'b' })).toEqual({ cert: 'a', key: 'b', dev: false });
    expect(load({ dev: true })).toEqual({ dev: true });
    const env = { TRUNKLINE_TLS_CERT: 'a', TRUNKLINE_TLS_KEY: 'b' };
    expect(resolveConfig({ env }).config.tls).toEqual({ cert: 'a', key: 'b', dev: false });
  });

  test.each([
    ['a certificate alone', { cert: 'a' }, 'tls.key: must be given too'],
    ['a key alone', { key: 'a' }, 'tls.cert: must be given too'],
    ['both kinds', { cert: 'a', key: 'b', dev: true }, 'exclude each other'],
  ])('refuses %s', (_what, tls, message) => {
    expect(() => load(tls)).toThrow(message);
  });
});

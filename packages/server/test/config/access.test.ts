import { describe, expect, test } from 'vitest';
import { isLoopback, resolveAccess } from '@trunkline/server/internal/config/access.ts';
import { ConfigError } from '@trunkline/server/internal/config/config-error.ts';
import { serverConfigSchema } from '@trunkline/server/internal/config/schema.ts';
import type { ServerConfigInput } from '@trunkline/server/internal/config/schema.ts';

const access = (input: ServerConfigInput) => resolveAccess(serverConfigSchema.parse(input));
const jwt = { jwtSecret: 'a secret' };

describe('access', () => {
  test.each<[string, ServerConfigInput, { development: boolean; anonymous: boolean }]>([
    ['loopback without auth', {}, { development: true, anonymous: true }],
    ['loopback without auth, dev off', { dev: false }, { development: false, anonymous: false }],
    ['loopback with auth', { auth: jwt }, { development: false, anonymous: false }],
    [
      'loopback with auth, dev on',
      { auth: jwt, dev: true },
      { development: true, anonymous: true },
    ],
    [
      'loopback with users alone',
      { auth: { users: { ann: {} } } },
      { development: false, anonymous: false },
    ],
    [
      'public with client certificates alone',
      {
        host: '0.0.0.0',
        tls: { dev: true, clientCa: ['ca.pem'], clientCertificate: 'request' },
      },
      { development: false, anonymous: false },
    ],
    ['public with auth', { host: '0.0.0.0', auth: jwt }, { development: false, anonymous: false }],
    [
      'public with auth and a public channel',
      { auth: jwt, namespaces: { 'scores/#': { allow: { anonymous: ['subscribe'] } } } },
      { development: false, anonymous: true },
    ],
    [
      'public without auth, insecure',
      { host: '0.0.0.0', auth: { insecure: true } },
      { development: false, anonymous: true },
    ],
    [
      'public with auth, insecure',
      { host: '0.0.0.0', auth: { ...jwt, insecure: true } },
      { development: false, anonymous: false },
    ],
  ])('%s', (_, input, expected) => {
    expect(access(input)).toMatchObject(expected);
  });

  test('opens nothing but what a namespace says to clients without a token', () => {
    const namespaces = { 'scores/#': { allow: { anonymous: ['subscribe' as const] } } };
    const { defaults, relaxed } = access({ auth: jwt, namespaces });
    expect(defaults.allow.anonymous).toEqual([]);
    expect(relaxed).toEqual([]);
  });

  test('says what is relaxed, and nothing when nothing is', () => {
    expect(access({}).relaxed.length).toBeGreaterThan(1);
    expect(access({ auth: jwt }).relaxed).toEqual([]);
  });

  test.each<[string, ServerConfigInput]>([
    ['no auth', { host: '0.0.0.0' }],
    ['no auth on any IPv6 address', { host: '::' }],
    ['development mode', { host: '192.0.2.1', dev: true, auth: jwt }],
  ])('refuses a public address with %s', (_, input) => {
    expect(() => access(input)).toThrow(ConfigError);
    expect(() => access(input)).toThrow(/--insecure/);
  });

  test.each([
    '127.0.0.1',
    '127.1.2.3',
    '::1',
    '[::1]',
    'localhost',
    'LOCALHOST',
    '::ffff:127.0.0.1',
  ])('%s is loopback', (host) => expect(isLoopback(host)).toBe(true));

  test.each([
    '0.0.0.0',
    '::',
    '10.0.0.1',
    '127.0.0.1.example.com',
    'localhost.example.com',
    '128.0.0.1',
  ])('%s is not loopback', (host) => expect(isLoopback(host)).toBe(false));
});

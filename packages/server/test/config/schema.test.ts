import { describe, expect, test } from 'vitest';
import { SERVER_SETTINGS } from '@trunkline/server/internal/config/load.ts';
import { defaultConfig, serverConfigSchema } from '@trunkline/server/internal/config/schema.ts';

describe('the configuration schema', () => {
  test('has the documented defaults', () => {
    const config = defaultConfig();
    expect(config).toMatchObject({
      host: '127.0.0.1',
      port: 8080,
      store: { keyWindowMs: 3_600_000, keysPerChannelMax: 10_000, metadataAgeMsMax: 2_592_000_000 },
      link: {
        helloMs: 10_000,
        pingIntervalMs: 25_000,
        pongMs: 10_000,
        frameBytesMax: 1_048_576,
        pendingBytesMax: 262_144,
        subscriptionsMax: 128,
        commandsPerSecondMax: 100,
      },
      poll: { waitingPerAddressMax: 1000 },
      drain: { windowMs: 10_000, deadlineMs: 30_000 },
    });
    expect(config.dev).toBeUndefined();
  });

  test('gives a new object each time', () => {
    expect(defaultConfig().auth.apiKeys).not.toBe(defaultConfig().auth.apiKeys);
  });

  test('describes every setting in one sentence that ends', () => {
    for (const setting of SERVER_SETTINGS) {
      expect(setting.description, setting.path.join('.')).toMatch(/^[A-Z/].*\.$/);
    }
  });

  test('names every environment variable and flag once', () => {
    const names = SERVER_SETTINGS.flatMap(({ env, flag }) => [env, flag?.split(' ')[0]]).filter(
      (name) => name !== undefined,
    );
    expect(new Set(names).size).toBe(names.length);
  });

  test('marks what must not be printed', () => {
    const secret = SERVER_SETTINGS.filter((setting) => setting.secret === true);
    expect(secret.map(({ path }) => path.join('.'))).toEqual([
      'secret',
      'auth.apiKeys',
      'auth.jwtSecret',
      'auth.users',
    ]);
  });

  test('counts durations and sizes in the unit that the name ends with', () => {
    for (const { path, unit, kind } of SERVER_SETTINGS) {
      const name = path.at(-1) ?? '';
      if (kind !== 'number') continue;
      expect(unit === 'ms', name).toBe(/Ms(?:Max)?$/.test(name));
      expect(unit === 's', name).toBe(name.endsWith('SecondsMax'));
      expect(unit === 'bytes', name).toBe(/Bytes(?:Max|Min)$/.test(name));
    }
  });

  test.each([
    ['a port beyond the last', { port: 65_536 }],
    ['a fraction of a millisecond', { link: { helloMs: 0.5 } }],
    ['a wildcard inside a segment', { namespaces: { 'room+': {} } }],
    ['an action that does not exist', { namespaces: { a: { allow: { user: ['fly'] } } } }],
    ['an empty secret', { secret: '' }],
  ])('refuses %s', (_, input) => {
    expect(serverConfigSchema.safeParse(input).success).toBe(false);
  });
});

import { resolveConfig } from '@trunkline/server/internal/config/load.ts';
import { describe, expect, test } from 'vitest';

const PASSWORD = `scrypt$1024$8$1$${'A'.repeat(22)}$${'A'.repeat(43)}`;
const load = (auth: object) => resolveConfig({ file: { path: 'x', value: { auth } } }).config.auth;

describe('the configuration of users', () => {
  test('is empty unless it is given, and certificates name by their common name', () => {
    expect(load({})).toMatchObject({
      users: {},
      certificates: { name: 'commonName', channels: {} },
    });
  });

  test('has passwords as hashes, grants as tokens have them, and info', () => {
    const users = {
      'sensor-1': {
        password: PASSWORD,
        channels: { 'sensors/sensor-1/#': ['publish'] },
        info: { room: 7 },
      },
      'by certificate alone': {},
    };
    expect(load({ users }).users).toEqual(users);
  });

  test('has %u where the user stands in the grants of certificates', () => {
    const certificates = { name: 'dns', channels: { 'sensors/%u/#': ['publish'], '%u': [] } };
    expect(load({ certificates }).certificates).toEqual(certificates);
  });

  test.each([
    ['a password in the clear', { users: { a: { password: 'hunter2' } } }, 'trunkline password'],
    ['a pattern that is none', { users: { a: { channels: { 'a/b#': [] } } } }, '# must be'],
    ['an action that is none', { users: { a: { channels: { a: ['fly'] } } } }, 'channels.a.0'],
    ['a user without a name', { users: { '': {} } }, 'must not be empty'],
    ['too much info', { users: { a: { info: 'x'.repeat(2000) } } }, 'at most 1024 bytes'],
    [
      'a slip of the keyboard',
      { users: { a: { pasword: 'x' } } },
      'did you mean auth.users.a.pass',
    ],
    [
      'a pattern of certificates that is none',
      { certificates: { channels: { '%u/#/a': [] } } },
      '# must be',
    ],
    [
      'a place for the user where users stand by name',
      { users: { a: { channels: { 'sensors/%u': [] } } } },
      'auth.users.a.channels.sensors/%u: has %u in auth.certificates alone',
    ],
    [
      'a place for the client identifier',
      { certificates: { channels: { 'sensors/%c': [] } } },
      '%c nowhere',
    ],
    ['a name that certificates lack', { certificates: { name: 'email' } }, 'commonName'],
  ])('refuses %s', (_what, auth, message) => {
    expect(() => load(auth)).toThrow(message);
  });

  test('shows nothing of a password that is refused', () => {
    expect(() => load({ users: { a: { password: 'hunter2' } } })).not.toThrow('hunter2');
  });
});

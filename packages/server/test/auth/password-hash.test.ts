import { describe, expect, test } from 'vitest';
import {
  hashPassword,
  matchesHash,
  parsePasswordHash,
  PASSWORD_COST,
  passwordFault,
  passwordHashFault,
  PASSWORD_BYTES_MAX,
} from '@trunkline/server/internal/auth/password-hash.ts';

const SALT = Buffer.from('0123456789abcdef').toString('base64url');
const HASH = Buffer.alloc(32, 7).toString('base64url');
const text = (N: unknown, r: unknown = 8, p: unknown = 1, salt = SALT, hash = HASH): string =>
  `scrypt$${String(N)}$${String(r)}$${String(p)}$${salt}$${hash}`;

describe('a password hash', () => {
  test('[AUTH-10] is of its password and of no other', async () => {
    const made = await hashPassword('correct horse', PASSWORD_COST.min);
    const known = parsePasswordHash(made);
    expect(await matchesHash('correct horse', known)).toBe(true);
    expect(await matchesHash('correct horse ', known)).toBe(false);
    expect(await matchesHash('', known)).toBe(false);
  });

  test('has a salt of its own, and the numbers it was made with', async () => {
    const [one, other] = await Promise.all([
      hashPassword('same', PASSWORD_COST.min),
      hashPassword('same', PASSWORD_COST.min),
    ]);
    expect(one).not.toBe(other);
    expect(one).toMatch(/^scrypt\$1024\$8\$5\$[\w-]{22}\$[\w-]{43}$/);
    expect(PASSWORD_COST.usual).toBe(16_384);
  });

  // RFC 7914 §12, the vector with N = 16384.
  test('is the scrypt of RFC 7914', async () => {
    const hash =
      '7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2' +
      'd5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887';
    const salt = Buffer.from('SodiumChloride').toString('base64url');
    const known = text(16_384, 8, 1, salt, Buffer.from(hash, 'hex').toString('base64url'));
    expect(await matchesHash('pleaseletmein', parsePasswordHash(known))).toBe(true);
  });

  test('may use all the memory that it may ask for', async () => {
    const known = parsePasswordHash(text(PASSWORD_COST.min, 32, 16));
    expect(await matchesHash('x', known)).toBe(false);
    expect(passwordHashFault(text(2 ** 18, 8))).toBeUndefined();
  });

  test.each([
    ['text in the clear', 'hunter2', 'must be like scrypt$N$r$p$salt$hash'],
    ['another scheme', '$2b$10$abcdefghijklmnopqrstuv', 'must be like scrypt'],
    ['a part too many', `${text(1024)}$x`, 'must be like scrypt'],
    ['a sign', text('-1024'), 'must be like scrypt'],
    ['N that is too cheap', text(512), `from ${PASSWORD_COST.min}`],
    ['N that is no power of two', text(1025), 'power of two'],
    ['N that is too much', text(PASSWORD_COST.max * 2), `to ${PASSWORD_COST.max}`],
    ['r of nothing', text(1024, 0), '1 to 32 as r, got 0'],
    ['r that is too much', text(1024, 33), 'as r'],
    ['p of nothing', text(1024, 8, 0), '1 to 16 as p, got 0'],
    ['p that is too much', text(1024, 8, 17), 'as p'],
    ['more memory than it may have', text(2 ** 18, 9), 'at most 268435456 bytes'],
    ['a short salt', text(1024, 8, 1, 'AAAA'), '8 to 64 bytes of salt, got 3'],
    ['a short hash', text(1024, 8, 1, SALT, 'AAAA'), '16 to 64 bytes of hash'],
    ['a long hash', text(1024, 8, 1, SALT, 'A'.repeat(88)), '16 to 64 bytes of hash, got 66'],
    ['a salt with bits to spare', text(1024, 8, 1, `${SALT.slice(0, -1)}h`), 'base64url'],
  ])('is not %s', (_what, given, fault) => {
    expect(passwordHashFault(given)).toContain(fault);
    expect(() => parsePasswordHash(given)).toThrow(fault);
  });

  test('is never part of what is said of it', () => {
    const fault = passwordHashFault(text(512)) ?? '';
    expect(fault).not.toContain(SALT);
    expect(fault).not.toContain(HASH);
  });
});

test('a password has one byte at least and a bounded number at most', () => {
  expect(passwordFault('')).toBe('must not be empty');
  expect(passwordFault('é'.repeat(PASSWORD_BYTES_MAX / 2))).toBeUndefined();
  expect(passwordFault(`${'é'.repeat(PASSWORD_BYTES_MAX / 2)}x`)).toContain('got 1025');
});

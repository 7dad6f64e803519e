import { DevelopmentGuard } from '@trunkline/server/internal/auth/development-guard.ts';
import { createOriginRules } from '@trunkline/server/internal/http/origin.ts';
import { describe, expect, test } from 'vitest';
import { headOf } from '../api/requests.ts';

const NAMED = 'https://app.example';
const guard = new DevelopmentGuard(createOriginRules({ allowed: [NAMED, '*'], development: true }));
const refusal = (headers: Record<string, string>) => guard.refusal(headOf({ headers }));

describe('DevelopmentGuard', () => {
  test.each([
    'localhost',
    'localhost:8080',
    '127.0.0.1:1',
    '[::1]:8080',
    'app.localhost:80',
    'LOCALHOST',
  ])('lets Host %s be', (host) => {
    expect(refusal({ host })).toBeUndefined();
  });

  test.each([
    'evil.example',
    'evil.example:8080',
    '192.168.1.7:8080',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'localhost@evil.example',
    'localhost, evil.example',
    'xlocalhost',
    '0.0.0.0:8080',
    '',
  ])('refuses Host %j, whatever it resolves to', (host) => {
    expect(refusal({ host })).toMatchObject({
      code: 'forbidden',
      message: expect.stringContaining('a Host of this machine'),
    });
  });

  test('refuses a request without a Host', () => {
    expect(guard.refusal({ ...headOf(), headers: {} })).toMatchObject({
      message: expect.stringContaining('got none'),
    });
  });

  test.each(['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via'])(
    'refuses what a proxy marked with %s',
    (name) => {
      expect(refusal({ [name]: 'for=192.0.2.1' })).toMatchObject({
        code: 'forbidden',
        message: expect.stringContaining('no proxy forwarded'),
      });
    },
  );

  test.each(['http://localhost:3000', 'https://127.0.0.1', 'http://[::1]:5173', NAMED])(
    'lets pages of %s be',
    (origin) => {
      expect(refusal({ origin })).toBeUndefined();
    },
  );

  test.each([
    'https://evil.example',
    'http://localhost.evil.example',
    'null',
    '',
    'file://',
    'http://localhost:3000, https://evil.example',
    'chrome-extension://localhost',
  ])('refuses pages of %j, even if all origins may ask', (origin) => {
    expect(refusal({ origin })).toMatchObject({
      code: 'forbidden',
      message: expect.stringContaining('pages of this machine'),
    });
  });
});

import {
  ANONYMOUS,
  Authenticator,
  tokenSecret,
} from '@trunkline/server/internal/auth/authenticator.ts';
import type { Authentication } from '@trunkline/server/internal/auth/authenticator.ts';
import type { AuthOptions } from '@trunkline/server/internal/auth/config.ts';
import { hashPassword } from '@trunkline/server/internal/auth/password-hash.ts';
import { mintToken } from '@trunkline/server/internal/auth/tokens.ts';
import { ManualClock } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';
import { headOf } from '../api/requests.ts';

const SECRET = 'a secret of at least thirty-two bytes';
const API_KEY = 'key-of-an-application';
const OWN = 'https://app.example';

/** Of the password `correct`. */
const HASH = await hashPassword('correct', 1024);

const CLOSED: AuthOptions = {
  development: false,
  apiKeys: ['another-key', API_KEY],
  jwtSecret: SECRET,
  secret: 'node',
};

function setUp(options: Partial<AuthOptions> = {}) {
  const clock = new ManualClock();
  const authenticator = new Authenticator(
    { ...CLOSED, ...options },
    { clock, origins: { isTrusted: (head) => head.headers['origin'] === OWN } },
  );
  const token = async (user: string): Promise<string> =>
    (await mintToken(SECRET, { user, lifeMs: 60_000 }, clock)).token;
  return { clock, authenticator, token };
}

function refusal(authentication: unknown, message: string, code = 'unauthenticated'): void {
  expect(authentication).toMatchObject({
    kind: 'refused',
    error: { code, message: expect.stringContaining(message) },
  });
}

const user = (name: string): unknown =>
  expect.objectContaining({ kind: 'identity', identity: expect.objectContaining({ user: name }) });
const NOBODY: Authentication = { kind: 'none' };
const STRANGER: Authentication = { kind: 'identity', identity: ANONYMOUS };

describe('Authenticator.fromRequest', () => {
  test('knows nobody without a token where strangers are not let in', () => {
    const { authenticator } = setUp();
    expect(authenticator.mayAnonymous).toBe(false);
    expect(authenticator.fromRequest(headOf())).toEqual(NOBODY);
  });

  test('answers at once for strangers where they are let in', () => {
    for (const options of [{ development: true }, { anonymous: true }]) {
      const { authenticator } = setUp(options);
      expect(authenticator.mayAnonymous).toBe(true);
      expect(authenticator.fromRequest(headOf())).toEqual(STRANGER);
    }
    expect(setUp({ development: true, anonymous: false }).authenticator.mayAnonymous).toBe(false);
  });

  test('takes a token in each place', async () => {
    const { authenticator, token } = setUp();
    const alice = await token('alice');
    const cookie = `trunkline_token=${alice}`;
    const heads = [
      headOf({ headers: { authorization: `Bearer ${alice}` } }),
      headOf({ url: `/v1/ws?access_token=${alice}` }),
      headOf({ headers: { cookie, origin: OWN } }),
    ];
    for (const head of heads) expect(await authenticator.fromRequest(head)).toEqual(user('alice'));
  });

  test('answers at once for a token it has seen', async () => {
    const { authenticator, token } = setUp();
    const head = headOf({ headers: { authorization: `Bearer ${await token('alice')}` } });
    await authenticator.fromRequest(head);
    expect(authenticator.fromRequest(head)).toEqual(user('alice'));
  });

  test('lets a cookie count only with an allowed origin', async () => {
    const { authenticator, token } = setUp();
    const cookie = `trunkline_token=${await token('alice')}`;
    expect(authenticator.fromRequest(headOf({ headers: { cookie } }))).toEqual(NOBODY);
    const foreign = headOf({ headers: { cookie, origin: 'https://evil.example' } });
    expect(authenticator.fromRequest(foreign)).toEqual(NOBODY);
    // Where strangers are let in, that is what it is then.
    const open = setUp({ anonymous: true }).authenticator;
    expect(open.fromRequest(foreign)).toEqual(STRANGER);
  });

  test('refuses a bad token even where strangers are let in', async () => {
    const { authenticator, token, clock } = setUp({ anonymous: true });
    const head = headOf({ headers: { authorization: 'Bearer garbage' } });
    refusal(await authenticator.fromRequest(head), 'not a signed JWT');
    const alice = await token('alice');
    clock.advance(61_000);
    refusal(await authenticator.fromRequest(headOf({ url: `/?access_token=${alice}` })), 'expired');
    refusal(
      authenticator.fromRequest(headOf({ headers: { authorization: 'Bearer' } })),
      'no token',
    );
  });

  test('takes an API key as bearer, at once', () => {
    const { authenticator } = setUp();
    for (const key of [API_KEY, 'another-key']) {
      const head = headOf({ headers: { authorization: `Bearer ${key}` } });
      expect(authenticator.fromRequest(head)).toMatchObject({ identity: { kind: 'server' } });
    }
  });

  test('refuses what is nearly an API key', async () => {
    const { authenticator } = setUp();
    for (const key of [API_KEY.slice(1), `${API_KEY}x`, API_KEY.toUpperCase()]) {
      const head = headOf({ headers: { authorization: `Bearer ${key}` } });
      refusal(await authenticator.fromRequest(head), 'not a signed JWT');
    }
  });

  test('refuses an API key in a URL or a cookie', () => {
    const { authenticator } = setUp();
    const inUrl = headOf({ url: `/?access_token=${API_KEY}` });
    refusal(authenticator.fromRequest(inUrl), 'an API key goes in the Authorization header');
    const headers = { cookie: `trunkline_token=${API_KEY}`, origin: OWN };
    refusal(authenticator.fromRequest(headOf({ headers })), 'an API key goes');
  });

  test('refuses tokens where none can be checked', () => {
    const { authenticator } = setUp();
    const { jwtSecret: _, ...withoutSecret } = CLOSED;
    const keysOnly = new Authenticator(withoutSecret, {
      clock: new ManualClock(),
      origins: { isTrusted: () => false },
    });
    refusal(keysOnly.fromToken('a.b.c'), 'no JWT secret configured');
    expect(authenticator.fromToken(API_KEY)).toMatchObject({ identity: { kind: 'server' } });
  });
});

describe('Authenticator in development mode', () => {
  test('has a token secret of its own unless one is configured', async () => {
    const options: AuthOptions = { development: true, secret: 'node' };
    const clock = new ManualClock();
    const authenticator = new Authenticator(options, {
      clock,
      origins: { isTrusted: () => false },
    });
    const secret = tokenSecret(options) ?? '';
    const { token } = await mintToken(secret, { user: 'alice', lifeMs: 60_000 }, clock);
    expect(await authenticator.fromToken(token)).toEqual(user('alice'));
    expect(tokenSecret({ ...options, secret: 'other node' })).not.toBe(secret);
    expect(tokenSecret({ ...options, jwtSecret: SECRET })).toBe(SECRET);
    expect(tokenSecret({ ...options, development: false })).toBeUndefined();
  });
});

describe('Authenticator.fromTicket', () => {
  test('brings an identity back, at another node too', async () => {
    const { authenticator, token } = setUp();
    const found = await authenticator.fromToken(await token('alice'));
    if (found.kind !== 'identity') throw new Error('expected an identity');
    const ticket = authenticator.ticketFor(found.identity);
    const other = setUp().authenticator;
    expect(other.fromTicket(ticket)).toEqual(found);
  });

  test('lets strangers come back only where strangers are let in', () => {
    const ticket = setUp({ anonymous: true }).authenticator.ticketFor(ANONYMOUS);
    expect(setUp({ anonymous: true }).authenticator.fromTicket(ticket)).toEqual(STRANGER);
    expect(setUp().authenticator.fromTicket(ticket)).toEqual(NOBODY);
  });

  test('refuses what is no ticket', () => {
    refusal(setUp().authenticator.fromTicket('r1.x.y'), 'resume');
  });
});

describe('Authenticator.fromLogin', () => {
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  const login = (name: string, password: string) => ({ user: name, password: bytes(password) });

  test('[AUTH-9] takes a token or an API key for a password', async () => {
    const { authenticator, token } = setUp();
    const alice = bytes(await token('alice'));
    expect(await authenticator.fromLogin({ password: alice })).toEqual(user('alice'));
    expect(await authenticator.fromLogin({ user: '', password: alice })).toEqual(user('alice'));
    expect(await authenticator.fromLogin({ user: 'alice', password: alice })).toEqual(
      user('alice'),
    );
    const key = login('any name', API_KEY);
    expect(authenticator.fromLogin(key)).toMatchObject({ identity: { kind: 'server' } });
  });

  test('[AUTH-9] refuses a token beside the name of somebody else, also one it has seen', async () => {
    const { authenticator, token } = setUp();
    const password = bytes(await token('alice'));
    for (let count = 0; count < 2; count += 1) {
      refusal(
        await authenticator.fromLogin({ user: 'bob', password }),
        'must be that of the token',
      );
    }
    expect(authenticator.fromLogin({ password })).toEqual(user('alice'));
    expect(authenticator.refusedCounts.get('unauthenticated')).toBe(2);
  });

  test('[AUTH-10] takes the name and password of a user of the configuration', async () => {
    const { authenticator } = setUp({ users: { 'sensor-1': { password: HASH } } });
    expect(await authenticator.fromLogin(login('sensor-1', 'correct'))).toEqual(user('sensor-1'));
    expect(authenticator.fromLogin(login('sensor-1', 'correct'))).toEqual(user('sensor-1'));
    refusal(await authenticator.fromLogin(login('sensor-1', 'wrong')), 'or the password is wrong');
    refusal(await authenticator.fromLogin(login('sensor-2', 'correct')), 'password is wrong');
    refusal(await authenticator.fromLogin({ password: bytes('correct') }), 'password is wrong');
  });

  test('takes a bad token for a bad token, never for a password', async () => {
    const { authenticator, token } = setUp({ users: { 'sensor-1': { password: HASH } } });
    const [head = '', body = ''] = (await token('sensor-1')).split('.');
    const forged = login('sensor-1', `${head}.${body}.c2lnbmVk`);
    refusal(await authenticator.fromLogin(forged), 'not signed with the configured key');
  });

  test('[AUTH-9] lets in whoever shows no password only where strangers are let in', () => {
    expect(setUp().authenticator.fromLogin({})).toEqual(NOBODY);
    expect(setUp().authenticator.fromLogin({ user: 'alice' })).toEqual(NOBODY);
    const open = setUp({ anonymous: true }).authenticator;
    expect(open.fromLogin({ user: 'alice' })).toEqual(STRANGER);
    refusal(open.fromLogin({ password: bytes('') }), 'nobody has a password here');
    refusal(open.fromLogin(login('alice', 'x')), 'nobody has a password here');
  });

  test('[AUTH-9] refuses a password that is no text', () => {
    const { authenticator } = setUp();
    refusal(authenticator.fromLogin({ password: Uint8Array.of(0xff) }), 'must be UTF-8');
  });
});

describe('Authenticator.fromCertificate', () => {
  const certificate = { subject: { CN: 'sensor-1' }, valid_to: 'Dec 31 23:59:59 2037 GMT' };

  test('[AUTH-12] knows the user that it names', () => {
    const channels = { 'sensors/%u/#': ['publish' as const] };
    const { authenticator } = setUp({ certificates: { name: 'commonName', channels } });
    expect(authenticator.fromCertificate(certificate)).toMatchObject({
      identity: { user: 'sensor-1', grants: new Map([['sensors/sensor-1/#', expect.anything()]]) },
    });
  });

  test('refuses one that is over or names nobody, and counts it', () => {
    const { authenticator } = setUp();
    const over = { ...certificate, valid_to: 'Jan  1 00:00:00 2020 GMT' };
    refusal(authenticator.fromCertificate(over), 'has expired');
    refusal(authenticator.fromCertificate({ ...certificate, subject: {} }), 'one common name');
    expect(authenticator.refusedCounts.get('unauthenticated')).toBe(2);
  });
});

test('an authenticator counts what it refused', async () => {
  const { authenticator } = setUp();
  await authenticator.fromToken('no token');
  authenticator.fromTicket('r1.x.y');
  void authenticator.fromRequest(headOf());
  expect([...authenticator.refusedCounts]).toEqual([['unauthenticated', 2]]);
});

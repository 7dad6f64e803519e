import { createHmac } from 'node:crypto';
import {
  TokenVerifier,
  mintToken,
  sharedSecretKeys,
} from '@trunkline/server/internal/auth/tokens.ts';
import { ManualClock } from '@trunkline/testkit';
import { SignJWT, generateKeyPair } from 'jose';
import { beforeEach, describe, expect, test } from 'vitest';

const SECRET = 'a secret of at least thirty-two bytes';
const key = new TextEncoder().encode(SECRET);

/** A token made by hand, so that it may be as wrong as a test wants. */
function forge(header: unknown, payload: unknown, secret = SECRET): string {
  const part = (value: unknown): string =>
    Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
  const signed = `${part(header)}.${part(payload)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

function refusedWith(message: string): unknown {
  return expect.objectContaining({
    code: 'unauthenticated',
    message: expect.stringContaining(message),
  });
}

describe('TokenVerifier', () => {
  let clock: ManualClock;
  let verifier: TokenVerifier;
  let seconds: number;

  beforeEach(() => {
    clock = new ManualClock();
    verifier = new TokenVerifier(sharedSecretKeys(SECRET), clock);
    seconds = Math.floor(clock.unixMs() / 1000);
  });

  const verify = async (token: string): Promise<unknown> => verifier.verify(token);

  test('takes a token that another library could have made', async () => {
    const token = forge({ alg: 'HS256' }, { sub: 'alice', exp: seconds + 60, iat: seconds, x: 1 });
    await expect(verify(token)).resolves.toEqual({
      kind: 'user',
      user: 'alice',
      grants: new Map(),
      expiresAt: (seconds + 60) * 1000,
    });
  });

  test('reads what others may see of the user, and refuses too much of it [AUTH-8]', async () => {
    const info = { name: 'Ada' };
    const token = forge({ alg: 'HS256' }, { sub: 'alice', info });
    await expect(verify(token)).resolves.toMatchObject({ user: 'alice', info });
    const large = forge({ alg: 'HS256' }, { sub: 'alice', info: 'x'.repeat(2_000) });
    await expect(verify(large)).rejects.toThrow(refusedWith('info must have at most 1024 bytes'));
  });

  test('takes a token without an end', async () => {
    const identity = await verifier.verify(forge({ alg: 'HS256' }, { sub: 'alice' }));
    expect(identity.expiresAt).toBeUndefined();
  });

  test.each([
    ['nothing', ''],
    ['a word', 'token'],
    ['dots', '..'],
    ['four parts', 'a.b.c.d'],
    ['an encrypted token', 'a.b.c.d.e'],
    ['no JSON', forge('{', '}')],
    ['an array as payload', forge({ alg: 'HS256' }, [1])],
    ['a string as payload', forge({ alg: 'HS256' }, '"alice"')],
    ['no algorithm', forge({}, { sub: 'alice' })],
    ['an unknown critical header', forge({ alg: 'HS256', crit: ['x'], x: 1 }, { sub: 'alice' })],
    ['bytes that are no text', `${'ÿ'.repeat(20)}.${'ÿ'.repeat(20)}.ÿ`],
  ])('refuses %s', async (_, token) => {
    await expect(verify(token)).rejects.toThrow(refusedWith('token'));
  });

  test('refuses a token without a signature, however it spells "none"', async () => {
    for (const alg of ['none', 'None', 'NONE', '']) {
      const [header, payload] = forge({ alg }, { sub: 'alice' }).split('.');
      await expect(verify(`${header}.${payload}.`)).rejects.toThrow(refusedWith('token'));
      await expect(verify(forge({ alg }, { sub: 'alice' }))).rejects.toThrow(refusedWith('token'));
    }
  });

  test('refuses other algorithms, even with the right key', async () => {
    for (const alg of ['HS384', 'HS512']) {
      const token = await new SignJWT({ sub: 'a' })
        .setProtectedHeader({ alg })
        .sign(new Uint8Array([...key, ...key]));
      await expect(verify(token)).rejects.toThrow(refusedWith('must be signed with HS256'));
    }
    const { privateKey } = await generateKeyPair('ES256');
    const token = await new SignJWT({ sub: 'a' })
      .setProtectedHeader({ alg: 'ES256' })
      .sign(privateKey);
    await expect(verify(token)).rejects.toThrow(refusedWith('must be signed with HS256'));
  });

  test('refuses another key and a changed payload', async () => {
    const good = forge({ alg: 'HS256' }, { sub: 'alice' });
    const [header, , signature] = good.split('.');
    const payload = forge({ alg: 'HS256' }, { sub: 'mallory' }).split('.')[1];
    const message = 'not signed with the configured key';
    await expect(verify(`${header}.${payload}.${signature}`)).rejects.toThrow(refusedWith(message));
    const foreign = forge({ alg: 'HS256' }, { sub: 'alice' }, 'another');
    await expect(verify(foreign)).rejects.toThrow(refusedWith(message));
  });

  test('ends a token at its end, without tolerance', async () => {
    const token = forge({ alg: 'HS256' }, { sub: 'alice', exp: seconds + 10 });
    await verify(token);
    clock.advance((seconds + 10) * 1000 - clock.unixMs() - 1);
    await expect(verify(token)).resolves.toMatchObject({ user: 'alice' });
    clock.advance(1);
    await expect(verify(token)).rejects.toThrow(refusedWith('expired'));
    // And the same for whoever did not verify it before.
    verifier = new TokenVerifier(sharedSecretKeys(SECRET), clock);
    await expect(verify(token)).rejects.toThrow(refusedWith('expired'));
    clock.advance(60_000);
    await expect(verify(token)).rejects.toThrow(refusedWith('expired'));
  });

  test('lets the clock of the issuer be a little ahead, and no more', async () => {
    const token = (nbf: number): string => forge({ alg: 'HS256' }, { sub: 'alice', nbf });
    await expect(verify(token(seconds + 5))).resolves.toMatchObject({ user: 'alice' });
    await expect(verify(token(seconds + 7))).rejects.toThrow(refusedWith('not valid yet'));
  });

  test('refuses claims that it does not understand', async () => {
    for (const claims of [
      { sub: 'a', exp: 'soon' },
      { sub: 'a', channels: { room: ['admin'] } },
      { channels: {} },
    ]) {
      await expect(verify(forge({ alg: 'HS256' }, claims))).rejects.toThrow(refusedWith(''));
    }
  });

  test('refuses a token that is too long before it looks at it', async () => {
    await expect(verify('x'.repeat(16_385))).rejects.toThrow(refusedWith('at most 16384'));
  });

  test('answers at once for a token that it knows, with the same identity', async () => {
    const token = forge({ alg: 'HS256' }, { sub: 'alice', exp: seconds + 60 });
    const first = verifier.verify(token);
    expect(first).toBeInstanceOf(Promise);
    const identity = await first;
    expect(verifier.verify(token)).toBe(identity);
  });

  test('remembers no more than its bound, the newest, and nothing that was refused', async () => {
    verifier = new TokenVerifier(sharedSecretKeys(SECRET), clock, 2);
    const [a, b, c] = ['a', 'b', 'c'].map((sub) => forge({ alg: 'HS256' }, { sub }));
    for (const token of [a, b, c]) await verify(token ?? '');
    expect(verifier.verify(b ?? '')).not.toBeInstanceOf(Promise);
    expect(verifier.verify(c ?? '')).not.toBeInstanceOf(Promise);
    await expect(verifier.verify(a ?? '')).resolves.toMatchObject({ user: 'a' });
    const bad = forge({ alg: 'HS256' }, { sub: 'd' }, 'other');
    await expect(verify(bad)).rejects.toThrow();
    expect(verifier.verify(c ?? '')).not.toBeInstanceOf(Promise);
    await expect(verify(bad)).rejects.toThrow();
  });

  test('takes a key chosen by the header, so that key sets can come', async () => {
    const { privateKey, publicKey } = await generateKeyPair('EdDSA');
    verifier = new TokenVerifier({ algorithms: ['EdDSA'], key: () => publicKey }, clock);
    const token = await new SignJWT({ sub: 'alice' })
      .setProtectedHeader({ alg: 'EdDSA', kid: '1' })
      .sign(privateKey);
    await expect(verify(token)).resolves.toMatchObject({ user: 'alice' });
    await expect(verify(forge({ alg: 'HS256' }, { sub: 'a' }))).rejects.toThrow(
      refusedWith('EdDSA'),
    );
  });
});

describe('mintToken', () => {
  test('makes what the verifier takes, until the end it tells', async () => {
    const clock = new ManualClock();
    const verifier = new TokenVerifier(sharedSecretKeys(SECRET), clock);
    const grants = new Map([['room/+', new Set(['subscribe', 'publish'] as const)]]);
    const { token, expires } = await mintToken(
      SECRET,
      { user: 'jörg', info: ['J'], grants, lifeMs: 1_500 },
      clock,
    );
    await expect(verifier.verify(token)).resolves.toEqual({
      kind: 'user',
      user: 'jörg',
      info: ['J'],
      grants,
      expiresAt: expires,
    });
    expect(expires - clock.unixMs()).toBeGreaterThanOrEqual(1_500);
    expect(expires - clock.unixMs()).toBeLessThan(2_500);
  });
});

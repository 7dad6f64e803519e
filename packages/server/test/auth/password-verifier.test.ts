import { CodedError } from '@trunkline/wire';
import { ManualClock } from '@trunkline/testkit';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  PASSWORD_CHECKS_MAX,
  PASSWORDS_WAITING_MAX,
  PASSWORDS_WAITING_PER_ADDRESS_MAX,
  VERIFIED_PASSWORD_MS,
  VERIFIED_PASSWORDS_MAX,
} from '@trunkline/server/internal/auth/config.ts';
import { hashPassword, PASSWORD_BYTES_MAX } from '@trunkline/server/internal/auth/password-hash.ts';
import type { PasswordHash } from '@trunkline/server/internal/auth/password-hash.ts';
import { PasswordVerifier } from '@trunkline/server/internal/auth/password-verifier.ts';

/** One check of a password, which the test ends when it likes. */
interface Check {
  readonly password: string;
  readonly known: PasswordHash;
  end(isRight: boolean): void;
  fail(error: Error): void;
}

let hashes: readonly string[];
beforeAll(async () => {
  hashes = await Promise.all(['a', 'b', 'c'].map((password) => hashPassword(password, 1024)));
});

function setUp(users?: ConstructorParameters<typeof PasswordVerifier>[0]) {
  const clock = new ManualClock();
  const checks: Check[] = [];
  const [ann = '', bob = '', eve = ''] = hashes;
  const verifier = new PasswordVerifier(
    users ?? { ann: { password: ann }, bob: { password: bob }, eve: { password: eve } },
    {
      clock,
      secret: 'node',
      matches: (password, known) =>
        new Promise<boolean>((end, fail) => checks.push({ password, known, end, fail })),
    },
  );
  const verify = async (user: string, password: string) => verifier.verify(user, password);
  return { clock, checks, verifier, verify };
}

/** Lets promises go on that wait for nothing else. */
const endOfTurn = () => new Promise((resolve) => setImmediate(resolve));

const CODE = (code: string) => expect.objectContaining({ code });

describe('PasswordVerifier', () => {
  test('[AUTH-10] knows who has the password, with what the configuration grants', async () => {
    const [password = ''] = hashes;
    const channels = { 'sensors/ann/#': ['publish' as const] };
    const users = { ann: { password, channels, info: { name: 'Ann' } } };
    const verifier = new PasswordVerifier(users, { clock: new ManualClock(), secret: 'node' });
    expect(await verifier.verify('ann', 'a')).toEqual({
      kind: 'user',
      user: 'ann',
      info: { name: 'Ann' },
      grants: new Map([['sensors/ann/#', new Set(['publish'])]]),
    });
    await expect(verifier.verify('ann', 'b')).rejects.toEqual(CODE('unauthenticated'));
    await expect(verifier.verify('Ann', 'a')).rejects.toEqual(CODE('unauthenticated'));
  });

  test('[AUTH-10] tells a wrong name from a wrong password in nothing', async () => {
    const { checks, verify } = setUp();
    const known = verify('ann', 'guess');
    const unknown = verify('mallory', 'guess');
    expect(checks).toHaveLength(2);
    for (const check of checks) check.end(false);
    const errors = await Promise.all([known, unknown].map((one) => one.catch((error) => error)));
    expect(errors[0]).toEqual(errors[1]);
    expect(String(errors[0])).toContain('the user name or the password is wrong');
  });

  test('lets nobody in by a name that is unknown, whatever the check says', async () => {
    const { checks, verify } = setUp();
    for (const name of ['mallory', '', '__proto__', 'constructor']) {
      const login = verify(name, 'a');
      checks.pop()?.end(true);
      await expect(login).rejects.toEqual(CODE('unauthenticated'));
      // And does not remember that either.
      const again = verify(name, 'a');
      expect(checks).toHaveLength(1);
      checks.pop()?.end(true);
      await expect(again).rejects.toEqual(CODE('unauthenticated'));
    }
  });

  test('checks an unknown name against the same hash every time, and not all against one', async () => {
    const { checks, verify } = setUp();
    const standIn = async (name: string): Promise<PasswordHash | undefined> => {
      const login = verify(name, 'x');
      const check = checks.pop();
      check?.end(false);
      await login.catch(() => {});
      return check?.known;
    };
    const names = Array.from({ length: 30 }, (_, index) => `unknown-${index}`);
    const first = [];
    for (const name of names) first.push(await standIn(name));
    const second = [];
    for (const name of names) second.push(await standIn(name));
    expect(second).toEqual(first);
    expect(new Set(first).size).toBe(3);
  });

  test('[AUTH-11] answers at once for a password it found right, for some minutes', async () => {
    const { checks, clock, verifier, verify } = setUp();
    const login = verify('ann', 'a');
    checks[0]?.end(true);
    const ann = await login;
    clock.advance(VERIFIED_PASSWORD_MS - 1);
    expect(verifier.verify('ann', 'a')).toBe(ann);
    void verify('ann', 'b').catch(() => {});
    void verify('bob', 'a').catch(() => {});
    expect(checks).toHaveLength(3);
    clock.advance(1);
    expect(verifier.verify('ann', 'a')).toBeInstanceOf(Promise);
    expect(checks.length).toBeGreaterThanOrEqual(PASSWORD_CHECKS_MAX);
  });

  test('remembers no password that was wrong', async () => {
    const { checks, verify } = setUp();
    for (let count = 0; count < 2; count += 1) {
      const login = verify('ann', 'b');
      expect(checks).toHaveLength(count + 1);
      checks[count]?.end(false);
      await expect(login).rejects.toEqual(CODE('unauthenticated'));
    }
  });

  test('forgets the oldest of more than it may remember', async () => {
    const [password = ''] = hashes;
    const names = Array.from({ length: VERIFIED_PASSWORDS_MAX + 1 }, (_, index) => `u${index}`);
    const users = Object.fromEntries(names.map((name) => [name, { password }]));
    const verifier = new PasswordVerifier(users, {
      clock: new ManualClock(),
      secret: 'node',
      matches: () => Promise.resolve(true),
    });
    for (const name of names) await verifier.verify(name, 'a');
    expect(verifier.verify('u1', 'a')).not.toBeInstanceOf(Promise);
    expect(verifier.verify('u0', 'a')).toBeInstanceOf(Promise);
  });

  test('lets those who ask for the same share one check', async () => {
    const { checks, verify } = setUp();
    const logins = Array.from({ length: 1000 }, () => verify('ann', 'a'));
    expect(checks).toHaveLength(1);
    checks[0]?.end(true);
    const identities = new Set(await Promise.all(logins));
    expect(identities.size).toBe(1);
  });

  test('[AUTH-11] checks few at a time, in the order they came, and lets a bounded number wait', async () => {
    const { checks, verify } = setUp();
    const most = PASSWORD_CHECKS_MAX + PASSWORDS_WAITING_MAX;
    const logins = Array.from({ length: most }, (_, index) => verify('ann', `guess ${index}`));
    for (const login of logins) login.catch(() => {});
    expect(checks).toHaveLength(PASSWORD_CHECKS_MAX);
    await expect(verify('bob', 'b')).rejects.toMatchObject({
      code: 'unavailable',
      retryAfter: expect.any(Number),
    });
    for (let index = 0; index < most; index += 1) {
      const check = checks[index];
      expect(check?.password).toBe(`guess ${index}`);
      check?.end(false);
      await endOfTurn();
      expect(checks.length).toBe(Math.min(most, index + 1 + PASSWORD_CHECKS_MAX));
    }
    // All places are free again.
    void verify('bob', 'b').catch(() => {});
    expect(checks).toHaveLength(most + 1);
  });

  test('says nothing of a password whose check failed, and gives its place to the next one', async () => {
    const { checks, verify } = setUp();
    const logins = ['1', '2', '3', '4'].map((guess) => verify('ann', guess));
    for (const login of logins) login.catch(() => {});
    checks[0]?.fail(new Error('no memory'));
    checks[1]?.fail(new Error('no memory'));
    await expect(logins[0]).rejects.toEqual(CODE('unavailable'));
    await endOfTurn();
    expect(checks.map(({ password }) => password)).toEqual(['1', '2', '3', '4']);
  });

  test('makes no work of what is no password, and where nobody has one', () => {
    const { checks, verifier } = setUp();
    for (const password of ['', 'x'.repeat(PASSWORD_BYTES_MAX + 1)]) {
      for (const user of ['ann', 'mallory']) {
        expect(() => verifier.verify(user, password)).toThrow(CodedError);
      }
    }
    const nobody = setUp({ gate: { channels: {} } });
    expect(() => nobody.verifier.verify('gate', 'a')).toThrow('nobody has a password here');
    expect([...checks, ...nobody.checks]).toEqual([]);
  });

  test('lets nobody in by a password who has none, at the cost of a wrong one', async () => {
    const [password = ''] = hashes;
    const { checks, verify } = setUp({ gate: {}, ann: { password } });
    const login = verify('gate', 'a');
    checks[0]?.end(true);
    await expect(login).rejects.toEqual(CODE('unauthenticated'));
  });

  test('[AUTH-11] lets one address wait for so many that others have room', async () => {
    const { checks, verifier } = setUp();
    const ask = async (password: string, address: string) =>
      verifier.verify('ann', password, address);
    const asked = Array.from({ length: 200 }, (_, index) => ask(`wrong ${index}`, 'eve'));
    const outcomes = asked.map((one) => one.catch((error: CodedError) => error.code));
    const other = ask('a', 'ann');
    await endOfTurn();
    for (let ended = 0; ended < checks.length; ended += 1) {
      checks[ended]?.end(checks[ended]?.password === 'a');
      await endOfTurn();
    }
    expect(await other).toMatchObject({ user: 'ann' });
    const codes = await Promise.all(outcomes);
    const busy = codes.filter((code) => code === 'unavailable');
    expect(busy).toHaveLength(200 - PASSWORD_CHECKS_MAX - PASSWORDS_WAITING_PER_ADDRESS_MAX);
    // Who has waited has room again.
    const again = ask('wrong', 'eve');
    await endOfTurn();
    checks.at(-1)?.end(false);
    await expect(again).rejects.toEqual(CODE('unauthenticated'));
  });
});

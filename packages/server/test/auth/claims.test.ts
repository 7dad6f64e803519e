import {
  claimFromGrants,
  grantsFromClaim,
  identityFromClaims,
  INFO_BYTES_MAX,
  userFault,
} from '@trunkline/server/internal/auth/claims.ts';
import { isGranted } from '@trunkline/server/internal/auth/identity.ts';
import { describe, expect, test } from 'vitest';

describe('identityFromClaims', () => {
  test('reads user, end and grants', () => {
    const identity = identityFromClaims({
      sub: 'alice',
      exp: 1_900_000_000.5,
      channels: { 'room/+': ['subscribe', 'publish'], '@bob': ['history'] },
    });
    expect(identity).toMatchObject({ kind: 'user', user: 'alice', expiresAt: 1_900_000_000_500 });
    expect(isGranted(identity, 'publish', 'room/1')).toBe(true);
    expect(isGranted(identity, 'history', 'room/1')).toBe(false);
    expect(isGranted(identity, 'history', '@bob')).toBe(true);
  });

  test('grants nothing without a channels claim', () => {
    const identity = identityFromClaims({ sub: 'alice' });
    expect(identity).toEqual({ kind: 'user', user: 'alice', grants: new Map() });
    expect(isGranted(identity, 'subscribe', 'room/1')).toBe(false);
  });

  test.each([null, false, 0, 'Ada', ['a'], { name: 'Ada', face: { url: '/ada.png' } }])(
    'hands on info, whatever JSON value it is: %j [AUTH-8]',
    (info) => {
      expect(identityFromClaims({ sub: 'alice', info })).toMatchObject({ user: 'alice', info });
    },
  );

  test('takes info up to its limit in bytes, and says what is over it [AUTH-8]', () => {
    const most = 'é'.repeat((INFO_BYTES_MAX - 2) / 2);
    expect(identityFromClaims({ sub: 'alice', info: most }).info).toBe(most);
    expect(() => identityFromClaims({ sub: 'alice', info: `${most}!` })).toThrow(
      "the token's info must have at most 1024 bytes as JSON, got 1025",
    );
  });

  test.each([
    [{}, 'sub must be a string that names the user, got nothing'],
    [{ sub: 7 }, 'got 7'],
    [{ sub: '' }, 'sub must not be empty'],
    [{ sub: 'a\nb' }, 'control characters'],
    [{ sub: '\ud800' }, 'lone surrogates'],
    [{ sub: 'x'.repeat(256) }, 'at most 255'],
    [{ sub: 'a', exp: '1' }, 'exp must be a number of seconds, got "1"'],
    [{ sub: 'a', exp: 1e300 }, 'exp must be a number'],
    [{ sub: 'a', channels: null }, 'got null'],
    [{ sub: 'a', channels: ['room'] }, 'channels must map patterns'],
    [{ sub: 'a', channels: 'room' }, 'channels must map patterns'],
    [{ sub: 'a', channels: { 'room/#/x': [] } }, '# must be the whole last segment'],
    [{ sub: 'a', channels: { 'a+': [] } }, '+ must be a whole segment'],
    [{ sub: 'a', channels: { $sys: [] } }, 'must not begin with $'],
    [{ sub: 'a', channels: { '': [] } }, 'must not be empty'],
    [{ sub: 'a', channels: { room: 'publish' } }, '"room" must have a list, got "publish"'],
    [
      { sub: 'a', channels: { room: ['write'] } },
      'may list subscribe, publish, history, presence, got "write"',
    ],
    [{ sub: 'a', channels: { room: ['Publish'] } }, 'got "Publish"'],
    [{ sub: 'a', channels: { room: [null] } }, 'got null'],
  ])('refuses %j', (claims, message) => {
    expect(() => identityFromClaims(claims)).toThrow(
      expect.objectContaining({
        code: 'unauthenticated',
        message: expect.stringContaining(message),
      }),
    );
  });
});

describe('a claim nested too deep to be written', () => {
  test('is refused like any other', () => {
    const channels: unknown = JSON.parse('['.repeat(100_000) + ']'.repeat(100_000));
    for (const claim of [channels, { room: channels }, { room: { deep: channels } }]) {
      expect(() => identityFromClaims({ sub: 'a', channels: claim })).toThrow(
        expect.objectContaining({ code: 'unauthenticated' }),
      );
    }
    expect(userFault(channels)).toContain('got an array');
    expect(() => identityFromClaims({ sub: 'a', info: channels })).toThrow(
      expect.objectContaining({ code: 'unauthenticated' }),
    );
  });
});

describe('grants', () => {
  test('are the same after being written as a claim, whatever the pattern is called', () => {
    const claim = JSON.parse('{"__proto__":["publish"],"a/#":["subscribe","history"],"x":[]}');
    const grants = grantsFromClaim(claim);
    expect([...grants.keys()]).toEqual(['__proto__', 'a/#', 'x']);
    expect(grantsFromClaim(claimFromGrants(grants))).toEqual(grants);
  });
});

describe('userFault', () => {
  test('lets names of every script be', () => {
    for (const user of ['alice', 'jörg', '李', 'a+b@example.com', '👩‍🚀', 'a/b']) {
      expect(userFault(user)).toBeUndefined();
    }
  });
});

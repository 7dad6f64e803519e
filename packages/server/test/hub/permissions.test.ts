import { describe, expect, test } from 'vitest';
import type { Action, Identity } from '../../src/auth/identity.ts';
import { OPEN_NAMESPACE } from '../../src/config/namespace-rules.ts';
import { Permissions } from '../../src/hub/permissions.ts';

const allowed = new Map<string, readonly Action[]>([['open', ['subscribe']]]);

/** Namespaces that allow anonymous clients what `allowed` says, and on whole patterns `all/#`. */
const permissions = new Permissions({
  rulesOf: (channel) => ({
    ...OPEN_NAMESPACE,
    allow: { anonymous: allowed.get(channel) ?? [], user: [] },
  }),
  allowsWhole: (kind, action, filter) =>
    kind === 'anonymous' && action === 'subscribe' && filter === 'all/#',
});

const anonymous: Identity = { kind: 'anonymous', grants: new Map() };
const application: Identity = { kind: 'server', grants: new Map() };
const alice: Identity = {
  kind: 'user',
  user: 'alice',
  grants: new Map([['a/#', new Set<Action>(['subscribe', 'publish'])]]),
};

describe('what an identity may do', () => {
  test.each<[string, Identity, Action, string, boolean]>([
    ['by its token', alice, 'publish', 'a/1', true],
    ['only what that says', alice, 'history', 'a/1', false],
    ['by the namespace', anonymous, 'subscribe', 'open', true],
    ['only to whom that opens it', alice, 'subscribe', 'open', false],
    ['as an application, everything', application, 'publish', '@alice', true],
    ['in its own channel, all but publish [CH-2]', alice, 'subscribe', '@alice', true],
    ['not publish there', alice, 'publish', '@alice', false],
    ['nothing in that of others', alice, 'subscribe', '@bob', false],
    ['nothing there as nobody', anonymous, 'subscribe', '@', false],
    ['with a pattern that one grant contains [AUTH-7]', alice, 'subscribe', 'a/+/x', true],
    ['with no wider one', alice, 'subscribe', '+/x', false],
    ['with a pattern that namespaces allow whole', anonymous, 'subscribe', 'all/#', true],
    ['with no other', anonymous, 'subscribe', '#', false],
    ['with no pattern of private channels', alice, 'subscribe', '@alice/#', false],
  ])('%s', (_how, identity, action, filter, expected) => {
    expect(permissions.permits(identity, action, filter)).toBe(expected);
  });

  test('is told with who and what when it is not allowed [AUTH-4]', () => {
    expect(() => permissions.demand(alice, 'history', 'a/1')).toThrow(
      expect.objectContaining({
        code: 'forbidden',
        message:
          'user alice may not read the history of a/1: ' +
          'grant history by the token, or allow it in the namespace',
      }),
    );
    expect(() => permissions.demand(anonymous, 'publish', 'x')).toThrow('this client may not');
    expect(() => permissions.demand(alice, 'publish', 'a/1')).not.toThrow();
  });
});

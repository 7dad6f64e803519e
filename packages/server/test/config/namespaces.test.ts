import { seededRandom } from '@trunkline/testkit';
import { channelNameFault, matchesPattern, patternFault } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import {
  DEFAULT_NAMESPACE,
  OPEN_NAMESPACE,
} from '@trunkline/server/internal/config/namespace-rules.ts';
import type { NamespaceInput } from '@trunkline/server/internal/config/namespace-rules.ts';
import { compileNamespaces } from '@trunkline/server/internal/config/namespaces.ts';

describe('namespaces', () => {
  test('give the defaults to a channel that no pattern mentions', () => {
    const { rulesOf } = compileNamespaces({ 'chat/#': { durable: false } });
    expect(rulesOf('news')).toEqual(DEFAULT_NAMESPACE);
    expect(rulesOf('chat/1').durable).toBe(false);
  });

  test('let the most specific pattern win, whatever the order', () => {
    const rules = {
      'chat/#': { messageBytesMax: 1 },
      'chat/+': { messageBytesMax: 2 },
      'chat/lobby': { messageBytesMax: 3 },
    };
    const reversed = Object.fromEntries(Object.entries(rules).reverse());
    for (const { rulesOf } of [compileNamespaces(rules), compileNamespaces(reversed)]) {
      expect(rulesOf('chat/lobby').messageBytesMax).toBe(3);
      expect(rulesOf('chat/7').messageBytesMax).toBe(2);
      expect(rulesOf('chat/7/typing').messageBytesMax).toBe(1);
    }
  });

  test('let an exact name win over a wildcard that covers its children too', () => {
    const { rulesOf } = compileNamespaces({
      chat: { messageBytesMax: 2 },
      'chat/#': { messageBytesMax: 1 },
    });
    expect(rulesOf('chat').messageBytesMax).toBe(2);
  });

  test('fall through field by field, inside history and allow as well', () => {
    const { rulesOf } = compileNamespaces({
      '#': { durable: false, history: { countMax: 5 }, allow: { anonymous: ['subscribe'] } },
      'chat/+': { history: { ageMsMax: 60_000 }, allow: { user: ['publish'] } },
    });
    expect(rulesOf('chat/1')).toEqual({
      ...DEFAULT_NAMESPACE,
      durable: false,
      history: { ...DEFAULT_NAMESPACE.history, countMax: 5, ageMsMax: 60_000 },
      allow: { anonymous: ['subscribe'], user: ['publish'] },
    });
  });

  test('let a pattern close what the defaults leave open', () => {
    const { rulesOf } = compileNamespaces(
      { 'ops/#': { allow: { anonymous: [] } } },
      OPEN_NAMESPACE,
    );
    expect(rulesOf('ops/log').allow.anonymous).toEqual([]);
    expect(rulesOf('chat').allow.anonymous).toContain('publish');
  });

  test('do not apply a leading wildcard to private channels', () => {
    const { rulesOf } = compileNamespaces({ '#': { durable: false } });
    expect(rulesOf('@alice').durable).toBe(true);
  });

  test('answer the same object again, and the same rules after the cache overflowed', () => {
    const { rulesOf } = compileNamespaces({ 'chat/+': { messageBytesMax: 7 } });
    const first = rulesOf('chat/0');
    expect(rulesOf('chat/0')).toBe(first);
    for (let index = 1; index <= 10_000; index += 1) rulesOf(`chat/${index}`);
    const again = rulesOf('chat/0');
    expect(again).not.toBe(first);
    expect(again).toEqual(first);
  });
});

/** All texts of up to `depth` of these segments that have no fault. */
function texts(segments: readonly string[], depth: number, fault: (text: string) => unknown) {
  let longest = segments.map(String);
  const all = [...longest];
  for (let count = 2; count <= depth; count += 1) {
    longest = longest.flatMap((head) => segments.map((segment) => `${head}/${segment}`));
    all.push(...longest);
  }
  return all.filter((text) => fault(text) === undefined);
}

describe('whole filters', () => {
  const subscribe: NamespaceInput = { allow: { anonymous: ['subscribe'] } };
  const nothing: NamespaceInput = { allow: { anonymous: [] } };

  test('[AUTH-7] are allowed where every channel is', () => {
    const open = compileNamespaces({}, OPEN_NAMESPACE);
    for (const filter of ['#', '+', 'a/+/#', 'a']) {
      expect(open.allowsWhole('anonymous', 'subscribe', filter)).toBe(true);
      expect(open.allowsWhole('user', 'subscribe', filter)).toBe(false);
    }
    const closed = compileNamespaces({ 'room/#': subscribe });
    for (const [filter, allowed] of [
      ['room/#', true],
      ['room/+', true],
      ['room', true],
      ['room/1/typing', true],
      ['#', false],
      ['+/1', false],
      ['rooms/+', false],
    ] as const) {
      expect(closed.allowsWhole('anonymous', 'subscribe', filter), filter).toBe(allowed);
      expect(closed.allowsWhole('anonymous', 'publish', filter), filter).toBe(false);
      expect(closed.allowsWhole('user', 'subscribe', filter), filter).toBe(false);
    }
  });

  test('[AUTH-7] are denied for one channel that is', () => {
    const { allowsWhole } = compileNamespaces({ 'room/+/secret': nothing }, OPEN_NAMESPACE);
    const may = (filter: string): boolean => allowsWhole('anonymous', 'subscribe', filter);
    expect(['#', 'room/#', '+/+/+', 'room/1/+', '+/1/secret'].filter(may)).toEqual([]);
    expect(['+/+', 'room/+', 'room/+/typing', 'rooms/#'].filter(may)).toHaveLength(4);
  });

  test('[AUTH-7] are allowed again where a more specific rule covers what one denies', () => {
    const { allowsWhole } = compileNamespaces(
      { 'room/#': nothing, 'room/+': subscribe },
      OPEN_NAMESPACE,
    );
    expect(allowsWhole('anonymous', 'subscribe', 'room/+')).toBe(true);
    expect(allowsWhole('anonymous', 'subscribe', '+/+')).toBe(true);
    expect(allowsWhole('anonymous', 'subscribe', 'room/#')).toBe(false);
  });

  test('[AUTH-7] are allowed by several rules together', () => {
    const { allowsWhole } = compileNamespaces({ '+': subscribe, '+/+/#': subscribe });
    expect(allowsWhole('anonymous', 'subscribe', '#')).toBe(true);
  });

  test('[CH-2] never reach private channels, whatever a namespace says', () => {
    const rules = { '@alice/#': subscribe, '@bob': subscribe };
    const { allowsWhole } = compileNamespaces(rules, OPEN_NAMESPACE);
    for (const filter of ['@alice/#', '@alice/+', '@alice', '@bob', '@carol/#']) {
      expect(allowsWhole('anonymous', 'subscribe', filter), filter).toBe(false);
    }
  });

  test('[AUTH-7] are judged as their channels are, one by one', () => {
    const filters = texts(['', 'a', 'b', '@a', '+', '#'], 3, patternFault);
    // One segment deeper than the rules, and with one that no rule names.
    const names = texts(['', 'a', 'b', '@a', 'other'], 4, channelNameFault);
    const channels = names.filter((name) => !name.startsWith('@'));
    const matched = new Map(
      filters.map((filter) => [filter, channels.filter((name) => matchesPattern(filter, name))]),
    );
    const random = seededRandom(7);
    const verdicts = { allowed: 0, denied: 0 };
    for (let round = 0; round < 150; round += 1) {
      const rules: Record<string, NamespaceInput> = {};
      for (let count = random.integer(6); count > 0; count -= 1) {
        const layer = random.pick([subscribe, subscribe, nothing, { durable: false }]);
        rules[random.pick(filters)] = layer;
      }
      const namespaces = compileNamespaces(rules, random.pick([OPEN_NAMESPACE, DEFAULT_NAMESPACE]));
      const allowed = new Set(
        channels.filter((name) => namespaces.rulesOf(name).allow.anonymous.includes('subscribe')),
      );
      for (const filter of filters.filter((one) => !one.startsWith('@'))) {
        const truth = matched.get(filter)?.every((name) => allowed.has(name));
        const said = namespaces.allowsWhole('anonymous', 'subscribe', filter);
        expect(said, `${filter} with ${JSON.stringify(rules)}`).toBe(truth);
        verdicts[said ? 'allowed' : 'denied'] += 1;
      }
    }
    expect(Math.min(verdicts.allowed, verdicts.denied)).toBeGreaterThan(1000);
  });
});

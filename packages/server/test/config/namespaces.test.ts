import { describe, expect, test } from 'vitest';
import {
  DEFAULT_NAMESPACE,
  OPEN_NAMESPACE,
} from '@trunkline/server/internal/config/namespace-rules.ts';
import { compileNamespaces } from '@trunkline/server/internal/config/namespaces.ts';

describe('namespaces', () => {
  test('give the defaults to a channel that no pattern mentions', () => {
    const rulesOf = compileNamespaces({ 'chat/#': { durable: false } });
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
    for (const rulesOf of [compileNamespaces(rules), compileNamespaces(reversed)]) {
      expect(rulesOf('chat/lobby').messageBytesMax).toBe(3);
      expect(rulesOf('chat/7').messageBytesMax).toBe(2);
      expect(rulesOf('chat/7/typing').messageBytesMax).toBe(1);
    }
  });

  test('let an exact name win over a wildcard that covers its children too', () => {
    const rulesOf = compileNamespaces({
      chat: { messageBytesMax: 2 },
      'chat/#': { messageBytesMax: 1 },
    });
    expect(rulesOf('chat').messageBytesMax).toBe(2);
  });

  test('fall through field by field, inside history and allow as well', () => {
    const rulesOf = compileNamespaces({
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
    const rulesOf = compileNamespaces({ 'ops/#': { allow: { anonymous: [] } } }, OPEN_NAMESPACE);
    expect(rulesOf('ops/log').allow.anonymous).toEqual([]);
    expect(rulesOf('chat').allow.anonymous).toContain('publish');
  });

  test('do not apply a leading wildcard to private channels', () => {
    const rulesOf = compileNamespaces({ '#': { durable: false } });
    expect(rulesOf('@alice').durable).toBe(true);
  });

  test('answer the same object again, and the same rules after the cache overflowed', () => {
    const rulesOf = compileNamespaces({ 'chat/+': { messageBytesMax: 7 } });
    const first = rulesOf('chat/0');
    expect(rulesOf('chat/0')).toBe(first);
    for (let index = 1; index <= 10_000; index += 1) rulesOf(`chat/${index}`);
    const again = rulesOf('chat/0');
    expect(again).not.toBe(first);
    expect(again).toEqual(first);
  });
});

import { grantFault, isGranted, isGrantedWhole } from '@trunkline/server/internal/auth/identity.ts';
import type { Action, Identity } from '@trunkline/server/internal/auth/identity.ts';
import { describe, expect, test } from 'vitest';

function user(name: string, grants: Readonly<Record<string, readonly Action[]>> = {}): Identity {
  const entries = Object.entries(grants).map(
    ([pattern, list]) => [pattern, new Set(list)] as const,
  );
  return { kind: 'user', user: name, grants: new Map(entries) };
}

const SERVER: Identity = { kind: 'server', grants: new Map() };
const ANONYMOUS: Identity = { kind: 'anonymous', grants: new Map() };

describe('isGranted', () => {
  test('[AUTH-4] asks for a pattern that matches the channel and lists the action', () => {
    const alice = user('alice', { 'room/+': ['subscribe'], news: ['publish'] });
    expect(isGranted(alice, 'subscribe', 'room/1')).toBe(true);
    expect(isGranted(alice, 'publish', 'room/1')).toBe(false);
    expect(isGranted(alice, 'publish', 'news')).toBe(true);
    expect(isGranted(alice, 'subscribe', 'room/1/typing')).toBe(false);
    expect(isGranted(ANONYMOUS, 'subscribe', 'room/1')).toBe(false);
    expect(isGranted(SERVER, 'publish', '@alice')).toBe(true);
  });
});

describe('isGrantedWhole', () => {
  test('[AUTH-7] asks for one grant that contains the filter', () => {
    const alice = user('alice', { 'room/+': ['subscribe'], 'log/#': ['subscribe', 'history'] });
    const may = (filter: string): boolean => isGrantedWhole(alice, 'subscribe', filter);
    expect(['room/+', 'room/1', 'log/#', 'log/+', 'log', 'log/+/b/#'].filter(may)).toEqual([
      'room/+',
      'room/1',
      'log/#',
      'log/+',
      'log',
      'log/+/b/#',
    ]);
    expect(['#', '+', '+/+', 'room/#', 'room/+/x', 'room', '+/1', 'logs/#'].filter(may)).toEqual(
      [],
    );
    expect(isGrantedWhole(alice, 'history', 'room/+')).toBe(false);
    expect(isGrantedWhole(alice, 'history', 'log/+')).toBe(true);
    expect(isGrantedWhole(ANONYMOUS, 'subscribe', 'log/#')).toBe(false);
  });

  test('[AUTH-7] does not add grants up', () => {
    const alice = user('alice', { room: ['subscribe'], 'room/+/#': ['subscribe'] });
    expect(isGrantedWhole(alice, 'subscribe', 'room/#')).toBe(false);
    expect(isGrantedWhole(alice, 'subscribe', 'room/+')).toBe(true);
  });

  test('[AUTH-7] gives everything to an application', () => {
    for (const filter of ['#', '+/+', '@alice', '@alice/#']) {
      expect(isGrantedWhole(SERVER, 'subscribe', filter)).toBe(true);
    }
  });

  test('[CH-2] keeps private channels private, whatever was granted', () => {
    const all: readonly Action[] = ['subscribe', 'publish', 'history', 'presence'];
    const alice = user('alice', { '#': all, '@bob': all, '@bob/#': all, '@alice/#': all });
    const filters = ['@bob', '@bob/#', '@bob/+', '@alice/#', '@alice/+', '@alice/x', '@', '@/#'];
    expect(filters.filter((filter) => isGrantedWhole(alice, 'subscribe', filter))).toEqual([]);
    expect(isGrantedWhole(alice, 'subscribe', '@alice')).toBe(true);
    expect(isGrantedWhole(alice, 'publish', '@alice')).toBe(false);
    expect(isGrantedWhole(ANONYMOUS, 'subscribe', '@')).toBe(false);
  });

  test('[CH-2] is not misled by users who are named like filters', () => {
    expect(isGrantedWhole(user('alice/#'), 'subscribe', '@alice/#')).toBe(false);
    expect(isGrantedWhole(user('alice/+'), 'subscribe', '@alice/+')).toBe(false);
    expect(isGrantedWhole(user('+'), 'subscribe', '@+')).toBe(false);
    expect(isGrantedWhole(user('alice/x'), 'subscribe', '@alice/x')).toBe(true);
  });
});

describe('grantFault', () => {
  test('[AUTH-4] lets patterns be granted, and the topics where the server tells of itself', () => {
    for (const pattern of ['a', 'a/#', '+/b', '$SYS/#', '$SYS/broker/+']) {
      expect(grantFault(pattern)).toBeUndefined();
    }
    for (const pattern of ['', 'a#', '$', '$SYS', '$other/#', '$SYS/#/a', '$SYS/a+']) {
      expect(grantFault(pattern)).toBeDefined();
    }
    const reader = user('alice', { '$SYS/#': ['subscribe'] });
    expect(isGrantedWhole(reader, 'subscribe', '$SYS/broker/+')).toBe(true);
    expect(isGrantedWhole(user('bob', { '#': ['subscribe'] }), 'subscribe', '$SYS/#')).toBe(false);
  });
});

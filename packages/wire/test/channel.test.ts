import { describe, expect, test } from 'vitest';
import {
  channelNameFault,
  compareSpecificity,
  isWildcard,
  matchesPattern,
  patternFault,
} from '../src/channel.ts';
import { readVectors } from './support/vectors.ts';

interface ChannelVectors {
  readonly validNames: string[];
  readonly invalidNames: { name: string; why: string }[];
  readonly validPatterns: string[];
  readonly invalidPatterns: { pattern: string; why: string }[];
  readonly matches: { pattern: string; name: string; matches: boolean }[];
  readonly mostSpecificFirst: string[][];
}

const vectors = readVectors<ChannelVectors>('channels');

describe('channel names', () => {
  test.each(vectors.validNames)('accepts %j', (name) => {
    expect(channelNameFault(name)).toBeUndefined();
    expect(isWildcard(name)).toBe(false);
  });

  test.each(vectors.invalidNames)('refuses $name: $why', ({ name }) => {
    expect(channelNameFault(name)).toMatch(/^must /);
  });
});

describe('patterns', () => {
  test.each(vectors.validPatterns)('accepts %j', (pattern) => {
    expect(patternFault(pattern)).toBeUndefined();
  });

  test.each(vectors.invalidPatterns)('refuses $pattern: $why', ({ pattern }) => {
    expect(patternFault(pattern)).toMatch(/must /);
  });

  test.each(vectors.matches)('$pattern over $name is $matches', ({ pattern, name, matches }) => {
    expect(matchesPattern(pattern, name)).toBe(matches);
  });

  test.each(vectors.validNames)('%j matches itself', (name) => {
    expect(matchesPattern(name, name)).toBe(true);
  });

  test.each(vectors.mostSpecificFirst.map((order) => [order]))('sorts %j', (order) => {
    expect([...order].reverse().sort(compareSpecificity)).toEqual(order);
  });
});

import { describe, expect, test } from 'vitest';
import { openingOf, tellGaps } from '../../src/transports/opening.ts';
import { HttpReader } from '../support/http-fakes.ts';

describe('an opening', () => {
  test('of a channel has a position, of a pattern a mark where there is one', () => {
    const fields = { recovered: { a: true } };
    expect(openingOf('a', fields, 'e:1', '~1')).toEqual({
      ...{ kind: 'open', channel: 'a', position: 'e:1', recovered: true },
    });
    expect(openingOf('#', {}, 'e:1', '~2')).toEqual({ kind: 'open', channel: '#', mark: '~2' });
    for (const mark of ['start', undefined, 7]) {
      expect(openingOf('#', {}, 'e:1', mark)).toEqual({ kind: 'open', channel: '#' });
    }
    expect(() => openingOf('a', {}, undefined, '~1')).toThrow(/position/);
  });
});

test('[WILD-5] patterns are told what was lost in channels that they match', () => {
  const told: unknown[] = [];
  const reader = Object.assign(new HttpReader(), {
    onGap: (gap: object, keys: readonly string[]) => told.push([gap, keys]),
  });
  const gap = { reason: 'trimmed', from: 1, to: 4 };
  const wishes = ['a', 'a/#', 'b/#'].map((filter) => ({ key: `key of ${filter}`, filter }));
  const tell = (signal: AbortSignal) => {
    const gaps = { a: gap, c: gap, 'b/1': 'nonsense', 'b/2': gap };
    tellGaps(reader, gaps, new Map([['a', 'e:4']]), wishes, signal);
  };
  tell(AbortSignal.abort());
  tell(new AbortController().signal);
  expect(told).toEqual([[{ kind: 'gap', channel: 'a', gap, position: 'e:4' }, ['key of a/#']]]);
});

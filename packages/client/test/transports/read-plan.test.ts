import { CHANNEL_BYTES_MAX } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { addressOf } from '../../src/http.ts';
import {
  compatible,
  FILTERS_PER_READ_MAX,
  QUERY_LENGTH_MAX,
  queryOf,
  sharedOut,
} from '../../src/transports/read-plan.ts';
import type { Wish } from '../../src/transports/transport.ts';

const filters = (wishes: readonly Wish[]) => wishes.map(({ filter }) => filter);
const lengthOf = (wishes: readonly Wish[]) =>
  new URL(addressOf('http://h', 'http', 'sse', { ...queryOf(wishes), wait: 25 })).search.length;

describe('what begins in one read', () => {
  test.each<[string, Wish[], string[]]>([
    [
      'names from places of their own',
      [
        { filter: 'a', after: 'e:1' },
        { filter: 'b', after: '~1' },
      ],
      ['a', 'b'],
    ],
    [
      'new ones with what has a place',
      [{ filter: 'a', after: 'e:1' }, { filter: 'b' }],
      ['a', 'b'],
    ],
    [
      'one last for all new ones',
      [
        { filter: 'a', last: 5 },
        { filter: 'b', last: 5 },
      ],
      ['a', 'b'],
    ],
    [
      'not another one',
      [
        { filter: 'a', last: 5 },
        { filter: 'b', last: 6 },
      ],
      ['a'],
    ],
    ['nor none', [{ filter: 'a', last: 5 }, { filter: 'b' }, { filter: 'c', last: 5 }], ['a', 'c']],
    [
      'nor a snapshot beside none, where both are new names',
      [
        { filter: 'a', snapshot: true },
        { filter: 'b' },
        { filter: 'c', after: 'e:1' },
        { filter: 'd/#' },
      ],
      ['a', 'c', 'd/#'],
    ],
    ['nor that of a pattern', [{ filter: 'a/#', last: 5 }, { filter: 'b' }], ['a/#']],
    [
      'patterns from one mark',
      [
        { filter: 'a/#', after: '~1' },
        { filter: '+', after: '~1' },
      ],
      ['a/#', '+'],
    ],
    [
      'not from two',
      [
        { filter: 'a/#', after: '~1' },
        { filter: '+', after: '~2' },
      ],
      ['a/#'],
    ],
    [
      'nor from one and none',
      [{ filter: 'a/#' }, { filter: 'b' }, { filter: '+', after: '~2' }],
      ['a/#', 'b'],
    ],
  ])('[POLL-6] %s', (_, wishes, together) => {
    expect(filters(compatible(wishes, false))).toEqual(together);
  });
});

test('[WILD-4] a stream has no pattern beside what it matches, unless they begin alike', () => {
  const mark = '~1';
  const old = { filter: 'a', after: 'e:1' };
  expect(filters(compatible([{ filter: '#', after: mark }, old, { filter: '$b' }], true))).toEqual([
    ...['#', '$b'],
  ]);
  const alike = ['a', 'a/#', '+'].map((filter) => ({ filter, after: mark }));
  expect(filters(compatible(alike, true))).toEqual(['a', 'a/#', '+']);
  expect(filters(compatible([{ filter: 'b/#' }, old], true))).toEqual(['b/#', 'a']);
});

test('[WILD-1] a stream has a place for each pattern, but one `last`', () => {
  const wishes = [
    { filter: 'a/#', after: '~1' },
    { filter: '+', after: '~2' },
    { filter: 'b/#' },
    { filter: 'c', last: 2 },
  ];
  expect(filters(compatible(wishes, true))).toEqual(['a/#', '+', 'b/#']);
  expect(sharedOut(wishes, true).map(filters)).toEqual([['a/#', '+', 'b/#'], ['c']]);
});

describe('the query of a read', () => {
  test.each<[string, Wish[], object]>([
    ['nothing from now on', [{ filter: 'a' }], {}],
    [
      'the newest',
      [
        { filter: 'a', after: 'e:1' },
        { filter: 'b', last: 5 },
      ],
      { after: 'a=e%3A1', last: 5 },
    ],
    [
      'one place for all',
      [
        { filter: 'a', after: '~1' },
        { filter: '#', after: '~1' },
      ],
      { after: '~1' },
    ],
    [
      'a place for each',
      [
        { filter: 'a=&', after: 'e:1' },
        { filter: 'b', after: 'start' },
      ],
      { after: 'a%3D%26=e%3A1&b=start' },
    ],
    [
      'no place for the volatile',
      [
        { filter: 'v', after: '' },
        { filter: 'b', after: 'e:1' },
      ],
      { after: 'b=e%3A1' },
    ],
    ['only the volatile', [{ filter: 'v', after: '' }], {}],
    [
      'what any asks for',
      [
        { filter: 'a', partial: true },
        { filter: 'b', presence: true, snapshot: true },
      ],
      { partial: 1, presence: 1, snapshot: 1 },
    ],
  ])('[REC-1] says %s', (_, wishes, query) => {
    const { channel, ...rest } = queryOf(wishes);
    expect(channel).toEqual(filters(wishes));
    expect(rest).toEqual({ ...NOTHING, ...query });
  });
});

const NOTHING = {
  after: undefined,
  last: undefined,
  partial: undefined,
  presence: undefined,
  snapshot: undefined,
};

describe('sharing out', () => {
  test('[POLL-1] has at most 128 channels in one read', () => {
    const wishes = Array.from({ length: 300 }, (_, index) => ({
      filter: `c${index}`,
      after: '~1',
    }));
    const reads = sharedOut(wishes, false);
    expect(reads.map(({ length }) => length)).toEqual([
      FILTERS_PER_READ_MAX,
      FILTERS_PER_READ_MAX,
      44,
    ]);
    expect(filters(reads.flat())).toEqual(filters(wishes));
  });

  test.each([
    ['plain', 'x'.repeat(CHANNEL_BYTES_MAX)],
    ['of what is escaped', "~/'(".repeat(63)],
    ['of what has no ASCII', '界'.repeat(85)],
  ])('has a bounded query with names that are %s', (_, name) => {
    const wishes = Array.from({ length: 60 }, (_value, index) => ({
      filter: `${index % 10}${name.slice(1)}${Math.floor(index / 10)}`,
      after: `e:${index}`,
    }));
    const reads = sharedOut(wishes, false);
    expect(filters(reads.flat()).toSorted()).toEqual(filters(wishes).toSorted());
    for (const read of reads) expect(lengthOf(read)).toBeLessThanOrEqual(QUERY_LENGTH_MAX);
  });

  test('says a long mark once for all', () => {
    const after = `~${'m'.repeat(3000)}`;
    const wishes = Array.from({ length: 50 }, (_, index) => ({ filter: `c/${index}`, after }));
    const [read = [], ...others] = sharedOut(wishes, false);
    expect(others).toEqual([]);
    expect(lengthOf(read)).toBeLessThanOrEqual(QUERY_LENGTH_MAX);
  });

  test('reads apart what can not begin together', () => {
    const wishes = [{ filter: 'a', last: 1 }, { filter: 'b' }, { filter: 'c', last: 1 }];
    expect(sharedOut(wishes, false).map(filters)).toEqual([['a', 'c'], ['b']]);
    expect(sharedOut([], false)).toEqual([]);
    expect(sharedOut([], true)).toEqual([[]]);
  });
});

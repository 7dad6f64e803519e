import { LinkSet } from '@trunkline/server/internal/transports/link-set.ts';
import { expect, test } from 'vitest';

test('a set of links counts those that are open, opened and closed', () => {
  const set = new LinkSet<string>();
  expect(set.counts).toEqual({ open: new Map(), opened: new Map(), closed: new Map() });
  set.add('a', '1.1');
  set.add('b', '2');
  set.add('c', '2');
  set.add('d', '1.1');
  expect([...set.links]).toEqual(['a', 'b', 'c', 'd']);
  set.remove('a', { code: 'timeout' });
  set.remove('b', { code: 'normal' });
  set.remove('d', { code: 'timeout' });
  set.remove('d', { code: 'slow' });
  expect([...set.links]).toEqual(['c']);
  expect(set.counts).toEqual({
    open: new Map([
      ['1.1', 0],
      ['2', 1],
    ]),
    opened: new Map([
      ['1.1', 2],
      ['2', 2],
    ]),
    closed: new Map([
      ['timeout', 2],
      ['normal', 1],
    ]),
  });
});

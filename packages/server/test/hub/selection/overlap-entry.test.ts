import { describe, expect, test } from 'vitest';
import { isHeirOf, part, relate } from '../../../src/hub/selection/overlap-entry.ts';
import type { Entry } from '../../../src/hub/selection/overlap-entry.ts';
import { anyone, setUp } from '../hub-setup.ts';

describe('entries of one session', () => {
  async function setUpEntries(...filters: string[]): Promise<Entry[]> {
    const { hub, listener } = setUp();
    await hub.open();
    const { cursor } = await hub.subscribe(listener(), anyone, 'news', {});
    const entries: Entry[] = [];
    for (const [order, filter] of filters.entries()) {
      const entry: Entry = {
        ...{ filter, cursor, order, state: 'running', heirs: [] },
        ...{ overlapping: undefined, owed: undefined },
      };
      relate(entry, entries);
      entries.push(entry);
    }
    return entries;
  }

  function known({ overlapping }: Entry): string[] {
    return [...(overlapping ?? [])].map(({ filter }) => filter).sort();
  }

  test('know those that match a channel which they match too, in both directions', async () => {
    const entries = await setUpEntries('a/b', 'a/+', 'b/#', '#', 'a/c', 'a/b');
    expect(entries.map(known)).toEqual([
      ['#', 'a/+'],
      ['#', 'a/b', 'a/b', 'a/c'],
      ['#'],
      ['a/+', 'a/b', 'a/b', 'a/c', 'b/#'],
      ['#', 'a/+'],
      ['#', 'a/+'],
    ]);
  });

  test('without a pattern know nobody', async () => {
    const entries = await setUpEntries('a', 'b', 'a');
    expect(entries.map(({ overlapping }) => overlapping)).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  test('are forgotten by the others when they end, and not met again', async () => {
    const entries = await setUpEntries('a/+', '#');
    const [ended, other] = entries;
    if (ended === undefined || other === undefined) throw new Error('two entries');
    part(ended);
    ended.state = 'ended';
    expect([ended, other].map(known)).toEqual([[], []]);
    const later: Entry = { ...other, filter: 'a/b', overlapping: undefined };
    relate(later, entries);
    expect(known(later)).toEqual(['#']);
    expect(ended.overlapping).toBeUndefined();
  });

  test('take over from one another what they wait for, and what is read on for them', async () => {
    const [retired, heir, creditor] = await setUpEntries('a/+', 'a/#', '#');
    if (retired === undefined || heir === undefined || creditor === undefined) throw new Error();
    Object.assign(retired, { state: 'retired', heirs: [heir] });
    expect([heir, creditor].map((entry) => isHeirOf(entry, retired))).toEqual([true, false]);
    retired.owed = new Map([['a/b', creditor]]);
    expect([heir, creditor].map((entry) => isHeirOf(entry, retired))).toEqual([true, true]);
  });
});

import { ManualClock } from '@trunkline/testkit';
import { describe, expect, it } from 'vitest';
import type { StateStore } from '../../../src/broker/state.ts';
import { silentLog } from '../../../src/observe/log.ts';
import { StoredRecords } from '../../../src/protocols/mqtt/stored-records.ts';

/** A store of so many records, which can be away. */
function setUp(count: number) {
  const clock = new ManualClock();
  const keys = Array.from({ length: count }, (_, index) => `p/${String(index).padStart(4, '0')}`);
  const world = { isAway: false, pages: 0 };
  const list: StateStore['list'] = async (prefix, { after = '', countMax }) => {
    if (world.isAway) throw new Error('away');
    world.pages += 1;
    return keys
      .filter((key) => key.startsWith(prefix) && key > after)
      .slice(0, countMax)
      .map((key) => ({ key, value: new Uint8Array(0), version: 1 }));
  };
  const records = new StoredRecords({ state: { list }, clock, log: silentLog });
  const read: string[] = [];
  return { clock, keys, world, records, read };
}

describe('StoredRecords', () => {
  it('reads everything, in pages', async () => {
    const { clock, keys, world, records, read } = setUp(250);
    const done = records.each('p/', ({ key }) => void read.push(key));
    await clock.settle();
    await done;
    expect(read).toEqual(keys);
    expect(world.pages).toBe(4);
  });

  it('waits for what is done with one before the next', async () => {
    const { clock, records, read, keys } = setUp(3);
    const done = records.each('p/', async ({ key }) => {
      await Promise.resolve();
      read.push(key);
    });
    await clock.settle();
    await done;
    expect(read).toEqual(keys);
  });

  it('leaves a turn to everybody else between two pages', async () => {
    const { clock, records, read } = setUp(250);
    const done = records.each('p/', ({ key }) => void read.push(key));
    for (let turn = 0; turn < 1_000; turn += 1) await Promise.resolve();
    expect(read).toHaveLength(100);
    await clock.settle();
    await done;
    expect(read).toHaveLength(250);
  });

  it('goes on where it was when the store was away, and each comes once', async () => {
    const { clock, keys, world, records, read } = setUp(150);
    let hasFailed = false;
    const done = records.each('p/', ({ key }) => {
      if (read.length === 120 && !hasFailed) {
        hasFailed = true;
        world.isAway = true;
        throw new Error('away');
      }
      read.push(key);
    });
    await clock.settle();
    clock.advance(1_000);
    await clock.settle();
    expect(read).toHaveLength(120);
    world.isAway = false;
    clock.advance(1_000);
    await clock.settle();
    await done;
    // The one that failed is among them.
    expect(read).toEqual(keys);
  });

  it('ends when it is stopped, also while it waits', async () => {
    const { clock, world, records, read } = setUp(10);
    world.isAway = true;
    const done = records.each('p/', ({ key }) => void read.push(key));
    await clock.settle();
    records.stop();
    clock.advance(1_000);
    await done;
    expect(read).toEqual([]);
  });
});

import { EMBEDDED_DEFAULTS } from '@trunkline/server/internal/backplanes/embedded/config.ts';
import type { Append } from '@trunkline/server/internal/backplanes/embedded/store.ts';
import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../src/manual-clock.ts';
import { seededRandom } from '../../src/random.ts';
import { ProcessClock } from '../../src/simulation/process-clock.ts';
import { SimulatedDisk, SimulatedStore } from '../../src/simulation/simulated-store.ts';
import { SpinGuard } from '../../src/simulation/spin-guard.ts';

const append: Append = {
  kind: 'append',
  channel: 'news',
  draft: { payload: new TextEncoder().encode('1') },
  retention: { countMax: 10, sizeMax: 1000, ageMsMax: 1000 },
};
const everything = { after: 0, countMax: 100, sizeMax: 1000 };

function setUp() {
  const clock = new ManualClock();
  const disk = new SimulatedDisk(1, EMBEDDED_DEFAULTS);
  const faults = { full: false, unreadable: false, unknownChance: 0, delayMsMax: 50 };
  const start = (seed = 1) => {
    const process = new ProcessClock(clock);
    const guard = new SpinGuard(process, () => expect.unreachable());
    const parts = { disk, faults, clock: process, guard, random: seededRandom(seed) };
    return { process, store: new SimulatedStore(parts) };
  };
  return { clock, disk, faults, start };
}

describe('SimulatedStore', () => {
  test('finds after a crash what was committed, with its epoch and offsets', async () => {
    const { clock, start } = setUp();
    const { process, store } = start();
    const committed = store.commit([append, append], 0);
    await clock.pass(200);
    expect(await committed).toMatchObject([{ offset: 1 }, { offset: 2 }]);
    process.kill();
    const later = start().store;
    const before = store.memory.read('news', everything, 0);
    expect(later.memory.read('news', everything, 0)).toEqual(before);
    expect(later.open()).toMatchObject({ run: 2, sequence: 2 });
  });

  test('either keeps a commit that a crash interrupts whole, or nothing of it', async () => {
    const tops = new Set<number>();
    for (let seed = 1; seed <= 50; seed += 1) {
      const { clock, start } = setUp();
      const { process, store } = start(seed);
      let answered = false;
      void store.commit([append, append], 0).then(() => {
        answered = true;
      });
      await clock.pass(30);
      process.kill();
      await clock.pass(1000);
      const { top } = start().store.memory.read('news', everything, 0);
      if (answered) expect(top).toBe(2);
      else tops.add(top);
    }
    expect(tops).toEqual(new Set([0, 2]));
  });

  test('stores nothing while the disk is full, and says so', async () => {
    const { clock, faults, start } = setUp();
    const { store } = start();
    faults.full = true;
    await Promise.all([
      expect(store.commit([append], 0)).rejects.toMatchObject({ stored: false }),
      clock.pass(200),
    ]);
    expect(store.memory.read('news', everything, 0).top).toBe(0);
  });

  test('leaves it open whether a commit without an answer was stored', async () => {
    const tops = new Set<number>();
    for (let seed = 1; seed <= 20; seed += 1) {
      const { clock, faults, start } = setUp();
      const { store } = start(seed);
      faults.unknownChance = 1;
      await Promise.all([
        expect(store.commit([append], 0)).rejects.toMatchObject({ stored: 'unknown' }),
        clock.pass(200),
      ]);
      tops.add(store.memory.read('news', everything, 0).top);
    }
    expect(tops).toEqual(new Set([0, 1]));
  });

  test('fails reads while the disk can not be read', async () => {
    const { clock, faults, start } = setUp();
    const { store } = start();
    faults.unreadable = true;
    await Promise.all([
      expect(store.read('news', everything, 0)).rejects.toThrow('can not be read'),
      clock.pass(200),
    ]);
  });
});

describe('SpinGuard', () => {
  test('stops what calls for ever without letting time pass, and tells of it once', () => {
    const clock = new ManualClock();
    const told: string[] = [];
    const guard = new SpinGuard(clock, (error) => told.push(error.message));
    const spin = (): void => {
      for (let call = 0; call < 20_000; call += 1) guard.count('reading');
    };
    expect(spin).toThrow('the server spins');
    expect(() => guard.count('reading')).toThrow('the server spins');
    expect(told).toHaveLength(1);
    clock.advance(1);
    guard.count('reading');
  });
});

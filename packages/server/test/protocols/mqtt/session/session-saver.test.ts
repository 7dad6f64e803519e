import { ManualClock } from '@trunkline/testkit';
import { CodedError } from '@trunkline/wire';
import { describe, expect, it } from 'vitest';
import { silentLog } from '../../../../src/observe/log.ts';
import type { SessionRecord } from '../../../../src/protocols/mqtt/session/record.ts';
import { SessionSaver } from '../../../../src/protocols/mqtt/session/session-saver.ts';

const RECORD: SessionRecord = {
  ...{ clientId: 'c', session: 'w', expirySeconds: 60, isConnected: true },
  ...{ subscriptions: [], sent: [], received: [] },
};
const LEFT: SessionRecord = { ...RECORD, isConnected: false };

/** A saver, and a store that fails as often as a test says. */
function setUp(failures: readonly Error[] = [], mayTry = true) {
  const clock = new ManualClock();
  const left = [...failures];
  const writes: string[] = [];
  const pauses: number[] = [];
  const write = async (what: string) => {
    const error = left.shift();
    if (error !== undefined) throw error;
    writes.push(what);
  };
  const world = { tooLarge: 0 };
  const saver = new SessionSaver({
    ...{ key: 'k', clientId: 'c', clock, log: silentLog, delayMs: 500 },
    store: {
      save: (key, { isConnected }, expiresAt) =>
        write(`${key} ${isConnected ? 'connected' : 'left'} ${expiresAt ?? 'for good'}`),
      remove: (key) => write(`${key} removed`),
      pause: async (_key, _clock, delayMs) => {
        pauses.push(delayMs);
        return mayTry;
      },
    },
    record: () => RECORD,
    onTooLarge: () => void (world.tooLarge += 1),
  });
  return { clock, saver, writes, pauses, world };
}

const passing = (count: number) =>
  Array.from({ length: count }, () => new CodedError('unavailable', 'not now'));

describe('SessionSaver', () => {
  it('lets a session run out only while it has no connection', async () => {
    const { clock, saver, writes } = setUp();
    await saver.saveNow();
    await saver.end();
    await saver.saveLast(LEFT);
    expect(writes).toEqual(['k connected for good', `k left ${clock.unixMs() + 60_000}`]);
  });

  it('removes a session that is kept no longer', async () => {
    const { saver, writes } = setUp();
    await saver.saveLast({ ...LEFT, expirySeconds: 0 });
    expect(writes).toEqual(['k removed']);
  });

  it('stores the end as soon as that can be done, and asks less often each time', async () => {
    const { saver, writes, pauses } = setUp(passing(7));
    await saver.saveLast(LEFT);
    expect(writes).toHaveLength(1);
    expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  });

  it('gives the end up when the store closes, or for what does not pass', async () => {
    const closing = setUp(passing(1), false);
    await closing.saver.saveLast(LEFT);
    expect([closing.writes, closing.pauses]).toEqual([[], [1_000]]);
    const broken = setUp([new CodedError('too_large', 'never')]);
    await broken.saver.saveLast(LEFT);
    expect([broken.writes, broken.pauses]).toEqual([[], []]);
  });

  it('says when the session is too large for a record', async () => {
    const { clock, saver, world } = setUp([new RangeError('too large')]);
    void saver.save();
    await clock.settle();
    expect(world.tooLarge).toBe(1);
  });
});

import { describe, expect, test } from 'vitest';
import { EmbeddedBroker } from '@trunkline/server/internal/backplanes/embedded/broker.ts';
import { EMBEDDED_DEFAULTS } from '@trunkline/server/internal/backplanes/embedded/config.ts';
import { MemoryStore } from '@trunkline/server/internal/backplanes/embedded/memory-store.ts';
import type {
  LogIdentity,
  LogPlace,
  LogStore,
  Operation,
  Outcome,
} from '@trunkline/server/internal/backplanes/embedded/store.ts';
import { BrokerError } from '@trunkline/server/internal/broker/broker.ts';
import type {
  ChannelFilter,
  ReadRange,
  StreamSlice,
} from '@trunkline/server/internal/broker/broker.ts';
import type { StateRecord } from '@trunkline/server/internal/broker/state.ts';
import { silentLog } from '@trunkline/server/internal/observe/log.ts';
import { ManualClock, seededRandom } from '@trunkline/testkit';
import {
  ALL,
  draft,
  options,
  RecordingSink,
  textOf,
} from '@trunkline/testkit/contracts/broker-world';

/** A durable store whose commits are settled by the test. */
class HeldStore implements LogStore {
  readonly joins = true;
  /** Commits that were asked for, in order. */
  readonly held: { settle(how: 'stored' | 'failed' | 'doubtful' | 'lost'): void }[] = [];
  readonly #kept: MemoryStore;

  constructor(kept: MemoryStore) {
    this.#kept = kept;
  }

  open(): LogIdentity {
    return this.#kept.open();
  }

  commit(operations: readonly Operation[], nowMs: number): Promise<Outcome[]> {
    return new Promise((resolve, reject) => {
      this.held.push({
        settle: (how) => {
          const isLost = how === 'failed' || how === 'lost';
          const outcomes = isLost ? [] : this.#kept.commit(operations, nowMs);
          if (how === 'stored') return resolve(outcomes);
          const stored = how === 'failed' ? false : 'unknown';
          reject(new BrokerError('unavailable', how, { stored }));
        },
      });
    });
  }

  read(channel: string, range: ReadRange, nowMs: number): StreamSlice {
    return this.#kept.read(channel, range, nowMs);
  }

  changedSince(place: LogPlace | undefined, filter: ChannelFilter, nowMs: number) {
    return this.#kept.changedSince(place, filter, nowMs);
  }

  get(key: string, nowMs: number): StateRecord | undefined {
    return this.#kept.get(key, nowMs);
  }

  list(prefix: string, after: string | undefined, countMax: number, nowMs: number): StateRecord[] {
    return this.#kept.list(prefix, after, countMax, nowMs);
  }

  sweep(nowMs: number): boolean {
    return this.#kept.sweep(nowMs);
  }

  close(): void {}
}

async function heldBroker() {
  const clock = new ManualClock();
  const random = seededRandom(1);
  const limits = EMBEDDED_DEFAULTS;
  const durable = new HeldStore(new MemoryStore({ random, limits }));
  const memory = new MemoryStore({ random, limits });
  const broker = new EmbeddedBroker({ memory, durable, clock, log: silentLog, limits });
  const sink = new RecordingSink();
  await broker.open(sink);
  return { clock, durable, broker, sink };
}

describe('EmbeddedBroker', () => {
  test('tells and answers nothing before the commit', async () => {
    const { clock, durable, broker, sink } = await heldBroker();
    await broker.watch('a');
    let answered = false;
    const asked = broker.publish('a', draft('1'), options()).then(() => {
      answered = true;
    });
    await clock.settle();
    expect({ answered, told: sink.told }).toEqual({ answered: false, told: [] });
    durable.held[0]?.settle('stored');
    await asked;
    expect(sink.told.map(({ message }) => textOf(message))).toEqual(['1']);
  });

  test('gives marks that stand still until the sink was told', async () => {
    const { clock, durable, broker } = await heldBroker();
    const before = await broker.mark();
    void broker.publish('a', draft('1'), options());
    await clock.settle();
    expect(await broker.mark()).toBe(before);
    durable.held[0]?.settle('stored');
    await clock.settle();
    expect(await broker.mark()).not.toBe(before);
  });

  test('announces a gap, and only on watched channels, when a commit is in doubt', async () => {
    const { clock, durable, broker, sink } = await heldBroker();
    await broker.watch('a');
    const asked = Promise.allSettled(
      ['a', 'b', 'a'].map((channel) => broker.publish(channel, draft('x'), options())),
    );
    await clock.settle();
    durable.held[0]?.settle('doubtful');
    const results = await asked;
    for (const result of results) expect(result).toMatchObject({ reason: { stored: 'unknown' } });
    expect(results).toHaveLength(3);
    expect(sink.gaps).toEqual(['a']);
    expect((await broker.read('a', ALL)).top).toBe(2);
    void broker.publish('a', draft('y'), options());
    await clock.settle();
    durable.held[1]?.settle('stored');
    await clock.settle();
    durable.held[2]?.settle('stored');
    await clock.settle();
    expect(sink.offsets('a')).toEqual([3]);
  });

  test('gives marks that stand after what a doubtful commit stored', async () => {
    const { clock, durable, broker } = await heldBroker();
    const asked = broker.publish('a', draft('x'), options());
    await clock.settle();
    durable.held[0]?.settle('doubtful');
    await expect(asked).rejects.toMatchObject({ stored: 'unknown' });
    // Not before the store has said how far its order goes, and not while it can't.
    const early = broker.mark();
    await clock.settle();
    durable.held[1]?.settle('failed');
    await expect(early).rejects.toMatchObject({ kind: 'unavailable' });
    clock.advance(1_000);
    await clock.settle();
    const mark = broker.mark();
    durable.held[2]?.settle('stored');
    expect(await broker.changedSince(await mark, ['a'])).toEqual([]);
    expect(durable.held).toHaveLength(3);
  });

  test('knows no place while a commit is in doubt', async () => {
    const { clock, durable, broker } = await heldBroker();
    const before = broker.place();
    const asked = broker.publish('a', draft('x'), options());
    await clock.settle();
    expect(broker.place()).toBe(before);
    durable.held[0]?.settle('doubtful');
    await expect(asked).rejects.toMatchObject({ stored: 'unknown' });
    expect(broker.place()).toBeUndefined();
    await clock.settle();
    durable.held[1]?.settle('stored');
    await clock.settle();
    expect(await broker.changedSince(broker.place(), ['a'])).toEqual([]);
    expect(broker.place()).toBe(await broker.mark());
    expect(broker.place()).not.toBe(before);
  });

  test('announces nothing when a commit certainly stored nothing', async () => {
    const { clock, durable, broker, sink } = await heldBroker();
    await broker.watch('a');
    const asked = broker.publish('a', draft('x'), options());
    await clock.settle();
    durable.held[0]?.settle('failed');
    await expect(asked).rejects.toMatchObject({ stored: false });
    expect(sink).toMatchObject({ gaps: [], told: [] });
  });

  test('goes on when the sink throws', async () => {
    const { clock, durable, broker, sink } = await heldBroker();
    await broker.watch('a');
    sink.onTold = () => {
      throw new Error('a bug of the hub');
    };
    const asked = ['1', '2'].map((text) => broker.publish('a', draft(text), options()));
    await clock.settle();
    durable.held[0]?.settle('stored');
    await Promise.all(asked);
    expect(sink.offsets('a')).toEqual([1, 2]);
  });

  test('goes on when the sink throws at what is broadcast', async () => {
    const { broker, sink } = await heldBroker();
    await broker.watch('a');
    sink.onBroadcast = () => {
      throw new Error('a bug of the hub');
    };
    expect(() => broker.broadcast('a', draft('x'))).not.toThrow();
  });

  test('purges nothing when the commit certainly stored nothing', async () => {
    const { clock, durable, broker, sink } = await heldBroker();
    await broker.watch('m');
    const asked = broker.publish('m', draft('1'), options({ durable: false }));
    await clock.settle();
    durable.held[0]?.settle('stored');
    await asked;
    const purge = broker.purge('m');
    await clock.settle();
    durable.held[1]?.settle('failed');
    await expect(purge).rejects.toMatchObject({ stored: false });
    expect((await broker.read('m', ALL)).top).toBe(1);
    expect(sink.gaps).toEqual([]);
    void broker.publish('m', draft('2'), options({ durable: false }));
    expect(sink.offsets('m')).toEqual([1, 2]);
  });

  test('tells of the loss when nobody knows whether a purge was stored', async () => {
    const cases = [
      { durable: true, how: 'doubtful' },
      { durable: false, how: 'doubtful' },
      { durable: false, how: 'lost' },
    ] as const;
    for (const { durable, how } of cases) {
      const { clock, durable: store, broker, sink } = await heldBroker();
      await broker.watch('a');
      const before = broker.place();
      const asked = broker.publish('a', draft('1'), options({ durable }));
      await clock.settle();
      store.held[0]?.settle('stored');
      const { position } = await asked;
      let left: unknown;
      sink.onGapTold = () => {
        left = broker.read('a', ALL);
      };
      const purge = broker.purge('a');
      await clock.settle();
      store.held[1]?.settle(how);
      await expect(purge).rejects.toMatchObject({ stored: 'unknown' });
      expect(sink.gaps).toContain('a');
      expect(await left).toMatchObject({ epoch: '0', top: 0 });
      await clock.settle();
      store.held[2]?.settle('stored');
      await clock.settle();
      const [change] = (await broker.changedSince(before, ['a'])) ?? [];
      expect(['0', position.epoch]).not.toContain(change?.position.epoch);
      expect(await broker.changedSince(broker.place(), ['a'])).toEqual([]);
      void broker.publish('a', draft('2'), options({ durable }));
      await clock.settle();
      store.held[3]?.settle('stored');
      await clock.settle();
      const [next] = (await broker.changedSince(before, ['a'])) ?? [];
      expect(next?.stream).toMatchObject({ top: 1 });
      expect(['0', position.epoch, next?.stream.epoch]).not.toContain(next?.position.epoch);
    }
  });

  test('does not let a message in memory overtake a purge', async () => {
    const { clock, durable, broker, sink } = await heldBroker();
    await broker.watch('m');
    const passing = options({ durable: false });
    const first = broker.publish('m', draft('1'), passing);
    await clock.settle();
    durable.held[0]?.settle('stored');
    await first;
    const purge = broker.purge('m');
    const second = broker.publish('m', draft('2'), passing);
    expect(sink.offsets('m')).toEqual([1]);
    await clock.settle();
    durable.held[1]?.settle('stored');
    await purge;
    expect(await second).toMatchObject({ position: { offset: 1 } });
    expect(sink.offsets('m')).toEqual([1, 1]);
    // Nothing is ahead of it any more.
    void broker.publish('m', draft('3'), passing);
    expect(sink.offsets('m')).toEqual([1, 1, 2]);
  });

  test('publishes in memory within the call once the channel has moved there', async () => {
    const { clock, durable, broker, sink } = await heldBroker();
    await broker.watch('m');
    const passing = options({ durable: false });
    const first = broker.publish('m', draft('1'), passing);
    await clock.settle();
    expect(sink.told).toEqual([]);
    durable.held[0]?.settle('stored');
    await first;
    void broker.publish('m', draft('2'), passing);
    expect(sink.offsets('m')).toEqual([1, 2]);
    expect(durable.held).toHaveLength(1);
  });

  test('does not let a later message in memory overtake one whose channel is moving', async () => {
    const { clock, durable, broker, sink } = await heldBroker();
    await broker.watch('m');
    const passing = options({ durable: false });
    void broker.publish('m', draft('1'), passing);
    await clock.settle();
    void broker.publish('m', draft('2'), passing);
    durable.held[0]?.settle('stored');
    await clock.settle();
    void broker.publish('m', draft('3'), passing);
    durable.held[1]?.settle('stored');
    await clock.settle();
    durable.held[2]?.settle('stored');
    await clock.settle();
    expect(sink.told.map(({ message }) => textOf(message))).toEqual(['1', '2', '3']);
  });

  test('says that a message was not stored when its channel could not move', async () => {
    const { clock, durable, broker } = await heldBroker();
    const asked = broker.publish('m', draft('1'), options({ durable: false }));
    await clock.settle();
    durable.held[0]?.settle('doubtful');
    await expect(asked).rejects.toMatchObject({ kind: 'unavailable', stored: false });
  });

  test('tells that a life may be over when nobody knows whether its channel has moved', async () => {
    for (const how of ['doubtful', 'lost'] as const) {
      const { clock, durable, broker, sink } = await heldBroker();
      await broker.watch('m');
      const asked = broker.publish('m', draft('1'), options({ durable: false }));
      await clock.settle();
      durable.held[0]?.settle(how);
      await expect(asked).rejects.toMatchObject({ kind: 'unavailable', stored: false });
      expect(sink.gaps).toEqual(['m']);
    }
  });

  test('sweeps at its interval, and stops with the broker', async () => {
    const { clock, broker } = await heldBroker();
    expect(clock.timerCount).toBe(1);
    await clock.pass(EMBEDDED_DEFAULTS.sweepIntervalMs);
    expect(clock.timerCount).toBe(1);
    await broker.close();
    expect(clock.timerCount).toBe(0);
  });
});

/** The contract of brokers: opening, closing, and what outlives a process. */
import { describe, expect, test } from 'vitest';
import { BrokerError } from '@trunkline/server/internal/broker/broker.ts';
import { ALL, draft, expectStream, options, publishAll, run, SETTINGS } from './broker-world.ts';
import type { BrokerTraits, CreateWorld } from './broker-world.ts';

/** What is promised about beginnings and ends. */
export function describeLife(traits: BrokerTraits, create: CreateWorld): void {
  describe('closing', () => {
    test('stores and tells what was accepted, and nothing after', async () => {
      await using world = await create(SETTINGS);
      const { broker, sink } = await run(world);
      await broker.watch('a');
      const asked = Array.from({ length: 100 }, (_, index) =>
        broker.publish('a', draft(`${index}`), options()),
      );
      const closing = broker.close();
      const late = broker.publish('a', draft('late'), options());
      await expect(late).rejects.toMatchObject({ kind: 'closed', stored: false });
      const positions = await Promise.all(asked);
      expect(positions.at(-1)?.position.offset).toBe(100);
      await closing;
      const told = sink.told.length;
      expect(told).toBe(100);
      if (!traits.durable) return;
      const next = await run(world);
      expect((await next.broker.read('a', ALL)).top).toBe(100);
      await publishAll(next.broker, 'a', ['more']);
      expect(sink.told.length).toBe(told);
    });

    test('may be asked for twice, and before opening', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      await Promise.all([broker.close(), broker.close()]);
      await broker.close();
      const unopened = await world.start();
      await unopened.close();
      await expect(unopened.publish('a', draft('x'), options())).rejects.toThrow(BrokerError);
    });

    test('ends reading, marks and state too', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      const mark = await broker.mark();
      await broker.close();
      const calls = [
        () => broker.read('a', ALL),
        () => broker.mark(),
        () => broker.changedSince(mark, ['#']),
        () => broker.state.get('k'),
        () => broker.state.put('k', new Uint8Array()),
        () => broker.state.list('', { countMax: 1 }),
      ];
      for (const call of calls) await expect(call()).rejects.toMatchObject({ kind: 'closed' });
    });
  });

  describe.runIf(traits.durable)('the next process', () => {
    for (const end of ['close', 'crash'] as const) {
      test(`finds everything acknowledged and goes on from there (${end})`, async () => {
        await using world = await create(SETTINGS);
        const first = await run(world);
        const { position } = await first.broker.publish('a', draft('1'), options({ key: 'k' }));
        await publishAll(first.broker, 'a', ['2', '3']);
        await (end === 'close' ? first.broker.close() : world.crash());
        const { broker } = await run(world);
        await expectStream(broker, 'a', ['1', '2', '3']);
        const again = await broker.publish('a', draft('1'), options({ key: 'k' }));
        expect(again).toEqual({ position, duplicate: true });
        const next = await broker.publish('a', draft('4'), options());
        expect(next.position).toEqual({ epoch: position.epoch, offset: 4 });
        await expect(
          broker.publish('a', draft('other'), options({ key: 'k' })),
        ).rejects.toMatchObject({ kind: 'conflict' });
      });
    }

    test('never gives an earlier time', async () => {
      await using world = await create(SETTINGS);
      const first = await run(world);
      await publishAll(first.broker, 'a', ['1']);
      await first.broker.close();
      world.stepUnix(-60_000);
      const { broker } = await run(world);
      await publishAll(broker, 'a', ['2']);
      const [one, two] = (await broker.read('a', ALL)).messages;
      expect(two?.time).toBe(one?.time);
    });

    test('finds nothing of channels that were to end with the process', async () => {
      await using world = await create(SETTINGS);
      const first = await run(world);
      const passing = options({ durable: false });
      const { position } = await first.broker.publish('m', draft('1'), passing);
      await publishAll(first.broker, 'kept', ['1', '2']);
      const mark = await first.broker.mark();
      await publishAll(first.broker, 'm', ['2'], passing);
      await publishAll(first.broker, 'kept', ['3']);
      await first.broker.close();

      const { broker } = await run(world);
      expect(await broker.read('m', ALL)).toMatchObject({ epoch: '0', top: 0 });
      // The mark's reader is told of the loss, and of nothing else.
      const changed = await broker.changedSince(mark, ['#']);
      const found = new Map(changed?.map((one) => [one.channel, one.position]));
      expect([...found.keys()].toSorted()).toEqual(['kept', 'm']);
      expect(found.get('kept')?.offset).toBe(2);
      expect(['0', position.epoch]).not.toContain(found.get('m')?.epoch);
      const next = await broker.publish('m', draft('3'), passing);
      expect(next.position.offset).toBe(1);
      expect(next.position.epoch).not.toBe(position.epoch);
      const again = await broker.changedSince(mark, ['m/#']);
      expect(again?.[0]?.position.epoch).not.toBe('0');
      expect(await broker.changedSince(mark, ['m'])).toEqual(again);
      const later = await broker.changedSince(await broker.mark(), ['#']);
      expect(later).toEqual([]);
    });
  });

  describe('a channel that is not to be durable', () => {
    const passing = options({ durable: false });

    test('keeps the same order, offsets, keys and announcements', async () => {
      await using world = await create(SETTINGS);
      const { broker, sink } = await run(world);
      await broker.watch('m');
      const asked = Array.from({ length: 20 }, (_, index) =>
        broker.publish('m', draft(`${index}`), passing),
      );
      const texts = Array.from({ length: 20 }, (_, index) => `${index}`);
      const published = await Promise.all(asked);
      expect(published.map(({ position }) => position.offset)).toEqual(
        texts.map((text) => Number(text) + 1),
      );
      await expectStream(broker, 'm', texts);
      expect(sink.offsets('m')).toEqual(published.map(({ position }) => position.offset));
      const keyed = options({ durable: false, key: 'k' });
      const first = await broker.publish('m', draft('x'), keyed);
      expect(await broker.publish('m', draft('x'), keyed)).toEqual({ ...first, duplicate: true });
      await expect(broker.publish('m', draft('y'), keyed)).rejects.toMatchObject({
        kind: 'conflict',
      });
    });

    test('keeps the order of calls while it moves', async () => {
      await using world = await create(SETTINGS);
      const { broker, sink } = await run(world);
      await broker.watch('m');
      const asked: Promise<unknown>[] = [];
      for (let index = 0; index < 30; index += 1) {
        asked.push(broker.publish('m', draft(`${index}`), passing));
        if (index % 7 === 0) await asked[index - 3];
      }
      await Promise.all(asked);
      expect(sink.told.map(({ message }) => message.offset)).toEqual(
        Array.from({ length: 30 }, (_, index) => index + 1),
      );
    });

    test.runIf(traits.durable)('begins a new epoch whenever it comes or goes', async () => {
      await using world = await create(SETTINGS);
      const { broker, sink } = await run(world);
      await broker.watch('m');
      const epochs: string[] = [];
      const publish = async (durable: boolean): Promise<number> => {
        const { position } = await broker.publish('m', draft('x'), options({ durable }));
        epochs.push(position.epoch);
        expect((await broker.read('m', ALL)).epoch).toBe(position.epoch);
        return position.offset;
      };
      const begun = await broker.mark();
      expect(await publish(true)).toBe(1);
      expect(await publish(true)).toBe(2);
      const durable = await broker.mark();
      expect(await publish(false)).toBe(1);
      expect(await publish(false)).toBe(2);
      const inMemory = await broker.mark();
      expect(await publish(true)).toBe(1);
      expect(new Set(epochs).size).toBe(3);
      expect(sink.told.map(({ epoch }) => epoch)).toEqual(epochs);
      for (const mark of [durable, inMemory]) {
        const [changed] = (await broker.changedSince(mark, ['#'])) ?? [];
        expect(['0', epochs.at(-1)]).not.toContain(changed?.position.epoch);
      }
      expect(await broker.changedSince(await broker.mark(), ['#'])).toEqual([]);
      expect(await broker.changedSince(begun, ['#'])).toHaveLength(1);
    });
  });
}

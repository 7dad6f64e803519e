/** The contract of brokers: reading and retention. */
import { describe, expect, test } from 'vitest';
import type { Broker, ReadRange } from '@trunkline/server/internal/broker/broker.ts';
import {
  ALL,
  AMPLE,
  draft,
  expectStream,
  options,
  publishAll,
  run,
  SETTINGS,
} from './broker-world.ts';
import type { CreateWorld } from './broker-world.ts';

const TEN = Array.from({ length: 10 }, (_, index) => `${index + 1}`);

async function offsets(broker: Broker, range: Partial<ReadRange>): Promise<number[]> {
  const { messages } = await broker.read('a', { ...ALL, ...range });
  return messages.map(({ offset }) => offset);
}

/** What is promised to those who read. */
export function describeReading(create: CreateWorld): void {
  describe('reading', () => {
    test('finds nothing in a channel that has no stream', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      const nothing = { epoch: '0', oldest: 1, top: 0, messages: [] };
      expect(await broker.read('a', ALL)).toEqual(nothing);
      expect(await broker.read('a', { ...ALL, before: 7 })).toEqual(nothing);
    });

    test('gives what comes after an offset, oldest first', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      await publishAll(broker, 'a', TEN);
      expect(await offsets(broker, { after: 7 })).toEqual([8, 9, 10]);
      expect(await offsets(broker, { after: 10 })).toEqual([]);
      expect(await offsets(broker, { after: 99 })).toEqual([]);
      expect(await offsets(broker, { after: 2, countMax: 3 })).toEqual([3, 4, 5]);
    });

    test('gives the newest of what comes before an offset, in rising order', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      await publishAll(broker, 'a', TEN);
      expect(await offsets(broker, { before: 4 })).toEqual([1, 2, 3]);
      expect(await offsets(broker, { before: 8, countMax: 2 })).toEqual([6, 7]);
      expect(await offsets(broker, { before: 11, countMax: 2 })).toEqual([9, 10]);
      expect(await offsets(broker, { before: 99, countMax: 2 })).toEqual([9, 10]);
      expect(await offsets(broker, { before: 1 })).toEqual([]);
      expect(await offsets(broker, { before: 3, after: 9 })).toEqual([1, 2]);
    });

    test('gives only the bounds when no message is wanted', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      await publishAll(broker, 'a', TEN);
      const slice = await broker.read('a', { after: 0, countMax: 0, sizeMax: 0 });
      expect(slice).toMatchObject({ oldest: 1, top: 10, messages: [] });
    });

    test('gives messages with a time to live their end, and still gives them after it', async () => {
      await using world = await create(SETTINGS);
      const { broker, sink } = await run(world);
      await broker.watchPattern('#');
      for (const durable of [true, false]) {
        const channel = durable ? 'kept' : 'm';
        const given = options({ durable });
        await broker.publish(channel, { ...draft('1'), ttl: 500, slot: 'not kept' }, given);
        await broker.publish(channel, draft('2'), given);
        await broker.publish(channel, { ...draft('3'), ttl: Number.MAX_SAFE_INTEGER }, given);
        await world.pass(1000);
        const { messages, oldest } = await broker.read(channel, ALL);
        expect(oldest).toBe(1);
        expect(messages.map(({ offset }) => offset)).toEqual([1, 2, 3]);
        const [first, second, third] = messages;
        expect(first?.expiresAt).toBe((first?.time ?? 0) + 500);
        expect(second).not.toHaveProperty('expiresAt');
        expect(third?.expiresAt).toBe(Number.MAX_SAFE_INTEGER);
        for (const message of messages) {
          expect(message).not.toHaveProperty('ttl');
          expect(message).not.toHaveProperty('slot');
        }
        const told = sink.told.filter((one) => one.channel === channel);
        expect(told.map(({ message }) => message.expiresAt)).toEqual(
          messages.map(({ expiresAt }) => expiresAt),
        );
        for (const { message } of told) expect(message).not.toHaveProperty('ttl');
      }
    });

    test('ends a slice at its size, but gives one message at least', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      for (let count = 0; count < 5; count += 1) {
        await broker.publish('a', { payload: new Uint8Array(100) }, options());
      }
      expect(await offsets(broker, { sizeMax: 300 })).toEqual([1, 2, 3]);
      expect(await offsets(broker, { sizeMax: 299 })).toEqual([1, 2]);
      expect(await offsets(broker, { sizeMax: 1 })).toEqual([1]);
      expect(await offsets(broker, { before: 6, sizeMax: 299 })).toEqual([4, 5]);
      expect(await offsets(broker, { before: 6, sizeMax: 0 })).toEqual([5]);
    });

    test('sees everything acknowledged before the call', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      for (const text of TEN) {
        const { position } = await broker.publish('a', draft(text), options());
        const { epoch, top } = await broker.read('a', ALL);
        expect({ epoch, offset: top }).toEqual(position);
      }
    });

    test('gives a slice that never changes', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      await publishAll(broker, 'a', TEN);
      const slice = await broker.read('a', ALL);
      const copy = structuredClone(slice);
      await publishAll(broker, 'a', TEN, options({ retention: { ...AMPLE, countMax: 2 } }));
      expect(slice).toEqual(copy);
    });

    test('answers many reads at once, each with its own', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      await publishAll(broker, 'a', TEN);
      const asked = Array.from({ length: 300 }, (_, index) =>
        offsets(broker, { after: index % 10, countMax: 1 }),
      );
      const expected = Array.from({ length: 300 }, (_, index) => [(index % 10) + 1]);
      expect(await Promise.all(asked)).toEqual(expected);
    });
  });

  describe('retention', () => {
    test('keeps exactly as many messages as it may', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      const three = options({ retention: { ...AMPLE, countMax: 3 } });
      const texts: string[] = [];
      for (let index = 1; index <= 300; index += 1) {
        texts.push(`${index}`);
        await broker.publish('a', draft(`${index}`), three);
        if (index % 37 === 0 || index < 5) await expectStream(broker, 'a', texts.slice(-3));
      }
      expect(await offsets(broker, { after: 1, countMax: 1 })).toEqual([298]);
      expect(await offsets(broker, { before: 299 })).toEqual([298]);
      expect(await offsets(broker, { before: 100 })).toEqual([]);
    });

    test('keeps as many payload bytes as it may, and the newest message always', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      const given = options({ retention: { ...AMPLE, sizeMax: 1000 } });
      for (let index = 0; index < 20; index += 1) {
        await broker.publish('a', { payload: new Uint8Array(300) }, given);
      }
      expect(await offsets(broker, {})).toEqual([18, 19, 20]);
      await broker.publish('a', { payload: new Uint8Array(5000) }, given);
      expect(await offsets(broker, {})).toEqual([21]);
      await broker.publish('a', { payload: new Uint8Array(1) }, given);
      expect(await offsets(broker, {})).toEqual([22]);
    });

    test('gives no message that is as old as it may be, to the millisecond', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      const given = options({ retention: { ...AMPLE, ageMsMax: 10_000 } });
      await publishAll(broker, 'a', ['1', '2'], given);
      await world.pass(4000);
      await publishAll(broker, 'a', ['3'], given);
      await world.pass(5999);
      await expectStream(broker, 'a', ['1', '2', '3']);
      await world.pass(1);
      await expectStream(broker, 'a', ['3']);
      await world.pass(3999);
      await expectStream(broker, 'a', ['3']);
      await world.pass(1);
      await expectStream(broker, 'a', []);
      expect(await broker.read('a', ALL)).toMatchObject({ oldest: 4, top: 3 });
    });

    test('follows the retention of the newest publish', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      await publishAll(broker, 'a', TEN);
      await publishAll(broker, 'a', ['11'], options({ retention: { ...AMPLE, countMax: 2 } }));
      await expectStream(broker, 'a', ['10', '11']);
      await publishAll(broker, 'a', ['12'], options({ retention: { ...AMPLE, ageMsMax: 1000 } }));
      await world.pass(1000);
      await expectStream(broker, 'a', []);
    });

    test('goes on with the next offset of the same epoch when all messages are gone', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      const given = options({ retention: { ...AMPLE, ageMsMax: 1000 } });
      const first = await broker.publish('a', draft('1'), given);
      await world.pass(SETTINGS.metadataMs - 1);
      expect(await broker.read('a', ALL)).toMatchObject({ oldest: 2, top: 1 });
      const second = await broker.publish('a', draft('2'), given);
      expect(second.position).toEqual({ epoch: first.position.epoch, offset: 2 });
      await expectStream(broker, 'a', ['2']);
    });

    test('forgets a channel long after its last message, which then begins anew', async () => {
      await using world = await create(SETTINGS);
      const { broker, sink } = await run(world);
      await broker.watch('a');
      const given = options({ retention: { ...AMPLE, ageMsMax: 1000 } });
      const first = await broker.publish('a', draft('1'), given);
      await world.pass(SETTINGS.metadataMs + 3_600_000);
      expect(await broker.read('a', ALL)).toMatchObject({ epoch: '0', top: 0 });
      const second = await broker.publish('a', draft('2'), given);
      expect(second.position.offset).toBe(1);
      expect(second.position.epoch).not.toBe(first.position.epoch);
      expect(sink.told.map(({ epoch }) => epoch)).toEqual([
        first.position.epoch,
        second.position.epoch,
      ]);
    });

    test('keeps for ever what has no bound', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      const endless = { countMax: Infinity, sizeMax: Infinity, ageMsMax: Infinity };
      await publishAll(broker, 'a', TEN, options({ retention: endless }));
      await world.pass(400 * 86_400_000);
      await expectStream(broker, 'a', TEN);
    });
  });
}

/** The contract of brokers: publishing, watching and idempotency. */
import { describe, expect, test } from 'vitest';
import type { StreamSlice } from '@trunkline/server/internal/broker/broker.ts';
import { formatPosition, parsePosition } from '@trunkline/wire';
import {
  ALL,
  AMPLE,
  draft,
  expectStream,
  options,
  publishAll,
  run,
  SETTINGS,
  textOf,
} from './broker-world.ts';
import type { CreateWorld } from './broker-world.ts';

/** What is promised to those who publish, and to the sink. */
export function describePublishing(create: CreateWorld): void {
  describe('publishing', () => {
    test('gives 1, 2, 3 … in the order of the calls, each channel for itself', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      const asked = ['a', 'b', 'a', 'a', 'b'].map((channel, index) =>
        broker.publish(channel, draft(`${index}`), options()),
      );
      const positions = (await Promise.all(asked)).map(({ position }) => position);
      expect(positions.map(({ offset }) => offset)).toEqual([1, 1, 2, 3, 2]);
      expect(new Set([positions[0], positions[2], positions[3]].map((at) => at?.epoch)).size).toBe(
        1,
      );
      expect(positions[0]?.epoch).not.toBe(positions[1]?.epoch);
      await expectStream(broker, 'a', ['0', '2', '3']);
      await expectStream(broker, 'b', ['1', '4']);
    });

    test('answers with a position that stands on the wire', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      const { position, duplicate } = await broker.publish('a', draft('x'), options());
      expect(parsePosition(formatPosition(position))).toEqual(position);
      expect(position.epoch).not.toBe('0');
      expect(duplicate).toBe(false);
    });

    test('keeps every part of a message as it was published', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      const drafts = [
        { payload: Uint8Array.from([0, 255, 10, 13]), contentType: 'application/x', event: 'e' },
        { payload: new Uint8Array(), from: { session: 's' } },
        { payload: new TextEncoder().encode('"ü"'), from: { user: 'ü', session: 's' } },
      ];
      for (const one of drafts) await broker.publish('a', one, options());
      const { messages } = await broker.read('a', ALL);
      expect(
        messages.map(({ offset: _, time: __, ...rest }) => ({
          ...rest,
          payload: [...rest.payload],
        })),
      ).toEqual(drafts.map((one) => ({ ...one, payload: [...one.payload] })));
    });

    test('keeps a payload of 1 MB and a payload that is part of a larger buffer', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      const large = new Uint8Array(2 ** 20).map((_, index) => index % 251);
      await broker.publish(
        'a',
        { payload: large },
        options({ retention: { ...AMPLE, sizeMax: 2 ** 22 } }),
      );
      await broker.publish('a', { payload: large.subarray(100, 103) }, options());
      const { messages } = await broker.read('a', { ...ALL, after: 0, before: 3 });
      const last = messages.at(-1);
      expect([...(last?.payload ?? [])]).toEqual([100, 101, 102]);
      const first = await broker.read('b', ALL);
      expect(first.messages).toEqual([]);
    });

    test('gives times that are the wall clock, but never fall within a channel', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      await publishAll(broker, 'a', ['1']);
      await world.pass(500);
      await publishAll(broker, 'a', ['2']);
      world.stepUnix(-60_000);
      await publishAll(broker, 'a', ['3']);
      world.stepUnix(120_000);
      await publishAll(broker, 'a', ['4']);
      const times = (await broker.read('a', ALL)).messages.map(({ time }) => time);
      const [first = 0] = times;
      expect(times.map((time) => time - first)).toEqual([0, 500, 500, 60_500]);
    });

    test('tells the sink of watched channels in offset order, before the publish resolves', async () => {
      await using world = await create(SETTINGS);
      const { broker, sink } = await run(world);
      await broker.watch('a');
      const resolved: number[] = [];
      const early: number[] = [];
      const asked = Array.from({ length: 50 }, async (_, index) => {
        const { position } = await broker.publish(
          index % 2 === 0 ? 'a' : 'b',
          draft(`${index}`),
          options(),
        );
        if (index % 2 === 1) return;
        resolved.push(position.offset);
        if (!sink.offsets('a').includes(position.offset)) early.push(position.offset);
      });
      await Promise.all(asked);
      expect(sink.offsets('a')).toEqual(Array.from({ length: 25 }, (_, index) => index + 1));
      expect(resolved).toEqual(sink.offsets('a'));
      expect(early).toEqual([]);
      expect(sink.offsets('b')).toEqual([]);
      expect(sink.gaps).toEqual([]);
    });

    test('tells the sink what a reader then finds', async () => {
      await using world = await create(SETTINGS);
      const { broker, sink } = await run(world);
      await broker.watch('a');
      const reads: Promise<StreamSlice>[] = [];
      sink.onTold = ({ message }) => {
        reads.push(broker.read('a', { ...ALL, after: message.offset - 1, countMax: 1 }));
      };
      await Promise.all(['1', '2', '3'].map((text) => broker.publish('a', draft(text), options())));
      const found = await Promise.all(reads);
      const expected = sink.told.map(({ epoch, message }) => ({ epoch, messages: [message] }));
      expect(found).toMatchObject(expected);
      expect(found).toHaveLength(3);
    });

    test('tells nothing more of a channel that is not watched any more', async () => {
      await using world = await create(SETTINGS);
      const { broker, sink } = await run(world);
      await broker.watch('a');
      await broker.watch('a');
      await publishAll(broker, 'a', ['1']);
      broker.unwatch('a');
      await publishAll(broker, 'a', ['2']);
      await broker.watch('a');
      await publishAll(broker, 'a', ['3']);
      expect(sink.offsets('a')).toEqual([1, 3]);
    });

    test('misses nothing between watching and reading', async () => {
      await using world = await create(SETTINGS);
      const { broker, sink } = await run(world);
      const publishing = Array.from({ length: 200 }, (_, index) =>
        broker.publish('a', draft(`${index}`), options()),
      );
      await publishing[20];
      await broker.watch('a');
      const { messages } = await broker.read('a', ALL);
      await Promise.all(publishing);
      const seen = new Set([...messages.map(({ offset }) => offset), ...sink.offsets('a')]);
      expect(seen.size).toBe(200);
    });
  });

  describe('idempotency', () => {
    test('stores the same key once and answers with the first place', async () => {
      await using world = await create(SETTINGS);
      const { broker, sink } = await run(world);
      await broker.watch('a');
      const first = await broker.publish('a', draft('x'), options({ key: 'k' }));
      await publishAll(broker, 'a', ['y']);
      const second = await broker.publish('a', draft('x'), options({ key: 'k' }));
      expect(second).toEqual({ position: first.position, duplicate: true });
      await expectStream(broker, 'a', ['x', 'y']);
      expect(sink.offsets('a')).toEqual([1, 2]);
    });

    test('takes the same message with another time to live for the same one', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      const keyed = options({ key: 'k' });
      const first = await broker.publish('a', { ...draft('x'), ttl: 2000 }, keyed);
      const again = await broker.publish('a', { ...draft('x'), ttl: 1000 }, keyed);
      expect(again).toEqual({ position: first.position, duplicate: true });
      const [message] = (await broker.read('a', ALL)).messages;
      expect(message?.expiresAt).toBe((message?.time ?? 0) + 2000);
    });

    test('stores it once when it comes twice at the same moment', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      const asked = [1, 2, 3].map(() => broker.publish('a', draft('x'), options({ key: 'k' })));
      const published = await Promise.all(asked);
      expect(published.map(({ duplicate }) => duplicate)).toEqual([false, true, true]);
      expect(new Set(published.map(({ position }) => formatPosition(position))).size).toBe(1);
      await expectStream(broker, 'a', ['x']);
    });

    test.each([
      { differs: 'payload', second: { ...draft('y') } },
      { differs: 'content type', second: { ...draft('x'), contentType: 'text/plain' } },
      { differs: 'event', second: { ...draft('x'), event: 'e' } },
    ])('refuses the same key when the $differs differs', async ({ second }) => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      await broker.publish('a', draft('x'), options({ key: 'k' }));
      const asked = broker.publish('a', second, options({ key: 'k' }));
      await expect(asked).rejects.toMatchObject({ kind: 'conflict', stored: false });
      await expectStream(broker, 'a', ['x']);
    });

    test('takes the same key of another user or in another channel for another one', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      await broker.publish('a', draft('x'), options({ key: 'k', scope: 'alice' }));
      await broker.publish('a', draft('y'), options({ key: 'k', scope: 'bob' }));
      await broker.publish('b', draft('z'), options({ key: 'k', scope: 'alice' }));
      // Not to be told apart by putting scope and key side by side.
      await broker.publish('a', draft('1'), options({ key: 'bc', scope: 'a' }));
      await broker.publish('a', draft('2'), options({ key: 'c', scope: 'ab' }));
      await expectStream(broker, 'a', ['x', 'y', '1', '2']);
      await expectStream(broker, 'b', ['z']);
    });

    test('remembers a key for the whole window and not longer', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      await broker.publish('a', draft('x'), options({ key: 'k' }));
      await world.pass(SETTINGS.keyWindowMs - 1);
      const late = await broker.publish('a', draft('x'), options({ key: 'k' }));
      expect(late.duplicate).toBe(true);
      await world.pass(1);
      const after = await broker.publish('a', draft('other'), options({ key: 'k' }));
      expect(after).toMatchObject({ duplicate: false, position: { offset: 2 } });
    });

    test('remembers a key although its message is gone', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      const short = { ...AMPLE, ageMsMax: 1000 };
      const first = await broker.publish('a', draft('x'), options({ key: 'k', retention: short }));
      await world.pass(2000);
      const second = await broker.publish('a', draft('x'), options({ key: 'k', retention: short }));
      expect(second).toEqual({ position: first.position, duplicate: true });
      await expectStream(broker, 'a', []);
    });

    test('forgets the oldest keys of a channel beyond the bound', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      const keys = Array.from(
        { length: SETTINGS.keysPerChannelMax + 1 },
        (_, index) => `k${index}`,
      );
      for (const key of keys) await broker.publish('a', draft(key), options({ key }));
      for (const key of keys.slice(1)) {
        const again = await broker.publish('a', draft(key), options({ key }));
        expect(again.duplicate).toBe(true);
      }
      const again = await broker.publish('a', draft('k0'), options({ key: 'k0' }));
      expect(again.duplicate).toBe(false);
    });

    test('does not remember a key whose publish was refused as a conflict', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      await broker.publish('a', draft('x'), options({ key: 'k' }));
      await expect(broker.publish('a', draft('y'), options({ key: 'k' }))).rejects.toThrow();
      const again = await broker.publish('a', draft('x'), options({ key: 'k' }));
      expect(again.duplicate).toBe(true);
      const { messages } = await broker.read('a', ALL);
      expect(messages.map(textOf)).toEqual(['x']);
    });
  });
}

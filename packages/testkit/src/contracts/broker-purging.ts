/** The contract of brokers: purging a channel. */
import { describe, expect, test } from 'vitest';
import type { Broker } from '@trunkline/server/internal/broker/broker.ts';
import { ORIGIN } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
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
import type { BrokerTraits, CreateWorld } from './broker-world.ts';

const NOTHING = { epoch: '0', oldest: 1, top: 0, messages: [] };

async function changeOf(broker: Broker, mark: string | undefined, channel: string) {
  const changed = await broker.changedSince(mark, [channel]);
  const found = await broker.changedSince(mark, ['#']);
  expect(found?.find((change) => change.channel === channel)).toEqual(changed?.[0]);
  return changed?.[0];
}

/** True when the position can't be resumed from in any life of the channel. */
function isLost(position: Position | undefined, ...epochs: readonly string[]): boolean {
  return position !== undefined && ![ORIGIN.epoch, ...epochs].includes(position.epoch);
}

/** What is promised when all of a channel is removed. */
export function describePurging(traits: BrokerTraits, create: CreateWorld): void {
  for (const durable of [true, false]) {
    const given = options({ durable });
    describe(`purging a channel that is${durable ? '' : ' not'} to be durable`, () => {
      test('removes its messages, its keys and its newest offset', async () => {
        await using world = await create(SETTINGS);
        const { broker } = await run(world);
        const keyed = options({ durable, key: 'k' });
        const first = await broker.publish('a', draft('1'), keyed);
        await publishAll(broker, 'a', ['2', '3'], given);
        await publishAll(broker, 'kept', ['1'], given);
        await broker.purge('a');
        expect(await broker.read('a', ALL)).toEqual(NOTHING);
        await expectStream(broker, 'kept', ['1']);
        const again = await broker.publish('a', draft('other'), keyed);
        expect(again).toMatchObject({ duplicate: false, position: { offset: 1 } });
        expect(again.position.epoch).not.toBe(first.position.epoch);
        await expectStream(broker, 'a', ['other']);
      });

      test('is no error where there is nothing, nor twice', async () => {
        await using world = await create(SETTINGS);
        const { broker } = await run(world);
        const mark = await broker.mark();
        await broker.purge('a');
        expect(await broker.changedSince(mark, ['#'])).toEqual([]);
        await publishAll(broker, 'a', ['1'], given);
        await Promise.all([broker.purge('a'), broker.purge('a')]);
        expect(await broker.read('a', ALL)).toEqual(NOTHING);
        await publishAll(broker, 'a', ['2'], given);
        await expectStream(broker, 'a', ['2']);
      });

      test('keeps its place among the publishes to the channel', async () => {
        await using world = await create(SETTINGS);
        const { broker, sink } = await run(world);
        await broker.watch('a');
        const asked: Promise<unknown>[] = [];
        const lives: string[][] = [[]];
        for (let index = 0; index < 40; index += 1) {
          if (index % 11 === 10) {
            asked.push(broker.purge('a'));
            lives.push([]);
          }
          asked.push(broker.publish('a', draft(`${index}`), given));
          lives.at(-1)?.push(`${index}`);
          // Some are asked for while others are under way, some after.
          if (index % 7 === 0) await asked[Math.max(0, index - 4)];
        }
        await Promise.all(asked);
        const told = Map.groupBy(sink.told, ({ epoch }) => epoch).values();
        expect([...told].map((life) => life.map(({ message }) => textOf(message)))).toEqual(lives);
        expect(sink.told.map(({ message }) => message.offset)).toEqual(
          lives.flatMap((life) => life.map((_, index) => index + 1)),
        );
        await expectStream(broker, 'a', lives.at(-1) ?? []);
      });

      test('tells a gap to who watches, when nothing is left to be read', async () => {
        await using world = await create(SETTINGS);
        const { broker, sink } = await run(world);
        await broker.watch('a');
        await publishAll(broker, 'a', ['1'], given);
        await publishAll(broker, 'b', ['1'], given);
        let left: unknown;
        sink.onGapTold = (channel) => {
          left = broker.read(channel, ALL);
        };
        await broker.purge('b');
        expect(sink.gaps).toEqual([]);
        await broker.purge('a');
        expect(sink.gaps).toContain('a');
        expect(await left).toEqual(NOTHING);
        broker.unwatch('a');
        await broker.watchPattern('+');
        const before = sink.gaps.length;
        await publishAll(broker, 'b', ['1'], given);
        await broker.purge('b');
        expect(sink.gaps.slice(before)).toContain('b');
      });

      test('makes marks of before tell a position that can not be resumed from', async () => {
        await using world = await create(SETTINGS);
        const { broker } = await run(world);
        const unborn = await broker.mark();
        const first = await broker.publish('a', draft('1'), given);
        const { epoch } = first.position;
        const before = await broker.mark();
        await broker.purge('a');
        const purged = await broker.mark();
        expect(purged).not.toBe(before);
        // Also who never saw it born: what was published meanwhile is lost to him.
        for (const mark of [unborn, before]) {
          const change = await changeOf(broker, mark, 'a');
          expect(change).toMatchObject({ stream: { epoch: '0', oldest: 1, top: 0 } });
          expect(isLost(change?.position, epoch)).toBe(true);
        }
        expect(await broker.changedSince(purged, ['#'])).toEqual([]);
        expect(await changeOf(broker, undefined, 'a')).toBeUndefined();

        const next = await broker.publish('a', draft('2'), given);
        for (const mark of [unborn, before]) {
          const change = await changeOf(broker, mark, 'a');
          expect(change?.stream).toEqual({ epoch: next.position.epoch, oldest: 1, top: 1 });
          expect(isLost(change?.position, epoch, next.position.epoch)).toBe(true);
        }
        // When there was no stream at the mark, nothing was lost since.
        expect((await changeOf(broker, purged, 'a'))?.position).toEqual(ORIGIN);
        expect((await changeOf(broker, undefined, 'a'))?.position).toEqual(ORIGIN);
        const after = await broker.mark();
        await publishAll(broker, 'a', ['3'], given);
        expect((await changeOf(broker, after, 'a'))?.position).toEqual(next.position);
      });

      test('is remembered as long as a last message would be', async () => {
        await using world = await create(SETTINGS);
        const { broker } = await run(world);
        const forEver = { ...AMPLE, ageMsMax: Infinity };
        await publishAll(broker, 'a', ['1'], options({ durable, retention: forEver }));
        await world.pass(SETTINGS.metadataMs / 2);
        const before = await broker.mark();
        await broker.purge('a');
        const after = await broker.mark();
        await world.pass(SETTINGS.metadataMs - 1000);
        expect(isLost((await changeOf(broker, before, 'a'))?.position)).toBe(true);
        await world.pass(3_600_000);
        expect(await broker.changedSince(before, ['a'])).toBeUndefined();
        expect(await broker.changedSince(after, ['#'])).toEqual([]);
        await publishAll(broker, 'a', ['2'], given);
        await expectStream(broker, 'a', ['2']);
      });

      test.runIf(traits.durable)('is for good, however the process ends', async () => {
        for (const end of ['close', 'crash'] as const) {
          await using world = await create(SETTINGS);
          const first = await run(world);
          const unborn = await first.broker.mark();
          const keyed = options({ durable, key: 'k' });
          const { position } = await first.broker.publish('a', draft('1'), keyed);
          const before = await first.broker.mark();
          await first.broker.purge('a');
          const purged = await first.broker.mark();
          await (end === 'close' ? first.broker.close() : world.crash());
          const { broker } = await run(world);
          expect(await broker.read('a', ALL)).toEqual(NOTHING);
          for (const mark of [unborn, before]) {
            expect(isLost((await changeOf(broker, mark, 'a'))?.position, position.epoch)).toBe(
              true,
            );
          }
          expect(await broker.changedSince(purged, ['#'])).toEqual([]);
          const next = await broker.publish('a', draft('2'), keyed);
          expect(next).toMatchObject({ duplicate: false, position: { offset: 1 } });
          expect(next.position.epoch).not.toBe(position.epoch);
        }
      });
    });
  }

  test.runIf(traits.durable)('a channel that moved is told as lost by older marks', async () => {
    await using world = await create(SETTINGS);
    const { broker } = await run(world);
    const unborn = await broker.mark();
    const first = await broker.publish('a', draft('1'), options());
    const next = await broker.publish('a', draft('2'), options({ durable: false }));
    const change = await changeOf(broker, unborn, 'a');
    expect(isLost(change?.position, first.position.epoch, next.position.epoch)).toBe(true);
    expect(change?.stream).toEqual({ epoch: next.position.epoch, oldest: 1, top: 1 });
  });
}

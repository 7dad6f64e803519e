/** The contract of brokers: marks, and what changed since. */
import { describe, expect, test } from 'vitest';
import type { Broker, ChangedChannel } from '@trunkline/server/internal/broker/broker.ts';
import { isMark } from '@trunkline/wire';
import { AMPLE, draft, options, publishAll, run, SETTINGS } from './broker-world.ts';
import type { BrokerTraits, CreateWorld } from './broker-world.ts';

/** What changed, asked for both ways. */
async function changes(broker: Broker, mark: string): Promise<Record<string, string> | undefined> {
  const changed = await broker.changedSince(mark, ['#']);
  const names = changed?.map(({ channel }) => channel) ?? ['a'];
  const named = await broker.changedSince(mark, ['nobody', ...names]);
  expect(named?.toSorted(byChannel)).toEqual(changed?.toSorted(byChannel));
  if (changed === undefined) return undefined;
  const entries = changed.map(({ channel, position: { epoch, offset } }): [string, string] => {
    return [channel, `${epoch}:${offset}`];
  });
  expect(new Set(entries.map(([channel]) => channel)).size).toBe(entries.length);
  return Object.fromEntries(entries);
}

function byChannel(a: ChangedChannel, b: ChangedChannel): number {
  return a.channel < b.channel ? -1 : 1;
}

async function epochOf(broker: Broker, channel: string): Promise<string> {
  const { epoch } = await broker.read(channel, { after: 0, countMax: 0, sizeMax: 0 });
  return epoch;
}

/** What is promised to those who follow many channels with one cursor. */
export function describeMarks(traits: BrokerTraits, create: CreateWorld): void {
  describe('marks', () => {
    test('have the form that clients may hand back', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      expect(isMark(await broker.mark())).toBe(true);
      await publishAll(broker, 'a', ['1']);
      expect(isMark(await broker.mark())).toBe(true);
    });

    test('tell which channels changed, and where each stood', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      await publishAll(broker, 'a', ['1', '2']);
      await publishAll(broker, 'still', ['1']);
      const mark = await broker.mark();
      expect(await changes(broker, mark)).toEqual({});
      await publishAll(broker, 'a', ['3', '4']);
      await publishAll(broker, 'young', ['1', '2']);
      const epoch = await epochOf(broker, 'a');
      expect(await changes(broker, mark)).toEqual({ a: `${epoch}:2`, young: '0:0' });
    });

    test('list only the channels that the filter accepts', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      const mark = await broker.mark();
      const channels = ['a', 'a/b', 'a/b/c', 'b', 'b/c', '@a', '@a/b', '/', 'ab'];
      for (const channel of channels) await publishAll(broker, channel, ['1']);
      const listed = async (...filter: string[]): Promise<string[] | undefined> => {
        const changed = await broker.changedSince(mark, filter);
        return changed?.map(({ channel }) => channel).toSorted();
      };
      expect(await listed()).toEqual([]);
      expect(await listed('a')).toEqual(['a']);
      expect(await listed('a/#')).toEqual(['a', 'a/b', 'a/b/c']);
      expect(await listed('+/b', 'unknown')).toEqual(['a/b']);
      expect(await listed('+')).toEqual(['a', 'ab', 'b']);
      expect(await listed('#')).toEqual(['/', 'a', 'a/b', 'a/b/c', 'ab', 'b', 'b/c']);
      expect(await listed('@a', '@a/+', '@b')).toEqual(['@a', '@a/b']);
      // Each once, however often it is meant.
      expect(await listed('b', 'b/#', '+', 'b')).toEqual(['a', 'ab', 'b', 'b/c']);
      const later = await broker.changedSince(await broker.mark(), ['a', '#']);
      expect(later).toEqual([]);
    });

    test('carry with each change the bounds that a read would tell', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      const mark = await broker.mark();
      const few = { ...AMPLE, countMax: 3 };
      const brief = { ...AMPLE, ageMsMax: 1000 };
      const texts = ['1', '2', '3', '4', '5'];
      for (const [name, retention] of Object.entries({ few, brief, ample: AMPLE })) {
        await publishAll(broker, `${name}/durable`, texts, options({ retention }));
        await publishAll(broker, `${name}/memory`, texts, options({ retention, durable: false }));
      }
      const expectBounds = async (): Promise<void> => {
        const changed = (await broker.changedSince(mark, ['#'])) ?? [];
        expect(changed).toHaveLength(6);
        for (const { channel, stream } of changed) {
          const range = { after: 0, countMax: 0, sizeMax: 0 };
          expect({ ...stream, messages: [] }).toEqual(await broker.read(channel, range));
        }
      };
      await expectBounds();
      await world.pass(999);
      await publishAll(broker, 'brief/durable', ['6'], options({ retention: brief }));
      await expectBounds();
      // Nothing is removed yet, and yet it is not to be seen.
      world.stepUnix(1);
      await expectBounds();
      await world.pass(1000);
      await expectBounds();
    });

    test('absent mean since ever: every channel that has a stream', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      expect(await broker.changedSince(undefined, ['#', 'a'])).toEqual([]);
      await publishAll(broker, 'a', ['1']);
      await publishAll(broker, 'b/c', ['1', '2']);
      await publishAll(broker, 'm', ['1'], options({ durable: false }));
      await publishAll(broker, 'empty', ['1'], options({ retention: { ...AMPLE, ageMsMax: 1 } }));
      await world.pass(10);
      const all = await broker.changedSince(undefined, ['#']);
      expect(all?.map(({ channel }) => channel).toSorted()).toEqual(['a', 'b/c', 'empty', 'm']);
      for (const { position } of all ?? []) expect(position).toEqual({ epoch: '0', offset: 0 });
      const named = await broker.changedSince(undefined, ['m', 'b/#', 'unknown']);
      expect(named?.map(({ channel, stream }) => [channel, stream.top]).toSorted()).toEqual([
        ['b/c', 2],
        ['m', 1],
      ]);
    });

    test('lists thousands of changed channels', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      const mark = await broker.mark();
      const channels = Array.from({ length: 3500 }, (_, index) => `c${index}`);
      await Promise.all(channels.map((channel) => broker.publish(channel, draft('1'), options())));
      expect(Object.keys((await changes(broker, mark)) ?? {}).length).toBe(3500);
      const later = await broker.mark();
      const back = channels.toReversed();
      await Promise.all(back.map((channel) => broker.publish(channel, draft('2'), options())));
      const changed = (await changes(broker, later)) ?? {};
      expect(Object.values(changed).filter((position) => position.endsWith(':1'))).toHaveLength(
        3500,
      );
    });

    test('see what was acknowledged before the call, however many ask meanwhile', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      const mark = await broker.mark();
      const channels = Array.from({ length: 1500 }, (_, index) => `c/${index}`);
      await Promise.all(channels.map((channel) => broker.publish(channel, draft('1'), options())));
      const asked: Promise<readonly ChangedChannel[] | undefined>[] = [];
      for (let index = 0; index < 10; index += 1) {
        // Two ways for the new channels to be born, and one for those that were looked at already.
        await publishAll(broker, `n/${index}`, ['1'], options({ durable: index % 2 === 0 }));
        await publishAll(broker, `c/${index}`, ['2'], options({ durable: index % 2 === 0 }));
        for (const since of [mark, undefined]) asked.push(broker.changedSince(since, ['#']));
      }
      for (const [index, changed] of (await Promise.all(asked)).entries()) {
        const found = new Map(changed?.map((change) => [change.channel, change.stream.top]));
        const born = Math.floor(index / 2) + 1;
        expect(found.size).toBeGreaterThanOrEqual(1500 + born);
        for (let seen = 0; seen < born; seen += 1) expect(found.get(`n/${seen}`)).toBe(1);
        const last = await broker.read(`c/${born - 1}`, { after: 0, countMax: 0, sizeMax: 0 });
        expect(found.get(`c/${born - 1}`)).toBe(last.top);
      }
    });

    test('cover what the sink was told by then, and nothing later', async () => {
      await using world = await create(SETTINGS);
      const { broker, sink } = await run(world);
      await broker.watch('a');
      const marks: Promise<string>[] = [];
      sink.onTold = () => void marks.push(broker.mark());
      const texts = ['1', '2', '3', '4', '5'];
      await Promise.all(texts.map((text) => broker.publish('a', draft(text), options())));
      const epoch = await epochOf(broker, 'a');
      const given = await Promise.all(marks);
      const seen = await Promise.all(given.map((mark) => changes(broker, mark)));
      expect(seen).toEqual(
        [1, 2, 3, 4].map((offset) => ({ a: `${epoch}:${offset}` })).concat([{}] as never),
      );
    });

    test('give a place below what is retained when messages after them were removed', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      await publishAll(broker, 'a', ['1', '2', '3']);
      const mark = await broker.mark();
      const one = options({ retention: { ...AMPLE, countMax: 1 } });
      await publishAll(
        broker,
        'a',
        Array.from({ length: 500 }, (_, index) => `${index}`),
        one,
      );
      const [changed] = (await broker.changedSince(mark, ['#'])) ?? [];
      const { epoch, oldest } = await broker.read('a', { after: 0, countMax: 0, sizeMax: 0 });
      expect(oldest).toBe(503);
      expect(changed?.position.epoch).toBe(epoch);
      expect(changed?.position.offset).toBeLessThanOrEqual(3);
    });

    test('of others and of no one are not read', async () => {
      await using world = await create(SETTINGS);
      await using other = await create(SETTINGS);
      const { broker } = await run(world);
      await publishAll(broker, 'a', ['1']);
      const stranger = await run(other);
      await publishAll(stranger.broker, 'a', ['1']);
      const foreign = await stranger.broker.mark();
      const own = await broker.mark();
      const words = [foreign, '~', '~x', 'a:1', '', `${own}0`, `${own}.1`, own.replace('~', '')];
      for (const word of words) expect(await changes(broker, word), word).toBeUndefined();
      expect(await changes(broker, own)).toEqual({});
    });

    test('older than what is remembered are not read', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      const before = await broker.mark();
      await publishAll(broker, 'a', ['1'], options({ retention: { ...AMPLE, ageMsMax: 1000 } }));
      const after = await broker.mark();
      await world.pass(SETTINGS.metadataMs + 3_600_000);
      expect(await changes(broker, before)).toBeUndefined();
      expect(await changes(broker, after)).toEqual({});
    });

    test.runIf(traits.durable)('are good for the next process', async () => {
      await using world = await create(SETTINGS);
      const first = await run(world);
      await publishAll(first.broker, 'a', ['1', '2']);
      const mark = await first.broker.mark();
      await publishAll(first.broker, 'a', ['3']);
      await first.broker.close();
      const { broker } = await run(world);
      const epoch = await epochOf(broker, 'a');
      await publishAll(broker, 'b', ['1']);
      expect(await changes(broker, mark)).toEqual({ a: `${epoch}:2`, b: '0:0' });
      const later = await broker.mark();
      await publishAll(broker, 'a', ['4']);
      expect(await changes(broker, later)).toEqual({ a: `${epoch}:3` });
    });

    test.runIf(!traits.durable)('end with the process', async () => {
      await using world = await create(SETTINGS);
      const first = await run(world);
      await publishAll(first.broker, 'a', ['1']);
      const mark = await first.broker.mark();
      await first.broker.close();
      const { broker } = await run(world);
      expect(await changes(broker, mark)).toBeUndefined();
    });
  });
}

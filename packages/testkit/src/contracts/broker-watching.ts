/** The contract of brokers: patterns, what is broadcast, and the place up to which all was told. */
import { describe, expect, test } from 'vitest';
import type { Broker } from '@trunkline/server/internal/broker/broker.ts';
import type { Draft } from '@trunkline/wire';
import { draft, options, publishAll, run, SETTINGS } from './broker-world.ts';
import type { CreateWorld, RecordingSink } from './broker-world.ts';

/** The channels of which the sink was told something, as often as it was. */
function toldOf(sink: RecordingSink, channels: readonly string[]): string[] {
  return sink.told.map(({ channel }) => channel).filter((channel) => channels.includes(channel));
}

/** Channels that a mark covers nothing of any more. */
async function changedSince(broker: Broker, mark: string | undefined): Promise<unknown> {
  const changed = await broker.changedSince(mark ?? 'no mark', ['#']);
  return changed?.map(({ channel }) => channel);
}

/** What is promised to those who follow channels that they do not name. */
export function describeWatching(create: CreateWorld): void {
  describe('watching a pattern', () => {
    test('tells of all channels it matches, those born later included', async () => {
      await using world = await create(SETTINGS);
      const { broker, sink } = await run(world);
      await publishAll(broker, 'a/1', ['old']);
      await broker.watchPattern('a/+');
      const channels = ['a/1', 'a/2', 'a/ü'];
      for (const channel of channels) await publishAll(broker, channel, ['1', '2']);
      expect(toldOf(sink, channels)).toEqual(['a/1', 'a/1', 'a/2', 'a/2', 'a/ü', 'a/ü']);
      expect(sink.offsets('a/1')).toEqual([2, 3]);
      await publishAll(broker, 'a/memory', ['1', '2'], options({ durable: false }));
      expect(sink.offsets('a/memory')).toEqual([1, 2]);
    });

    test('tells each message once, however often its channel is watched', async () => {
      await using world = await create(SETTINGS);
      const { broker, sink } = await run(world);
      for (const pattern of ['a/#', '#', 'a/+', 'a/+']) await broker.watchPattern(pattern);
      await broker.watch('a/1');
      await publishAll(broker, 'a/1', ['1', '2']);
      expect(sink.offsets('a/1')).toEqual([1, 2]);
    });

    test('ends alone: names and other patterns are watched on', async () => {
      await using world = await create(SETTINGS);
      const { broker, sink } = await run(world);
      await broker.watch('named');
      await broker.watchPattern('a/+');
      await broker.watchPattern('a/#');
      await publishAll(broker, 'a/1', ['1']);
      broker.unwatchPattern('a/+');
      broker.unwatchPattern('never');
      await publishAll(broker, 'a/1', ['2']);
      broker.unwatchPattern('a/#');
      await publishAll(broker, 'a/1', ['3']);
      await publishAll(broker, 'named', ['1']);
      expect(sink.offsets('a/1')).toEqual([1, 2]);
      expect(sink.offsets('named')).toEqual([1]);
      broker.unwatch('named');
      await publishAll(broker, 'named', ['2']);
      expect(sink.offsets('named')).toEqual([1]);
    });
  });

  describe('broadcasting', () => {
    const cursor: Draft = { ...draft('x'), slot: 's', event: 'e', from: { session: 'me' }, ttl: 9 };

    test('carries a draft as it is, in the order of the calls, to whom watches', async () => {
      await using world = await create(SETTINGS);
      const { broker, sink } = await run(world);
      broker.broadcast('cursors/1', cursor);
      await broker.watch('cursors/1');
      const drafts = [cursor, draft('2'), draft('3')];
      for (const one of drafts) broker.broadcast('cursors/1', one);
      broker.broadcast('elsewhere', cursor);
      await broker.mark();
      expect(sink.broadcasts.filter(({ channel }) => channel === 'cursors/1')).toEqual(
        drafts.map((one) => ({ channel: 'cursors/1', draft: one })),
      );
      broker.unwatch('cursors/1');
      broker.broadcast('cursors/1', cursor);
      await broker.mark();
      expect(sink.broadcasts.length).toBe(drafts.length);
    });

    test('reaches those who watch a pattern', async () => {
      await using world = await create(SETTINGS);
      const { broker, sink } = await run(world);
      await broker.watchPattern('cursors/#');
      broker.broadcast('cursors/1', cursor);
      broker.unwatchPattern('cursors/#');
      broker.broadcast('cursors/1', cursor);
      await broker.mark();
      expect(sink.broadcasts).toEqual([{ channel: 'cursors/1', draft: cursor }]);
    });

    test('keeps nothing', async () => {
      await using world = await create(SETTINGS);
      const { broker, sink } = await run(world);
      await broker.watch('cursors/1');
      const mark = await broker.mark();
      broker.broadcast('cursors/1', cursor);
      expect(await broker.mark()).toBe(mark);
      expect(await changedSince(broker, mark)).toEqual([]);
      const slice = await broker.read('cursors/1', { after: 0, countMax: 9, sizeMax: 99 });
      expect(slice).toEqual({ epoch: '0', oldest: 1, top: 0, messages: [] });
      expect(sink.told).toEqual([]);
    });

    test('ends with the broker', async () => {
      await using world = await create(SETTINGS);
      const { broker, sink } = await run(world);
      await broker.watch('cursors/1');
      await broker.close();
      expect(() => broker.broadcast('cursors/1', cursor)).toThrow('closed');
      expect(sink.broadcasts).toEqual([]);
    });
  });

  describe('the place up to which all was told', () => {
    test('is the mark that would be given', async () => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      expect(broker.place()).toBe(await broker.mark());
      await publishAll(broker, 'a', ['1']);
      const place = broker.place();
      expect(place).toBe(await broker.mark());
      expect(broker.place()).toBe(place);
      expect(await changedSince(broker, place)).toEqual([]);
      await publishAll(broker, 'b', ['1']);
      expect(broker.place()).not.toBe(place);
      expect(await changedSince(broker, place)).toEqual(['b']);
    });

    test('covers the message that the sink is just given, and nothing after it', async () => {
      await using world = await create(SETTINGS);
      const { broker, sink } = await run(world);
      await broker.watchPattern('#');
      const places: (string | undefined)[] = [];
      sink.onTold = () => void places.push(broker.place());
      const channels = ['a', 'b', 'c', 'd'];
      await Promise.all(channels.map((channel) => broker.publish(channel, draft('x'), options())));
      const seen = await Promise.all(places.map((place) => changedSince(broker, place)));
      expect(seen).toEqual([['b', 'c', 'd'], ['c', 'd'], ['d'], []]);
    });

    test('moves in memory too', async () => {
      await using world = await create(SETTINGS);
      const { broker, sink } = await run(world);
      const passing = options({ durable: false });
      await publishAll(broker, 'm', ['1'], passing);
      await broker.watch('m');
      let told: string | undefined;
      sink.onTold = () => {
        told = broker.place();
      };
      const before = broker.place();
      await publishAll(broker, 'm', ['2'], passing);
      expect(await changedSince(broker, before)).toEqual(['m']);
      expect(await changedSince(broker, told)).toEqual([]);
    });

    test('is not known before opening, nor once closing began', async () => {
      await using world = await create(SETTINGS);
      const unopened = await world.start();
      expect(unopened.place()).toBeUndefined();
      await unopened.close();
      const { broker } = await run(world);
      expect(broker.place()).toBeDefined();
      const closing = broker.close();
      expect(broker.place()).toBeUndefined();
      await closing;
    });
  });
}

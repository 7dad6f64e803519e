import { ORIGIN } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { after, anyone, range, setUp } from './hub-setup.ts';
import { away } from './scripted-broker.ts';

/** Nothing is too old: the messages of these tests are of 1970. */
const ageless = { history: { countMax: 1_000, sizeMax: 1e9, ageMsMax: 1e15 } };

describe('a start', () => {
  test('from a message that was published this turn is caught up, not ahead', async () => {
    const { hub, listener, publish } = setUp();
    await hub.open();
    const reader = listener();
    await hub.subscribe(reader, anyone, 'news', {});
    await publish(2);
    const position = (await hub.publish(anyone, 'news', { payload: new Uint8Array(1) })) ?? ORIGIN;
    const start = { after: { kind: 'position', position } } as const;
    const opened = await hub.subscribe(listener(), anyone, 'news', start);
    expect(opened).toMatchObject({ recovered: true, position: { epoch: 'e1', offset: 3 } });
  });

  test('without a place begins after what was published this turn', async () => {
    const { clock, hub, listener, subscribe } = setUp();
    await hub.open();
    await subscribe();
    await hub.publish(anyone, 'news', { payload: new Uint8Array(1) });
    const late = listener();
    const opened = await hub.subscribe(late, anyone, 'news', {});
    hub.start(opened.cursor);
    await clock.settle();
    expect(opened.position?.offset).toBe(1);
    expect(late.take()).toEqual([]);
  });

  test('from a place that only the log has is recovered: this node missed the news', async () => {
    const { broker, hub, publish, subscribe } = setUp();
    await hub.open();
    await subscribe();
    await publish(2);
    broker.silent = true;
    await publish(3);
    const reader = await subscribe(after('e1:4'));
    expect(reader.opened).toMatchObject({ recovered: true, position: { offset: 4 } });
    expect(reader.take()).toEqual(['e1:5']);
  });

  test.each(['start', '0:0', 'e1:0'])(
    'after %s is served from memory that has it all',
    async (place) => {
      const { broker, hub, publish, subscribe } = setUp(ageless);
      await hub.open();
      await subscribe();
      await publish(20);
      broker.readRanges.length = 0;
      const reader = await subscribe(after(place));
      expect(reader.opened?.recovered).toBe(true);
      expect(reader.take()).toEqual(range(1, 20));
      expect(broker.readRanges).toEqual([]);
    },
  );

  test('with more of the newest than there are is served from memory', async () => {
    const { broker, hub, publish, subscribe } = setUp(ageless);
    await hub.open();
    await subscribe();
    await publish(5);
    broker.readRanges.length = 0;
    expect((await subscribe({ last: 100 })).take()).toEqual(range(1, 5));
    expect(broker.readRanges).toEqual([]);
  });

  test('reads no more of the log than memory has room for', async () => {
    const history = { countMax: 1_000_000, sizeMax: 1e9, ageMsMax: 1e9 };
    const { broker, hub, publish, subscribe } = setUp({ history });
    await hub.open();
    await publish(5_000);
    broker.readRanges.length = 0;
    const reader = await subscribe(after('e1:10'));
    expect(reader.take()).toEqual(range(11, 5_000));
    const largest = Math.max(...broker.readRanges.map(({ countMax }) => countMax));
    expect(largest).toBeLessThanOrEqual(2_048);
    // The tail is full: only the bounds are asked for now.
    broker.readRanges.length = 0;
    const other = await subscribe(after('e1:4000'));
    expect(other.take()).toEqual(range(4_001, 5_000));
    const tail = broker.readRanges.filter(({ before }) => before !== undefined);
    expect(tail.every(({ sizeMax }) => sizeMax < 256 * 1024)).toBe(true);
  });

  test('is refused when the log and the head can not be brought together', async () => {
    const { broker, hub, publish, subscribe } = setUp();
    await hub.open();
    await subscribe();
    await publish(3);
    const read = broker.read.bind(broker);
    broker.read = async (channel, asked) => {
      const slice = await read(channel, asked);
      return asked.before === undefined ? slice : { ...slice, epoch: 'other' };
    };
    await expect(subscribe(after('zz:1'))).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('is not judged by memory while the log is away and something is in doubt', async () => {
    const { broker, clock, hub, publish, subscribe } = setUp(ageless);
    await hub.open();
    await subscribe();
    await publish(3);
    broker.failure = away;
    broker.doubt('news');
    await clock.settle();
    await expect(subscribe(after('e1:3'))).rejects.toMatchObject({ code: 'unavailable' });
    // What memory has may be purged by now [PURGE-1].
    await expect(subscribe({ last: 2 })).rejects.toMatchObject({ code: 'unavailable' });
    // From now on: whatever comes of the doubt is told to it.
    const reader = await subscribe();
    expect(reader.opened?.position).toEqual({ epoch: 'e1', offset: 3 });
    broker.failure = undefined;
    await clock.pass(5_000);
    await publish(1);
    expect(reader.take()).toEqual(['e1:4']);
  });
});

import { MemoryLink } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';
import { KEPT_SIZE_MAX, LINGER_COUNT_MAX, LINGER_MS } from '../../src/hub/config.ts';
import { SharedBatch } from '../../src/link/shared-batch.ts';
import { after, anyone, range, setUp } from './hub-setup.ts';
import { away } from './scripted-broker.ts';

describe('a channel', () => {
  test('that is used again while it lingers is not closed', async () => {
    const { broker, clock, hub, publish, subscribe } = setUp();
    await hub.open();
    const first = await subscribe();
    if (first.opened !== undefined) hub.unsubscribe(first.opened.cursor);
    await clock.pass(LINGER_MS - 1);
    const second = await subscribe();
    await clock.pass(60_000);
    await publish(2);
    expect(second.take()).toEqual(range(1, 2));
    expect(broker.watched.has('news')).toBe(true);
  });

  test('is closed once, though it is left and used and left again', async () => {
    const { broker, clock, hub, subscribe } = setUp();
    await hub.open();
    for (let round = 0; round < 3; round += 1) {
      const reader = await subscribe();
      if (reader.opened !== undefined) hub.unsubscribe(reader.opened.cursor);
      hub.activeChannels('#');
    }
    await clock.pass(2 * LINGER_MS);
    expect(broker.watched.size).toBe(0);
  });

  test('that can not be opened is tried anew by the next who wants it', async () => {
    const { broker, hub, subscribe } = setUp();
    await hub.open();
    broker.failure = away;
    const refused = await Promise.allSettled([subscribe(), subscribe()]);
    expect(refused.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(broker.watched.size).toBe(0);
    broker.failure = undefined;
    await subscribe();
    expect(hub.activeChannels('#')).toEqual([{ channel: 'news', subscribers: 1 }]);
  });

  test('whose log stays away is given back all the same', async () => {
    const { broker, clock, hub, publish, subscribe } = setUp();
    await hub.open();
    const reader = await subscribe();
    await publish(1);
    broker.failure = away;
    broker.doubt('news');
    await clock.settle();
    if (reader.opened !== undefined) hub.unsubscribe(reader.opened.cursor);
    await clock.pass(2 * LINGER_MS);
    broker.readRanges.length = 0;
    await clock.pass(60_000);
    expect(broker.readRanges).toEqual([]);
    expect(broker.watched.size).toBe(0);
  });

  test('tells once, not at every attempt, that its log is away', async () => {
    const lines: string[] = [];
    const { broker, clock, hub, publish, subscribe } = setUp({}, 1_000, (text) => lines.push(text));
    await hub.open();
    const reader = await subscribe();
    await publish(1);
    broker.silent = true;
    await publish(2);
    broker.failure = away;
    broker.doubt('news');
    await clock.pass(60_000);
    expect(lines).toEqual(['the log of a channel is away']);
    broker.failure = undefined;
    await clock.pass(10_000);
    expect(reader.take()).toEqual(range(1, 3));
  });
});

describe('many channels', () => {
  test('linger up to a number; over it the one left first goes', async () => {
    const { broker, hub, listener } = setUp();
    await hub.open();
    const reader = listener();
    for (let index = 0; index < LINGER_COUNT_MAX + 5; index += 1) {
      const { cursor } = await hub.subscribe(reader, anyone, `c/${index}`, {});
      hub.unsubscribe(cursor);
    }
    expect(broker.watched.size).toBe(LINGER_COUNT_MAX);
    expect(broker.watched.has('c/4')).toBe(false);
    expect(broker.watched.has('c/5')).toBe(true);
  });

  test('keep a bounded amount in memory, whether it was published or read', async () => {
    const { hub, listener, publish } = setUp({
      history: { countMax: 1_000, sizeMax: 1e9, ageMsMax: 1e9 },
      messageBytesMax: 1e6,
    });
    await hub.open();
    const reader = listener();
    const channels = Math.ceil((KEPT_SIZE_MAX / (400 * 1024)) * 1.5);
    for (let index = 0; index < channels; index += 1) {
      await publish(20, `c/${index}`, 20_000);
      const { cursor } = await hub.subscribe(reader, anyone, `c/${index}`, after('start'));
      hub.start(cursor);
    }
    expect(hub.keptSize).toBeGreaterThan(KEPT_SIZE_MAX / 2);
    expect(hub.keptSize).toBeLessThanOrEqual(KEPT_SIZE_MAX);
  });

  test('give all their memory back when nobody uses them any more', async () => {
    const { clock, hub, publish, subscribe } = setUp();
    await hub.open();
    await publish(3_000, 'news', 1_000);
    const reader = await subscribe(after('e1:5'));
    expect(hub.keptSize).toBeGreaterThan(0);
    if (reader.opened !== undefined) hub.unsubscribe(reader.opened.cursor);
    await clock.pass(2 * LINGER_MS);
    expect(hub.keptSize).toBe(0);
  });

  test('forget at the next look what was read for several at one place', async () => {
    const { clock, hub, publish, subscribe } = setUp();
    await hub.open();
    await publish(3_000, 'news', 1_000);
    await subscribe(after('e1:5'));
    const before = hub.keptSize;
    await clock.pass(60_000);
    expect(hub.keptSize).toBeLessThan(before);
  });
});

describe('a healing', () => {
  test('of very much gives it on in steps, each in a turn of its own', async () => {
    const { broker, clock, hub, publish, subscribe } = setUp();
    await hub.open();
    const reader = await subscribe();
    await publish(1);
    broker.silent = true;
    await publish(5_000);
    broker.doubt('news');
    // A few promises: nothing may be read to the end without a turn in between.
    for (let step = 0; step < 200; step += 1) await Promise.resolve();
    expect(broker.readRanges.length).toBeLessThan(5);
    await clock.settle();
    expect(reader.take()).toEqual(range(1, 5_001));
  });

  test('over a hole that retention left begins at the newest, and each reads on by itself', async () => {
    const { broker, clock, hub, publish, subscribe } = setUp();
    await hub.open();
    const reader = await subscribe();
    await publish(1);
    broker.silent = true;
    await publish(2_000);
    broker.trim('news', 1_500);
    broker.doubt('news');
    await clock.settle();
    expect(reader.gaps).toEqual([
      { gap: { reason: 'trimmed', from: 2, to: 1_499 }, position: { epoch: 'e1', offset: 1_499 } },
    ]);
    expect(reader.take()).toEqual([...range(1, 1), ...range(1_500, 2_001)]);
  });
});

describe('a hub that was closed', () => {
  test('refuses with a code, reads nothing, and answers who waits', async () => {
    const { broker, clock, hub, listener, publish } = setUp();
    await hub.open();
    await publish(1);
    const start = { channels: new Map([['news', {}]]), waitMs: 60_000, countMax: 1 };
    const waiting = hub.read(anyone, start);
    await clock.settle();
    await hub.close();
    expect((await waiting).channels[0]?.messages).toEqual([]);
    broker.readRanges.length = 0;
    await expect(hub.subscribe(listener(), anyone, 'news', {})).rejects.toMatchObject({
      code: 'unavailable',
    });
    await expect(hub.read(anyone, start)).rejects.toMatchObject({ code: 'unavailable' });
    expect(broker.readRanges).toEqual([]);
  });
});

describe('a channel that a pattern brought', () => {
  const payload = new Uint8Array(1);

  test('gives those who follow the pattern what was stored before it was opened by name', async () => {
    const { broker, clock, hub, subscribe } = setUp();
    await hub.open();
    const given: string[] = [];
    const encoding = {
      name: 'given',
      encode: (runs: readonly { messages: readonly { offset: number }[] }[]) => {
        given.push(...runs.flatMap(({ messages }) => messages.map(({ offset }) => `${offset}`)));
        return new SharedBatch(new Uint8Array(1), true);
      },
    };
    const link = new MemoryLink({ clock });
    const reader = { link, encoding, onGap() {}, onMark() {} };
    const { cursor } = await hub.subscribeMany(reader, anyone, new Map([['#', {}]]));
    hub.start(cursor);
    broker.holdSink();
    for (let count = 0; count < 3; count += 1) void hub.publish(anyone, 'news', { payload });
    broker.tell(1);
    const named = await subscribe();
    broker.releaseSink();
    await clock.settle();
    expect(given.filter((offset) => offset !== '')).toEqual(['1', '2', '3']);
    expect(named.take()).toEqual([]);
  });

  test('is looked at a few at a time when very many of them wait to be given away', async () => {
    const { broker, clock, hub } = setUp();
    await hub.open();
    const link = new MemoryLink({ clock });
    const encoding = { name: 'none', encode: () => new SharedBatch(new Uint8Array(1), true) };
    const reader = { link, encoding, onGap() {}, onMark() {} };
    const { cursor } = await hub.subscribeMany(reader, anyone, new Map([['#', {}]]));
    hub.start(cursor);
    // All in one turn, so that each of them still has something to give.
    for (let index = 0; index < 3 * LINGER_COUNT_MAX; index += 1) {
      void hub.publish(anyone, `c${index}`, { payload });
    }
    await clock.settle();
    await clock.pass(2 * LINGER_MS);
    hub.unsubscribe(cursor);
    expect(broker.watched.size).toBe(0);
  });
});

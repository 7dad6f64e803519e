import { describe, expect, test } from 'vitest';
import type { Encoding } from '@trunkline/server/internal/hub/hub-types.ts';
import { after, anyone, Listener, offsetsEncoding, range, setUp } from './hub-setup.ts';
import { away } from './scripted-broker.ts';
import { SharedBatch } from '../../src/link/shared-batch.ts';

describe('a stream that lost its end', () => {
  test('is told as a gap, and its live subscriptions go on at what is left', async () => {
    const { broker, clock, hub, publish, subscribe } = setUp();
    await hub.open();
    const reader = await subscribe();
    await publish(10);
    expect(reader.take()).toEqual(range(1, 10));
    broker.truncate('news', 7);
    broker.doubt('news');
    await clock.pass(1_000);
    expect(reader.gaps).toEqual([
      { gap: { reason: 'ahead' }, position: { epoch: 'e1', offset: 7 } },
    ]);
    await publish(1);
    expect(reader.take()).toEqual(['e1:8']);
  });

  test('is told to a subscription that was behind, which gets what it had not', async () => {
    const { broker, clock, hub, publish, subscribe } = setUp({}, 100);
    await hub.open();
    const slow = await subscribe({}, { allowance: 0 });
    await publish(60);
    await publish(10);
    expect(slow.opened?.cursor.state).toBe('behind');
    broker.truncate('news', 67);
    broker.doubt('news');
    await clock.settle();
    slow.link.release();
    await clock.pass(1_000);
    expect(slow.take()).toEqual(range(1, 67));
    await publish(1);
    expect(slow.take()).toEqual(['e1:68']);
  });
});

describe('a log that can not be read', () => {
  test('is asked again after a pause by all who stand still, with one line in the log', async () => {
    const lines: string[] = [];
    const { broker, clock, hub, publish, subscribe } = setUp({}, 100, (text) => lines.push(text));
    await hub.open();
    const slow = await Promise.all(
      Array.from({ length: 20 }, () => subscribe({}, { allowance: 0 })),
    );
    await publish(600, 'news', 2_000);
    broker.failure = away;
    for (const { link } of slow) link.release();
    broker.readRanges.length = 0;
    await clock.pass(60_000);
    // The channel is looked after, not each of its readers.
    expect(broker.readRanges.length).toBeLessThan(40);
    expect(lines.length).toBeLessThan(5);
    broker.failure = undefined;
    await clock.pass(10_000);
    for (const reader of slow) expect(reader.take()).toEqual(range(1, 600));
  });

  test('for one place holds up nobody else in the channel', async () => {
    const { broker, clock, hub, publish, subscribe } = setUp({}, 100);
    await hub.open();
    const slow = await subscribe({}, { allowance: 0 });
    const fast = await subscribe();
    await publish(600, 'news', 2_000);
    broker.failure = ({ after: offset, countMax }) =>
      countMax > 0 && offset < 300 ? away : undefined;
    slow.link.release();
    broker.readRanges.length = 0;
    for (let round = 0; round < 10; round += 1) {
      await clock.pass(1_000);
      await publish(1);
      // Not later than the pauses between attempts.
      expect(fast.take().at(-1)).toBe(`e1:${601 + round}`);
    }
    expect(broker.readRanges.length).toBeLessThan(10 * 20);
    broker.failure = undefined;
    await clock.pass(1_000);
    expect(slow.take()).toEqual(range(1, 610));
  });

  test('keeps nobody waiting for ever: unsubscribing ends the attempts', async () => {
    const { broker, clock, hub, publish, subscribe } = setUp({}, 100);
    await hub.open();
    const slow = await subscribe({}, { allowance: 0 });
    await publish(600, 'news', 2_000);
    broker.failure = away;
    slow.link.release();
    await clock.pass(1_000);
    if (slow.opened !== undefined) hub.unsubscribe(slow.opened.cursor);
    await clock.pass(120_000);
    broker.readRanges.length = 0;
    await clock.pass(60_000);
    expect(broker.readRanges).toEqual([]);
  });
});

describe('a log that never agrees with the head', () => {
  test('is looked at again after pauses, not all the time', async () => {
    const { broker, clock, hub, publish, subscribe } = setUp({}, 100);
    await hub.open();
    const slow = await subscribe({}, { allowance: 0 });
    await publish(600, 'news', 2_000);
    // Each read of messages is answered as if the stream were another one.
    const read = broker.read.bind(broker);
    broker.read = async (channel, asked) => {
      const slice = await read(channel, asked);
      return asked.after === 0 && asked.countMax === 0 ? slice : { ...slice, epoch: 'other' };
    };
    slow.link.release();
    broker.readRanges.length = 0;
    await clock.pass(10_000);
    expect(broker.readRanges.length).toBeLessThan(500);
  });
});

describe('a channel with many links', () => {
  test('writes to none that is full, wherever it stands among those that are not', async () => {
    const { hub, publish, subscribe } = setUp({}, 100);
    await hub.open();
    const isStuck = (index: number) => index % 3 === 1 || index > 190;
    const readers = await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        subscribe({}, isStuck(index) ? { allowance: 0 } : {}),
      ),
    );
    // As much as makes the stuck ones full, and then more that must not reach them.
    await publish(60);
    for (let round = 0; round < 3; round += 1) await publish(10);
    for (const [index, reader] of readers.entries()) {
      if (!isStuck(index)) expect(reader.take()).toEqual(range(1, 90));
      else {
        expect(reader.opened?.cursor.state).toBe('behind');
        reader.link.release();
        expect(reader.take().length).toBeLessThanOrEqual(60);
      }
    }
  });
});

describe('a link with many channels', () => {
  test('has no more unsent than its mark and a batch, though all are read at once', async () => {
    const highWaterSize = 10_000;
    const { clock, hub, listener, publish } = setUp({}, highWaterSize);
    await hub.open();
    const names = Array.from({ length: 20 }, (_, index) => `room/${index}`);
    const shared = listener();
    const readers = names.map(() => new Listener(hub, shared.link, wideEncoding));
    for (const name of names) await publish(400, name, 2_000);
    for (const [index, reader] of readers.entries()) {
      reader.opened = await hub.subscribe(reader, anyone, names[index] ?? '', after('start'));
    }
    shared.link.attach({
      onFrame() {},
      onDrain() {
        for (const { opened } of readers) if (opened !== undefined) hub.advance(opened.cursor);
      },
      onClose() {},
    });
    shared.link.hold();
    for (const { opened } of readers) if (opened !== undefined) hub.start(opened.cursor);
    await clock.settle();
    let pendingMax = shared.link.pendingBytes;
    let frames = shared.link.takeFrames().length;
    for (let round = 0; round < 2_000 && shared.link.pendingBytes > 0; round += 1) {
      shared.link.allow(20_000);
      await clock.settle();
      pendingMax = Math.max(pendingMax, shared.link.pendingBytes);
      frames += shared.link.takeFrames().length;
    }
    expect(pendingMax).toBeLessThan(highWaterSize + 128 * 1024);
    expect(frames).toBeGreaterThanOrEqual(20);
    for (const { opened } of readers) expect(opened?.cursor.state).toBe('live');
  });
});

/** As large as what it carries. */
const wideEncoding: Encoding = {
  name: 'wide',
  encode: (runs) => {
    const messages = runs.flatMap((run) => run.messages);
    const size = messages.reduce((sum, { payload }) => sum + payload.length, 0);
    return new SharedBatch(Buffer.alloc(size, 'x'), true);
  },
};

describe('messages that can not be encoded', () => {
  const failing = {
    ...offsetsEncoding,
    name: 'failing',
    encode(): SharedBatch {
      throw new Error('no such character');
    },
  };

  test('end the links they can not be written to, and nobody else notices', async () => {
    const lines: string[] = [];
    const { clock, hub, listener, publish, subscribe } = setUp({}, 1_000, (t) => lines.push(t));
    await hub.open();
    const broken = [0, 1, 2].map(() => new Listener(hub, listener().link, failing));
    for (const reader of broken) {
      reader.opened = await hub.subscribe(reader, anyone, 'news', {});
      hub.start(reader.opened.cursor);
    }
    const well = await subscribe();
    await publish(2);
    expect(well.take()).toEqual(range(1, 2));
    for (const { link } of broken) expect(link.goodbye).toEqual({ code: 'internal' });
    // Not once for each link.
    expect(lines.length).toBeLessThan(3);
    expect(new Set(lines)).toEqual(new Set(['messages could not be encoded']));
    await clock.settle();
    expect(hub.activeChannels('#')).toEqual([{ channel: 'news', subscribers: 1 }]);
  });

  test('end a link that reads on from the log as well', async () => {
    const { clock, hub, listener, publish } = setUp();
    await hub.open();
    await publish(3);
    const reader = new Listener(hub, listener().link, failing);
    reader.opened = await hub.subscribe(reader, anyone, 'news', after('e1:1'));
    hub.start(reader.opened.cursor);
    await clock.settle();
    expect(reader.link.goodbye).toEqual({ code: 'internal' });
    expect(hub.activeChannels('#')).toEqual([]);
  });
});

describe('readers at many places of the log', () => {
  test('cost one read for each step of each, though all are answered at once', async () => {
    const { broker, clock, hub, publish, listener } = setUp();
    await hub.open();
    await publish(2_000, 'news', 2_000);
    const readers = Array.from({ length: 100 }, () => listener());
    for (const [index, reader] of readers.entries()) {
      reader.opened = await hub.subscribe(reader, anyone, 'news', after(`e1:${index}`));
    }
    broker.readRanges.length = 0;
    broker.holdReads();
    for (const { opened } of readers) if (opened !== undefined) hub.start(opened.cursor);
    await clock.settle();
    expect(broker.readRanges.length).toBe(100);
    broker.releaseReads();
    await clock.settle();
    for (const [index, reader] of readers.entries()) {
      expect(reader.take()).toEqual(range(index + 1, 2_000));
    }
    // Some 60 steps of 32 messages each, on the way many meet.
    expect(broker.readRanges.length).toBeLessThan(100 * 61);
  });
});

describe('a subscriber that leaves when it is told of a loss', () => {
  test('gets nothing more, and is counted out once', async () => {
    const { broker, clock, hub, publish, subscribe } = setUp();
    await hub.open();
    const reader = await subscribe();
    const other = await subscribe();
    await publish(1);
    reader.onGap = () => {
      if (reader.opened !== undefined) hub.unsubscribe(reader.opened.cursor);
    };
    reader.take();
    broker.lose('news');
    await publish(3);
    await clock.settle();
    expect(other.take()).toEqual([...range(1, 1), ...range(1, 3, 'e2')]);
    expect(reader.take()).toEqual([]);
    expect(reader.opened?.cursor.state).toBe('ended');
    expect(hub.activeChannels('#')).toEqual([{ channel: 'news', subscribers: 1 }]);
  });
});

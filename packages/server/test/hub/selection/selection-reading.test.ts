import { parseAfter } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { setUpSelections } from './selection-setup.ts';

/** A reader that was given `a/1:1`, fell behind in `a/2`, and can't come to the head as yet. */
async function setUpCatching() {
  const world = await setUpSelections(10);
  const { broker, clock, follow, publish } = world;
  const reader = await follow({ 'a/+': {} });
  await publish(1, 'a/1');
  return {
    ...world,
    reader,
    /** It reads on, and is told of news; its link has no room for more. */
    async catchUp(): Promise<void> {
      reader.link.hold();
      await publish(2, 'a/2');
      await publish(1, 'a/2');
      broker.placeUnknown = true;
      reader.link.release();
      await clock.settle();
      expect(reader.opened?.cursor.state).toBe('catching');
      reader.link.hold();
      await publish(3, 'a/2');
    },
    /** It comes to the head. */
    async goOn(): Promise<void> {
      broker.placeUnknown = false;
      reader.link.release();
      await clock.pass(1_000);
      expect(reader.opened?.cursor.state).toBe('live');
    },
    /** Of the channel whose life ends. */
    takeMessages(): string[] {
      return reader.takeMessages().filter((place) => place.startsWith('a/1'));
    },
  };
}

describe('the mark of what a reader reads last', () => {
  test('is behind it, though nobody can say where all channels stand [WILD-2]', async () => {
    const { broker, clock, follow, publish } = await setUpSelections();
    const reader = await follow({ 'a/+': {} });
    broker.doubtful = true;
    broker.placeUnknown = true;
    await publish(1, 'a/1');
    await clock.settle();
    const [message, mark = ''] = reader.take();
    expect(message).toBe('a/1:1');
    broker.doubtful = false;
    broker.placeUnknown = false;
    await publish(1, 'a/1');
    const resumed = await follow({ 'a/+': { after: parseAfter(mark) } });
    expect(resumed.opened?.verdicts.get('a/+')).toEqual({ recovered: true });
    expect(resumed.takeMessages()).toEqual(['a/1:2']);
  });
});

describe('a reader that ends as it is told of a loss', () => {
  test('reads no more, so that the next one is told nothing from before it', async () => {
    const { broker, clock, follow, hub, publish } = await setUpSelections(10);
    const [reader, other] = [await follow({ 'a/+': {} }), await follow({ 'a/+': {} })];
    await publish(1, 'a/1');
    reader.link.hold();
    await publish(2, 'a/1');
    await publish(2, 'a/1');
    broker.trim('a/1', 5);
    const { onGap } = reader;
    reader.onGap = (...told) => {
      onGap.apply(reader, told);
      if (reader.opened !== undefined) hub.unsubscribe(reader.opened.cursor);
      reader.link.hold();
      reader.link.send('the last word');
    };
    reader.link.release();
    await clock.settle();
    expect(reader.gaps).toHaveLength(1);
    if (other.opened !== undefined) hub.unsubscribe(other.opened.cursor);
    expect(hub.activeChannels('#')).toEqual([]);
    await publish(1, 'a/1'); // Nobody follows it.
    const next = await follow({ 'a/+': {} });
    await publish(1, 'a/1');
    await clock.pass(60_000);
    expect(next.takeMessages()).toEqual(['a/1:7']);
  });
});

describe('a reader that was opened ahead of a read of the log that is under way', () => {
  test('is not told by it that it is ahead of the stream', async () => {
    const { broker, clock, follow, publish } = await setUpSelections();
    await follow({ 'a/1': {} });
    await publish(1, 'a/1');
    const held: (() => void)[] = [];
    const read = broker.read.bind(broker);
    broker.read = async (channel, range) => {
      const slice = await read(channel, range);
      await new Promise<void>((resolve) => held.push(resolve));
      return slice;
    };
    await broker.purge('a/1');
    await publish(1, 'a/1');
    await follow({ 'a/+': { after: parseAfter('~1') } });
    await publish(3, 'a/1');
    const reader = await follow({ '#': { after: parseAfter('~1') } });
    const [first, second, ...others] = held.splice(0);
    expect(others).toEqual([]);
    first?.();
    await clock.settle();
    for (const release of held.splice(0)) release();
    await clock.settle();
    second?.();
    broker.read = read;
    await clock.pass(1_000);
    await publish(1, 'a/1');
    expect(reader.gaps).toEqual([]);
    expect(reader.takeMessages()).toEqual(['a/1:5']);
  });
});

const ENDED = { reason: 'epoch' } as const;

describe('a reader on its way to the head, while the life of a stream ends', () => {
  test('is told of it though the next one has lost its beginning already', async () => {
    const { broker, catchUp, clock, goOn, publish, reader, takeMessages } = await setUpCatching();
    await catchUp();
    await broker.purge('a/1');
    await clock.settle();
    broker.silent = true;
    await publish(3, 'a/1');
    broker.silent = false;
    broker.trim('a/1', 3);
    broker.doubt('a/1');
    await clock.settle();
    await goOn();
    const position = { epoch: 'e3', offset: 2 };
    expect(reader.gaps).toEqual([{ channel: 'a/1', gap: ENDED, position }]);
    expect(takeMessages()).toEqual(['a/1:1', 'a/1:3']);
  });

  test('is told of it though only the news of the next one came here', async () => {
    const { broker, catchUp, clock, goOn, publish, reader, takeMessages } = await setUpCatching();
    await clock.pass(60_000); // The channel is closed by now.
    await catchUp();
    broker.silent = true;
    await publish(1, 'a/1'); // Nobody is told of it.
    broker.silent = false;
    await broker.purge('a/1');
    await publish(1, 'a/1');
    await goOn();
    const position = { epoch: 'e3', offset: 0 };
    expect(reader.gaps).toEqual([{ channel: 'a/1', gap: ENDED, position }]);
    expect(takeMessages()).toEqual(['a/1:1', 'a/1:1']);
  });
});

import { describe, expect, test } from 'vitest';
import type { ReadResult, Start } from '../../src/hub/hub-types.ts';
import { after, anyone, setUp } from './hub-setup.ts';

type Setup = ReturnType<typeof setUp>;

function read(
  { hub }: Setup,
  starts: Record<string, Start>,
  options: { waitMs?: number; countMax?: number; onWait?: (cancel: () => void) => void } = {},
): Promise<ReadResult> {
  return hub.read(anyone, {
    channels: new Map(Object.entries(starts)),
    waitMs: options.waitMs ?? 0,
    countMax: options.countMax ?? 100,
    ...(options.onWait === undefined ? {} : { onWait: options.onWait }),
  });
}

function offsets(result: ReadResult, index = 0): number[] {
  return result.channels[index]?.messages.map(({ offset }) => offset) ?? [];
}

describe('a read without patience', () => {
  test('answers what is new, and where to go on', async () => {
    const setup = setUp();
    await setup.hub.open();
    await setup.publish(5);
    const result = await read(setup, { news: after('e1:2') });
    expect(offsets(result)).toEqual([3, 4, 5]);
    expect(result.channels[0]).toMatchObject({
      recovered: true,
      position: { epoch: 'e1', offset: 2 },
      end: { epoch: 'e1', offset: 5 },
      more: false,
    });
  });

  test('says that there is more, and goes on without a hole', async () => {
    const setup = setUp();
    await setup.hub.open();
    await setup.publish(25);
    const seen: number[] = [];
    let start = after('start');
    for (let more = true; more; ) {
      const result = await read(setup, { news: start }, { countMax: 10 });
      seen.push(...offsets(result));
      const [channel] = result.channels;
      more = channel?.more ?? false;
      start = { after: { kind: 'position', position: channel?.end ?? { epoch: '', offset: 0 } } };
    }
    expect(seen).toEqual(Array.from({ length: 25 }, (_, index) => index + 1));
  });

  test('tells a gap at once', async () => {
    const setup = setUp();
    await setup.hub.open();
    await setup.publish(2);
    const result = await read(setup, { news: after('zz:1') }, { waitMs: 10_000 });
    expect(result.channels[0]).toMatchObject({ recovered: false, gap: { reason: 'epoch' } });
  });

  test('has one room for all its channels, and a mark that skips none of them', async () => {
    const setup = setUp();
    await setup.hub.open();
    for (const channel of ['a', 'b', 'c']) await setup.publish(7, channel);
    const seen: string[] = [];
    let start = after('start');
    for (let round = 0; round < 8; round += 1) {
      const result = await read(setup, { a: start, b: start, c: start }, { countMax: 5 });
      const got = result.channels.flatMap(({ channel, messages }) =>
        messages.map(({ offset }) => `${channel}${offset}`),
      );
      expect(got.length).toBeLessThanOrEqual(5);
      seen.push(...got);
      start = after(result.mark ?? 'lost');
      if (round === 2) await setup.publish(1, 'a');
    }
    const every = [8, 7, 7].flatMap((count, index) =>
      Array.from({ length: count }, (_, offset) => `${'abc'[index]}${offset + 1}`),
    );
    expect(seen.toSorted()).toEqual(every);
  });

  // What has no room is something else than what came after the mark.
  test.each([8, 12, 100])(
    'with room for %i skips nothing by its mark when news come between the mark and the read',
    async (countMax) => {
      const setup = setUp();
      await setup.hub.open();
      await setup.publish(10);
      const payload = new Uint8Array(1);
      setup.broker.onMark = () => {
        for (let count = 0; count < 5; count += 1) {
          void setup.hub.publish(anyone, 'news', { payload });
        }
      };
      const first = await read(setup, { news: after('start') }, { countMax });
      setup.broker.onMark = undefined;
      expect(offsets(first).length).toBe(Math.min(countMax, 10));
      const rest = await read(setup, { news: after(first.mark ?? 'lost') });
      const all = [...offsets(first), ...offsets(rest)];
      expect(all).toEqual(Array.from({ length: 15 }, (_, index) => index + 1));
    },
  );

  test('by its mark repeats nothing of a channel that was born behind the mark', async () => {
    const setup = setUp();
    await setup.hub.open();
    const payload = new Uint8Array(1);
    setup.broker.onMark = () => void setup.hub.publish(anyone, 'news', { payload });
    const first = await read(setup, { news: after('start') });
    setup.broker.onMark = undefined;
    const second = await read(setup, { news: after(first.mark ?? 'lost') });
    expect([...offsets(first), ...offsets(second)]).toEqual([1]);
  });

  test('looks its mark up once for all channels, and not at all when nothing was in doubt', async () => {
    const setup = setUp();
    await setup.hub.open();
    const names = Array.from({ length: 20 }, (_, index) => `room/${index}`);
    const starts = (start: Start) => Object.fromEntries(names.map((name) => [name, start]));
    const idle = await read(setup, starts({}));
    expect(setup.broker.changedCount).toBe(0);
    for (const name of names) await setup.publish(2, name);
    const news = await read(setup, starts(after(idle.mark ?? 'lost')));
    expect(news.channels.map(({ messages }) => messages.length)).toEqual(names.map(() => 2));
    expect(setup.broker.changedCount).toBe(1);
  });

  test('hands the same array to all who read the same, so that they share an encoding', async () => {
    const setup = setUp();
    await setup.hub.open();
    await setup.publish(5);
    await read(setup, { news: after('e1:2') });
    const results = await Promise.all([1, 2, 3].map(() => read(setup, { news: after('e1:2') })));
    const arrays = new Set(results.map((result) => result.channels[0]?.messages));
    expect(arrays.size).toBe(1);
  });
});

describe('a patient read', () => {
  test('waits for the first news of any of its channels', async () => {
    const setup = setUp();
    await setup.hub.open();
    await setup.publish(1, 'a');
    const waiting = read(setup, { a: {}, b: {} }, { waitMs: 30_000 });
    await setup.clock.settle();
    expect(setup.hub.waitCount).toBe(1);
    await setup.publish(1, 'b');
    const result = await waiting;
    expect([offsets(result, 0), offsets(result, 1)]).toEqual([[], [1]]);
    expect(setup.hub.waitCount).toBe(0);
  });

  test('answers empty when its patience is over, with the place to go on', async () => {
    const setup = setUp();
    await setup.hub.open();
    await setup.publish(3);
    const waiting = read(setup, { news: after('e1:3') }, { waitMs: 5_000 });
    await setup.clock.settle();
    setup.clock.advance(6_000);
    await setup.clock.settle();
    expect((await waiting).channels[0]).toMatchObject({
      recovered: true,
      messages: [],
      end: { epoch: 'e1', offset: 3 },
    });
  });

  test('loses nothing that comes between its read and its wait', async () => {
    const setup = setUp();
    await setup.hub.open();
    for (let round = 0; round < 20; round += 1) {
      const waiting = read(setup, { news: {} }, { waitMs: 5_000 });
      // A different moment of the read each round.
      for (let step = 0; step < round; step += 1) await Promise.resolve();
      await setup.publish(1);
      const result = await Promise.race([waiting, setup.clock.settle().then(() => undefined)]);
      if (result !== undefined) continue;
      await setup.publish(1);
      expect(offsets(await waiting).length).toBeGreaterThan(0);
    }
  });

  test('ends when the peer is gone, and when the node drains', async () => {
    const setup = setUp();
    await setup.hub.open();
    let cancel: () => void = () => {};
    const gone = read(setup, { news: {} }, { waitMs: 5_000, onWait: (end) => (cancel = end) });
    const drained = read(setup, { news: {} }, { waitMs: 5_000 });
    await setup.clock.settle();
    cancel();
    expect(offsets(await gone)).toEqual([]);
    setup.hub.endWaits();
    expect(offsets(await drained)).toEqual([]);
    // One that comes later must not hold the drain.
    expect(offsets(await read(setup, { news: {} }, { waitMs: 5_000 }))).toEqual([]);
  });

  test('goes on by its mark exactly where its positions are', async () => {
    const setup = setUp();
    await setup.hub.open();
    await setup.publish(2, 'a');
    await setup.publish(2, 'b');
    const seen: string[] = [];
    let start = after('start');
    for (let round = 0; round < 6; round += 1) {
      const reading = read(setup, { a: start, b: start }, { countMax: 100 });
      // Published while the read is under way: before or after its mark, but never both.
      const publishing = setup.publish(1, round % 2 === 0 ? 'a' : 'b');
      const result = await reading;
      await publishing;
      for (const channel of result.channels) {
        for (const { offset } of channel.messages) seen.push(`${channel.channel}${offset}`);
      }
      start = after(result.mark ?? 'lost');
    }
    const last = await read(setup, { a: start, b: start });
    for (const channel of last.channels) {
      for (const { offset } of channel.messages) seen.push(`${channel.channel}${offset}`);
    }
    const every = ['a', 'b'].flatMap((name) => [1, 2, 3, 4, 5].map((offset) => name + offset));
    expect(seen.toSorted()).toEqual(every);
  });
});

import { describe, expect, test } from 'vitest';
import type { ReadResult, Start } from '../../../src/hub/hub-types.ts';
import { after, anyone, setUp } from '../hub-setup.ts';

/** A log that forgets where a channel stood once something after that was removed. */
async function setUpForgetful() {
  const world = setUp();
  const { broker, clock, hub } = world;
  await hub.open();
  broker.forgetsPlaces = true;
  const begin = (starts: Readonly<Record<string, Start>>, options: { waitMs?: number } = {}) => {
    const channels = new Map(Object.entries(starts));
    return hub.read(anyone, { channels, countMax: 2, waitMs: 0, ...options });
  };
  const read = async (starts: Readonly<Record<string, Start>>): Promise<ReadResult> => {
    const reading = begin(starts);
    await clock.settle();
    return reading;
  };
  /** So much comes that retention takes what came before, and some of it. */
  const overrun = (): void => {
    for (let count = 0; count < 5; count += 1) {
      void broker.publish('a', { payload: Buffer.from('1') });
    }
    broker.trim('a', 12);
  };
  return { ...world, begin, read, overrun };
}

const offsetsOf = ({ channels }: ReadResult, name: string) =>
  channels.flatMap(({ channel, messages }) =>
    channel === name ? messages.map(({ offset }) => offset) : [],
  );

describe('what patterns find of which nothing up to the mark can be read any more [REC-2]', () => {
  test('is told to be lost at once by a poll that waits', async () => {
    const { broker, clock, publish, begin, read, overrun } = await setUpForgetful();
    await publish(3, 'a');
    const { mark } = await read({ '#': {} });
    await publish(5, 'a');
    broker.onMark = () => {
      broker.onMark = undefined;
      broker.holdSink();
      overrun();
    };
    const polling = begin({ '#': after(mark ?? '') }, { waitMs: 10_000 });
    await clock.settle();
    broker.releaseSink();
    await clock.settle();
    const result = await polling;
    expect(result.patterns.get('#')).toMatchObject({ recovered: false });
    expect(result.channels).toMatchObject([{ channel: 'a', gap: { reason: 'trimmed', to: 13 } }]);
    const next = await read({ '#': after(result.mark ?? '') });
    expect([next.channels, next.more]).toEqual([[], false]);
  });

  test('is lost from where the reader stood, which is not ahead of the stream', async () => {
    const { broker, publish, read, overrun } = await setUpForgetful();
    await publish(3, 'a');
    const { mark } = await read({ '#': {} });
    await publish(5, 'a');
    const changedSince = broker.changedSince.bind(broker);
    let asked = 0;
    broker.changedSince = (place, filter) => {
      asked += 1;
      if (asked === 2) overrun();
      return changedSince(place, filter);
    };
    const partial = { ...after(mark ?? ''), partial: true };
    const result = await read({ '#': partial });
    const gap = { reason: 'trimmed', from: 4, to: 11 };
    expect(result.channels).toMatchObject([{ channel: 'a', gap, position: { offset: 11 } }]);
    const next = await read({ '#': after(result.mark ?? '') });
    expect(offsetsOf(next, 'a')).toEqual([12, 13]);
    expect(next.patterns.get('#')).toEqual({ recovered: true });
  });

  test('is what a name has then, where it begins with the newest', async () => {
    const { broker, publish, read, overrun } = await setUpForgetful();
    await publish(8, 'a');
    broker.onMark = () => {
      broker.onMark = undefined;
      overrun();
    };
    const result = await read({ a: { last: 2 }, b: { last: 2 } });
    expect(result.channels[0]).toMatchObject({ channel: 'a', end: { offset: 11 } });
    expect(offsetsOf(await read({ a: after(result.mark ?? '') }), 'a')).toEqual([12, 13]);
  });
});

describe('a read from the oldest or the newest that takes several answers [REC-9]', () => {
  test.each([
    ['the oldest', after('start')],
    ['the newest', { last: 5 }],
  ])('tells what retention took of %s before it came to it', async (_, start) => {
    for (const partial of [false, true]) {
      const { broker, publish, read } = await setUpForgetful();
      for (const channel of ['a', 'b', 'c']) await publish(3, channel);
      const first = await read({ '#': start });
      expect(offsetsOf(first, 'a')).toEqual([1, 2]);
      broker.trim('c', 3);
      const seen: number[] = [];
      const gaps: unknown[] = [];
      let { mark = '', more } = first;
      while (more) {
        const next = await read({ '#': { ...after(mark), ...(partial && { partial }) } });
        seen.push(...offsetsOf(next, 'c'));
        gaps.push(...next.channels.flatMap(({ gap }) => gap ?? []));
        ({ mark = '', more } = next);
      }
      expect(seen).toEqual(partial ? [3] : []);
      expect(gaps).toEqual([{ reason: 'trimmed', from: 1, to: partial ? 2 : 3 }]);
    }
  });

  test('tells it of names, too', async () => {
    const { broker, publish, read } = await setUpForgetful();
    for (const channel of ['a', 'b']) await publish(3, channel);
    const start = after('start');
    const { mark = '' } = await read({ a: start, b: start });
    broker.trim('b', 3);
    const { channels } = await read({ a: after(mark), b: after(mark) });
    expect(channels).toMatchObject([{}, { channel: 'b', gap: { reason: 'trimmed', from: 1 } }]);
  });

  test('tells what came after its mark and is gone, of channels without room in it', async () => {
    const { broker, publish, read, overrun } = await setUpForgetful();
    const names = Array.from({ length: 60 }, (_, index) => `0/${'x'.repeat(40)}${index}`);
    for (const name of names) await publish(1, name);
    await publish(8, 'a');
    const { mark = '' } = await read({ '#': after('start') });
    overrun();
    expect((await read({ a: after(mark) })).channels).toMatchObject([{ recovered: false }]);
    const gaps: unknown[] = [];
    let next: Pick<ReadResult, 'mark' | 'more'> = { mark, more: true };
    while (next.more) {
      const result = await read({ '#': after(next.mark ?? '') });
      gaps.push(...result.channels.flatMap(({ gap }) => gap ?? []));
      next = result;
    }
    expect(gaps).toMatchObject([{ reason: 'trimmed', to: 13 }]);
    expect(broker.changedCount).toBeGreaterThan(30);
  });
});

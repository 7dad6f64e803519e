import { describe, expect, test } from 'vitest';
import { after, anyone, setUp } from './hub-setup.ts';
import { away } from './scripted-broker.ts';

describe('a page of history', () => {
  test('pages forwards and backwards without a hole or a repeat', async () => {
    const { hub, publish } = setUp();
    await hub.open();
    await publish(23);
    const forwards: number[] = [];
    let position = { epoch: '0', offset: 0 };
    for (let more = true; more; ) {
      const page = await hub.history(anyone, 'news', {
        after: { kind: 'position', position },
        countMax: 5,
      });
      forwards.push(...page.messages.map(({ offset }) => offset));
      ({ position, more } = page);
    }
    const backwards: number[] = [];
    let page = await hub.history(anyone, 'news', { last: 5, countMax: 100 });
    for (;;) {
      backwards.unshift(...page.messages.map(({ offset }) => offset));
      if (!page.more) break;
      const before = { epoch: page.epoch, offset: page.messages[0]?.offset ?? 0 };
      const start = { kind: 'position', position: before } as const;
      page = await hub.history(anyone, 'news', { before: start, countMax: 5 });
    }
    const all = Array.from({ length: 23 }, (_, index) => index + 1);
    expect(forwards).toEqual(all);
    expect(backwards).toEqual(all);
  });

  test('of a channel without messages is an empty page at 0:0', async () => {
    const { hub } = setUp();
    await hub.open();
    expect(await hub.history(anyone, 'news', { countMax: 5 })).toEqual({
      messages: [],
      epoch: '0',
      position: { epoch: '0', offset: 0 },
      oldest: { epoch: '0', offset: 0 },
      newest: { epoch: '0', offset: 0 },
      more: false,
    });
  });

  test('says that a place is of another life, and tells what was trimmed', async () => {
    const { broker, hub, publish } = setUp();
    await hub.open();
    await publish(9);
    broker.trim('news', 5);
    const lost = await hub.history(anyone, 'news', { ...after('zz:3'), countMax: 5 });
    expect(lost).toMatchObject({ messages: [], gap: { reason: 'epoch' } });
    const trimmed = await hub.history(anyone, 'news', { ...after('e1:2'), countMax: 5 });
    expect(trimmed.gap).toEqual({ reason: 'trimmed', from: 3, to: 4 });
    expect(trimmed.messages.map(({ offset }) => offset)).toEqual([5, 6, 7, 8, 9]);
  });

  test('is of one moment: a life that ends meanwhile is not joined to the next', async () => {
    const { broker, hub, publish } = setUp();
    await hub.open();
    await publish(9);
    const read = broker.read.bind(broker);
    broker.read = async (channel, range) => {
      const slice = await read(channel, range);
      broker.lose('news');
      await publish(20);
      broker.read = read;
      return slice;
    };
    const page = await hub.history(anyone, 'news', { ...after('e1:2'), countMax: 100 });
    expect(page.messages.map(({ offset }) => offset)).toEqual([3, 4, 5, 6, 7, 8, 9]);
    expect(page).toMatchObject({ epoch: 'e1', position: { epoch: 'e1', offset: 9 }, more: false });
  });

  test.each([
    { before: 'e1:7', offsets: [5, 6], position: 6, more: false },
    { before: 'e1:5', offsets: [], position: 4, more: false },
    { before: 'e1:3', offsets: [], position: 2, more: false },
    { before: 'start', offsets: [], position: 4, more: false },
    { before: '0:0', offsets: [], position: 0, more: false },
    { before: 'e1:20', offsets: [], position: 9, more: false, gap: { reason: 'ahead' } },
    { before: 'zz:5', offsets: [], position: 9, more: false, gap: { reason: 'epoch' } },
    { before: 'nonsense', offsets: [], position: 9, more: false, gap: { reason: 'unknown' } },
  ])('before $before', async ({ before, offsets, position, more, gap }) => {
    const { broker, hub, publish } = setUp();
    await hub.open();
    await publish(9);
    broker.trim('news', 5);
    const place = after(before).after;
    const page = await hub.history(anyone, 'news', {
      countMax: 3,
      ...(place === undefined ? {} : { before: place }),
    });
    expect(page.messages.map(({ offset }) => offset)).toEqual(offsets);
    expect(page.position).toEqual({ epoch: 'e1', offset: position });
    expect(page.more).toBe(more);
    expect(page.gap).toEqual(gap);
  });

  test.each([
    { place: 'start', offsets: [5, 6, 7], more: true },
    { place: '0:0', offsets: [5, 6, 7], more: true, gap: { reason: 'trimmed', from: 1, to: 4 } },
    { place: 'e1:7', offsets: [8, 9], more: false },
    { place: 'e1:9', offsets: [], more: false },
    { place: 'e1:20', offsets: [], more: false, gap: { reason: 'ahead' } },
    { place: '~mark', offsets: [], more: false, gap: { reason: 'unknown' } },
  ])('after $place', async ({ place, offsets, more, gap }) => {
    const { broker, hub, publish } = setUp();
    await hub.open();
    await publish(9);
    broker.trim('news', 5);
    const page = await hub.history(anyone, 'news', { ...after(place), countMax: 3 });
    expect(page.messages.map(({ offset }) => offset)).toEqual(offsets);
    expect(page.position.offset).toBe(offsets.at(-1) ?? 9);
    expect(page.more).toBe(more);
    expect(page.gap).toEqual(gap);
    expect(page).toMatchObject({ oldest: { offset: 5 }, newest: { offset: 9 } });
  });

  test('has no more than it may: by count, by the newest asked for, and by size', async () => {
    const { hub, publish } = setUp();
    await hub.open();
    await publish(9, 'news', 1_000);
    const counts = async (request: object): Promise<number> =>
      (await hub.history(anyone, 'news', { countMax: 100, ...request })).messages.length;
    expect(await counts({ countMax: 4 })).toBe(4);
    expect(await counts({ last: 2 })).toBe(2);
    expect(await counts({ last: 0 })).toBe(0);
    expect(await counts({ last: 8, countMax: 3 })).toBe(3);
    expect(await counts({ sizeMax: 2_500 })).toBe(2);
    expect(await counts({ sizeMax: 1 })).toBe(1);
  });

  test('is refused with a code while the log can not be read', async () => {
    const { broker, hub } = setUp();
    await hub.open();
    broker.failure = away;
    await expect(hub.history(anyone, 'news', { countMax: 1 })).rejects.toMatchObject({
      code: 'unavailable',
      retryAfter: 1_000,
    });
  });
});

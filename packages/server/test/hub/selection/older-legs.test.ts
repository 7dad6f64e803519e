import { parseAfter } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { olderThan } from '../../../src/hub/selection/older-legs.ts';
import { setUpSelections } from './selection-setup.ts';

const leg = (channel: string, offset: number, epoch = 'e1') => ({
  channel,
  position: { epoch, offset },
});

describe('what is older than what a subscription began at', () => {
  test('is what comes before its mark, channels that did not change since included', async () => {
    const { broker, follow, publish } = await setUpSelections();
    await publish(3, 'a');
    await publish(1, 'b');
    const reader = await follow({ '#': {} });
    await publish(2, 'a');
    const cursor = reader.opened?.cursor;
    if (cursor === undefined) throw new Error('expected a cursor');
    const legs = [leg('a', 2), leg('a', 3), leg('a', 4), leg('b', 0, 'e2'), leg('a', 1, 'e9')];
    expect(await olderThan(broker, cursor, legs)).toEqual([leg('a', 2), leg('b', 0, 'e2')]);
  });

  test('is what may come before its mark once retention has removed what came after that', async () => {
    const { broker, follow, publish } = await setUpSelections();
    await publish(3, 'a');
    const cursor = (await follow({ '#': {} })).opened?.cursor;
    if (cursor === undefined) throw new Error('expected a cursor');
    await publish(6, 'a');
    broker.trim('a', 8);
    const legs = [leg('a', 2), leg('a', 5), leg('a', 6), leg('a', 9)];
    expect(await olderThan(broker, cursor, legs)).toEqual([leg('a', 2), leg('a', 5)]);
  });

  test('is nothing of a life that began after it, for who begins before the first message', async () => {
    const { broker, follow, publish } = await setUpSelections();
    await publish(3, 'a');
    const cursor = (await follow({ '#': {} })).opened?.cursor;
    if (cursor === undefined) throw new Error('expected a cursor');
    const legs = [leg('a', 0, '0'), leg('b', 0, '0')];
    expect(await olderThan(broker, cursor, legs)).toEqual(legs); // Nothing has come since.
    await broker.purge('a');
    await publish(2, 'a');
    await publish(1, 'b');
    expect(await olderThan(broker, cursor, legs)).toEqual([]);
    const later = (await follow({ '#': {} })).opened?.cursor;
    if (later === undefined) throw new Error('expected a cursor');
    await publish(1, 'a');
    await publish(1, 'b');
    expect(await olderThan(broker, later, legs)).toEqual(legs);
  });

  test('is told of what a resume had to read by where that began, trimmed or not', async () => {
    const { broker, follow, publish } = await setUpSelections();
    await publish(5, 'a');
    const reader = await follow({ '#': { after: parseAfter('~3') } });
    const cursor = reader.opened?.cursor;
    if (cursor === undefined) throw new Error('expected a cursor');
    await publish(4, 'a');
    broker.trim('a', 8);
    const legs = [leg('a', 2), leg('a', 3), leg('a', 4)];
    expect(await olderThan(broker, cursor, legs)).toEqual([leg('a', 2)]);
  });

  test('is everything when nobody can tell any more: rather twice than not at all', async () => {
    const { broker, follow } = await setUpSelections();
    const cursor = (await follow({ '#': {} })).opened?.cursor;
    if (cursor === undefined) throw new Error('expected a cursor');
    broker.changedSince = () => Promise.resolve(undefined);
    expect(await olderThan(broker, cursor, [leg('a', 2)])).toEqual([leg('a', 2)]);
  });

  test('is told of a name by its position alone', async () => {
    const { broker, publish, subscribe } = await setUpSelections();
    await publish(3);
    const cursor = (await subscribe()).opened?.cursor;
    if (cursor === undefined) throw new Error('expected a cursor');
    expect(await olderThan(broker, cursor, [leg('news', 2), leg('news', 3)])).toEqual([
      leg('news', 2),
    ]);
  });
});

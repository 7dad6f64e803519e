import { MemoryLink } from '@trunkline/testkit';
import type { Position } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { Beginnings } from '../../../src/hub/selection/beginnings.ts';
import { CatchUp } from '../../../src/hub/selection/catch-up.ts';
import type { Leg } from '../../../src/hub/selection/catch-up.ts';
import type { AnyCursor } from '../../../src/hub/selection/overlap-entry.ts';
import { Selection } from '../../../src/hub/selection/selection.ts';
import { SelectionCursor } from '../../../src/hub/selection/selection-cursor.ts';
import { placesEncoding, SelectionListener, setUpSelections } from './selection-setup.ts';

const leg = (channel: string, offset: number, epoch = 'e1'): Leg => ({
  channel,
  position: { epoch, offset },
});

const nowhere = { mark: '', behind: new Map<string, Position>() };

async function setUpBeginnings() {
  const world = await setUpSelections();
  const { broker, clock, follow, subscribe, turn } = world;
  const following = async (): Promise<SelectionCursor> => {
    const cursor = (await follow({ '#': {} })).opened?.cursor;
    if (cursor === undefined) throw new Error('expected a cursor');
    return cursor;
  };
  const named = async (): Promise<AnyCursor> => {
    const cursor = (await subscribe()).opened?.cursor;
    if (cursor === undefined) throw new Error('expected a cursor');
    return cursor;
  };
  /** What of the legs those that follow all of their channels are to read again. */
  const older = async (others: readonly AnyCursor[], legs: readonly Leg[]): Promise<Leg[]> => {
    const all = others.map((cursor) => ({ cursor, wants: () => true }));
    const beginnings = new Beginnings((...asked) => broker.changedSince(...asked), all);
    const channels = new Set(legs.map(({ channel }) => channel));
    await beginnings.find([...channels].map((channel) => ({ channel })));
    const reader = new SelectionListener(new MemoryLink({ clock, turn }), placesEncoding());
    const cursor = new SelectionCursor(reader, new Selection(['#']), nowhere);
    cursor.catchUp = new CatchUp();
    cursor.catchUp.begin(nowhere, legs);
    return [...beginnings.olderOf(cursor)];
  };
  return { ...world, following, named, older };
}

describe('what is older than what others of a session began at [WILD-4]', () => {
  test('is what comes before their marks, in channels that did not change since as well', async () => {
    const { following, older, publish } = await setUpBeginnings();
    await publish(3, 'a');
    await publish(1, 'b');
    const cursor = await following();
    await publish(2, 'a');
    const legs = [leg('a', 2), leg('a', 3), leg('a', 4), leg('b', 0, 'e2'), leg('b', 1, 'e2')];
    expect(await older([cursor], [...legs, leg('a', 1, 'e9')])).toEqual([
      leg('a', 2),
      leg('b', 0, 'e2'),
    ]);
  });

  test('is nothing that one of them has', async () => {
    const { following, named, older, publish } = await setUpBeginnings();
    await publish(3);
    const early = await following();
    await publish(2);
    const late = await named();
    const legs = [leg('news', 2), leg('news', 4)];
    expect(await older([late], legs)).toEqual(legs);
    expect(await older([late, early], legs)).toEqual([leg('news', 2)]);
    expect(await older([], legs)).toEqual([]);
  });

  test('is what may come before a mark once retention has removed what came after that', async () => {
    const { broker, following, older, publish } = await setUpBeginnings();
    await publish(3, 'a');
    const cursor = await following();
    await publish(6, 'a');
    broker.trim('a', 8);
    // Who was judged by this log begins at 7 at the earliest.
    const legs = [leg('a', 2), leg('a', 5), leg('a', 6), leg('a', 7), leg('a', 9)];
    expect(await older([cursor], legs)).toEqual([leg('a', 2), leg('a', 5)]);
  });

  test('is nothing of a life that began after it, for who begins before the first message', async () => {
    const { broker, following, older, publish } = await setUpBeginnings();
    await publish(3, 'a');
    const cursor = await following();
    const legs = [leg('a', 0, '0'), leg('b', 0, '0')];
    expect(await older([cursor], legs)).toEqual([leg('a', 0, '0')]);
    await broker.purge('a');
    await publish(2, 'a');
    await publish(1, 'b');
    expect(await older([cursor], legs)).toEqual([]);
    const later = await following();
    await publish(1, 'a');
    await publish(1, 'b');
    expect(await older([later], legs)).toEqual(legs);
  });

  test('is what a name that has all this node was told of lacks, where others began ahead', async () => {
    const { broker, clock, named, publish, turn } = await setUpBeginnings();
    await publish(3);
    const name = await named();
    const olderThan = async (...begins: readonly number[]): Promise<readonly Leg[]> => {
      const others = begins.map((offset) => {
        const reader = new SelectionListener(new MemoryLink({ clock, turn }), placesEncoding());
        const behind = new Map([['news', { epoch: 'e1', offset }]]);
        const cursor = new SelectionCursor(reader, new Selection(['#']), { mark: '~3', behind });
        return { cursor, wants: () => true };
      });
      const beginnings = new Beginnings((...asked) => broker.changedSince(...asked), others);
      await beginnings.find([{ channel: 'news' }]);
      return beginnings.olderOf(name);
    };
    expect(await olderThan(5, 4)).toEqual([leg('news', 3)]);
    expect(await olderThan(5, 3)).toEqual([]);
    expect(await olderThan()).toEqual([]);
  });

  test('is everything when nobody can tell any more: rather twice than not at all', async () => {
    const { broker, following, older } = await setUpBeginnings();
    const cursor = await following();
    broker.changedSince = () => Promise.resolve(undefined);
    expect(await older([cursor], [leg('a', 2)])).toEqual([leg('a', 2)]);
  });
});

describe('what the log has of channels that others want', () => {
  test('is told as of when it was asked about them, and of nothing else', async () => {
    const { broker, following, publish } = await setUpBeginnings();
    await publish(3, 'a');
    const cursor = await following();
    await publish(3, 'a');
    await publish(1, 'b');
    broker.trim('a', 5);
    const others = [{ cursor, wants: (channel: string) => channel !== 'b' }];
    const beginnings = new Beginnings((...asked) => broker.changedSince(...asked), others);
    const stream = { epoch: 'e1', oldest: 1, top: 6 };
    const asked = [{ channel: 'a', stream }, { channel: 'b', stream }, { channel: 'c' }];
    expect(await beginnings.find(asked)).toEqual(
      new Map([['a', { epoch: 'e1', oldest: 5, top: 6 }]]),
    );
  });
});

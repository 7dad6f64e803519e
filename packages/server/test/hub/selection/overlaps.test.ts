import { describe, expect, test } from 'vitest';
import { setUp } from '../hub-setup.ts';
import { Reader } from './reader.ts';
import type { Published } from './reader.ts';
import { anyone } from '../hub-setup.ts';

async function setUpReader(highWaterSize = 100) {
  const world = setUp({ presence: { listed: false, graceMs: 0 } }, highWaterSize);
  const { clock, hub } = world;
  await hub.open();
  const published: Published = [];
  const tops = new Map<string, number>();
  const publish = async (...channels: string[]): Promise<void> => {
    for (const channel of channels) {
      const offset = (tops.get(channel) ?? 0) + 1;
      tops.set(channel, offset);
      published.push({ channel, offset });
      void hub.publish(anyone, channel, { payload: new Uint8Array(1) });
    }
    await clock.settle();
  };
  const reader = new Reader('r', world, published);
  /** What came since the last call, without marks and answers. */
  const take = async (): Promise<string[]> => {
    await clock.settle();
    const before = reader.recent.length;
    reader.take();
    return reader.recent
      .slice(before)
      .filter((line) => line.startsWith('message'))
      .map((line) => line.split(' ').slice(1, 3).join(' '));
  };
  const subscribe = async (...filters: [string, string?][]): Promise<void> => {
    for (const [filter, place] of filters) reader.subscribe(filter, place);
    await clock.settle();
  };
  /** The link is full, and its readers are behind. */
  const stall = async (channel: string): Promise<void> => {
    reader.link.hold();
    for (let turn = 0; turn < 5; turn += 1) await publish(channel);
  };
  return { ...world, publish, reader, stall, subscribe, take };
}

describe('what matches several subscriptions of a session [WILD-4]', () => {
  test('goes over from a pattern to a name when both are at the head', async () => {
    const { publish, reader, stall, subscribe, take } = await setUpReader();
    await subscribe(['a/+']);
    await stall('a/1');
    await subscribe(['a/1']);
    await publish('a/1', 'a/2');
    reader.link.release();
    expect(await take()).toEqual([
      ...['a/1 e1:1', 'a/1 e1:2', 'a/1 e1:3', 'a/1 e1:4', 'a/1 e1:5', 'a/1 e1:6', 'a/2 e2:1'],
    ]);
    await publish('a/1', 'a/2');
    expect((await take()).toSorted()).toEqual(['a/1 e1:7', 'a/2 e2:2']);
    reader.finish();
    expect(reader.faults).toEqual([]);
  });

  test('goes over from a name to a pattern, however slow the link is', async () => {
    const { clock, publish, reader, stall, subscribe, take } = await setUpReader();
    await subscribe(['a/1'], ['a/+']);
    await stall('a/1');
    reader.unsubscribe('a/1');
    await clock.settle();
    await publish('a/1', 'a/2');
    reader.link.release();
    await take();
    await publish('a/1');
    await take();
    reader.finish();
    expect(reader.faults).toEqual([]);
  });

  test('goes over from one pattern to another that is behind', async () => {
    const { clock, publish, reader, stall, subscribe, take } = await setUpReader();
    await subscribe(['a/+'], ['#']);
    await stall('b');
    reader.unsubscribe('a/+');
    await clock.settle();
    await publish('a/1', 'b');
    reader.link.release();
    await take();
    await publish('a/1', 'b');
    await take();
    reader.finish();
    expect(reader.faults).toEqual([]);
    expect(reader.following.has('a/+')).toBe(false);
  });

  test('does not come again by a mark of a pattern on its way, which covers what a name had', async () => {
    const { publish, reader, subscribe, take } = await setUpReader();
    await subscribe(['a/1']);
    await publish('a/1', 'a/2', 'a/3');
    await subscribe(['a/+', 'start']);
    expect(await take()).toEqual(['a/1 e1:1', 'a/2 e2:1', 'a/3 e3:1']);
    const line = reader.recent.find((told) => told.startsWith('message a/2'));
    const [, , , mark = ''] = line?.split(' ') ?? [];
    reader.unsubscribe('a/1');
    reader.unsubscribe('a/+');
    await subscribe(['a/+', mark]);
    expect(await take()).toEqual(['a/3 e3:1']);
  });

  test('comes to a name that is asked for anew while only its old cursor kept a pattern alive', async () => {
    const { publish, reader, stall, subscribe, take } = await setUpReader();
    await publish('a/1', 'a/1');
    await stall('b');
    await subscribe(['a/+', 'start'], ['b'], ['a/1', 'start']);
    await publish('a/1', 'a/1');
    await stall('b');
    await subscribe(['a/+', '~14']); // From now on: what was asked for before is left to the name.
    await subscribe(['a/1', 'start']);
    reader.link.release();
    const given = await take();
    expect(given.filter((place) => place.startsWith('a/1'))).toEqual([
      ...['a/1 e1:1', 'a/1 e1:2', 'a/1 e1:3', 'a/1 e1:4'],
    ]);
    await publish('a/1');
    expect(await take()).toEqual(['a/1 e1:5']);
  });

  test('comes whole to a pattern that left it to a name, which went before it was read', async () => {
    const { clock, publish, reader, stall, subscribe, take } = await setUpReader();
    await subscribe(['a/+']);
    await stall('a/1');
    // The name waits for the pattern, whose old cursor goes on for it when the pattern begins anew.
    await subscribe(['a/1'], ['a/+', '~5']);
    reader.unsubscribe('a/1');
    await clock.settle();
    await publish('a/1');
    reader.link.release();
    expect(await take()).toEqual([
      ...['a/1 e1:1', 'a/1 e1:2', 'a/1 e1:3', 'a/1 e1:4', 'a/1 e1:5', 'a/1 e1:6'],
    ]);
    await publish('a/1', 'a/2');
    expect((await take()).toSorted()).toEqual(['a/1 e1:7', 'a/2 e2:1']);
  });

  test('does not come again from before what was lost when it has gone over to another one', async () => {
    const { broker, clock, publish, reader, stall, subscribe, take } = await setUpReader();
    await subscribe(['#'], ['a/+'], ['b']);
    await publish('a/1');
    expect(await take()).toEqual(['a/1 e1:1']);
    broker.silent = true;
    await publish('a/1', 'a/1');
    broker.silent = false;
    broker.trim('a/1', 3);
    broker.doubt('a/1');
    expect(await take()).toEqual(['a/1 e1:3']);
    reader.unsubscribe('#');
    await clock.settle();
    await stall('b');
    await publish('a/2');
    reader.link.release();
    expect((await take()).filter((place) => place.startsWith('a/'))).toEqual(['a/2 e3:1']);
  });

  test('comes whole when all that wanted it one after the other have gone', async () => {
    const { clock, publish, reader, stall, subscribe, take } = await setUpReader();
    await subscribe(['a/+']);
    await stall('a/1');
    await subscribe(['a/1'], ['a/+', '~5'], ['#', '~5']);
    reader.unsubscribe('a/1');
    reader.unsubscribe('a/+');
    await clock.settle();
    await publish('a/1');
    reader.link.release();
    expect(await take()).toEqual([
      ...['a/1 e1:1', 'a/1 e1:2', 'a/1 e1:3', 'a/1 e1:4', 'a/1 e1:5', 'a/1 e1:6'],
    ]);
    await publish('a/1');
    expect(await take()).toEqual(['a/1 e1:7']);
  });

  test('is answered and left before it goes over, in any order within one turn', async () => {
    const { publish, reader, subscribe, take } = await setUpReader();
    await subscribe(['#']);
    void publish('a', 'b');
    reader.subscribe('a');
    reader.unsubscribe('#');
    reader.subscribe('#', 'start');
    void publish('a', 'b');
    await take();
    reader.finish();
    expect(reader.faults).toEqual([]);
  });

  test('counts against the limit as long as something is delivered for others', async () => {
    const { clock, reader, stall, subscribe } = await setUpReader();
    await subscribe(['#']);
    await stall('b');
    for (let count = 0; count < 200; count += 1) {
      reader.subscribe(`x${count}/#`);
      reader.unsubscribe(`x${count}/#`);
      await clock.settle();
    }
    expect(reader.recent.some((line) => line.includes('refused'))).toBe(false);
    for (let count = 0; count < 60; count += 1) reader.subscribe(`y${count}`);
    await clock.settle();
    expect(reader.recent.some((line) => line.includes('at most 50 subscriptions'))).toBe(true);
  });
});

import { describe, expect, test } from 'vitest';
import { anonymous, connect } from './native-setup.ts';
import type { Reply } from './native-setup.ts';

/** A session with room for many subscriptions; a command without an id gets one. */
async function setUp(identity = anonymous, highWaterSize = 10_000) {
  const world = await connect(identity, { subscriptionsMax: 10, highWaterSize });
  world.take();
  let id = 0;
  const ask = (channel: string, as?: number, rest: object = {}): Promise<Reply[]> =>
    world.say({ type: 'subscribe', id: (id += 1), channel, as, ...rest });
  const leave = (channel: string, as?: number): Promise<Reply[]> =>
    world.say({ type: 'unsubscribe', id: (id += 1), channel, as });
  /** What was delivered, in order: `as:channel:offset`, or the type of what is no message. */
  const delivered = (frames: readonly Reply[] = world.take()): string[] =>
    frames.map(({ type, as, channel, offset }) =>
      type === 'message'
        ? `${String(as)}:${String(channel)}:${String(offset)}`
        : `${type} ${String(as)}`,
    );
  return { ...world, ask, delivered, leave };
}

describe('subscriptions that stand apart', () => {
  test('are each given everything from their own place, whatever others are [APART-1]', async () => {
    const { ask, delivered, publish } = await setUp();
    await publish(3, 'a/1');
    expect(delivered(await ask('a/1', 1, { after: 'e1:1' }))).toEqual([
      ...['subscribed 1', '1:a/1:2', '1:a/1:3'],
    ]);
    expect(delivered(await ask('a/+', 2, { after: 'start' }))).toEqual([
      ...['subscribed 2', '2:a/1:1', '2:a/1:2', '2:a/1:3'],
    ]);
    expect(delivered(await ask('#', 3, { last: 1 }))).toEqual(['subscribed 3', '3:a/1:3']);
    expect(delivered(await ask('a/1'))).toEqual(['subscribed undefined']);
    expect(delivered(await ask('a/+'))).toEqual(['subscribed undefined']);
    await publish(1, 'a/1');
    // Those that do not stand apart are given it once, as ever.
    expect(delivered().toSorted()).toEqual([
      ...['1:a/1:4', '2:a/1:4', '3:a/1:4', 'mark undefined', 'undefined:a/1:4'].toSorted(),
    ]);
  });

  test('may have the same channel any number of times, and count each [APART-3]', async () => {
    const { ask, delivered, hub, publish } = await setUp();
    for (const as of [1, 2, 999]) await ask('a', as);
    await ask('a');
    await publish(1, 'a');
    expect(delivered()).toEqual(['1:a:1', '2:a:1', '999:a:1', 'undefined:a:1']);
    expect(hub.activeChannels('#')).toEqual([{ channel: 'a', subscribers: 4 }]);
    for (const as of [3, 4, 5, 6, 7, 8]) await ask('a', as);
    const refusals = [await ask('a', 9), await ask('b')];
    expect(refusals).toMatchObject([[{ code: 'rate_limited' }], [{ code: 'rate_limited' }]]);
    // Asking again for what there is needs no room.
    expect(delivered([...(await ask('a', 8)), ...(await ask('a'))])).toEqual([
      ...['subscribed 8', 'subscribed undefined'],
    ]);
  });

  test('are as many as the limit allows, those being opened included [APART-3]', async () => {
    const { broker, clock, say, take } = await setUp();
    broker.holdReads();
    const commands = Array.from({ length: 12 }, (_, at) => ({
      ...{ type: 'subscribe', id: at, channel: `c/${at}`, as: at + 1, last: 1 },
    }));
    expect(await say(...commands)).toMatchObject([{ id: 10 }, { id: 11 }]);
    broker.releaseReads();
    await clock.settle();
    expect(take().map(({ type }) => type)).toEqual(Array.from({ length: 10 }, () => 'subscribed'));
  });

  test('begin again at the answer, also with another channel [APART-4]', async () => {
    const { ask, delivered, hub, publish } = await setUp();
    await publish(2, 'a');
    await publish(1, 'b');
    await ask('a', 1);
    expect(delivered(await ask('a', 1, { after: 'e1:0' }))).toEqual([
      ...['subscribed 1', '1:a:1', '1:a:2'],
    ]);
    expect(delivered(await ask('b', 1, { last: 1 }))).toEqual(['subscribed 1', '1:b:1']);
    await publish(1, 'a');
    expect(delivered(await ask('+', 1))).toEqual(['subscribed 1']);
    await publish(1, 'b');
    expect(delivered()).toEqual(['1:b:2']);
    expect(hub.activeChannels('#')).toEqual([]);
  });

  test('go on when beginning again fails [APART-4] [CMD-3]', async () => {
    const { ask, broker, delivered, publish } = await setUp();
    await ask('a', 1);
    broker.watchFailure = new Error('no');
    expect(await ask('b', 1)).toMatchObject([{ type: 'error' }]);
    await publish(1, 'a');
    expect(delivered()).toEqual(['1:a:1']);
  });

  test('end by number and channel together [APART-4]', async () => {
    const { ask, delivered, leave, publish } = await setUp();
    for (const as of [1, 2]) await ask('a', as);
    await ask('a');
    expect(delivered(await leave('b', 1))).toEqual(['unsubscribed 1']);
    expect(delivered(await leave('a', 3))).toEqual(['unsubscribed 3']);
    expect(await leave('a', 1)).toMatchObject([{ type: 'unsubscribed', channel: 'a', as: 1 }]);
    await publish(1, 'a');
    expect(delivered().toSorted()).toEqual(['2:a:1', 'undefined:a:1']);
    await leave('a');
    await publish(1, 'a');
    expect(delivered()).toEqual(['2:a:2']);
  });

  test('say of every push for whom it is [APART-2]', async () => {
    const { ask, broker, publish, take } = await setUp();
    await publish(5, 'a/1');
    broker.trim('a/1', 4);
    const lossy = await ask('a/+', 7, { after: '~2' });
    expect(lossy).toMatchObject([
      { type: 'subscribed', as: 7, recovered: false },
      { type: 'gap', as: 7, channel: 'a/1' },
    ]);
    await publish(1, 'a/1');
    expect(take()).toMatchObject([{ type: 'message', as: 7, offset: 6, mark: '~6' }]);
  });

  test('have their marks on messages, however many patterns match [APART-5]', async () => {
    const { ask, publish, take } = await setUp();
    await ask('a/+', 1);
    await ask('a/#', 2);
    await ask('a/1', 3);
    await publish(1, 'a/1');
    const marks = take().map(({ as, mark }) => `${String(as)} ${String(mark)}`);
    expect(marks.toSorted()).toEqual(['1 ~1', '2 ~1', '3 undefined']);
  });

  test('leave out what the session publishes where they are told so [WS-16]', async () => {
    const { ask, delivered, say } = await setUp();
    await ask('a', 1, { echo: false });
    await ask('a', 2);
    await ask('+', 3, { echo: false });
    const frames = await say({ type: 'publish', id: 50, channel: 'a', data: 1 });
    const found = delivered(frames).filter((frame) => frame.startsWith('2'));
    expect(found).toEqual(['2:a:1']);
    expect(frames.filter(({ type }) => type === 'message')).toHaveLength(1);
  });

  test('that are asked for with a publish are given that message [CMD-4]', async () => {
    const { broker, clock, delivered, link, take } = await setUp();
    broker.holdReads();
    const commands = [
      { type: 'subscribe', id: 1, channel: 'a', as: 1, last: 1 },
      { type: 'publish', id: 2, channel: 'a', data: 1 },
      { type: 'publish', id: 3, channel: 'a', data: 2 },
    ];
    for (const command of commands) link.receive(JSON.stringify(command));
    await clock.settle();
    expect(take()).toEqual([]);
    broker.releaseReads();
    await clock.settle();
    const frames = delivered(take());
    expect(frames.filter((frame) => frame.startsWith('1:'))).toEqual(['1:a:1', '1:a:2']);
    expect(frames[0]).toBe('subscribed 1');
  });

  test('fall behind one by one, and lose nothing', async () => {
    const { ask, delivered, link, publish } = await setUp();
    for (const as of [1, 2, 3, 4, 5, 6]) await ask('a/1', as);
    for (const as of [7, 8, 9]) await ask('a/+', as);
    link.hold();
    for (let count = 0; count < 20; count += 1) {
      await publish(1, 'a/1', 300);
      // The high-water mark and one message, not one for each of them.
      expect(link.pendingBytes).toBeLessThan(1_000 + 500);
    }
    link.release();
    await publish(1, 'a/1');
    const found = delivered();
    for (let as = 1; as <= 9; as += 1) {
      const own = found.filter((frame) => frame.startsWith(`${as}:`));
      expect(own).toEqual(Array.from({ length: 21 }, (_, at) => `${as}:a/1:${at + 1}`));
    }
  });

  test('that ask for snapshots are begun one at a time: each is written anew [WS-5]', async () => {
    const { broker, clock, say, take } = await setUp();
    broker.holdReads();
    const asked = [1, 2, 3].map((as) => ({
      ...{ type: 'subscribe', id: as, channel: `c/${as}`, as, last: 1, snapshot: true },
    }));
    await say(...asked);
    expect(broker.readRanges).toHaveLength(1);
    broker.releaseReads();
    await clock.settle();
    expect(take().map(({ as }) => as)).toEqual([1, 2, 3]);
  });

  test('end with the session, those being opened included, and give everything back', async () => {
    const { ask, broker, clock, hub, link, say } = await setUp();
    for (const as of [1, 2]) await ask('a', as);
    await ask('a/+', 3);
    broker.holdReads();
    await say(
      { type: 'subscribe', id: 80, channel: 'b', as: 4, last: 1 },
      { type: 'subscribe', id: 81, channel: 'b/+', as: 5, after: 'start' },
    );
    link.drop();
    broker.releaseReads();
    await clock.pass(60_000);
    expect(hub.activeChannels('#')).toEqual([]);
    expect([broker.patterns.size, broker.watched.size]).toEqual([0, 0]);
  });

  test('keep a session from saying hello again', async () => {
    const { ask, say } = await setUp();
    await ask('a', 1);
    expect(await say({ type: 'hello', id: 90, token: 'alice' })).toMatchObject([
      { code: 'bad_request' },
    ]);
  });
});

import { describe, expect, test } from 'vitest';
import type { Action } from '../../src/auth/identity.ts';
import { PUBLISH_MS } from '../../src/hub/config.ts';
import { after, anyone, offsetsEncoding, range, setUp } from './hub-setup.ts';
import { away } from './scripted-broker.ts';

describe('a live subscription', () => {
  test('gets each message once, in order, from now on', async () => {
    const { broker, hub, publish, subscribe } = setUp();
    await broker.open({ onMessage() {}, onGap() {}, onBroadcast() {} });
    await hub.open();
    await publish(3);
    const reader = await subscribe();
    expect(reader.opened?.position).toEqual({ epoch: 'e1', offset: 3 });
    await publish(4);
    expect(reader.take()).toEqual(range(4, 7));
  });

  test('shares one encoding of a turn with all its neighbours', async () => {
    const { hub, clock, subscribe } = setUp();
    await hub.open();
    const readers = [await subscribe(), await subscribe(), await subscribe()];
    const before = offsetsEncoding.count;
    const payload = new Uint8Array(1);
    await Promise.all([1, 2, 3].map(() => hub.publish(anyone, 'news', { payload })));
    await clock.settle();
    expect(offsetsEncoding.count - before).toBe(1);
    for (const reader of readers) expect(reader.link.takeFrames()).toEqual(['e1:1 e1:2 e1:3']);
  });

  test('delivers nothing between its answer and its start, and all of it after', async () => {
    const { hub, clock, publish, listener } = setUp();
    await hub.open();
    const reader = listener();
    const opened = await hub.subscribe(reader, anyone, 'news', {});
    await publish(3);
    expect(reader.take()).toEqual([]);
    hub.start(opened.cursor);
    await clock.settle();
    expect(reader.take()).toEqual(range(1, 3));
  });

  test('ends at once when it is unsubscribed, also in the turn of a message', async () => {
    const { hub, clock, subscribe } = setUp();
    await hub.open();
    const reader = await subscribe();
    await hub.publish(anyone, 'news', { payload: new Uint8Array(1) });
    if (reader.opened !== undefined) hub.unsubscribe(reader.opened.cursor);
    await clock.settle();
    expect(reader.take()).toEqual([]);
  });
});

describe('a resume', () => {
  test.each([0, 1, 5, 9, 10])('after offset %i gives the rest once', async (offset) => {
    const { hub, publish, subscribe } = setUp();
    await hub.open();
    await publish(10);
    const reader = await subscribe(after(`e1:${offset}`));
    await publish(2);
    expect(reader.opened?.recovered).toBe(true);
    expect(reader.take()).toEqual(range(offset + 1, 12));
  });

  test('reads the log in steps when it missed more than memory has', async () => {
    const { broker, hub, publish, subscribe } = setUp();
    await hub.open();
    await publish(1700);
    const reader = await subscribe(after('e1:3'));
    expect(reader.take()).toEqual(range(4, 1700));
    expect(broker.readRanges.every(({ countMax }) => countMax <= 1000)).toBe(true);
  });

  test('of many at once costs one read of the log', async () => {
    const { broker, hub, publish, subscribe } = setUp();
    await hub.open();
    await publish(300);
    broker.readRanges.length = 0;
    const starts = Array.from({ length: 100 }, (_, index) => after(`e1:${index + 100}`));
    const readers = await Promise.all(starts.map((start) => subscribe(start)));
    for (const [index, reader] of readers.entries()) {
      expect(reader.take()).toEqual(range(index + 101, 300));
    }
    // One to learn where the stream stands, one for the tail.
    expect(broker.readRanges.length).toBe(2);
  });

  test('is refused with a code while the log can not be read, and works later', async () => {
    const { broker, hub, publish, subscribe } = setUp();
    await hub.open();
    await publish(2);
    broker.failure = away;
    await expect(subscribe(after('e1:1'))).rejects.toMatchObject({ code: 'unavailable' });
    broker.failure = undefined;
    expect((await subscribe(after('e1:1'))).take()).toEqual(['e1:2']);
  });

  test('by a mark gives nothing again where the log has forgotten what came after it [GUA-4]', async () => {
    const { broker, hub, publish, subscribe } = setUp({
      history: { countMax: 100, sizeMax: 1e9, ageMsMax: Infinity },
    });
    await hub.open();
    await subscribe(); // Memory keeps what comes.
    await publish(4);
    broker.trim('news', 4);
    const changedSince = broker.changedSince.bind(broker);
    broker.changedSince = async (...asked) => {
      const changed = await changedSince(...asked);
      return changed?.map((change) => ({ ...change, position: { epoch: 'e1', offset: 0 } }));
    };
    const reader = await subscribe(after('~2'));
    expect(reader.opened).toMatchObject({
      ...{ recovered: false, gap: { reason: 'trimmed' }, position: { epoch: 'e1', offset: 4 } },
    });
    expect(reader.take()).toEqual([]);
  });

  test('by a mark goes on where the mark stands', async () => {
    const { broker, hub, publish, subscribe } = setUp();
    await hub.open();
    await publish(4);
    const mark = await broker.mark();
    await publish(3);
    expect((await subscribe(after(mark))).take()).toEqual(range(5, 7));
    expect((await subscribe(after('~nonsense'))).opened?.gap).toEqual({ reason: 'unknown' });
    const now = await subscribe(after(await broker.mark()));
    expect(now.opened).toMatchObject({ recovered: true, position: { offset: 7 } });
  });
});

describe('a channel that missed something', () => {
  test('reads the log from its own position when a message is skipped', async () => {
    const { broker, hub, publish, subscribe } = setUp();
    await hub.open();
    const reader = await subscribe();
    await publish(2);
    broker.silent = true;
    await publish(3);
    broker.silent = false;
    expect(reader.take()).toEqual(range(1, 2));
    await publish(1);
    expect(reader.take()).toEqual(range(3, 6));
  });

  test('heals a lost wake-up within the check interval', async () => {
    const { broker, clock, hub, publish, subscribe } = setUp();
    await hub.open();
    const reader = await subscribe();
    await publish(1);
    broker.silent = true;
    await publish(2);
    clock.advance(60_000);
    await clock.settle();
    expect(reader.take()).toEqual(range(1, 3));
  });

  test('keeps its subscribers while the log is away, and reads it when it is back', async () => {
    const { broker, clock, hub, publish, subscribe } = setUp();
    await hub.open();
    const reader = await subscribe();
    await publish(1);
    broker.silent = true;
    await publish(4);
    broker.failure = away;
    broker.doubt('news');
    await clock.settle();
    clock.advance(5_000);
    await clock.settle();
    expect(reader.take()).toEqual(range(1, 1));
    broker.failure = undefined;
    clock.advance(10_000);
    await clock.settle();
    expect(reader.take()).toEqual(range(2, 5));
    expect(reader.gaps).toEqual([]);
  });

  test('tells a new life of the stream as a gap and goes on in it', async () => {
    const { broker, clock, hub, publish, subscribe } = setUp();
    await hub.open();
    const reader = await subscribe();
    await publish(3);
    expect(reader.take()).toEqual(range(1, 3));
    broker.lose('news');
    await publish(2);
    await clock.settle();
    expect(reader.gaps).toEqual([
      { gap: { reason: 'epoch' }, position: { epoch: 'e2', offset: 0 } },
    ]);
    expect(reader.take()).toEqual(range(1, 2, 'e2'));
    await publish(1);
    expect(reader.take()).toEqual(['e2:3']);
  });

  test('tells what retention removed before it could be read', async () => {
    const { broker, clock, hub, publish, subscribe } = setUp();
    await hub.open();
    const reader = await subscribe();
    await publish(1);
    broker.silent = true;
    await publish(9);
    broker.trim('news', 6);
    broker.doubt('news');
    await clock.settle();
    expect(reader.gaps).toEqual([
      { gap: { reason: 'trimmed', from: 2, to: 5 }, position: { epoch: 'e1', offset: 5 } },
    ]);
    expect(reader.take()).toEqual([...range(1, 1), ...range(6, 10)]);
  });
});

describe('a resume while the log is being read', () => {
  test('waits for what is found: the stream may have begun another life', async () => {
    const { broker, clock, hub, publish, subscribe } = setUp();
    await hub.open();
    await subscribe();
    await publish(3);
    broker.silent = true;
    broker.lose('news');
    await publish(2);
    broker.holdReads();
    broker.doubt('news');
    const resumed = subscribe(after('e1:3'));
    await clock.settle();
    broker.releaseReads();
    expect((await resumed).opened).toMatchObject({ recovered: false, gap: { reason: 'epoch' } });
  });
});

describe('a slow reader', () => {
  test('falls behind with bounded memory, disturbs no one, and catches up', async () => {
    const { clock, hub, publish, subscribe } = setUp({}, 2_000);
    await hub.open();
    const slow = await subscribe({}, { allowance: 0 });
    const fast = await subscribe();
    await publish(2_000);
    expect(fast.take()).toEqual(range(1, 2_000));
    // One batch may pass the mark before the cursor is seen to be over it.
    expect(slow.link.pendingBytes).toBeLessThan(2_000 + 8 * 1024);
    slow.link.allow(Number.POSITIVE_INFINITY);
    await clock.settle();
    expect(slow.take()).toEqual(range(1, 2_000));
    await publish(1);
    expect(slow.take()).toEqual(['e1:2001']);
    expect(slow.gaps).toEqual([]);
  });

  test('is told what retention took while it was behind', async () => {
    const { broker, clock, hub, publish, subscribe } = setUp(
      { history: { countMax: 100, sizeMax: 1e9, ageMsMax: 1e9 } },
      100,
    );
    await hub.open();
    const slow = await subscribe({}, { allowance: 0 });
    for (let round = 0; round < 40; round += 1) await publish(100, 'news', 2_000);
    broker.trim('news', 3_901);
    slow.link.allow(Number.POSITIVE_INFINITY);
    await clock.settle();
    const got = slow.take();
    const { gap, position } = slow.gaps[0] ?? {};
    expect(gap).toMatchObject({ reason: 'trimmed', to: 3_900 });
    expect(position).toEqual({ epoch: 'e1', offset: 3_900 });
    const before = range(1, (gap?.from ?? 0) - 1);
    expect(got).toEqual([...before, ...range(3_901, 4_000)]);
  });
});

describe('a channel without users', () => {
  test('is given back after a while, and found again as it was', async () => {
    const { broker, clock, hub, publish, subscribe } = setUp();
    await hub.open();
    const reader = await subscribe();
    await publish(2);
    if (reader.opened !== undefined) hub.unsubscribe(reader.opened.cursor);
    expect(broker.watched.has('news')).toBe(true);
    clock.advance(60_000);
    await clock.settle();
    expect(broker.watched.has('news')).toBe(false);
    expect(hub.activeChannels('#')).toEqual([]);
    const again = await subscribe(after('e1:1'));
    expect(again.take()).toEqual(['e1:2']);
    expect(hub.activeChannels('+')).toEqual([{ channel: 'news', subscribers: 1 }]);
  });
});

describe('permission', () => {
  const closed = { allow: { anonymous: [], user: [] } } as const;
  const alice = (grants: [string, Action][]) => ({
    session: 's',
    identity: {
      kind: 'user' as const,
      user: 'alice',
      grants: new Map(grants.map(([pattern, action]) => [pattern, new Set([action])])),
    },
  });
  const payload = new Uint8Array(1);

  test('is closed unless a grant or the namespace allows it', async () => {
    const { hub } = setUp(closed);
    await hub.open();
    await expect(hub.publish(anyone, 'news', { payload })).rejects.toMatchObject({
      code: 'forbidden',
      stored: false, // [PUB-4]
    });
    await expect(
      hub.publish(alice([['room/+', 'subscribe']]), 'room/1', { payload }),
    ).rejects.toMatchObject({ code: 'forbidden' });
    await hub.publish(alice([['room/+', 'publish']]), 'room/1', { payload });
    const read = { channels: new Map([['news', {}]]), waitMs: 0, countMax: 10 };
    await expect(hub.read(anyone, read)).rejects.toMatchObject({ code: 'forbidden' });
    await expect(hub.history(anyone, 'news', { countMax: 1 })).rejects.toMatchObject({
      code: 'forbidden',
    });
  });

  test('lets only its user read a private channel, and only servers write to it', async () => {
    const { hub } = setUp();
    await hub.open();
    await expect(hub.history(anyone, '@alice', { countMax: 1 })).rejects.toThrow();
    await hub.history(alice([]), '@alice', { countMax: 1 });
    await expect(hub.publish(alice([]), '@alice', { payload })).rejects.toThrow();
    // [CH-2] Whatever a token says.
    const named = alice([
      ['@alice', 'publish'],
      ['@bob', 'history'],
    ]);
    await expect(hub.publish(named, '@alice', { payload })).rejects.toThrow();
    await expect(hub.history(named, '@bob', { countMax: 1 })).rejects.toThrow();
    const server = { session: 's', identity: { kind: 'server' as const, grants: new Map() } };
    await hub.publish(server, '@alice', { payload });
  });

  test('refuses a message over the size of its namespace, and says both sizes', async () => {
    const { hub } = setUp({ messageBytesMax: 10 });
    await hub.open();
    await expect(
      hub.publish(anyone, 'news', { payload: new Uint8Array(11) }),
    ).rejects.toMatchObject({
      code: 'too_large',
      stored: false,
      message: 'a message in news may have 10 bytes, got 11',
    });
  });
});

describe('a publish', () => {
  const payload = new Uint8Array(1);

  test('that the log does not answer in time is refused, and nobody knows of it', async () => {
    const { broker, clock, hub } = setUp();
    await hub.open();
    broker.stalled = true;
    const outcomes = [1, 2, 3].map(() => hub.publish(anyone, 'news', { payload }));
    const refused = Promise.allSettled(outcomes);
    await clock.pass(PUBLISH_MS - 1);
    expect(hub.counts.published).toBe(0);
    await clock.pass(1_000);
    for (const outcome of await refused) {
      expect(outcome).toMatchObject({
        status: 'rejected',
        reason: { code: 'unavailable', stored: 'unknown', retryAfter: 1_000 },
      });
    }
  });

  test('has one timer for all that wait, and none when they are answered', async () => {
    const { broker, clock, hub } = setUp();
    await hub.open();
    const before = clock.timerCount;
    broker.stalled = true;
    for (let count = 0; count < 100; count += 1) {
      hub.publish(anyone, 'news', { payload }).catch(() => {});
    }
    expect(clock.timerCount).toBeLessThanOrEqual(before + 1);
    await clock.pass(PUBLISH_MS + 1_000);
    expect(clock.timerCount).toBe(before);
    broker.stalled = false;
    await hub.publish(anyone, 'news', { payload });
    await clock.pass(1_000);
    expect(clock.timerCount).toBe(before);
  });
});

describe('the counts of a hub', () => {
  test('tell what was published and refused, who listens, who is behind and what was lost', async () => {
    const { hub, broker, clock, publish, subscribe } = setUp({ messageBytesMax: 900 }, 5);
    await hub.open();
    await publish(3);
    const live = await subscribe(after('e1:0'));
    await subscribe(after('e1:9'));
    const slow = await subscribe({}, { allowance: 0 });
    for (let round = 0; round < 3; round += 1) await publish(1, 'news', 900);
    await expect(
      hub.publish(anyone, 'news', { payload: new Uint8Array(901) }),
    ).rejects.toMatchObject({ code: 'too_large' });
    expect(hub.counts).toMatchObject({ published: 6, channels: 1, subscriptions: 3 });
    expect(hub.counts.cursorsBehind).toBe(1);
    expect(hub.counts.publishesRefused).toEqual(new Map([['too_large', 1]]));
    expect(hub.counts.resumes).toEqual(
      new Map([
        ['recovered', 1],
        ['ahead', 1],
      ]),
    );
    expect(hub.counts.publishSeconds.counts[0]).toBe(6);
    for (const reader of [live, slow]) {
      if (reader.opened !== undefined) hub.unsubscribe(reader.opened.cursor);
    }
    expect(hub.counts).toMatchObject({ subscriptions: 1, cursorsBehind: 0 });
    broker.lose('news');
    await publish(1);
    await clock.settle();
    expect(hub.counts.losses).toEqual(new Map([['epoch', 1]]));
  });
});

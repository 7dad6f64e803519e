import { MemoryLink, ManualClock } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';
import { OPEN_NAMESPACE } from '../../src/config/namespace-rules.ts';
import { Channel } from '../../src/hub/channel.ts';
import { RECENT_COUNT_MAX } from '../../src/hub/config.ts';
import { Cursor } from '../../src/hub/cursor.ts';
import { MessageBatch } from '../../src/hub/message-batch.ts';
import { offsetsEncoding } from './hub-setup.ts';
import { message, messages } from './messages.ts';

function setUp() {
  const kept = { size: 0 };
  const alarms: Channel[] = [];
  const channel = new Channel('news', {
    rules: OPEN_NAMESPACE,
    kept,
    onAlarm: (one) => alarms.push(one),
  });
  return { alarms, channel, kept };
}

function batch(first: number, last: number, epoch = 'e1'): MessageBatch {
  return new MessageBatch('news', epoch, messages(first, last));
}

function cursor(channel: Channel): Cursor {
  const link = new MemoryLink({ clock: new ManualClock() });
  const subscriber = { link, encoding: offsetsEncoding, onGap() {} };
  return new Cursor(subscriber, channel, channel.position);
}

describe('what a channel takes from the broker', () => {
  test('follows the head without holes, and nothing else does', () => {
    const { channel } = setUp();
    channel.reset('e1', 5);
    expect(channel.accept('e1', message(5))).toBe('known');
    expect(channel.accept('e1', message(6))).toBe('queued');
    expect(channel.accept('e1', message(6))).toBe('known');
    expect(channel.accept('e1', message(8))).toBe('hole');
    expect(channel.accept('e2', message(1))).toBe('hole');
    expect(channel.accept('e1', message(7))).toBe('queued');
    expect([channel.head, channel.newest]).toEqual([5, 7]);
  });

  test('begins the first life of its stream with its first message only', () => {
    const late = setUp().channel;
    expect(late.accept('e1', message(2))).toBe('hole');
    const { channel } = setUp();
    expect(channel.accept('e1', message(1))).toBe('queued');
    expect(channel.position).toEqual({ epoch: 'e1', offset: 0 });
  });
});

describe('the memory of a channel', () => {
  test('is counted for all channels together, and given back', () => {
    const { channel, kept } = setUp();
    const other = setUp().channel;
    channel.reset('e1', 0);
    channel.keep(batch(4, 6));
    channel.keepOlder([batch(1, 3)]);
    channel.remember(1, batch(2, 3));
    expect(kept.size).toBe(batch(1, 3).size + batch(4, 6).size + batch(2, 3).size);
    channel.forgetRecent();
    expect(kept.size).toBe(batch(1, 6).size);
    channel.forget();
    expect(kept.size).toBe(0);
    other.close();
    channel.close();
    // One that is closed keeps nothing any more.
    channel.keep(batch(7, 9));
    expect(kept.size).toBe(0);
  });

  test('has one batch for all who are at the same place', () => {
    const { channel } = setUp();
    channel.reset('e1', 0);
    channel.keep(batch(1, 10));
    expect(channel.batchAfter(0)?.first).toBe(1);
    const part = channel.batchAfter(4);
    expect([part?.first, part?.last]).toEqual([5, 10]);
    expect(channel.batchAfter(4)).toBe(part);
    expect(channel.batchAfter(10)).toBeUndefined();
  });

  test('remembers a bounded number of places, the newest', () => {
    const { channel, kept } = setUp();
    channel.reset('e1', 100);
    for (let place = 1; place <= RECENT_COUNT_MAX + 3; place += 1) {
      channel.remember(place, batch(place + 1, place + 1));
    }
    expect(channel.batchAfter(3)).toBeUndefined();
    expect(channel.batchAfter(4)?.first).toBe(5);
    const expected = batch(5, 4 + RECENT_COUNT_MAX).size;
    expect(kept.size).toBe(expected);
    // The same place again is no further one.
    channel.remember(5, batch(6, 8));
    expect(channel.batchAfter(4)?.first).toBe(5);
    expect(kept.size).toBe(expected + batch(7, 8).size);
  });

  test('has nothing of a life that is over', () => {
    const { channel } = setUp();
    channel.reset('e1', 0);
    channel.keep(batch(1, 3));
    channel.remember(1, batch(2, 3));
    channel.reset('e2', 3);
    expect(channel.batchAfter(0)).toBeUndefined();
    expect(channel.batchAfter(1)).toBeUndefined();
  });
});

describe('the live cursors of a channel', () => {
  test('are taken out in any order, and each of the others stays', () => {
    const { channel } = setUp();
    const cursors = Array.from({ length: 6 }, () => cursor(channel));
    for (const one of cursors) channel.makeLive(one);
    const [first, , third, , , last] = cursors;
    for (const one of [third, last, first]) {
      if (one === undefined) continue;
      channel.removeLive(one);
      expect(one.liveIndex).toBe(-1);
    }
    expect(new Set(channel.live)).toEqual(new Set([cursors[1], cursors[3], cursors[4]]));
    for (const [index, one] of channel.live.entries()) expect(one.liveIndex).toBe(index);
  });
});

describe('who waits for news', () => {
  test('is called once, and may wait again while it is called', () => {
    const { channel } = setUp();
    let calls = 0;
    const waiter = {
      onNews() {
        calls += 1;
        channel.addWaiter(waiter);
      },
    };
    channel.addWaiter(waiter);
    channel.wakeWaiters();
    expect(calls).toBe(1);
    channel.wakeWaiters();
    expect(calls).toBe(2);
    channel.removeWaiter(waiter);
    channel.removeWaiter(waiter);
    channel.wakeWaiters();
    expect(calls).toBe(2);
  });
});

test('a channel hands its alarm on', () => {
  const { alarms, channel } = setUp();
  channel.onAlarm();
  expect(alarms).toEqual([channel]);
});

import { describe, expect, test } from 'vitest';
import type { Encoding } from '../../src/hub/hub-types.ts';
import { divide, MessageBatch, messageSize } from '../../src/hub/message-batch.ts';
import { SharedBatch } from '../../src/link/shared-batch.ts';
import { message, messages } from './messages.ts';

function countingEncoding(name: string): Encoding & { count: number } {
  return {
    name,
    count: 0,
    encode(runs) {
      this.count += 1;
      const written = runs.map((run) => {
        return `${run.channel} ${run.epoch} ${run.messages.map(({ offset }) => offset).join()}`;
      });
      return new SharedBatch(Buffer.from(written.join('; ')), true);
    },
  };
}

const clock = { unixMs: () => 1_000 };

describe('MessageBatch', () => {
  test('encodes once per encoding, whoever asks', () => {
    const json = countingEncoding('json');
    const stream = countingEncoding('stream');
    const batch = new MessageBatch('news', 'e1', messages(3, 5));
    const first = batch.encoded(json, clock);
    expect(batch.encoded(json, clock)).toBe(first);
    expect(batch.encoded(stream, clock)).not.toBe(first);
    expect(batch.encoded(json, clock)).toBe(first);
    expect([json.count, stream.count]).toEqual([1, 1]);
    expect(Buffer.from(first.payload).toString()).toBe('news e1 3,4,5');
  });

  test('hands on the very batch that a protocol made, with what its links know of it', () => {
    class Placed extends SharedBatch {
      readonly places: readonly number[];
      constructor(places: readonly number[]) {
        super(Buffer.from(places.join()), false);
        this.places = places;
      }
    }
    const placed: Encoding = {
      name: 'placed',
      encode: (runs) => new Placed(runs.flatMap((run) => run.messages.map(({ offset }) => offset))),
    };
    const from = { session: 's1' };
    const batch = new MessageBatch('news', 'e1', [message(3), { ...message(4), from }]);
    expect(batch.encoded(placed, clock)).toMatchObject({ places: [3, 4], text: false });
    expect(batch.encodedWithout('s1', placed, clock)).toMatchObject({ places: [3] });
  });

  test('is over once all its messages have expired, but for a log, which tells their offsets', () => {
    const expiring = (offset: number, expiresAt: number) => ({ ...message(offset), expiresAt });
    const batch = new MessageBatch('news', '', [expiring(0, 50), expiring(0, 90)]);
    expect([40, 60, 90].map((nowMs) => batch.isOver(nowMs))).toEqual([false, false, true]);
    const mixed = new MessageBatch('news', '', [expiring(0, 50), message(0)]);
    expect(mixed.isOver(1e9)).toBe(false);
    expect(new MessageBatch('news', 'e1', [expiring(1, 50)]).isOver(50)).toBe(false);
  });

  test('is made anew for those who are told how much time is left, and only where some is', () => {
    const json = countingEncoding('json');
    const timed = { ...countingEncoding('timed'), freshMs: 1_000 };
    let nowMs = 0;
    const time = { unixMs: () => nowMs };
    const expiring = messages(1, 2).map((one) => ({ ...one, expiresAt: 5_000 }));
    const batch = new MessageBatch('news', 'e1', expiring);
    const lasting = new MessageBatch('news', 'e1', messages(1, 2));
    for (nowMs of [0, 999, 1_000, 1_500, 4_999, 5_000]) {
      for (const one of [batch, lasting]) {
        one.encoded(json, time);
        one.encoded(timed, time);
      }
    }
    // Once for what lasts; once more when it has expired; and then each second.
    expect([json.count, timed.count]).toEqual([3, 5]);
  });

  test('knows its place and gives what comes after an offset', () => {
    const batch = new MessageBatch('news', 'e1', messages(3, 6));
    expect([batch.first, batch.last]).toEqual([3, 6]);
    expect(batch.after(2)).toBe(batch);
    expect(batch.after(4).messages.map(({ offset }) => offset)).toEqual([5, 6]);
  });
});

describe('divide', () => {
  test('keeps the order and loses nothing at any size', () => {
    const all = messages(1, 20);
    for (let size = 1; size < messageSize(message(1)) * 25; size += 97) {
      expect(divide(all, size).flat()).toEqual(all);
    }
  });

  test('counts attributes as it counts payloads', () => {
    const attributed = { ...message(1), attributes: new Uint8Array(500) };
    expect(messageSize(attributed)).toBe(messageSize(message(1)) + 500);
    expect(new MessageBatch('news', 'e1', [attributed]).size).toBe(messageSize(attributed));
    const runs = divide([attributed, message(2), message(3)], messageSize(attributed));
    expect(runs.map((run) => run.length)).toEqual([1, 2]);
  });

  test('makes no run larger than asked, but for a single message', () => {
    const size = messageSize(message(1)) * 3;
    const runs = divide(messages(1, 9), size);
    expect(runs.map((run) => run.length)).toEqual([3, 3, 3]);
    expect(divide(messages(1, 3), 1).map((run) => run.length)).toEqual([1, 1, 1]);
    expect(divide([], 1)).toEqual([]);
  });
});

import { describe, expect, test } from 'vitest';
import { MessageBatch, messageSize } from '../../src/hub/message-batch.ts';
import { Tail } from '../../src/hub/tail.ts';
import { SharedBatch } from '../../src/link/shared-batch.ts';
import { bufferBytes } from '../buffers.ts';
import { message, messages } from './messages.ts';

const SIZE = messageSize(message(1));
const everything = { countMax: 1_000, sizeMax: 1e9, ageMsMax: 1e9 };

function batch(first: number, last: number): MessageBatch {
  return new MessageBatch('news', 'e1', messages(first, last));
}

describe('Tail', () => {
  test('finds the batch after any offset it covers', () => {
    const tail = new Tail(everything, 1e9);
    for (let first = 1; first <= 300; first += 3) tail.push(batch(first, first + 2));
    for (let offset = 0; offset < 300; offset += 1) {
      const found = tail.after(offset);
      expect(found?.first).toBeLessThanOrEqual(offset + 1);
      expect(found?.last).toBeGreaterThan(offset);
      expect(tail.covers(offset, 1000)).toBe(true);
    }
    expect(tail.after(300)).toBeUndefined();
    expect(tail.covers(300, 1000)).toBe(true);
  });

  test('drops the oldest when it is full and covers them no more', () => {
    const tail = new Tail(everything, SIZE * 10);
    for (let offset = 1; offset <= 500; offset += 1) tail.push(batch(offset, offset));
    expect(tail.size).toBeLessThanOrEqual(SIZE * 10);
    expect(tail.covers(tail.first ?? 0, 1000)).toBe(true);
    expect(tail.covers((tail.first ?? 0) - 2, 1000)).toBe(false);
    expect(tail.after(3)).toBeUndefined();
  });

  test('keeps nothing of what it dropped', () => {
    const before = bufferBytes();
    const tail = new Tail(everything, 4_000_000);
    for (let offset = 1; offset <= 30; offset += 1) {
      const large = { ...message(offset), payload: new Uint8Array(2_000_000) };
      tail.push(new MessageBatch('news', 'e1', [large]));
    }
    expect(bufferBytes() - before).toBeLessThan(10_000_000);
    expect(tail.first).toBe(30);
  });

  test('lets go of encodings, and has its messages all the same', () => {
    const tail = new Tail(everything, 1e9);
    tail.push(batch(1, 3));
    const encoding = { name: 'none', encode: () => new SharedBatch(new Uint8Array(1), true) };
    const encoded = (): unknown => tail.after(0)?.encoded(encoding, { unixMs: () => 0 });
    const first = encoded();
    expect(encoded()).toBe(first);
    tail.forgetEncoded();
    expect(encoded()).not.toBe(first);
    expect(tail.covers(0, 1000)).toBe(true);
  });

  test('covers no more than retention keeps, by count and by age', () => {
    const byCount = new Tail({ ...everything, countMax: 4 }, 1e9);
    byCount.push(batch(1, 10));
    expect(byCount.covers(6, 1000)).toBe(true);
    expect(byCount.covers(5, 1000)).toBe(false);
    const byAge = new Tail({ ...everything, ageMsMax: 50 }, 1e9);
    byAge.push(new MessageBatch('news', 'e1', [message(1, 1000), message(2, 1030)]));
    expect(byAge.covers(0, 1049)).toBe(true);
    expect(byAge.covers(0, 1050)).toBe(false);
    expect(byAge.covers(1, 1079)).toBe(true);
    expect(byAge.covers(1, 1080)).toBe(false);
  });

  test('takes older messages only where they join without a hole', () => {
    const tail = new Tail(everything, 1e9);
    tail.push(batch(10, 12));
    tail.prepend([batch(1, 3), batch(5, 9)]);
    expect(tail.first).toBe(5);
    tail.prepend([batch(1, 3)]);
    expect(tail.first).toBe(5);
    tail.prepend([batch(1, 4)]);
    expect(tail.first).toBe(1);
    expect(tail.covers(0, 1000)).toBe(true);
  });

  test('an empty tail covers nothing', () => {
    const tail = new Tail(everything, 1e9);
    expect(tail.covers(0, 1000)).toBe(false);
    tail.push(batch(1, 3));
    tail.clear();
    expect(tail.covers(2, 1000)).toBe(false);
    expect(tail.size).toBe(0);
  });
});

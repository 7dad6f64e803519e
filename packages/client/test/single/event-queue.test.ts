import { CodedError } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { EventQueue } from '../../src/single/event-queue.ts';
import type { ReceivedMessage } from '../../src/events.ts';

const message = (offset: number, data?: string): ReceivedMessage => ({
  kind: 'message',
  channel: 'a',
  epoch: 'e',
  offset,
  ...(data === undefined ? {} : { data }),
});
const END = { done: true, value: undefined };

describe('the event queue', () => {
  test('gives events in order, to readers that wait and to those that come late', async () => {
    const queue = new EventQueue();
    const early = [queue.next(), queue.next()];
    queue.push(message(1));
    queue.push(message(2));
    queue.push(message(3));
    const results = await Promise.all([...early, queue.next()]);
    expect(results.map(({ value }) => value)).toEqual([message(1), message(2), message(3)]);
  });

  test('ends after what is queued', async () => {
    const queue = new EventQueue();
    queue.push(message(1));
    queue.end();
    queue.push(message(2));
    expect(await queue.next()).toEqual({ done: false, value: message(1) });
    expect(await queue.next()).toEqual(END);
  });

  test('fails once, after what is queued, and is over then', async () => {
    const queue = new EventQueue();
    queue.push(message(1));
    queue.fail(new CodedError('forbidden', 'no'));
    expect(await queue.next()).toMatchObject({ done: false });
    await expect(queue.next()).rejects.toThrow('no');
    expect(await queue.next()).toEqual(END);
  });

  test('tells every waiting reader of the end, and one of the failure', async () => {
    const queue = new EventQueue();
    const first = queue.next();
    const second = queue.next();
    queue.fail(new CodedError('forbidden', 'no'));
    await expect(first).rejects.toThrow('no');
    expect(await second).toEqual(END);
  });

  test('has room again when the reader has caught up', async () => {
    const queue = new EventQueue();
    for (let offset = 1; offset <= 257; offset += 1) queue.push(message(offset));
    let hasRoom = false;
    const room = queue.room().then(() => (hasRoom = true));
    await Promise.resolve();
    expect(hasRoom).toBe(false);
    await queue.next();
    await room;
    expect(hasRoom).toBe(true);
  });

  test('is over by count and by size', () => {
    const many = new EventQueue();
    for (let offset = 1; offset <= 4096; offset += 1) many.push(message(offset));
    expect(many.isOver).toBe(false);
    many.push(message(4097));
    expect(many.isOver).toBe(true);
    const large = new EventQueue();
    large.push(message(1, 'x'.repeat(16 * 1024 * 1024 + 1)));
    expect(large.isOver).toBe(true);
    large.clear();
    expect(large.isOver).toBe(false);
  });

  test('lets nobody wait for room when it ends or is cleared', async () => {
    for (const finish of ['end', 'clear'] as const) {
      const queue = new EventQueue();
      for (let offset = 1; offset <= 300; offset += 1) queue.push(message(offset));
      const room = queue.room();
      queue[finish]();
      await room;
    }
  });
});

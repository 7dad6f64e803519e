import type { Message } from '@trunkline/wire';
import { describe, expect, it } from 'vitest';
import { Backlog, READ_COUNT_MAX } from '../../../../src/protocols/mqtt/share/backlog.ts';
import type { Place } from '../../../../src/protocols/mqtt/messages/place.ts';

const placeAt = (offset: number): Place => ({ channel: 'a', epoch: 'e', offset });
const messageAt = ({ offset }: Place): Message => ({ offset, time: 0, payload: new Uint8Array(0) });
const find = (places: readonly Place[]) => Promise.resolve(places.map(messageAt));
const range = (count: number) => Array.from({ length: count }, (_, index) => placeAt(index + 1));

describe('Backlog', () => {
  it('reads some, gives them, and reads on', async () => {
    const backlog = new Backlog();
    backlog.add(range(READ_COUNT_MAX + 1));
    expect([backlog.size, backlog.isUnread]).toEqual([READ_COUNT_MAX + 1, true]);
    await backlog.read(find);
    expect(backlog.isUnread).toBe(false);
    for (let offset = 1; offset <= READ_COUNT_MAX; offset += 1) {
      expect(backlog.next?.message.offset).toBe(offset);
      backlog.shift();
    }
    expect([backlog.next, backlog.isUnread]).toEqual([undefined, true]);
    await backlog.read(find);
    expect(backlog.next?.message.offset).toBe(READ_COUNT_MAX + 1);
  });

  it('tells what is gone', async () => {
    const backlog = new Backlog();
    backlog.add(range(2));
    const gone = await backlog.read(() => Promise.resolve([undefined, messageAt(placeAt(2))]));
    expect(gone).toEqual([placeAt(1)]);
    expect(backlog.places).toEqual([placeAt(2)]);
  });

  it('is as it was before where reading fails', async () => {
    const backlog = new Backlog();
    backlog.add(range(3));
    await expect(backlog.read(() => Promise.reject(new Error('away')))).rejects.toThrow('away');
    expect([backlog.places, backlog.isUnread]).toEqual([range(3), true]);
  });

  it.each(['unload', 'clear'] as const)('forgets what is being read on %s', async (method) => {
    const backlog = new Backlog();
    backlog.add(range(2));
    const { promise, resolve } = Promise.withResolvers<void>();
    const read = backlog.read(async (places) => {
      await promise;
      return find(places);
    });
    expect([backlog.isUnread, backlog.size]).toEqual([false, 2]);
    backlog[method]();
    resolve();
    expect(await read).toEqual([]);
    expect(backlog.next).toBeUndefined();
    expect(backlog.places).toEqual(method === 'unload' ? range(2) : []);
  });
});

import { seededRandom } from '@trunkline/testkit';
import type { Message } from '@trunkline/wire';
import { describe, expect, it } from 'vitest';
import { BrokerError } from '../../src/broker/broker.ts';
import type { ReadRange, StreamSlice } from '../../src/broker/broker.ts';
import { messagesAt } from '../../src/hub/messages-at.ts';
import type { MessagePlace } from '../../src/hub/messages-at.ts';
import type { RetainedPage } from '../../src/hub/retained.ts';

interface Stream {
  readonly epoch: string;
  readonly oldest: number;
  readonly top: number;
  /** Bytes of each payload. */
  readonly size?: number;
}

function message(offset: number, size = 1): Message {
  return { offset, time: 1, payload: Buffer.alloc(size, offset) };
}

const at = (channel: string, offset: number, epoch = 'e1'): MessagePlace => ({
  ...{ channel, epoch, offset },
});

/** A log of these streams, and what is retained in one channel each. */
function setUp(streams: Record<string, Stream>, kept: Record<string, MessagePlace> = {}) {
  const reads: (ReadRange & { readonly channel: string })[] = [];
  const finds: string[] = [];
  const broker = {
    read: (channel: string, range: ReadRange): Promise<StreamSlice> => {
      reads.push({ channel, ...range });
      if (channel === 'broken') return Promise.reject(new BrokerError('unavailable', 'away'));
      const {
        epoch,
        oldest,
        top,
        size = 1,
      } = streams[channel] ?? { epoch: '0', oldest: 1, top: 0 };
      const messages: Message[] = [];
      let room = range.sizeMax;
      for (let offset = Math.max(oldest, range.after + 1); offset <= top; offset += 1) {
        if (messages.length === range.countMax || (room < size && messages.length > 0)) break;
        room -= size;
        messages.push(message(offset, size));
      }
      return Promise.resolve({ epoch, oldest, top, messages });
    },
  };
  const retained = {
    find: (channel: string): Promise<RetainedPage> => {
      finds.push(channel);
      const place = kept[channel];
      if (place === undefined) return Promise.resolve({ messages: [] });
      const { epoch, offset } = place;
      return Promise.resolve({ messages: [{ channel, epoch, message: message(offset) }] });
    },
  };
  const find = (...places: readonly MessagePlace[]) => messagesAt({ broker, retained }, places);
  return { find, reads, finds };
}

const offsets = (found: readonly (Message | undefined)[]) => found.map((one) => one?.offset);

describe('messagesAt', () => {
  it('finds what is asked for, in that order, and the same twice', async () => {
    const { find } = setUp({
      a: { epoch: 'e1', oldest: 1, top: 9 },
      b: { epoch: 'e1', oldest: 1, top: 9 },
    });
    const found = await find(at('b', 7), at('a', 9), at('a', 1), at('b', 7), at('c', 1));
    expect(offsets(found)).toEqual([7, 9, 1, 7, undefined]);
    expect(await find()).toEqual([]);
  });

  it('does not take a message of another life, or one that was removed, for it', async () => {
    const { find } = setUp({ a: { epoch: 'e2', oldest: 4, top: 6 } });
    const found = await find(at('a', 5), at('a', 3, 'e2'), at('a', 5, 'e2'), at('a', 7, 'e2'));
    expect(offsets(found)).toEqual([undefined, undefined, 5, undefined]);
  });

  it('reads places that lie close together at once, and others apart', async () => {
    const { find, reads } = setUp({ a: { epoch: 'e1', oldest: 1, top: 100_000 } });
    const found = await find(at('a', 1), at('a', 50_000), at('a', 3), at('a', 50_016));
    expect(offsets(found)).toEqual([1, 50_000, 3, 50_016]);
    expect(reads.map(({ after, countMax }) => [after, countMax])).toEqual([
      [0, 3],
      [49_999, 17],
    ]);
  });

  it('never reads more than a thousand messages at once', async () => {
    const { find, reads } = setUp({ a: { epoch: 'e1', oldest: 1, top: 5_000 } });
    const places = Array.from({ length: 2_500 }, (_, index) => at('a', index + 1));
    expect(offsets(await find(...places))).toEqual(places.map(({ offset }) => offset));
    expect(Math.max(...reads.map(({ countMax }) => countMax))).toBeLessThanOrEqual(1_000);
  });

  it('reads on where large messages come a few at a time', async () => {
    const { find, reads } = setUp({ a: { epoch: 'e1', oldest: 1, top: 30, size: 40_000 } });
    const places = [2, 3, 10, 20].map((offset) => at('a', offset));
    expect(offsets(await find(...places))).toEqual([2, 3, 10, 20]);
    expect(reads.length).toBeGreaterThan(1);
  });

  it('finds what only the channel retains, if it is that very one, asking once', async () => {
    const { find, finds } = setUp(
      { a: { epoch: 'e1', oldest: 50, top: 60 } },
      { a: at('a', 7), b: at('b', 7, 'e9') },
    );
    const found = await find(at('a', 6), at('a', 7), at('a', 8), at('b', 7), at('b', 7, 'e9'));
    expect(offsets(found)).toEqual([undefined, 7, undefined, undefined, 7]);
    expect(finds).toEqual(['a', 'b']);
  });

  it('has those whose time is over among them', async () => {
    const over = { ...message(1), expiresAt: 1 };
    const found = await messagesAt(
      {
        broker: {
          read: () => Promise.resolve({ epoch: 'e1', oldest: 1, top: 1, messages: [over] }),
        },
        retained: { find: () => Promise.resolve({ messages: [] }) },
      },
      [at('a', 1)],
    );
    expect(found).toEqual([over]);
  });

  it('fails where the log can not be read', async () => {
    const { find } = setUp({ a: { epoch: 'e1', oldest: 1, top: 1 } });
    await expect(find(at('a', 1), at('broken', 1))).rejects.toThrow('away');
  });

  it.each([1, 2, 3, 4])('finds just what is there (seed %i)', async (seed) => {
    const random = seededRandom(seed);
    const streams: Record<string, Stream> = {};
    for (const channel of ['a', 'b', 'c']) {
      const oldest = 1 + random.integer(20);
      const top = oldest - 1 + random.integer(60);
      const size = random.pick([1, 30_000]);
      streams[channel] = { epoch: random.pick(['e1', 'e2']), oldest, top, size };
    }
    const { find } = setUp(streams);
    const places = Array.from({ length: 60 }, () =>
      at(random.pick(['a', 'b', 'c']), 1 + random.integer(80), random.pick(['e1', 'e2'])),
    );
    const wanted = places.map(({ channel, epoch, offset }) => {
      const stream = streams[channel];
      const isThere = stream?.epoch === epoch && offset >= stream.oldest && offset <= stream.top;
      return isThere ? offset : undefined;
    });
    expect(offsets(await find(...places))).toEqual(wanted);
  });
});

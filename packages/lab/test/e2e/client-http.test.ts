/** The client's transports over HTTP against a server: what is wanted changes while it is published. */
import { seededRandom } from '@trunkline/testkit';
import { matchesPattern } from '@trunkline/wire';
import { expect, test } from 'vitest';
import { json } from '../../../client/src/encodings/json.ts';
import { platformOf } from '../../../client/src/platform.ts';
import { longPoll } from '../../../client/src/transports/long-poll.ts';
import { shortPollEvery } from '../../../client/src/transports/short-poll.ts';
import { sse } from '../../../client/src/transports/sse.ts';
import type { Attempt, AttemptSink, Wish } from '../../../client/src/transports/transport.ts';
import { within } from '../../src/queue.ts';
import { startServer } from '../../src/server.ts';
import type { LabServer } from '../../src/server.ts';
import { JWT_SECRET, tokenOf } from '../../src/tokens.ts';

type Position = readonly [epoch: string, offset: number];

const parse = (text: string): Position => {
  const [epoch = '', offset = ''] = text.split(':');
  return [epoch, Number(offset)];
};

/** What was read for one name or pattern. */
class Tape {
  readonly filter: string;
  wish: Wish;
  isOpen = false;
  /** By channel, each offset once. */
  readonly offsets = new Map<string, number[]>();
  /** Where each channel began: every later one must come. */
  readonly begins = new Map<string, number>();

  constructor(wish: Wish) {
    this.filter = wish.filter;
    this.wish = wish;
  }

  take(channel: string, offset: number): void {
    const offsets = this.offsets.get(channel) ?? [];
    this.offsets.set(channel, offsets);
    if (offset > (offsets.at(-1) ?? this.begins.get(channel) ?? 0)) offsets.push(offset);
  }

  move(after: string | undefined): void {
    if (after !== undefined) this.wish = { filter: this.filter, after };
  }
}

/** Keeps a tape for each filter, as an application's reader would. */
class Reader {
  readonly tapes = new Map<string, Tape>();
  readonly refused: string[] = [];
  ending: unknown;
  attempt: Attempt | undefined;
  /** The newest offset of each channel that was acknowledged. */
  readonly #tops: ReadonlyMap<string, number>;
  #onChange: (() => void)[] = [];

  constructor(tops: ReadonlyMap<string, number>) {
    this.#tops = tops;
  }

  want(wish: Wish): void {
    this.tapes.set(wish.filter, new Tape(wish));
    this.attempt?.revise(wish.filter);
  }

  /** Resolves when it holds. */
  async until(what: string, holds: () => boolean): Promise<void> {
    while (!holds()) {
      if (this.ending !== undefined) throw new Error(`it ended: ${JSON.stringify(this.ending)}`);
      await within(new Promise<void>((resolve) => this.#onChange.push(resolve)), what);
    }
  }

  readonly sink: AttemptSink = {
    keys: () => [...this.tapes.keys()],
    wish: (key) => this.tapes.get(key)?.wish,
    onReady: () => this.#changed(),
    onOpen: ({ channel, position, mark, gap }) => {
      const tape = this.tapes.get(channel);
      if (tape === undefined) return;
      if (gap !== undefined) throw new Error(`${channel} lost ${JSON.stringify(gap)}`);
      if (!tape.isOpen && position !== undefined) tape.begins.set(channel, parse(position)[1]);
      const isNow = (tape.wish.last ?? 0) === 0 && tape.wish.after === undefined;
      if (!tape.isOpen && position === undefined && isNow) {
        for (const [name, top] of this.#tops) tape.begins.set(name, top);
      }
      if (!tape.isOpen || position === undefined) tape.move(position ?? mark);
      tape.isOpen = true;
      this.#changed();
    },
    onMessage: ({ channel, epoch, offset = 0 }, keys) => {
      for (const tape of this.tapes.values()) {
        if (tape.filter !== channel && !matchesPattern(tape.filter, channel)) continue;
        if (!keys.includes(tape.filter) || !tape.isOpen) continue;
        tape.take(channel, offset);
        const taken = tape.offsets.get(channel)?.at(-1);
        if (tape.filter === channel && taken !== undefined) tape.move(`${epoch}:${taken}`);
      }
      this.#changed();
    },
    onGap: (gap) => {
      throw new Error(`lost ${JSON.stringify(gap)}`);
    },
    onMark: (keys, mark) => {
      for (const key of keys) if (/[+#]/.test(key)) this.tapes.get(key)?.move(mark);
    },
    onExpired: (channel, position) => this.tapes.get(channel)?.move(position),
    onPresence: () => {},
    onSnapshot: () => {},
    onRefused: (filter) => {
      this.tapes.delete(filter);
      this.refused.push(filter);
      this.#changed();
    },
    onEnd: (ending) => {
      this.ending = ending;
      this.#changed();
    },
    room: () => Promise.resolve(),
  };

  #changed(): void {
    for (const resolve of this.#onChange.splice(0)) resolve();
  }
}

const CHANNELS = ['a/1', 'a/2', 'b/1', 'b/2', 'c'];

/** Publishes to every channel, several at once. */
async function publishRound(server: LabServer, tops: Map<string, number>): Promise<void> {
  const elements = CHANNELS.flatMap((channel) => [1, 2, 3].map((data) => ({ channel, data })));
  for (const { channel, offset } of await server.publishAll(elements)) {
    tops.set(channel, Math.max(offset, tops.get(channel) ?? 0));
  }
}

/** True when everybody has, or began at, the newest of each channel. */
function hasAll(reader: Reader, tops: ReadonlyMap<string, number>): boolean {
  return [...reader.tapes.values()].every(({ filter, offsets, begins, isOpen }) =>
    CHANNELS.every((channel) => {
      if (filter !== channel && !matchesPattern(filter, channel)) return true;
      const newest = offsets.get(channel)?.at(-1) ?? begins.get(channel) ?? 0;
      return isOpen && newest >= (tops.get(channel) ?? 0);
    }),
  );
}

/** No offset is missing or out of order, from where each began. */
function expectWhole(reader: Reader): void {
  for (const { filter, offsets, begins } of reader.tapes.values()) {
    for (const [channel, list] of offsets) {
      const where = `${filter} ${channel}`;
      const [begin = 0] = list;
      expect({ where, list }).toEqual({ where, list: list.map((_, index) => begin + index) });
      const known = begins.get(channel);
      if (known !== undefined) expect(begin, where).toBeLessThanOrEqual(known + 1);
    }
  }
}

const transports = [sse, longPoll, shortPollEvery(100)];

test.each(transports)(
  '[WILD-2] [GUA-3] [GUA-4] reads names and patterns that come one after the other over $name',
  async (transport) => {
    await using server = await startServer();
    const tops = new Map<string, number>();
    const reader = new Reader(tops);
    await publishRound(server, tops);
    const wishes: Wish[] = [
      { filter: 'a/1' },
      { filter: 'a/+' },
      { filter: 'b/1', last: 2 },
      { filter: 'c', after: 'start' },
      { filter: 'b/#', last: 1 },
      { filter: 'a/#' },
      { filter: '#', after: 'start' },
      { filter: 'b/2', last: 4 },
    ];
    const target = { url: server.url, encoding: json };
    const [first, ...later] = wishes;
    if (first !== undefined) reader.want(first);
    const attempt = transport.open(target, reader.sink, platformOf({}));
    reader.attempt = attempt;
    try {
      for (const wish of later) {
        await publishRound(server, tops);
        reader.want(wish);
        await publishRound(server, tops);
        // Some join while others still open.
        if (wish.filter.length > 1)
          await reader.until('opening', () => reader.tapes.get(wish.filter)?.isOpen === true);
        await publishRound(server, tops);
      }
      await reader.until('the rest', () => hasAll(reader, tops));
      expectWhole(reader);
      expect(reader.tapes.get('c')?.offsets.get('c')?.[0]).toBe(1);
      expect(reader.tapes.get('#')?.offsets.get('b/1')?.[0]).toBe(1);
    } finally {
      attempt.close();
    }
    expect(server.faults).toEqual([]);
  },
);

const FILTERS = [...CHANNELS, 'a/+', 'b/#', '#', '+', 'a/#', '+/1'];

test.each(transports.flatMap((transport) => [1, 2, 3].map((seed) => ({ transport, seed }))))(
  '[GUA-3] [WILD-1] loses nothing while readers come and go over $transport.name (seed $seed)',
  async ({ transport, seed }) => {
    await using server = await startServer();
    const random = seededRandom(seed);
    const tops = new Map<string, number>();
    const reader = new Reader(tops);
    reader.want({ filter: 'a/1' });
    const target = { url: server.url, encoding: json };
    const attempt = transport.open(target, reader.sink, platformOf({}));
    reader.attempt = attempt;
    try {
      for (let step = 0; step < 30; step += 1) {
        await publishRound(server, tops);
        const filter = random.pick(FILTERS);
        const chance = random.fraction();
        if (reader.tapes.delete(filter)) attempt.revise(filter);
        else if (chance < 0.4) reader.want({ filter });
        else if (chance < 0.7) reader.want({ filter, last: random.integer(5) });
        else reader.want({ filter, after: 'start' });
        if (random.chance(0.3)) await publishRound(server, tops);
        if (random.chance(0.3)) {
          await reader.until('openings', () =>
            [...reader.tapes.values()].every((one) => one.isOpen),
          );
        }
      }
      await reader.until('the rest', () => hasAll(reader, tops));
      expectWhole(reader);
    } finally {
      attempt.close();
    }
    expect(server.faults).toEqual([]);
  },
);

test.each(transports)('[AUTH-4] leaves out what is refused over $name', async (transport) => {
  await using server = await startServer({ auth: { jwtSecret: JWT_SECRET } });
  const channels = { 'a/#': ['subscribe', 'publish', 'history'] };
  const token = tokenOf('u', { channels });
  const reader = new Reader(new Map());
  for (const filter of ['a/1', 'no', 'a/+', 'nor/#', '@other']) reader.want({ filter });
  const target = { url: server.url, encoding: json, token };
  const attempt = transport.open(target, reader.sink, platformOf({}));
  try {
    await reader.until('refusals', () => reader.refused.length === 3);
    await reader.until('openings', () => [...reader.tapes.values()].every(({ isOpen }) => isOpen));
    expect(reader.refused.toSorted()).toEqual(['@other', 'no', 'nor/#']);
    const asks = ['1', '2', '3'].map((data) =>
      attempt.request({ kind: 'publish', members: `"channel":"a/1","data":${data}` }),
    );
    const answers = await Promise.all(asks);
    expect(answers.map(({ fields }) => fields['offset'])).toEqual([1, 2, 3]);
    await reader.until('messages', () => reader.tapes.get('a/+')?.offsets.get('a/1')?.length === 3);
    const { messages } = await attempt.request({
      kind: 'history',
      channel: 'a/1',
      query: { last: 2 },
    });
    expect(messages?.map(({ data }) => data)).toEqual([2, 3]);
    await expect(
      attempt.request({ kind: 'publish', members: '"channel":"no","data":1' }),
    ).rejects.toMatchObject({ code: 'forbidden', stored: false });
  } finally {
    attempt.close();
  }
});

test.each(transports)('reaches a server that it reads nothing of over $name', async (transport) => {
  await using server = await startServer();
  const reader = new Reader(new Map());
  const ready = new Promise<void>((resolve) => {
    reader.sink.onReady = () => resolve();
  });
  const target = { url: server.url, encoding: json };
  const attempt = transport.open(target, reader.sink, platformOf({}));
  await within(ready, 'onReady');
  attempt.close();
});

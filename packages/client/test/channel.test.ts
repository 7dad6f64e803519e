import { ManualClock } from '@trunkline/testkit';
import { describe, expect, onTestFinished, test } from 'vitest';
import { positionOf } from '../src/channel.ts';
import type { ChannelOptions, LoadStart, Message } from '../src/channel.ts';
import { everything } from '../src/index.ts';
import { Line } from '../src/line.ts';
import { GapError } from '../src/reading/gap-error.ts';
import type { Schema } from '../src/schema.ts';
import { FakeTransport } from './support/fake-transport.ts';

const ROOM = 'room/1';

/** A connected line; errors that no call hears of are collected. */
async function setUp() {
  const clock = new ManualClock();
  const server = new FakeTransport();
  const line = new Line('http://server.example', {
    features: everything,
    ...{ clock, random: () => 0.5, transports: [server] },
  });
  onTestFinished(() => line.close());
  const errors: string[] = [];
  line.on('error', ({ message }) => errors.push(message));
  await clock.settle();
  server.accept();
  await clock.settle();
  const read = async <T>(options: ChannelOptions<T> = {}) => {
    const told: unknown[] = [];
    const channel = line.channel<T>(ROOM, options);
    const end = channel.subscribe(({ data }) => void told.push(data));
    await clock.settle();
    return { told, end, channel };
  };
  return { clock, server, line, errors, read };
}

describe('a listener', () => {
  test('hears the messages of its channel until it ends', async () => {
    const { server, read, clock } = await setUp();
    const { told, end } = await read();
    server.push(ROOM, 1, 2);
    server.push('room/2', 'another');
    end();
    end();
    server.push(ROOM, 3);
    await clock.settle();
    expect(told).toEqual([1, 2]);
    expect(server.read).toEqual(new Set());
  });

  test('shares with others what is read', async () => {
    const { server, read, clock } = await setUp();
    const first = await read();
    const second = await read();
    expect(server.wishes).toEqual([{ filter: ROOM }]);
    server.push(ROOM, 1);
    first.end();
    await clock.settle();
    expect(server.read).toEqual(new Set([ROOM]));
    second.end();
    await clock.settle();
    expect(server.read).toEqual(new Set());
    expect([first.told, second.told]).toEqual([[1], [1]]);
  });

  test('that throws or rejects is told as an error and hears on', async () => {
    const { server, line, errors, clock } = await setUp();
    const told: unknown[] = [];
    line.channel(ROOM).subscribe(({ data }) => {
      told.push(data);
      if (data === 1) throw new Error('thrown');
      return data === 2 ? Promise.reject(new Error('rejected')) : undefined;
    });
    await clock.settle();
    server.push(ROOM, 1, 2, 3);
    await clock.settle();
    expect(told).toEqual([1, 2, 3]);
    expect(errors).toEqual(['thrown', 'rejected']);
  });

  test('hears who is there, comes and goes, in order with the messages', async () => {
    const { server, line, clock } = await setUp();
    const told: string[] = [];
    const ada = { session: '1', user: 'ada', since: 1 };
    const listener = {
      onMessage: ({ data }: Message) => void told.push(String(data)),
      onPresence: ({ kind }: { kind: string }) => void told.push(kind),
    };
    line.channel(ROOM, { presence: true }).subscribe(listener);
    line.channel(ROOM).subscribe({ ...listener, onPresence: () => expect.unreachable() });
    await clock.settle();
    server.list(ROOM, ada);
    server.push(ROOM, 1);
    server.leave(ROOM, ada);
    server.join(ROOM, ada);
    expect(told).toEqual(['presence', '1', '1', 'leave', 'join']);
  });

  test('of a pattern hears up to where everything was told', async () => {
    const { server, line, clock } = await setUp();
    const marks: string[] = [];
    const told = { onMessage: () => {}, onMark: (mark: string) => void marks.push(mark) };
    line.channel('room/+').subscribe(told);
    line.channel(ROOM).subscribe({ ...told, onMark: () => expect.unreachable() });
    await clock.settle();
    server.reach('~1', 'room/+', ROOM);
    expect(marks).toEqual(['~1']);
  });

  test('hears that it is over', async () => {
    const { server, line, clock } = await setUp();
    const ends: unknown[] = [];
    server.forbidden.add(ROOM);
    line.channel(ROOM).subscribe({ onMessage: () => {}, onEnd: (error) => ends.push(error) });
    await clock.settle();
    expect(ends).toEqual([expect.objectContaining({ code: 'forbidden' })]);
  });

  test('that does not listen to its end has it told as an error', async () => {
    const { server, read, errors } = await setUp();
    server.forbidden.add(ROOM);
    await read();
    expect(errors).toEqual(['by the test']);
  });
});

describe('a loop', () => {
  test('gives the messages, and ends the reading when it is left', async () => {
    const { server, line, clock } = await setUp();
    const told: unknown[] = [];
    const loop = (async () => {
      for await (const { data } of line.channel(ROOM)) {
        told.push(data);
        if (data === 3) break;
      }
    })();
    await clock.settle();
    server.push(ROOM, 1, 2, 3, 4);
    await loop;
    await clock.settle();
    expect(told).toEqual([1, 2, 3]);
    expect(server.read).toEqual(new Set());
  });

  test('ends with the server’s refusal', async () => {
    const { server, line } = await setUp();
    server.forbidden.add(ROOM);
    const loop = line.channel(ROOM)[Symbol.asyncIterator]().next();
    await expect(loop).rejects.toMatchObject({ code: 'forbidden' });
  });

  test('ends when the line is closed, and reads no more when that is opened', async () => {
    const { server, line, clock } = await setUp();
    const messages = line.channel(ROOM)[Symbol.asyncIterator]();
    const next = messages.next();
    await clock.settle();
    line.close();
    await expect(next).resolves.toEqual({ done: true, value: undefined });
    line.open();
    await clock.settle();
    server.accept();
    await clock.settle();
    expect(server.read).toEqual(new Set());
  });

  test('can not overlook a loss', async () => {
    const { server, line, clock } = await setUp();
    const messages = line.channel(ROOM)[Symbol.asyncIterator]();
    const first = messages.next();
    await clock.settle();
    server.push(ROOM, 1);
    await first;
    server.lose(ROOM);
    await expect(messages.next()).rejects.toThrow(GapError);
    await clock.settle();
    expect(server.read).toEqual(new Set());
  });

  test('goes on after a loss where somebody listens to it', async () => {
    const { server, line, clock } = await setUp();
    const gaps: string[] = [];
    const channel = line.channel(ROOM, { onGap: ({ gap }) => gaps.push(gap.reason) });
    const messages = channel[Symbol.asyncIterator]();
    const first = messages.next();
    await clock.settle();
    server.lose(ROOM);
    server.push(ROOM, 1);
    expect((await first).value?.data).toBe(1);
    expect(gaps).toEqual(['trimmed']);
  });
});

test('a loss that nobody listens to is told as an error', async () => {
  const { server, read, errors } = await setUp();
  const { told } = await read();
  server.lose(ROOM);
  server.push(ROOM, 1);
  expect(errors).toEqual([expect.stringContaining('messages of room/1 were lost (trimmed)')]);
  expect(told).toEqual([1]);
});

describe('load', () => {
  test('comes before the first message, which waits for it', async () => {
    const { server, clock, read } = await setUp();
    const starts: LoadStart[] = [];
    let finish = (): void => {};
    const { told } = await read({
      load: (start) => {
        starts.push(start);
        return new Promise<void>((resolve) => (finish = resolve));
      },
    });
    server.push(ROOM, 1);
    expect(starts).toEqual([{ position: 'e:0' }]);
    expect(told).toEqual([]);
    finish();
    await clock.settle();
    expect(told).toEqual([1]);
  });

  test('comes again after every loss, and not after a mere reconnect', async () => {
    const { server, clock, read } = await setUp();
    const starts: LoadStart[] = [];
    await read({ load: (start) => void starts.push(start) });
    server.drop();
    await clock.pass(1000);
    server.accept();
    await clock.settle();
    server.lose(ROOM);
    await clock.settle();
    expect(starts).toEqual([{ position: 'e:0' }, { position: 'e:5', gap: { reason: 'trimmed' } }]);
  });

  test('says what its state has already', async () => {
    const { server, clock, read } = await setUp();
    const { told } = await read({ load: () => 'e:2' });
    server.push(ROOM, 1, 2, 3);
    await clock.settle();
    expect(told).toEqual([3]);
  });

  test('is tried again until it succeeds', async () => {
    const { server, clock, read, errors } = await setUp();
    let tries = 0;
    const { told } = await read({
      load: () => {
        tries += 1;
        if (tries < 3) throw new Error('database away');
      },
    });
    server.push(ROOM, 1);
    await clock.pass(1000);
    expect([tries, told, errors]).toEqual([3, [1], ['database away', 'database away']]);
  });

  test('is not tried again for somebody who has gone', async () => {
    const { clock, read } = await setUp();
    let tries = 0;
    const { end } = await read({
      load: () => {
        tries += 1;
        return Promise.reject(new Error('database away'));
      },
    });
    end();
    await clock.pass(60_000);
    expect(tries).toBe(1);
  });
});

describe('a schema', () => {
  /** Takes numbers; gives them doubled. */
  function doubled(isLate: boolean): Schema<number> {
    const check = (value: unknown) =>
      typeof value === 'number' ? { value: value * 2 } : { issues: [{ message: 'no number' }] };
    return {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value) => (isLate ? Promise.resolve(check(value)) : check(value)),
      },
    };
  }

  test.each([false, true])('gives payloads their type (answering later: %s)', async (isLate) => {
    const { server, clock, read, errors } = await setUp();
    const { told } = await read({ schema: doubled(isLate) });
    server.push(ROOM, 1, 'two', 3);
    await clock.settle();
    expect(told).toEqual([2, 6]);
    expect(errors).toEqual(['room/1 at e:2: no number']);
  });
});

test('a channel publishes and asks for its history by its name', async () => {
  const { server, line, clock } = await setUp();
  const channel = line.channel<{ n: number }>(ROOM);
  channel.publish({ n: 1 }, { key: 'k' }).catch(() => {});
  channel.send({ n: 2 }, { slot: 's' });
  channel.history({ last: 2 }).catch(() => {});
  await clock.settle();
  expect(server.asks).toMatchObject([
    { kind: 'publish', members: '"channel":"room/1","data":{"n":1},"key":"k"' },
    { kind: 'history', channel: ROOM, query: { last: 2 } },
  ]);
});

test('a position is made of a message that has one', () => {
  const message: Message = { kind: 'message', channel: ROOM, data: 1 };
  expect(positionOf({ ...message, epoch: 'e', offset: 3 })).toBe('e:3');
  expect(positionOf(message)).toBeUndefined();
});

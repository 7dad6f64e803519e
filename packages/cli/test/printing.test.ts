import { CodedError, connect } from '@trunkline/client';
import type { Message, Transport } from '@trunkline/client';
import { ManualClock } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';
import { EventPrinter } from '../src/event-printer.ts';
import { Printing } from '../src/printing.ts';
import { Progress } from '../src/progress.ts';
import { fakeIo } from './support/io.ts';

type Sink = Parameters<Transport['open']>[1];

const GAP = { reason: 'trimmed', from: 1, to: 4 } as const;

function message(channel: string, offset: number): Message {
  return { kind: 'message', channel, offset, epoch: 'e', data: offset };
}

/** Prints channels of a server that is the test. */
async function setUp(filters: readonly string[], after?: string) {
  const clock = new ManualClock();
  const sinks: Sink[] = [];
  const transport: Transport = {
    name: 'websocket',
    fault: () => undefined,
    open(_, sink) {
      sinks.push(sink);
      const request = () => Promise.reject(new Error('nothing is asked'));
      const nothing = () => {};
      return {
        request,
        revise: nothing,
        send: nothing,
        renew: nothing,
        probe: nothing,
        close: nothing,
      };
    },
  };
  let drained = Promise.resolve();
  const fake = fakeIo();
  const io = { ...fake, stdout: { ...fake.stdout, drained: () => drained } };
  const line = connect('http://server.example', {
    ...{ clock, random: () => 0.5, transports: [transport] },
  });
  const progress = new Progress(filters, after);
  const printing = new Printing(line, new EventPrinter(io, false, true), progress, io);
  const ended = printing.run(filters, { last: 3, presence: true, snapshot: true });
  const end = { error: undefined as unknown };
  ended.catch((error: unknown) => (end.error = error));
  await clock.settle();
  const sink = (): Sink => {
    const newest = sinks.at(-1);
    if (newest === undefined) throw new Error('expected an attempt');
    return newest;
  };
  /** Opens what is to be read, and says how it was asked for. */
  const open = (place: object = { position: 'e:4' }) => {
    sink().onReady({});
    return filters.map((filter) => {
      const wish = sink().wish(filter);
      sink().onOpen({ kind: 'open', channel: filter, ...place }, filter);
      return wish;
    });
  };
  /** Standard output is full until the returned function is called. */
  const fill = () => {
    let drain = (): void => {};
    drained = new Promise((resolve) => (drain = resolve));
    return drain;
  };
  return { clock, io, line, progress, ended, end, sink, open, fill };
}

describe('printing', () => {
  test('tells of the connection, prints messages, and ends when it is asked to', async () => {
    const { io, open, sink, ended, clock, line } = await setUp(['a']);
    open();
    sink().onMessage(message('a', 5), sink().keys());
    await clock.settle();
    io.stops.ask();
    sink().onMessage(message('a', 6), sink().keys());
    await ended;
    expect(io.outText()).toBe('e:5 a 5\n');
    expect(io.err).toEqual([
      'trunkline: connecting\n',
      'trunkline: connected\n',
      'trunkline: a: open at e:4\n',
      'trunkline: disconnected (aborted)\n',
    ]);
    expect(line.state).toBe('disconnected');
    expect(clock.timerCount).toBe(0);
  });

  test('begins each channel at its place, and asks of patterns what they can give', async () => {
    const { open } = await setUp(['a', 'b', 'c/+'], 'a=e:2&c%2F%2B=~m');
    expect(open()).toEqual([
      { filter: 'a', after: 'e:2', presence: true, snapshot: true },
      { filter: 'b', last: 3, presence: true, snapshot: true },
      { filter: 'c/+', after: '~m' },
    ]);
  });

  test('waits for standard output, and counts what was printed', async () => {
    const { io, open, sink, clock, fill, progress } = await setUp(['a']);
    open();
    const drain = fill();
    for (const offset of [5, 6, 7]) sink().onMessage(message('a', offset), sink().keys());
    await clock.settle();
    expect(io.outText()).toBe('e:5 a 5\n');
    expect(progress.position).toBe('e:5');
    fill();
    drain();
    await clock.settle();
    expect(progress.position).toBe('e:6');
    io.stops.ask();
    await clock.settle();
    expect(io.outText()).toBe('e:5 a 5\ne:6 a 6\n');
  });

  test('counts a mark when everything before it was printed', async () => {
    const { open, sink, clock, fill, progress } = await setUp(['+']);
    open({ mark: '~0' });
    const drain = fill();
    sink().onMessage(message('a', 5), sink().keys());
    sink().onMessage({ ...message('a', 6), mark: '~1' }, sink().keys());
    sink().onMark(['+'], '~2');
    await clock.settle();
    expect(progress.position).toBe('~0');
    drain();
    await clock.settle();
    expect(progress.position).toBe('~2');
  });

  test('prints a message once whatever brings it, and moves all on', async () => {
    const { io, open, sink, clock, progress } = await setUp(['a', '+']);
    open({ position: 'e:4', mark: '~0' });
    for (const offset of [5, 6]) sink().onMessage(message('a', offset), sink().keys());
    await clock.settle();
    expect(io.outText()).toBe('e:5 a 5\ne:6 a 6\n');
    expect(progress.placeOf('a')).toBe('e:6');
  });

  test('tells a loss once', async () => {
    const { io, open, sink } = await setUp(['a'], 'e:1');
    open({ position: 'e:4', recovered: false, gap: GAP });
    sink().onGap({ kind: 'gap', channel: 'a', gap: { reason: 'epoch' }, position: 'f:0' }, ['a']);
    expect(io.err.slice(2)).toEqual([
      'trunkline: a: open at e:4, missed 1–4 (trimmed)\n',
      'trunkline: a: gap: at f:0, missed (epoch)\n',
    ]);
  });

  test('tells who comes and goes, and of snapshots', async () => {
    const { io, open, sink } = await setUp(['a']);
    const member = { session: 's', user: 'ada', since: 1 };
    open();
    sink().onPresence({ kind: 'presence', channel: 'a', members: [member], count: 1 });
    sink().onPresence({ kind: 'leave', channel: 'a', member });
    sink().onSnapshot({ kind: 'snapshot', channel: 'a', position: 'e:4', data: 1 });
    expect(io.err.slice(3)).toEqual([
      'trunkline: a: 1 present: ada\n',
      'trunkline: a: leave ada\n',
      'trunkline: a: begins at the snapshot of e:4\n',
    ]);
  });

  test('comes back after a loss of the connection, and says why it was', async () => {
    const { io, open, sink, clock } = await setUp(['a']);
    open();
    sink().onEnd({ kind: 'lost', reason: 'gone' });
    await clock.pass(100);
    open({ position: 'e:4', recovered: true });
    expect(io.err.slice(3)).toEqual([
      'trunkline: connecting (gone)\n',
      'trunkline: connected\n',
      'trunkline: a: open at e:4, nothing missed\n',
    ]);
  });
});

describe('printing ends with an error', () => {
  const error = new CodedError('forbidden', 'not for you');

  test('when a channel is refused, behind what had come', async () => {
    const { io, open, sink, end, clock, fill } = await setUp(['a', 'b']);
    open();
    const drain = fill();
    for (const offset of [5, 6]) sink().onMessage(message('a', offset), sink().keys());
    sink().onRefused('a', error);
    await clock.settle();
    expect(end.error).toBeUndefined();
    drain();
    await clock.settle();
    expect(end.error).toBe(error);
    expect(io.outText()).toBe('e:5 a 5\ne:6 a 6\n');
    expect(io.err.at(-1)).toBe('trunkline: disconnected (not for you)\n');
    expect(clock.timerCount).toBe(0);
  });

  test.each([
    ['the connection is', error],
    ['only another transport could do', new CodedError('not_found', 'nothing here')],
    ['the token is', new CodedError('unauthenticated', 'expired')],
  ])('when %s refused', async (_, refusal) => {
    const { io, sink, end, clock } = await setUp(['a', 'b']);
    const kind = refusal.code === 'unauthenticated' ? 'stale' : 'refused';
    sink().onEnd({ kind, error: refusal });
    await clock.settle();
    expect(end.error).toBe(refusal);
    expect(io.err).toEqual([
      'trunkline: connecting\n',
      `trunkline: disconnected (${refusal.message})\n`,
    ]);
    expect(clock.timerCount).toBe(0);
  });
});

import { Turn } from '@trunkline/server/internal/link/turn.ts';
import type { Close, Frame, LinkHandler } from '@trunkline/server/internal/link/link.ts';
import { describe, expect, test } from 'vitest';
import { describeLink } from '../src/contracts/link.ts';
import { ManualClock } from '../src/manual-clock.ts';
import { faulty, MemoryLink } from '../src/memory-link.ts';
import type { MemoryLinkOptions } from '../src/memory-link.ts';

describeLink('MemoryLink', async (handler) => {
  const clock = new ManualClock();
  const link = new MemoryLink({ clock });
  link.attach(handler);
  let dropped = false;
  return {
    link,
    peer: {
      get frames() {
        return link.frames;
      },
      get ended() {
        return dropped || link.goodbye !== undefined;
      },
      send: (frame) => link.receive(frame),
      setReading: (reading) => (reading ? link.release() : link.hold()),
      drop() {
        dropped = true;
        link.drop();
      },
    },
    settle: () => clock.settle(),
    async [Symbol.asyncDispose]() {},
  };
});

/** A link, what its handler and its peer were told, as one list. */
function open(options: Partial<MemoryLinkOptions> = {}) {
  const clock = new ManualClock();
  const events: string[] = [];
  const link = new MemoryLink({
    clock,
    peer: {
      onFrame: (frame) => void events.push(`peer got ${show(frame)}`),
      onClose: (goodbye) => void events.push(`peer saw ${goodbye?.code ?? 'a break'}`),
    },
    ...options,
  });
  const handler: LinkHandler = {
    onFrame: (frame) => void events.push(`server got ${show(frame)}`),
    onDrain: () => void events.push('drain'),
    onClose: (close: Close) => void events.push(`server saw ${close.code}`),
  };
  link.attach(handler);
  return { clock, link, events, handler };
}

function show(frame: Frame): string {
  return typeof frame === 'string' ? frame : `${frame.length} bytes`;
}

describe('MemoryLink', () => {
  test('gives the peer a frame when its last byte was taken', async () => {
    const { clock, link, events } = open({ allowance: 0 });
    link.send('four');
    link.send('five!');
    await clock.settle();
    expect(link.pendingBytes).toBe(9);
    link.allow(3);
    await clock.settle();
    expect(link.pendingBytes).toBe(6);
    expect(events).toEqual([]);
    link.allow(5);
    await clock.settle();
    expect(events).toEqual(['peer got four']);
    link.release();
    await clock.settle();
    expect(events).toEqual(['peer got four', 'peer got five!']);
  });

  test('keeps what was queued until the turn ends, also when the network would take it', () => {
    const { clock, link } = open();
    link.send('wait');
    link.release();
    expect(link.pendingBytes).toBe(4);
    clock.runDeferred();
    expect(link.pendingBytes).toBe(4);
    clock.runDeferred();
    expect(link.pendingBytes).toBe(0);
  });

  test('writes together with others at the end of a shared turn', async () => {
    const clock = new ManualClock();
    const turn = new Turn(clock);
    const order: string[] = [];
    const link = new MemoryLink({ clock, turn });
    link.send('frame');
    turn.prepare(() => order.push(`${link.pendingBytes} pending`));
    await clock.settle();
    expect(order).toEqual(['5 pending']);
    expect(link.takeFrames()).toEqual(['frame']);
    expect(link.frames).toEqual([]);
  });

  test('waits with the drain while more is queued', async () => {
    const { clock, link, events } = open();
    link.requestDrain();
    link.send('more');
    await clock.settle();
    expect(events).toEqual(['peer got more', 'drain']);
  });

  test('delays frames in both directions and keeps their order when the delay shrinks', async () => {
    const { clock, link, events } = open();
    faulty(link, { delayMs: 100 });
    link.send('slow');
    link.receive('slow');
    await clock.settle();
    faulty(link, { delayMs: 10 });
    link.send('fast');
    link.receive('fast');
    await clock.pass(99);
    expect(events).toEqual([]);
    await clock.pass(1);
    expect(events).toEqual([
      'server got slow',
      'server got fast',
      'peer got slow',
      'peer got fast',
    ]);
  });

  test('moves nothing while frozen and everything after the thaw', async () => {
    const { clock, link, events } = open();
    faulty(link, { freeze: true });
    link.send('out');
    link.receive('in');
    link.requestDrain();
    await clock.pass(60_000);
    expect(events).toEqual([]);
    expect(link.pendingBytes).toBe(3);
    faulty(link, {});
    await clock.settle();
    expect(events.toSorted()).toEqual(['drain', 'peer got out', 'server got in']);
  });

  test('breaks after so many frames, and the rest is lost', async () => {
    const { clock, link, events } = open();
    faulty(link, { dropAfter: 2 });
    for (const frame of ['one', 'two', 'three']) link.send(frame);
    await clock.settle();
    expect(events.slice(0, 2)).toEqual(['peer got one', 'peer got two']);
    expect(events.slice(2).toSorted()).toEqual(['peer saw a break', 'server saw normal']);
    expect(link.isGone).toBe(true);
  });

  test('gives up on a peer that does not take the goodbye', async () => {
    const { clock, link, events } = open({ allowance: 0 });
    link.send('never read');
    link.close({ code: 'draining' });
    await clock.pass(4_999);
    expect(events).toEqual([]);
    await clock.pass(1);
    expect(events).toEqual(['peer saw a break', 'server saw draining']);
    expect(clock.timerCount).toBe(0);
  });

  test('tells a frozen peer of the end only when it thaws', async () => {
    const { clock, link, events } = open();
    faulty(link, { freeze: true });
    link.close({ code: 'timeout' });
    await clock.pass(5_000);
    expect(events).toEqual(['server saw timeout']);
    faulty(link, {});
    await clock.settle();
    expect(events).toEqual(['server saw timeout', 'peer saw a break']);
  });

  test('takes what the peer sent before it left, and nothing after', async () => {
    const { clock, link, events } = open();
    link.receive('before');
    link.leave();
    link.receive('after');
    await clock.settle();
    expect(events).toEqual(['server got before', 'peer saw a break', 'server saw normal']);
  });

  test('keeps what the peer sends until there is a handler', async () => {
    const clock = new ManualClock();
    const link = new MemoryLink({ clock });
    link.receive('early');
    await clock.settle();
    const { handler, events } = open();
    link.attach(handler);
    await clock.settle();
    expect(events).toEqual(['server got early']);
  });

  test('ends a link whose own frames pile up unread', async () => {
    const { clock, link, events } = open({ allowance: 0 });
    for (let index = 0; index < 5; index += 1) {
      link.send(new Uint8Array(64 * 1024));
      await clock.settle();
    }
    expect(events).toEqual(['peer saw a break', 'server saw slow']);
  });
});

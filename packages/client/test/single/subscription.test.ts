import { CodedError } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { subscribe } from '../../src/single/subscription.ts';
import { fakePlatform, watch } from '../support/fakes.ts';
import type { FakeSocket, Watched } from '../support/fakes.ts';

async function lastSocket(watched: Watched): Promise<FakeSocket> {
  await watched.platform.clock.settle();
  const socket = watched.platform.sockets.at(-1);
  if (socket === undefined) throw new Error('nothing was dialed');
  return socket;
}

async function connected(options = {}): Promise<{ watched: Watched; socket: FakeSocket }> {
  const watched = watch(options);
  const socket = await lastSocket(watched);
  socket.accept();
  await watched.platform.clock.settle();
  return { watched, socket };
}

describe('a subscription', () => {
  test('tells its state, where it stands, and the messages', async () => {
    const { watched, socket } = await connected();
    socket.push(1, 2);
    await watched.platform.clock.settle();
    expect(watched.told()).toEqual(['connecting', 'connected', 'open e:0', '1', '2']);
    expect(watched.subscription.position).toBe('e:2');
  });

  test('comes back after a loss, from where it was, and delivers no offset twice', async () => {
    const { watched, socket } = await connected();
    const { clock, sockets } = watched.platform;
    socket.push(1, 2, 3);
    socket.end(1006);
    await clock.pass(50);
    expect(sockets).toHaveLength(2);
    const next = await lastSocket(watched);
    next.accept({ position: 'e:3', recovered: true });
    expect(next.sent.at(-1)).toMatchObject({ type: 'subscribe', channel: 'a', after: 'e:3' });
    next.push(2, 3, 4);
    await clock.settle();
    expect(watched.told().slice(3)).toEqual([
      ...['1', '2', '3', 'connecting', 'connected', 'open e:3', '4'],
    ]);
  });

  test('waits longer after each failure, and short again after a good connection', async () => {
    const watched = watch();
    const { clock, sockets } = watched.platform;
    for (const delayMs of [50, 100, 200, 400, 800, 1600, 2500, 2500]) {
      (await lastSocket(watched)).end(1006);
      await clock.pass(delayMs - 1);
      const before = sockets.length;
      await clock.pass(1);
      expect(sockets.length).toBe(before + 1);
    }
    const good = await lastSocket(watched);
    good.accept();
    await clock.pass(5000);
    good.end(1006);
    await clock.pass(50);
    expect(sockets.at(-1)).not.toBe(good);
  });

  test('does not hammer a server that accepts and closes at once', async () => {
    const watched = watch();
    const { clock, sockets } = watched.platform;
    for (let count = 0; count < 6; count += 1) {
      const socket = await lastSocket(watched);
      socket.accept();
      socket.end(1011);
      await clock.pass(2 ** count * 50);
    }
    expect(sockets).toHaveLength(7);
  });

  test('asks for the newest only until it has a position', async () => {
    const watched = watch({ last: 5 });
    const first = await lastSocket(watched);
    first.accept({ position: 'e:7' });
    expect(first.sent.at(-1)).toMatchObject({ last: 5 });
    first.end(1006);
    await watched.platform.clock.pass(50);
    const second = await lastSocket(watched);
    second.accept({ position: 'e:7', recovered: true });
    expect(second.sent.at(-1)).toMatchObject({ after: 'e:7' });
    expect(second.sent.at(-1)).not.toHaveProperty('last');
  });

  test.each([4400, 4403, 4404, 4409, 1002, 1009])(
    'ends with an error when closed with %i',
    async (code) => {
      const { watched, socket } = await connected();
      socket.end(code);
      await watched.platform.clock.pass(60_000);
      expect(watched.ended.error).toBeInstanceOf(CodedError);
      expect(watched.told().at(-1)).toBe('disconnected');
      expect(watched.platform.sockets).toHaveLength(1);
      expect(watched.platform.clock.timerCount).toBe(0);
    },
  );

  test('follows a loss that the server tells', async () => {
    const { watched, socket } = await connected();
    const gap = { reason: 'trimmed', from: 1, to: 9 };
    socket.receive({ type: 'gap', channel: 'a', gap, position: 'e:9' });
    socket.push(9, 10);
    await watched.platform.clock.settle();
    expect(watched.events).toContainEqual({ kind: 'gap', channel: 'a', gap, position: 'e:9' });
    expect(watched.told().slice(3)).toEqual(['gap e:9', '10']);
  });

  test('asks for a fresh token when one is refused, but not for ever', async () => {
    const tokens = ['old', 'new', 'bad', 'worse', 'never'];
    const watched = watch({ token: () => Promise.resolve(tokens.shift() ?? 'none') });
    const first = await lastSocket(watched);
    first.open();
    expect(first.sent[0]).toMatchObject({ type: 'hello', token: 'old' });
    first.end(4401);
    await watched.platform.clock.pass(50);
    const second = await lastSocket(watched);
    second.accept();
    expect(second.sent[0]).toMatchObject({ token: 'new' });
    await watched.platform.clock.pass(6000);
    second.end(4401);
    await watched.platform.clock.pass(50);
    (await lastSocket(watched)).end(4401);
    await watched.platform.clock.pass(10_000);
    expect(watched.ended.error).toMatchObject({ code: 'unauthenticated' });
    expect(tokens).toEqual(['worse', 'never']);
  });

  test('ends when a fixed token is refused', async () => {
    const watched = watch({ token: 'fixed' });
    (await lastSocket(watched)).end(4401);
    await watched.platform.clock.settle();
    expect(watched.ended.error).toMatchObject({ code: 'unauthenticated' });
  });

  test('tries again when there is no token to be had', async () => {
    let calls = 0;
    const watched = watch({
      token: () => {
        calls += 1;
        throw new Error('the application is away');
      },
    });
    await watched.platform.clock.pass(50);
    expect(calls).toBe(2);
    expect(watched.events.at(-1)).toMatchObject({ reason: expect.stringContaining('is away') });
    await watched.subscription.return();
  });

  test('ends without an error when aborted, whatever it was doing', async () => {
    for (const stage of ['dialing', 'connected', 'waiting'] as const) {
      const aborter = new AbortController();
      const watched = watch({ signal: aborter.signal });
      const socket = await lastSocket(watched);
      if (stage !== 'dialing') socket.accept();
      if (stage === 'waiting') socket.end(1006);
      aborter.abort();
      await watched.platform.clock.pass(60_000);
      expect(watched.ended).toEqual({ done: true });
      expect(watched.platform.sockets).toHaveLength(1);
      expect(watched.platform.clock.timerCount).toBe(0);
    }
  });

  test('never begins when aborted before', async () => {
    const watched = watch({ signal: AbortSignal.abort() });
    await watched.platform.clock.settle();
    expect(watched.ended).toEqual({ done: true });
    expect(watched.platform.sockets).toHaveLength(0);
  });

  test('lets a connection go that brings more than is read, and comes back from there', async () => {
    const platform = fakePlatform();
    const { clock, random, fetch, WebSocket } = platform;
    const url = 'http://server.example';
    const own = subscribe({ url, channel: 'a', clock, random, fetch, WebSocket });
    await clock.settle();
    const [socket] = platform.sockets;
    socket?.accept();
    const offsets = Array.from({ length: 5000 }, (_, index) => index + 1);
    socket?.push(...offsets);
    await clock.pass(60_000);
    expect(socket?.closedWith).toBe(1000);
    expect(platform.sockets).toHaveLength(1);
    const read: number[] = [];
    while (platform.sockets.length === 1) {
      const { value } = await own.next();
      if (value?.kind === 'message') read.push(value.offset ?? 0);
      await clock.settle();
    }
    expect(read.length).toBeGreaterThan(3000);
    const next = platform.sockets[1];
    next?.accept({ position: own.position, recovered: true });
    next?.push(...offsets.slice(4000));
    while (read.at(-1) !== 5000) {
      const { value } = await own.next();
      if (value?.kind === 'message') read.push(value.offset ?? 0);
    }
    expect(read).toEqual(offsets);
    await own.return();
  });

  test('refuses an address that is none, at once', () => {
    expect(() => subscribe({ url: 'nonsense', channel: 'a' })).toThrow(CodedError);
    expect(() => subscribe({ url: 'ftp://x', channel: 'a' })).toThrow(/http:\/\//);
  });
});

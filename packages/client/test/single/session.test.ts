import { describe, expect, test } from 'vitest';
import { openPublisher } from '../../src/single/publish.ts';
import type { Publisher } from '../../src/single/publish.ts';
import { fakePlatform, watch } from '../support/fakes.ts';
import type { FakePlatform, FakeSocket } from '../support/fakes.ts';

async function opened(): Promise<{
  platform: FakePlatform;
  socket: FakeSocket;
  publisher: Publisher;
}> {
  const platform = fakePlatform();
  const opening = openPublisher({ url: 'https://server.example/base', token: 't', ...platform });
  await platform.clock.settle();
  const socket = platform.sockets[0];
  if (socket === undefined) throw new Error('nothing was dialed');
  socket.open();
  socket.receive({ type: 'welcome', id: 1, ping: 1000 });
  return { platform, socket, publisher: await opening };
}
const published = (id: unknown, offset: number) => ({
  type: 'published',
  id,
  channel: 'a',
  offset,
  epoch: 'e',
  position: `e:${offset}`,
});

describe('a session', () => {
  test('dials the WebSocket below the base path and says hello with its token', async () => {
    const { socket } = await opened();
    expect(socket.url).toBe('wss://server.example/base/v1/ws');
    expect(socket.protocols).toEqual(['trunkline.v1.json']);
    expect(socket.sent).toEqual([{ id: 1, type: 'hello', token: 't' }]);
  });

  test('matches replies to publishes, in whatever order they come', async () => {
    const { socket, publisher } = await opened();
    const first = publisher.publish('a', { source: '12345678901234567890\n' });
    const second = publisher.publish('a', { data: 'x', contentType: 'text/plain', key: 'k' });
    expect(socket.sent.slice(1).map(({ type, id }) => [type, id])).toEqual([
      ['publish', 2],
      ['publish', 3],
    ]);
    socket.receive(published(3, 2), published(2, 1));
    expect(await first).toEqual({ channel: 'a', offset: 1, epoch: 'e', position: 'e:1' });
    expect(await second).toMatchObject({ offset: 2 });
  });

  test('turns an error reply into a coded error that says whether it is stored', async () => {
    const { socket, publisher } = await opened();
    const refused = publisher.publish('a', { data: 1 });
    socket.receive({ type: 'error', id: 2, code: 'unavailable', message: 'm', stored: 'unknown' });
    await expect(refused).rejects.toMatchObject({ code: 'unavailable', stored: 'unknown' });
  });

  test('fails what has no answer when it ends, as perhaps stored', async () => {
    const { socket, publisher } = await opened();
    const waiting = publisher.publish('a', { data: 1 });
    socket.end(1006);
    await expect(waiting).rejects.toMatchObject({ code: 'unavailable', stored: 'unknown' });
    await expect(publisher.publish('a', { data: 1 })).rejects.toMatchObject({ stored: false });
  });

  test('bounds the publishes that wait for an answer', async () => {
    const { publisher } = await opened();
    const waiting = Array.from({ length: 1024 }, () => publisher.publish('a', { data: 1 }));
    await expect(publisher.publish('a', { data: 1 })).rejects.toMatchObject({
      code: 'rate_limited',
      stored: false,
    });
    publisher.close();
    const results = await Promise.allSettled(waiting);
    expect(results.every(({ status }) => status === 'rejected')).toBe(true);
  });

  test('asks after a silence of the ping interval, and gives up 10 s later', async () => {
    const { platform, socket, publisher } = await opened();
    const waiting = publisher.publish('a', { data: 1 });
    waiting.catch(() => {});
    await platform.clock.pass(1000);
    expect(socket.sent.at(-1)).toEqual({ type: 'ping' });
    await platform.clock.pass(9000);
    expect(socket.closedWith).toBeUndefined();
    await platform.clock.pass(1000);
    expect(socket.closedWith).toBe(1000);
    await expect(waiting).rejects.toMatchObject({ stored: 'unknown' });
    expect(platform.clock.timerCount).toBe(0);
  });

  test('stays while pings are answered, for hours', async () => {
    const { platform, socket, publisher } = await opened();
    for (let count = 0; count < 3600; count += 1) {
      await platform.clock.pass(1000);
      if (socket.sent.at(-1)?.['type'] === 'ping') socket.receive({ type: 'pong' });
    }
    expect(socket.closedWith).toBeUndefined();
    publisher.close();
    expect(platform.clock.timerCount).toBe(0);
  });

  test('gives up on a command that is never answered', async () => {
    const { platform, socket, publisher } = await opened();
    const waiting = publisher.publish('a', { data: 1 });
    waiting.catch(() => {});
    for (let count = 0; count < 31; count += 1) {
      socket.receive({ type: 'pong' });
      await platform.clock.pass(1000);
    }
    await expect(waiting).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('is refused when the hello is', async () => {
    const platform = fakePlatform();
    const opening = openPublisher({ url: 'http://server.example', token: 'bad', ...platform });
    await platform.clock.settle();
    platform.sockets[0]?.open();
    platform.sockets[0]?.receive({ type: 'error', id: 1, code: 'unauthenticated', message: 'no' });
    await expect(opening).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  test('gives up when there is no welcome within 10 s', async () => {
    const platform = fakePlatform();
    const opening = openPublisher({ url: 'http://server.example', ...platform });
    opening.catch(() => {});
    await platform.clock.pass(10_000);
    await expect(opening).rejects.toMatchObject({ code: 'unavailable' });
    expect(platform.sockets[0]?.closedWith).toBe(1000);
  });
});

describe('a session of a subscription', () => {
  async function subscribed() {
    const watched = watch();
    await watched.platform.clock.settle();
    const socket = watched.platform.sockets[0];
    if (socket === undefined) throw new Error('nothing was dialed');
    socket.accept();
    await watched.platform.clock.settle();
    return { watched, socket, clock: watched.platform.clock };
  }

  test('leaves at a random moment after goaway, and dials another node at once', async () => {
    const { watched, socket, clock } = await subscribed();
    socket.receive({ type: 'goaway', within: 8000 });
    await clock.pass(3999);
    socket.push(1);
    expect(watched.platform.sockets).toHaveLength(1);
    await clock.pass(1);
    expect(socket.closedWith).toBe(1000);
    expect(watched.platform.sockets).toHaveLength(2);
    await clock.settle();
    expect(watched.told()).toContain('1');
    await watched.subscription.return();
  });

  test('comes back inside what is left of the time when the server closes first', async () => {
    const { watched, socket, clock } = await subscribed();
    socket.receive({ type: 'goaway', within: 8000 });
    await clock.pass(2000);
    socket.end(1001);
    await clock.pass(2999);
    expect(watched.platform.sockets).toHaveLength(1);
    await clock.pass(1);
    expect(watched.platform.sockets).toHaveLength(2);
    await watched.subscription.return();
  });

  test('waits as long as it is told before coming back to a rate limit', async () => {
    const { watched, socket, clock } = await subscribed();
    socket.receive({ type: 'error', code: 'rate_limited', message: 'slow', retryAfter: 7000 });
    socket.end(4429);
    await clock.pass(7000);
    expect(watched.platform.sockets).toHaveLength(1);
    await clock.pass(50);
    expect(watched.platform.sockets).toHaveLength(2);
    await watched.subscription.return();
  });

  test('ends when the permission is withdrawn', async () => {
    const { watched, socket, clock } = await subscribed();
    socket.receive({ type: 'unsubscribed', channel: 'a', code: 'forbidden' });
    await clock.settle();
    expect(watched.ended.error).toMatchObject({ code: 'forbidden' });
  });

  test('keeps the payload’s text, and ignores what it does not know', async () => {
    const { watched, socket, clock } = await subscribed();
    const head = '{"type":"message","channel":"a","epoch":"e","time":5';
    socket.receive(
      { type: 'later', channel: 'a' },
      `${head},"offset":1,"data":{"big": 12345678901234567890},"later":1}`,
      `${head},"offset":2,"data":"text","contentType":"text/plain","event":"said"}`,
      `${head},"offset":3,"bytes":"AAE=","contentType":"image/x","from":{"session":"s"}}`,
      { type: 'message', channel: 'b', offset: 9, epoch: 'e', data: 1 },
      { type: 'message', channel: 'a', offset: 'nonsense' },
    );
    await clock.settle();
    expect(watched.events.slice(3)).toEqual([
      expect.objectContaining({ offset: 1, time: 5, source: '{"big": 12345678901234567890}' }),
      expect.objectContaining({
        offset: 2,
        data: 'text',
        contentType: 'text/plain',
        event: 'said',
      }),
      expect.objectContaining({ offset: 3, bytes: new Uint8Array([0, 1]), from: { session: 's' } }),
    ]);
    await watched.subscription.return();
  });

  test.each([
    ['no JSON', '{'],
    ['no object', '[1]'],
  ])('comes back after a frame that is %s', async (_, frame) => {
    const { watched, socket, clock } = await subscribed();
    socket.receive(frame);
    await clock.pass(50);
    expect(socket.closedWith).toBe(1000);
    expect(watched.platform.sockets).toHaveLength(2);
    await watched.subscription.return();
  });
});

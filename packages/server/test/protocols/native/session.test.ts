import { describe, expect, test } from 'vitest';
import { CONTROL_BYTES_MAX } from '../../../src/transports/stream-link.ts';
import { away } from '../../hub/scripted-broker.ts';
import { anonymous, connect } from './native-setup.ts';

describe('the greeting', () => {
  test('comes unasked when the handshake made the client known', async () => {
    const { take } = await connect();
    expect(take()).toEqual([
      {
        type: 'welcome',
        session: expect.stringMatching(/^\w{16}$/),
        node: 'n1',
        ping: 25_000,
        resume: 'back',
        limits: {
          messageBytes: 65_536,
          frameBytes: 1_048_576,
          subscriptions: 3,
          commandsPerSecond: 0,
          keyWindowMs: 3_600_000,
        },
      },
    ]);
  });

  test.each([{ token: 'alice' }, { resume: 'back' }])('answers hello with %o', async (proof) => {
    const { take, say } = await connect('unknown');
    expect(take()).toEqual([]);
    const [welcome] = await say({ type: 'hello', id: 5, ...proof });
    expect(welcome).toMatchObject({ type: 'welcome', id: 5, user: 'alice' });
  });

  test.each([
    { type: 'hello', id: 1, token: 'wrong' },
    { type: 'hello', id: 1, resume: 'wrong' },
    { type: 'hello', id: 1 },
    { type: 'subscribe', id: 1, channel: 'news' },
  ])('closes with unauthenticated on %o', async (command) => {
    const { link, say } = await connect('unknown');
    await say(command);
    expect(link.goodbye).toMatchObject({ code: 'unauthenticated' });
  });

  test('may be followed at once by commands, which wait for it [CMD-4]', async () => {
    const { say, take } = await connect('unknown');
    const commands = [
      { type: 'hello', id: 1, token: 'alice' },
      { type: 'subscribe', id: 2, channel: 'news' },
      { type: 'publish', id: 3, channel: 'news', data: 1 },
      { type: 'ping' },
    ];
    const frames = await say(commands.map((command) => JSON.stringify(command)).join('\n'));
    expect(frames.filter(({ type }) => type !== 'pong').map(({ type }) => type)).toEqual([
      'welcome',
      'subscribed',
      'published',
      'message',
    ]);
    expect(take()).toEqual([]);
  });

  test('that is refused takes the commands behind it along', async () => {
    const { hub, link, say } = await connect('unknown');
    await say(
      { type: 'hello', id: 1, token: 'wrong' },
      { type: 'publish', id: 2, channel: 'news', data: 1 },
    );
    expect(link.goodbye).toMatchObject({ code: 'unauthenticated' });
    expect(hub.counts.published).toBe(0);
  });

  test('that is refused says why in an error, and no more than the code in the close', async () => {
    const { link, say } = await connect('unknown');
    expect(await say({ type: 'hello', id: 7, token: 'wrong' })).toEqual([
      { type: 'error', id: 7, code: 'unauthenticated', message: 'no such token' },
    ]);
    expect(link.goodbye).toEqual({ code: 'unauthenticated' });
  });

  test('comes too late when a subscription is being opened', async () => {
    const { say, take } = await connect();
    take();
    const replies = await say(
      { type: 'subscribe', id: 1, channel: 'news' },
      { type: 'hello', id: 2, token: 'bob' },
    );
    expect(replies.find(({ id }) => id === 2)).toMatchObject({ code: 'bad_request' });
    expect(replies.find(({ id }) => id === 1)).toMatchObject({ type: 'subscribed' });
  });

  test('with an API key lifts the rate of commands [AUTH-3]', async () => {
    const { say } = await connect('unknown', { commandsPerSecondMax: 3 });
    await say({ type: 'hello', id: 0, token: 'key' });
    const ids = Array.from({ length: 20 }, (_, index) => index + 1);
    const replies = await say(...ids.map((id) => ({ type: 'history', id, channel: 'news' })));
    expect(replies.map(({ type }) => type)).toEqual(ids.map(() => 'history'));
  });

  test('closes with timeout when no hello comes', async () => {
    const { clock, link } = await connect('unknown');
    clock.advance(11_000);
    await clock.settle();
    expect(link.goodbye).toMatchObject({ code: 'timeout' });
  });
});

describe('commands', () => {
  test('a subscription is answered before its messages, and each comes once', async () => {
    const { say, publish, take } = await connect();
    await publish(3);
    take();
    const [answer, ...rest] = await say({
      type: 'subscribe',
      id: 1,
      channel: 'news',
      after: 'e1:1',
    });
    expect(answer).toEqual({
      type: 'subscribed',
      id: 1,
      channel: 'news',
      position: 'e1:1',
      recovered: true,
    });
    expect(rest.map(({ offset }) => offset)).toEqual([2, 3]);
    await publish(1);
    expect(take()).toMatchObject([{ type: 'message', channel: 'news', offset: 4, data: 1 }]);
  });

  test('a gap is told with its reason and the position that is live', async () => {
    const { say, publish, take } = await connect();
    await publish(2);
    take();
    expect(await say({ type: 'subscribe', id: 1, channel: 'news', after: 'what?' })).toEqual([
      {
        type: 'subscribed',
        id: 1,
        channel: 'news',
        position: 'e1:2',
        recovered: false,
        gap: { reason: 'unknown' },
      },
    ]);
  });

  test('subscribing again restarts the subscription at its answer', async () => {
    const { say, publish, take } = await connect();
    await publish(3);
    take();
    await say({ type: 'subscribe', id: 1, channel: 'news' });
    const again = await say({ type: 'subscribe', id: 2, channel: 'news', last: 2 });
    expect(again.map(({ type, offset }) => offset ?? type)).toEqual(['subscribed', 2, 3]);
    await publish(1);
    expect(take().map(({ offset }) => offset)).toEqual([4]);
  });

  test('two subscribes at once leave one subscription', async () => {
    const { say, publish, take } = await connect();
    take();
    const replies = await say(
      { type: 'subscribe', id: 1, channel: 'news' },
      { type: 'subscribe', id: 2, channel: 'news' },
    );
    expect(replies).toMatchObject([
      { type: 'subscribed', id: 1 },
      { type: 'subscribed', id: 2 },
    ]);
    await publish(1);
    expect(take().map(({ offset }) => offset)).toEqual([1]);
  });

  test('a subscribe that fails changes nothing: the one before it goes on [CMD-3]', async () => {
    const { broker, say, publish, take } = await connect();
    await say({ type: 'subscribe', id: 1, channel: 'news' });
    await publish(1);
    take();
    broker.failure = away;
    const [refused] = await say({ type: 'subscribe', id: 2, channel: 'news', after: 'zz:1' });
    expect(refused).toMatchObject({ type: 'error', id: 2, code: 'unavailable' });
    broker.failure = undefined;
    await publish(1);
    expect(take()).toMatchObject([{ type: 'message', offset: 2 }]);
  });

  test('an unsubscribe ends delivery, also of a subscribe under way', async () => {
    const { say, publish, take } = await connect();
    await say({ type: 'subscribe', id: 1, channel: 'news' });
    expect(await say({ type: 'unsubscribe', id: 2, channel: 'news' })).toEqual([
      { type: 'unsubscribed', id: 2, channel: 'news' },
    ]);
    await say(
      { type: 'subscribe', id: 3, channel: 'news' },
      { type: 'unsubscribe', id: 4, channel: 'news' },
    );
    await publish(1);
    expect(take()).toEqual([]);
  });

  test('a publish is answered with its position; without an id, with nothing', async () => {
    const { hub, say, take } = await connect();
    take();
    expect(await say({ type: 'publish', id: 8, channel: 'news', data: { a: 1 } })).toEqual([
      { type: 'published', id: 8, channel: 'news', offset: 1, epoch: 'e1', position: 'e1:1' },
    ]);
    expect(await say({ type: 'publish', channel: 'news', data: 2 })).toEqual([]);
    expect(hub.counts.published).toBe(2);
  });

  test('what one session publishes gets offsets in the order sent', async () => {
    const { say } = await connect();
    const commands = Array.from({ length: 50 }, (_, id) => ({
      type: 'publish',
      id,
      channel: 'news',
      data: id,
    }));
    const replies = (await say(commands.map((command) => JSON.stringify(command)).join('\n')))
      .filter(({ type }) => type === 'published')
      .map(({ id, offset }) => [id, offset]);
    expect(replies).toEqual(commands.map((_, id) => [id, id + 1]));
  });

  test('no more than a link may have unsent is answered before it drains [WS-5]', async () => {
    const { clock, link, take } = await connect();
    take();
    const commands = Array.from({ length: 1000 }, (_, id) => ({
      type: 'unsubscribe',
      id,
      channel: 'a',
    }));
    link.hold();
    link.receive(commands.map((command) => JSON.stringify(command)).join('\n'));
    await clock.settle();
    expect(link.pendingBytes).toBeGreaterThan(2_500);
    expect(link.pendingBytes).toBeLessThan(2_500 + 48 * 1024);
    link.release();
    await clock.settle();
    expect(take().map(({ id }) => id)).toEqual(commands.map(({ id }) => id));
  });

  test('pages of history are read one after another', async () => {
    const { hub, say, take } = await connect();
    take();
    let reading = 0;
    let readingMax = 0;
    const read = hub.history.bind(hub);
    hub.history = async (...asked) => {
      reading += 1;
      readingMax = Math.max(reading, readingMax);
      const page = await read(...asked);
      reading -= 1;
      return page;
    };
    const commands = Array.from({ length: 20 }, (_, id) => ({ type: 'history', id, channel: 'a' }));
    const pages = await say(commands.map((command) => JSON.stringify(command)).join('\n'));
    expect(pages.map(({ id }) => id)).toEqual(commands.map(({ id }) => id));
    expect(readingMax).toBe(1);
  });

  test('what is published behind a subscribe of the same frame is delivered [CMD-4]', async () => {
    const { say } = await connect();
    const commands = [
      { type: 'subscribe', id: 1, channel: 'news' },
      { type: 'publish', id: 2, channel: 'news', data: 1 },
      { type: 'publish', id: 3, channel: 'news', data: 2 },
    ];
    const frames = await say(commands.map((command) => JSON.stringify(command)).join('\n'));
    expect(frames.filter(({ type }) => type === 'message')).toMatchObject([
      { offset: 1, data: 1 },
      { offset: 2, data: 2 },
    ]);
    expect(frames.find(({ id }) => id === 1)).toMatchObject({ position: '0:0' });
  });

  test.each([
    ['{"type":"publish"', 'bad_request'],
    ['{"type":"dance","id":1}', 'bad_request'],
    ['{"type":"subscribe","id":1,"channel":"a/+b"}', 'bad_request'],
    ['{"type":"subscribe","id":1,"channel":"$SYS"}', 'bad_request'],
    [
      JSON.stringify({ type: 'publish', id: 1, channel: 'n', data: 'x'.repeat(70_000) }),
      'too_large',
    ],
    ['{"type":"history","id":1,"channel":"news","limit":-1}', 'bad_request'],
  ])('%s is refused with %s, and the session lives', async (text, code) => {
    const { link, say, take } = await connect();
    take();
    expect(await say(text)).toMatchObject([{ type: 'error', code }]);
    expect(await say({ type: 'ping' })).toEqual([{ type: 'pong' }]);
    expect(link.goodbye).toBeUndefined();
  });

  test('subscriptions and commands have their limits', async () => {
    const { say, take } = await connect(anonymous, { commandsPerSecondMax: 3 });
    take();
    const replies = await say(
      ...[1, 2, 3, 4].map((id) => ({ type: 'subscribe', id, channel: `c${id}` })),
      ...[5, 6, 7].map((id) => ({ type: 'history', id, channel: 'c1' })),
    );
    expect(replies.find(({ id }) => id === 4)).toMatchObject({ code: 'rate_limited' });
    expect(replies.find(({ id }) => id === 7)).toMatchObject({
      code: 'rate_limited',
      retryAfter: expect.any(Number),
    });
  });

  test.each([
    ['blank frames', '\n \n\t\n'],
    ['empty frames', ''],
    ['frames of the other kind', Uint8Array.of(0, 2, 123, 125)],
    ['malformed commands', 'ping'],
    ['malformed commands with an id', '{"type":"subscribe","id":9}', { id: 9 }],
    ['malformed publishes', '{"type":"publish","id":9}', { id: 9, stored: false }],
  ])('%s cost a command each [CMD-5]', async (_, frame, told: object = {}) => {
    const { link, clock, take } = await connect(anonymous, { commandsPerSecondMax: 3 });
    take();
    for (let count = 0; count < 10; count += 1) link.receive(frame);
    await clock.settle();
    const refused = take().filter(({ code }) => code === 'rate_limited');
    expect(refused).toHaveLength(4); // Six were the burst.
    for (const error of refused) {
      expect(error).toEqual({
        ...{ type: 'error', code: 'rate_limited', ...told },
        message: 'at most 3 commands a second',
        retryAfter: expect.any(Number),
      });
    }
    expect(link.goodbye).toBeUndefined();
    clock.advance(1_000);
    link.receive('{"type":"ping"}');
    await clock.settle();
    expect(take()).toEqual([{ type: 'pong' }]);
  });

  test('blank lines between commands cost nothing', async () => {
    const { say, take } = await connect(anonymous, { commandsPerSecondMax: 3 });
    take();
    const frame = `\n\n${'{"type":"ping"}\n \n'.repeat(6)}\n`;
    expect(await say(frame)).toEqual(Array.from({ length: 6 }, () => ({ type: 'pong' })));
  });

  test('a peer that sends blank frames and reads nothing is not read from any more', async () => {
    const { link, clock } = await connect(anonymous, { commandsPerSecondMax: 3 });
    link.hold();
    for (let count = 0; count < 1_000; count += 1) link.receive('');
    await clock.settle();
    expect(link.isPaused).toBe(true);
    expect(link.pendingBytes).toBeLessThan(10_000);
    expect(link.goodbye).toBeUndefined();
  });

  test('history is a page with payloads as published', async () => {
    const { say, take } = await connect();
    await say('{"type":"publish","id":1,"channel":"news","data":12345678901234567890}');
    take();
    expect(await say({ type: 'history', id: 2, channel: 'news', last: 1 })).toMatchObject([
      {
        type: 'history',
        id: 2,
        position: 'e1:1',
        oldest: 'e1:1',
        newest: 'e1:1',
        messages: [{ channel: 'news', offset: 1, epoch: 'e1' }],
      },
    ]);
  });
});

describe('a page of history', () => {
  test('is small enough not to count as falling behind', async () => {
    const { publish, say, take } = await connect();
    await publish(100, 'news', 5_000);
    take();
    const [page] = await say({ type: 'history', id: 1, channel: 'news', after: 'start' });
    expect(JSON.stringify(page).length).toBeLessThan(CONTROL_BYTES_MAX / 2);
    expect(page).toMatchObject({ more: true });
  });
});

describe('a token', () => {
  test('that ends closes its session, unless it is refreshed', async () => {
    const { clock, link, say } = await connect('unknown');
    await say({ type: 'hello', id: 1, token: 'alice' });
    clock.advance(50_000);
    await clock.settle();
    const [refreshed] = await say({ type: 'refresh', id: 2, token: 'alice' });
    expect(refreshed).toMatchObject({ type: 'refreshed', id: 2, expires: expect.any(Number) });
    clock.advance(70_000);
    await clock.settle();
    expect(link.goodbye).toMatchObject({ code: 'unauthenticated' });
  });

  test('of another user can not refresh a session', async () => {
    const { say } = await connect('unknown');
    await say({ type: 'hello', id: 1, token: 'alice' });
    expect(await say({ type: 'refresh', id: 2, token: 'bob' })).toMatchObject([
      { type: 'error', id: 2, code: 'forbidden' },
    ]);
  });
});

describe('a token that allows less', () => {
  test('ends the subscriptions it does not allow, and those being opened', async () => {
    const { clock, hub, say, take } = await connect('unknown');
    await say({ type: 'hello', id: 1, token: 'alice' });
    await say({ type: 'subscribe', id: 2, channel: 'old' });
    take();
    const replies = await say(
      { type: 'subscribe', id: 3, channel: 'new' },
      { type: 'refresh', id: 4, token: 'poor' },
    );
    expect(replies).toContainEqual({ type: 'unsubscribed', channel: 'old', code: 'forbidden' });
    expect(replies.find(({ id }) => id === 3)).toMatchObject({ type: 'error', code: 'forbidden' });
    await clock.settle();
    expect(hub.activeChannels('#')).toEqual([]);
  });
});

describe('a client that does not read', () => {
  test('is not read from either, and goes on when it reads again', async () => {
    const { clock, link, publish, say, take } = await connect(anonymous, { highWaterSize: 2_000 });
    await say({ type: 'subscribe', id: 1, channel: 'news' });
    link.hold();
    await publish(40);
    link.receive('{"type":"ping"}');
    await clock.settle();
    link.receive('{"type":"ping"}');
    await clock.settle();
    expect(link.isPaused).toBe(true);
    link.allow(Number.POSITIVE_INFINITY);
    await clock.settle();
    expect(link.isPaused).toBe(false);
    const got = take();
    expect(got.filter(({ type }) => type === 'message').length).toBe(40);
    expect(got.filter(({ type }) => type === 'pong').length).toBe(2);
  });
});

describe('the end', () => {
  test('gives back what the session held', async () => {
    const { clock, hub, link, protocol, say } = await connect();
    await say({ type: 'subscribe', id: 1, channel: 'news' });
    expect(hub.activeChannels('#')).toHaveLength(1);
    link.leave();
    await clock.settle();
    expect(hub.activeChannels('#')).toHaveLength(0);
    expect([...protocol.sessions]).toHaveLength(0);
  });
});

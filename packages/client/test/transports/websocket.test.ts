import { describe, expect, test } from 'vitest';
import { binary } from '../../src/encodings/binary.ts';
import { exactJson } from '../../src/encodings/exact.ts';
import type { Attempt } from '../../src/transports/transport.ts';
import { websocket } from '../../src/transports/websocket.ts';
import {
  dial,
  messagePush,
  push,
  reading,
  RecordingSink,
  turn,
  welcomed,
} from '../support/attempts.ts';
import { fakePlatform, wireMessage } from '../support/fakes.ts';
import { fuzzWebSocket } from '../fuzz/websocket.fuzz.ts';

const member = { session: 's1', user: 'u', since: 1 };

describe('the transport', () => {
  test('says whether the runtime has what it needs', () => {
    const platform = fakePlatform();
    expect(websocket.name).toBe('websocket');
    expect(websocket.fault(platform)).toBeUndefined();
    const without = Object.assign(fakePlatform(), { WebSocket: undefined });
    expect(websocket.fault(without)).toMatch(/no WebSocket/);
  });

  test('tells nothing before it has returned, nor of what it can not dial', async () => {
    const sink = new RecordingSink('a');
    const platform = fakePlatform();
    const target = { url: 'nowhere', encoding: exactJson };
    websocket.open(target, sink, platform);
    expect(sink.told()).toEqual([]);
    await platform.clock.settle();
    expect(sink.endings).toMatchObject([{ kind: 'refused', error: { code: 'bad_request' } }]);
    expect(platform.clock.timerCount).toBe(0);
  });
});

describe('a new attempt', () => {
  test('is ready, then reads all that is wished [WS-10]', () => {
    const { sink, said } = welcomed(
      new RecordingSink('b', { filter: 'a/#', after: '~1' }, { filter: 'a', after: 'e:4' }),
      { user: 'u', limits: { commandsPerSecond: 100, keyWindowMs: 7, messageBytes: 8 } },
    );
    expect(said()).toEqual(['subscribe 1 b', 'subscribe 2 a/# as 1 ~1', 'subscribe 3 a e:4']);
    expect(sink.told()).toEqual(['ready']);
    expect(sink.welcomes).toEqual([
      { session: 's', user: 'u', commandsPerSecond: 100, keyWindowMs: 7, messageBytes: 8 },
    ]);
  });

  test('asks for everything that a wish has, and for nothing else [REC-1]', () => {
    const wish = {
      ...{ filter: 'a', after: 'e:1', last: 5, partial: true, presence: true },
      ...{ snapshot: true, echo: false },
    };
    const { socket } = welcomed(new RecordingSink(wish, 'b'));
    const { filter: channel, ...others } = wish;
    expect(socket.sent).toEqual([
      { id: 1, type: 'subscribe', channel, ...others },
      { id: 2, type: 'subscribe', channel: 'b' },
    ]);
  });

  test('reads what is wished by the time it is ready', async () => {
    const sink = new RecordingSink();
    const dialed = dial(sink);
    sink.want('early');
    dialed.attempt.revise('early');
    sink.onTold = () => {
      sink.want('a');
      dialed.attempt.revise('a');
    };
    dialed.socket.open();
    dialed.socket.receive({ type: 'welcome' });
    await turn(dialed);
    expect(dialed.said()).toEqual(['subscribe 1 early', 'subscribe 2 a']);
  });

  test('may be closed as soon as it is ready', async () => {
    const sink = new RecordingSink('a');
    const dialed = dial(sink);
    sink.onTold = () => dialed.attempt.close();
    dialed.socket.open();
    dialed.socket.receive({ type: 'welcome' });
    dialed.attempt.revise('a');
    await turn(dialed);
    expect([dialed.said(), sink.told()]).toEqual([[], ['ready']]);
    expect(dialed.platform.clock.timerCount).toBe(0);
  });

  test('subscribes no faster than the server takes commands [WS-12]', () => {
    const names = Array.from({ length: 500 }, (_, index) => `c/${index}`);
    const sink = new RecordingSink(...names);
    const { socket, platform } = welcomed(sink, { limits: { commandsPerSecond: 100 } });
    const perSecond: number[] = [];
    let before = 0;
    while (before < 500 && perSecond.length < 20) {
      platform.clock.advance(1000);
      socket.receive({ type: 'pong' });
      perSecond.push(socket.sent.length - before);
      before = socket.sent.length;
    }
    expect(before).toBe(500);
    expect(perSecond.length).toBeLessThan(6);
    expect(Math.max(...perSecond)).toBeLessThanOrEqual(152);
    expect(socket.sent.map(({ channel }) => channel)).toEqual(names);
  });

  test('asks while it still subscribes, and is slower with that', () => {
    const sink = new RecordingSink(...Array.from({ length: 10 }, (_, index) => `c/${index}`));
    const { attempt, platform, said } = welcomed(sink, { limits: { commandsPerSecond: 4 } });
    expect(said()).toHaveLength(3);
    attempt.send('"channel":"v"');
    expect(said()).toEqual(['publish v']);
    platform.clock.advance(499);
    expect(said()).toEqual([]);
    platform.clock.advance(1);
    expect(said()).toEqual(['subscribe 4 c/3']);
  });
});

describe('what is read', () => {
  test('begins with its opening, with who is there, then its messages [WS-13] [PRES-9]', () => {
    const { socket, sink } = welcomed(new RecordingSink('a'));
    socket.receive(
      {
        type: 'subscribed',
        id: 1,
        channel: 'a',
        position: 'e:1',
        recovered: true,
        members: [member],
        count: 1,
        next: 'n',
      },
      messagePush('a', 2),
    );
    expect(sink.told()).toEqual(['ready', 'open a e:1', 'presence a', 'a 2']);
    expect(sink.openings).toEqual([
      { kind: 'open', channel: 'a', position: 'e:1', recovered: true },
    ]);
    expect(sink.events).toEqual([
      { kind: 'presence', channel: 'a', members: [member], count: 1, next: 'n' },
    ]);
  });

  test('tells a loss with the opening [REC-2] [REC-3]', () => {
    const dialed = welcomed(new RecordingSink({ filter: 'a', after: 'e:1' }));
    const gap = { reason: 'trimmed', from: 2, to: 8 };
    dialed.open('a', { position: 'e:8', recovered: false, gap });
    expect(dialed.sink.openings).toMatchObject([{ recovered: false, gap }]);
  });

  test('has marks where it is a pattern, and neither where it is volatile [WS-17] [VOL-1]', () => {
    const dialed = welcomed(new RecordingSink('a/#', 'v'));
    dialed.open('a/#', { mark: '~1' });
    dialed.open('v', { volatile: true });
    dialed.socket.receive(
      messagePush('a/1', 3, { as: 1, mark: '~2' }),
      { type: 'mark', channel: 'a/#', as: 1, mark: '~3' },
      { type: 'message', channel: 'v', time: 1, data: 1 },
    );
    expect(dialed.sink.told().slice(1)).toEqual([
      ...['open a/# ~1', 'open v volatile', 'a/1 3 for a/#', 'mark a/# ~3', 'v -'],
    ]);
    expect(dialed.sink.messages[0]).toMatchObject({ mark: '~2' });
  });

  test('is told as it comes: losses, what is over, snapshots, people [REC-7] [MSG-6] [PRES-5]', () => {
    const { socket, sink } = reading('a');
    socket.receive(
      push('gap', { gap: { reason: 'trimmed' }, position: 'e:9' }),
      push('expired', { epoch: 'e', from: 10, to: 12, mark: '~1' }),
      push('snapshot', { position: 'e:12', time: 1, data: 1 }),
      push('join', { member }),
      push('leave', { member }),
      push('presence', { members: [], count: 0 }),
    );
    expect(sink.told()).toEqual([
      ...['gap a e:9', 'expired a e:12', 'snapshot a e:12', 'join a', 'leave a', 'presence a'],
    ]);
  });

  test('ignores what it does not know or can not read [MSG-5]', () => {
    const { socket, sink } = reading('a');
    socket.receive(
      ...[push('later'), push('message')],
      ...[push('expired', { epoch: 'e' }), push('expired', { to: 4 }), push('mark')],
      ...[push('snapshot'), push('join'), push('presence'), { type: 'message', channel: 5 }],
      ...[{ type: 'unsubscribed' }, push('subscribed'), push('published')],
    );
    socket.receive(messagePush('a', 1));
    expect(sink.told()).toEqual(['a -', 'a 1']);
  });

  test.each([
    ['message', messagePush('a', -0.5)],
    ['message', messagePush('a', 1, { epoch: 5 })],
    ['message', messagePush('a', 1, { bytes: '!' })],
    ['gap', push('gap')],
    ['gap', push('gap', { gap: { reason: 'x' } })],
  ])('is not gone on with behind a broken %s, which may be a loss', (type, broken) => {
    const { socket, sink } = reading('a');
    socket.receive(broken, messagePush('a', 2));
    expect(sink.told()).toEqual(['lost']);
    const reason = `the server sent a broken ${type} of a`;
    expect(sink.endings).toMatchObject([{ kind: 'lost', reason }]);
  });

  test('keeps the text of payloads where the encoding does [MSG-3]', () => {
    const sink = new RecordingSink('a');
    const { socket, answer } = dial(sink, { encoding: exactJson });
    socket.open();
    socket.receive({ type: 'welcome' });
    answer(1, { type: 'subscribed', position: 'e:0' });
    const head = '"channel":"a","epoch":"e","data": 1.50}';
    socket.receive(`{"type":"message","offset":1,${head}`);
    socket.receive(`{"type":"snapshot","position":"e:1",${head}`);
    expect(sink.messages).toMatchObject([{ source: '1.50' }]);
    expect(sink.events).toMatchObject([{ kind: 'snapshot', source: '1.50' }]);
  });

  test('ends the attempt where the server says not from where it is read', () => {
    const dialed = welcomed(new RecordingSink('a'));
    dialed.open('a', {});
    expect(dialed.sink.endings).toMatchObject([
      { kind: 'lost', reason: 'the server subscribed to a without a position' },
    ]);
  });
});

describe('what is asked', () => {
  const publish = (attempt: Attempt, n: number) =>
    attempt.request({ kind: 'publish', members: `"channel":"a","data":${n}` });

  test('publishes in order, each with its own answer [GUA-2] [PUB-2]', async () => {
    const { attempt, socket, answer } = reading();
    const [first, second] = [publish(attempt, 1), publish(attempt, 2)];
    expect(socket.sent).toEqual([
      { id: 1, type: 'publish', channel: 'a', data: 1 },
      { id: 2, type: 'publish', channel: 'a', data: 2 },
    ]);
    answer(2, { type: 'published', offset: 2 });
    answer(1, { type: 'published', offset: 1 });
    expect((await first).fields).toMatchObject({ offset: 1 });
    expect((await second).fields).toMatchObject({ offset: 2 });
  });

  test('comes behind what was wished before in the same turn [CMD-4]', () => {
    const { attempt, sink, said } = reading();
    sink.want('a');
    attempt.revise('a');
    publish(attempt, 1).catch(() => {});
    sink.want('v');
    attempt.revise('v');
    attempt.send('"channel":"v"');
    expect(said()).toEqual(['subscribe 1 a', 'publish 2 a', 'subscribe 3 v', 'publish v']);
    attempt.close();
  });

  test('reads history, presence and answers to calls [HIST-1] [PRES-8]', async () => {
    const { attempt, socket, answer } = reading();
    const query = { before: 'e:9', limit: 2, after: undefined };
    const history = attempt.request({ kind: 'history', channel: 'a', query });
    const presence = attempt.request({ kind: 'presence', channel: 'a', query: {} });
    const call = attempt.request({ kind: 'call', members: '"method":"m","data":1' });
    expect(socket.sent).toEqual([
      { id: 1, type: 'history', channel: 'a', before: 'e:9', limit: 2 },
      { id: 2, type: 'presence', channel: 'a' },
      { id: 3, type: 'call', method: 'm', data: 1 },
    ]);
    answer(1, { type: 'history', messages: [wireMessage(8)], position: 'e:8' });
    answer(2, { type: 'presence', members: [], count: 0 });
    answer(3, { type: 'error', code: 'bad_request', message: 'no calls' });
    expect((await history).messages).toMatchObject([{ kind: 'message', offset: 8 }]);
    expect((await presence).fields).toMatchObject({ count: 0 });
    await expect(call).rejects.toMatchObject({ code: 'bad_request', message: 'no calls' });
  });

  test('says whether a publish may have been stored [PUB-4]', async () => {
    const early = dial().attempt;
    await expect(publish(early, 1)).rejects.toMatchObject({ code: 'unavailable', stored: false });
    const { attempt, socket, answer } = reading();
    const refused = publish(attempt, 1);
    const lost = publish(attempt, 2);
    answer(1, { type: 'error', code: 'too_large', message: 'm', stored: false });
    await expect(refused).rejects.toMatchObject({ code: 'too_large', stored: false });
    socket.end(1006);
    await expect(lost).rejects.toMatchObject({ code: 'unavailable', stored: 'unknown' });
    await expect(publish(attempt, 3)).rejects.toMatchObject({ stored: false });
  });

  test('without an answer has no id [WS-15]', () => {
    const { attempt, socket } = reading();
    attempt.send('"channel":"v","data":1');
    expect(socket.sent).toEqual([{ type: 'publish', channel: 'v', data: 1 }]);
    socket.receive({ type: 'error', code: 'forbidden', message: 'no' });
  });

  test('is rejected when it is closed', async () => {
    const { attempt, sink, platform } = reading('a');
    const waiting = publish(attempt, 1);
    attempt.close();
    attempt.close();
    await expect(waiting).rejects.toMatchObject({ stored: 'unknown' });
    attempt.probe();
    attempt.renew('t');
    attempt.send('');
    expect(sink.told()).toEqual([]);
    expect(platform.clock.timerCount).toBe(0);
  });
});

describe('a token that is renewed', () => {
  test('is refreshed, and nothing is interrupted [WS-14]', () => {
    const { attempt, socket, sink, answer } = reading('a');
    attempt.renew('t"2');
    expect(socket.sent.at(-1)).toEqual({ id: 2, type: 'refresh', token: 't"2' });
    answer(2, { type: 'refreshed', expires: 5 });
    expect(sink.told()).toEqual([]);
  });

  test.each(['unauthenticated', 'forbidden'])(
    'and refused with %s ends the attempt as stale',
    (code) => {
      const { attempt, sink, answer } = reading('a');
      attempt.renew('t');
      answer(2, { type: 'error', code, message: 'no' });
      expect(sink.endings).toMatchObject([{ kind: 'stale', error: { code } }]);
    },
  );

  test('and refused for now is asked again, and interrupts nothing', () => {
    const { attempt, sink, answer, platform, said } = reading('a');
    attempt.renew('t');
    answer(2, { type: 'error', code: 'unavailable', message: 'later', retryAfter: 1000 });
    platform.clock.advance(999);
    expect(said().filter((one) => one.startsWith('refresh'))).toEqual(['refresh 2']);
    platform.clock.advance(101);
    expect(said().filter((one) => one.startsWith('refresh'))).toEqual(['refresh 3']);
    answer(3, { type: 'refreshed', expires: 5 });
    expect(sink.endings).toEqual([]);
  });

  test('before the welcome is refreshed behind it, the newest alone', () => {
    const { attempt, socket, said } = dial(new RecordingSink('a'), { token: 't1' });
    attempt.renew('t2');
    attempt.renew('t3');
    socket.open();
    socket.receive({ type: 'welcome', id: 1 });
    expect(said()).toEqual(['hello 1', 'refresh 2', 'subscribe 3 a']);
    expect(socket.sent[1]).toMatchObject({ token: 't3' });
  });
});

describe('the end', () => {
  test('is told once, with nothing behind it, and leaves no timer', () => {
    const dialed = welcomed(new RecordingSink('a', 'b', 'c'), {
      limits: { commandsPerSecond: 2 },
    });
    dialed.refuse('a', 'unavailable');
    dialed.socket.receive({ type: 'goaway', within: 60_000 });
    dialed.socket.end(1011);
    dialed.socket.end(1011);
    dialed.socket.receive(messagePush('a', 1));
    dialed.platform.clock.advance(100_000);
    expect(dialed.sink.told()).toEqual(['ready', 'lost']);
    expect(dialed.platform.clock.timerCount).toBe(0);
  });

  test('may come out of anything that is told', () => {
    const words = ['open a e:0', 'presence a', 'a 1', 'gap a e:9', 'refused a'];
    for (const word of words) {
      const dialed = welcomed(new RecordingSink('a', 'b'));
      const { sink, socket, attempt, platform } = dialed;
      sink.onTold = (told) => {
        if (told === word) attempt.close();
      };
      socket.receive(
        { type: 'subscribed', id: 1, channel: 'a', position: 'e:0', members: [], count: 0 },
        messagePush('a', 1),
        push('gap', { gap: { reason: 'limit' }, position: 'e:9' }),
        push('unsubscribed', { code: 'forbidden' }),
        { type: 'subscribed', id: 2, channel: 'b', position: 'e:0' },
      );
      expect(sink.told().at(-1)).toBe(word);
      expect([socket.closedWith, platform.clock.timerCount]).toEqual([1000, 0]);
    }
  });

  test('probes and tells that nobody is there', () => {
    const { attempt, platform, sink } = reading('a');
    attempt.probe();
    platform.clock.advance(3000);
    expect(sink.endings).toMatchObject([{ kind: 'lost', reason: 'no answer to a ping' }]);
  });
});

test('binary is offered where it was chosen [BIN-1]', () => {
  expect(dial(new RecordingSink(), { encoding: binary }).socket.protocols).toEqual([
    'trunkline.v1.bin',
  ]);
});

test('whatever a server sends, an attempt keeps to its interface [MSG-5] [CMD-3]', async () => {
  for (const seed of [1, 2, 3]) await fuzzWebSocket(seed, 150);
});

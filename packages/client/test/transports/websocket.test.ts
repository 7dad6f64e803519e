import { describe, expect, test } from 'vitest';
import { binary } from '../../src/encodings/binary.ts';
import { exactJson } from '../../src/encodings/exact.ts';
import type { Attempt } from '../../src/transports/transport.ts';
import { websocket } from '../../src/transports/websocket.ts';
import { dial, RecordingSink, welcomed } from '../support/attempts.ts';
import type { Dialed } from '../support/attempts.ts';
import { fakePlatform, wireMessage } from '../support/fakes.ts';
import { fuzzWebSocket } from '../fuzz/websocket.fuzz.ts';

const push = (type: string, others: object = {}) => ({ type, channel: 'a', ...others });
const message = (channel: string, offset: number, others: object = {}) => ({
  ...{ type: 'message', ...wireMessage(offset), channel },
  ...others,
});
const member = { session: 's1', user: 'u', since: 1 };

/** Reading these filters, all of them open. */
function reading(...filters: string[]): Dialed {
  const dialed = welcomed(new RecordingSink(...filters));
  for (const filter of filters) {
    dialed.open(filter, filter.includes('#') ? { mark: '~0' } : { position: 'e:0' });
  }
  dialed.said();
  dialed.sink.told();
  return dialed;
}

/** Waits for what was revised to be said. */
const turn = ({ platform }: Dialed) => platform.clock.settle();

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
  test('is ready, then reads all that is wished, in the order of the wishes [WS-10] [CMD-4]', () => {
    const { sink, said } = welcomed(
      new RecordingSink('b', { filter: 'a/#', after: '~1' }, { filter: 'a', after: 'e:4' }),
      { user: 'u', limits: { commandsPerSecond: 100, keyWindowMs: 7, messageBytes: 8 } },
    );
    expect(said()).toEqual(['subscribe 1 b', 'subscribe 2 a/# ~1', 'subscribe 3 a e:4']);
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
    expect(dialed.said()).toEqual(['subscribe 1 a', 'subscribe 2 early']);
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
      message('a', 2),
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
      message('a/1', 3, { mark: '~2' }),
      { type: 'mark', channel: 'a/#', mark: '~3' },
      { type: 'message', channel: 'v', time: 1, data: 1 },
    );
    expect(dialed.sink.told().slice(1)).toEqual([
      ...['open a/# ~1', 'open v volatile', 'a/1 3', 'mark a/# ~3', 'v -'],
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
      ...[push('later'), push('message'), push('gap'), push('gap', { gap: { reason: 'x' } })],
      ...[push('expired', { epoch: 'e' }), push('expired', { to: 4 }), push('mark')],
      ...[push('snapshot'), push('join'), push('presence'), { type: 'message', channel: 5 }],
      ...[message('a', -0.5), { type: 'unsubscribed' }, push('subscribed'), push('published')],
    );
    socket.receive(message('a', 1));
    expect(sink.told()).toEqual(['a -', 'a 1']);
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

describe('a wish that changes', () => {
  test('several times in one turn is said once', async () => {
    const dialed = reading('a');
    const { attempt, sink, said } = dialed;
    sink.want({ filter: 'a', after: 'e:3' });
    attempt.revise('a');
    sink.want('b');
    attempt.revise('b');
    sink.want({ filter: 'a', after: 'e:2' });
    attempt.revise('a');
    expect(said()).toEqual([]);
    await turn(dialed);
    expect(said()).toEqual(['subscribe 2 a e:2', 'subscribe 3 b']);
  });

  test('begins anew at its answer; until then the reading before goes on [WS-13]', async () => {
    const dialed = reading('a');
    const { attempt, sink, socket } = dialed;
    socket.receive(message('a', 10));
    sink.want({ filter: 'a', after: 'e:3' });
    attempt.revise('a');
    await turn(dialed);
    socket.receive(message('a', 11));
    dialed.open('a', { position: 'e:3', recovered: true });
    socket.receive(message('a', 4));
    expect(sink.told()).toEqual(['a 10', 'a 11', 'open a e:3', 'a 4']);
  });

  test('while a command is under way is said behind its answer, which is not told', async () => {
    const dialed = welcomed(new RecordingSink({ filter: 'a', after: 'e:5' }));
    const { attempt, sink, said } = dialed;
    expect(said()).toEqual(['subscribe 1 a e:5']);
    sink.want({ filter: 'a', after: 'e:3' });
    attempt.revise('a');
    await turn(dialed);
    expect(said()).toEqual([]);
    dialed.open('a', { position: 'e:5' });
    expect([said(), sink.told()]).toEqual([['subscribe 2 a e:3'], ['ready']]);
    dialed.open('a', { position: 'e:3' });
    expect(sink.told()).toEqual(['open a e:3']);
  });

  test('in the turn of its answer makes the answer one of before', async () => {
    const dialed = welcomed(new RecordingSink('a'));
    dialed.attempt.revise('a');
    dialed.open('a');
    expect(dialed.said()).toEqual(['subscribe 1 a', 'subscribe 2 a']);
    await turn(dialed);
    dialed.open('a', { position: 'e:2' });
    expect([dialed.said(), dialed.sink.told()]).toEqual([[], ['ready', 'open a e:2']]);
  });

  test('to nothing is an unsubscribe, and to something again a subscribe', async () => {
    const dialed = reading('a');
    const { attempt, sink, said, answer } = dialed;
    sink.wishes.delete('a');
    attempt.revise('a');
    await turn(dialed);
    expect(said()).toEqual(['unsubscribe 2 a']);
    sink.want('a');
    attempt.revise('a');
    await turn(dialed);
    expect(said()).toEqual([]);
    answer(2, { type: 'unsubscribed', channel: 'a' });
    expect(said()).toEqual(['subscribe 3 a']);
    dialed.open('a', { position: 'e:7' });
    expect(sink.told()).toEqual(['open a e:7']);
  });

  test('to nothing before it was answered is an unsubscribe behind the answer', async () => {
    const dialed = welcomed(new RecordingSink('a'));
    dialed.sink.wishes.delete('a');
    dialed.attempt.revise('a');
    await turn(dialed);
    dialed.open('a');
    expect(dialed.said()).toEqual(['subscribe 1 a', 'unsubscribe 2 a']);
    dialed.answer(2, { type: 'unsubscribed', channel: 'a' });
    expect(dialed.sink.told()).toEqual(['ready']);
  });

  test('to nothing before it was said is not said at all', async () => {
    const dialed = reading();
    dialed.sink.want('a');
    dialed.attempt.revise('a');
    dialed.sink.wishes.delete('a');
    await turn(dialed);
    expect(dialed.said()).toEqual([]);
  });

  test('before the welcome needs no word', () => {
    const dialed = dial(new RecordingSink('a'));
    dialed.attempt.revise('a');
    dialed.socket.open();
    dialed.socket.receive({ type: 'welcome' });
    expect(dialed.said()).toEqual(['subscribe 1 a']);
  });

  test('after the end is not said', async () => {
    const dialed = reading('a');
    dialed.attempt.revise('a');
    dialed.socket.end(1006);
    dialed.attempt.revise('a');
    await turn(dialed);
    expect([dialed.said(), dialed.sink.told()]).toEqual([[], ['lost']]);
    expect(dialed.platform.clock.timerCount).toBe(0);
  });
});

describe('filters that match the same channels [WILD-4]', () => {
  test('begin again where they stand before one of them begins from a place', async () => {
    const dialed = reading('a/#', 'b');
    const { attempt, sink, said } = dialed;
    sink.want({ filter: 'a/#', after: '~9' });
    sink.want({ filter: 'a/1', after: 'e:5' });
    attempt.revise('a/1');
    await turn(dialed);
    expect(said()).toEqual(['subscribe 3 a/# ~9', 'subscribe 4 a/1 e:5']);
    sink.want({ filter: 'a/2', last: 5 });
    attempt.revise('a/2');
    await turn(dialed);
    // One that is under way begins where it stood when it was asked.
    expect(said()).toEqual(['subscribe 5 a/2']);
  });

  test('also where the new one is the pattern, or both are', async () => {
    const dialed = reading('a/1', 'b', '#');
    dialed.sink.want({ filter: 'a/+', after: '~1' });
    dialed.attempt.revise('a/+');
    await turn(dialed);
    expect(dialed.said()).toEqual(['subscribe 4 a/1', 'subscribe 5 #', 'subscribe 6 a/+ ~1']);
  });

  test('stay as they are for one that begins now, and for a name that begins again', async () => {
    const dialed = reading('a/#', 'a/1');
    dialed.sink.want('a/2');
    dialed.attempt.revise('a/2');
    dialed.sink.want({ filter: 'a/1', after: 'e:5' });
    dialed.attempt.revise('a/1');
    await turn(dialed);
    expect(dialed.said()).toEqual(['subscribe 3 a/2', 'subscribe 4 a/1 e:5']);
  });

  test('change together without saying any of them twice', async () => {
    const dialed = reading('a/#', 'a/1');
    for (const filter of ['a/#', 'a/+']) {
      dialed.sink.want({ filter, after: '~1' });
      dialed.attempt.revise(filter);
    }
    await turn(dialed);
    expect(dialed.said()).toEqual([
      ...['subscribe 3 a/1', 'subscribe 4 a/# ~1', 'subscribe 5 a/+ ~1'],
    ]);
  });

  test('are subscribed to in the order of the wishes when a session begins', () => {
    const wishes = ['a/1', 'a/#', 'a/2'].map((filter) => ({ filter, after: 'start' }));
    const { said } = welcomed(new RecordingSink(...wishes));
    expect(said()).toHaveLength(3);
  });
});

describe('a filter that is refused', () => {
  test.each(['forbidden', 'bad_request', 'not_found', 'conflict', 'too_large'])(
    'for good, with %s, is told, and the others go on [CMD-3]',
    (code) => {
      const dialed = welcomed(new RecordingSink('a', 'b'));
      dialed.refuse('a', code);
      dialed.open('b');
      expect(dialed.sink.told()).toEqual(['ready', 'refused a', 'open b e:0']);
      expect(dialed.sink.refusals).toMatchObject([['a', { code, message: 'no' }]]);
      expect(dialed.said()).toHaveLength(2);
    },
  );

  test('for now is asked for again when it is told to, with its newest wish', async () => {
    const dialed = welcomed(new RecordingSink('a', 'b'));
    const { platform, said, sink, attempt } = dialed;
    dialed.refuse('a', 'rate_limited', { retryAfter: 700 });
    said();
    sink.want({ filter: 'a', after: 'e:4' });
    attempt.revise('a');
    await turn(dialed);
    platform.clock.advance(749);
    expect(said()).toEqual([]);
    platform.clock.advance(1);
    expect(said()).toEqual(['subscribe 3 a e:4']);
    expect(sink.told()).toEqual(['ready']);
    dialed.open('a');
    expect(sink.told()).toEqual(['open a e:0']);
  });

  test('for now and again waits longer each time, and begins with short waits again [CODE-5]', () => {
    const dialed = welcomed(new RecordingSink('a'));
    const { platform, said } = dialed;
    const waits = Array.from({ length: 8 }, () => {
      said();
      dialed.refuse('a', 'unavailable');
      const before = platform.clock.monotonicMs();
      while (said().length === 0) platform.clock.advance(1);
      return platform.clock.monotonicMs() - before;
    });
    expect(waits).toEqual([50, 100, 200, 400, 800, 1600, 2500, 2500]);
    dialed.open('a');
    dialed.attempt.revise('a');
    dialed.attempt.send('"channel":"v"');
    dialed.refuse('a', 'internal');
    said();
    platform.clock.advance(50);
    expect(said()).toHaveLength(1);
  });

  test('for now while it is withdrawn is not asked for again', async () => {
    const dialed = welcomed(new RecordingSink('a'));
    dialed.refuse('a', 'unavailable');
    dialed.sink.wishes.delete('a');
    dialed.attempt.revise('a');
    await turn(dialed);
    dialed.said();
    dialed.platform.clock.advance(50);
    // It may have been read by an older wish.
    expect(dialed.said()).toEqual(['unsubscribe 2 a']);
    dialed.answer(2, { type: 'unsubscribed', channel: 'a' });
    dialed.platform.clock.advance(10_000);
    expect(dialed.said()).toEqual([]);
  });

  test('while it is read by an older wish is read no more [CMD-3]', async () => {
    const dialed = reading('a');
    dialed.sink.want({ filter: 'a', presence: true });
    dialed.attempt.revise('a');
    await turn(dialed);
    dialed.refuse('a', 'forbidden');
    expect(dialed.said()).toEqual(['subscribe 2 a', 'unsubscribe 3 a']);
    expect(dialed.sink.told()).toEqual(['refused a']);
    dialed.answer(3, { type: 'unsubscribed', channel: 'a' });
    dialed.sink.want('a');
    dialed.attempt.revise('a');
    await turn(dialed);
    expect(dialed.said()).toEqual(['subscribe 4 a']);
  });

  test('and wished anew meanwhile is asked for anew, and the refusal is not told', async () => {
    const dialed = welcomed(new RecordingSink('a'));
    dialed.attempt.revise('a');
    await turn(dialed);
    dialed.refuse('a', 'forbidden');
    expect(dialed.said()).toEqual(['subscribe 1 a', 'subscribe 2 a']);
    expect(dialed.sink.told()).toEqual(['ready']);
  });

  test('as unauthenticated ends the attempt as stale [CODE-3]', () => {
    const dialed = welcomed(new RecordingSink('a'));
    dialed.refuse('a', 'unauthenticated');
    expect(dialed.sink.endings).toMatchObject([{ kind: 'stale' }]);
  });

  test('by no answer in 30 s loses the attempt', () => {
    const { platform, socket, sink } = welcomed(new RecordingSink('a'));
    for (let second = 0; second < 30; second += 1) {
      platform.clock.advance(1000);
      socket.receive({ type: 'pong' });
    }
    expect(sink.endings).toMatchObject([
      { kind: 'lost', reason: 'timeout: no answer within 30000 ms' },
    ]);
    expect(platform.clock.timerCount).toBe(0);
  });

  test('later, by an unsubscribed push, is told [WS-14]', async () => {
    const dialed = reading('a', 'b');
    dialed.socket.receive(push('unsubscribed', { code: 'forbidden' }));
    dialed.socket.receive(push('unsubscribed', { code: 'forbidden' }));
    expect(dialed.sink.told()).toEqual(['refused a']);
    expect(dialed.sink.refusals).toMatchObject([['a', { code: 'forbidden' }]]);
    expect(dialed.said()).toEqual([]);
    dialed.attempt.revise('a');
    await turn(dialed);
    expect(dialed.said()).toEqual(['subscribe 3 a']);
  });

  test('later for now, or for a reason nobody knows', () => {
    const dialed = reading('a', 'b');
    dialed.socket.receive(push('unsubscribed', { code: 'slow' }));
    dialed.socket.receive(push('unsubscribed', { channel: 'b', code: 'never heard of' }));
    expect(dialed.sink.refusals).toMatchObject([['b', { code: 'forbidden' }]]);
    dialed.platform.clock.advance(50);
    expect(dialed.said()).toEqual(['subscribe 3 a']);
  });

  test('while it begins anew is decided by the answer to that', async () => {
    const dialed = reading('a');
    dialed.attempt.revise('a');
    await turn(dialed);
    dialed.socket.receive(push('unsubscribed', { code: 'forbidden' }));
    expect(dialed.sink.told()).toEqual([]);
    dialed.refuse('a', 'forbidden');
    expect(dialed.sink.told()).toEqual(['refused a']);
    expect(dialed.said()).toEqual(['subscribe 2 a']);
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

  test.each(['unauthenticated', 'forbidden', 'unavailable'])(
    'and refused with %s ends the attempt as stale',
    (code) => {
      const { attempt, sink, answer } = reading('a');
      attempt.renew('t');
      answer(2, { type: 'error', code, message: 'no' });
      expect(sink.endings).toMatchObject([{ kind: 'stale', error: { code } }]);
    },
  );

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
    dialed.socket.receive(message('a', 1));
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
        message('a', 1),
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

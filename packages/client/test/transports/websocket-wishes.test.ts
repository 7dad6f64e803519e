import { describe, expect, test } from 'vitest';
import {
  dial,
  messagePush,
  push,
  reading,
  RecordingSink,
  turn,
  welcomed,
} from '../support/attempts.ts';

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
    socket.receive(messagePush('a', 10));
    sink.want({ filter: 'a', after: 'e:3' });
    attempt.revise('a');
    await turn(dialed);
    socket.receive(messagePush('a', 11));
    dialed.open('a', { position: 'e:3', recovered: true });
    socket.receive(messagePush('a', 4));
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

describe('patterns [APART-1]', () => {
  test('stand apart from names and from each other, each with a number of its own', () => {
    const dialed = welcomed(new RecordingSink('a/1', 'a/#', { filter: 'a/+', after: '~1' }));
    expect(dialed.said()).toEqual([
      ...['subscribe 1 a/1', 'subscribe 2 a/# as 1', 'subscribe 3 a/+ as 2 ~1'],
    ]);
    dialed.open('a/+', { mark: '~1', recovered: true });
    dialed.open('a/1');
    dialed.open('a/#', { mark: '~2' });
    expect(dialed.sink.told().slice(1)).toEqual(['open a/+ ~1', 'open a/1 e:0', 'open a/# ~2']);
    expect(dialed.sink.openings[0]).toEqual({
      ...{ kind: 'open', channel: 'a/+', mark: '~1', recovered: true },
    });
  });

  test('are told each push that has their number, and names what has none [APART-2]', () => {
    const { socket, sink } = reading('a/1', 'a/#', 'a/+');
    const gap = { gap: { reason: 'trimmed' }, position: 'e:9' };
    socket.receive(
      messagePush('a/1', 1, { as: 2 }),
      messagePush('a/1', 1),
      messagePush('a/1', 1, { as: 1, mark: '~1' }),
      { type: 'gap', channel: 'a/1', as: 1, ...gap },
      { type: 'gap', channel: 'a/1', ...gap },
      { type: 'mark', channel: 'a/+', as: 2, mark: '~5' },
      { type: 'expired', channel: 'a/1', as: 1, epoch: 'e', from: 1, to: 4, mark: '~6' },
      { type: 'expired', channel: 'a/1', as: 2, epoch: 'e', from: 1, to: 4 },
      { type: 'message', channel: 'a/1', as: 1, time: 1, data: 1 },
    );
    expect(sink.told()).toEqual([
      ...['a/1 1 for a/+', 'a/1 1', 'a/1 1 for a/#', 'gap a/1 e:9 for a/#', 'gap a/1 e:9'],
      ...['mark a/+ ~5', 'mark a/# ~6', 'a/1 - for a/#'],
    ]);
    expect(sink.messages[2]).toMatchObject({ mark: '~1' });
  });

  test('are told nothing that has no number, or that of nobody', () => {
    const { socket, sink } = reading('a/#');
    socket.receive(messagePush('a/1', 1, { as: 2 }), messagePush('a/1', 1, { as: 'x' }));
    socket.receive(push('mark', { channel: 'a/#', mark: '~1' }), push('join', { as: 1 }));
    socket.receive({ ...push('unsubscribed', { code: 'forbidden' }), as: 3 });
    expect(sink.told()).toEqual([]);
  });

  test('may be read several times, from different places [APART-3]', async () => {
    const dialed = reading('a/#');
    dialed.sink.want({ filter: 'a/#', after: '~7' }, 'another');
    dialed.attempt.revise('another');
    await turn(dialed);
    expect(dialed.said()).toEqual(['subscribe 2 a/# as 2 ~7']);
    dialed.open('a/#', { mark: '~7' });
    dialed.socket.receive(messagePush('a/1', 1, { as: 2 }), messagePush('a/1', 5, { as: 1 }));
    expect(dialed.sink.told()).toEqual(['open another ~7', 'a/1 1 for another', 'a/1 5 for a/#']);
  });

  test('have the smallest number that is free, once nothing comes by it any more [APART-4]', async () => {
    const dialed = reading('a/#', 'b/#', 'c/#');
    const { sink, attempt, said } = dialed;
    sink.wishes.delete('a/#');
    attempt.revise('a/#');
    sink.want('d/#');
    attempt.revise('d/#');
    await turn(dialed);
    expect(said()).toEqual(['unsubscribe 4 a/# as 1', 'subscribe 5 d/# as 4']);
    dialed.answer(4, { type: 'unsubscribed', channel: 'a/#', as: 1 });
    sink.want('e/#');
    attempt.revise('e/#');
    await turn(dialed);
    expect(said()).toEqual(['subscribe 6 e/# as 1']);
    dialed.refuse('e/#', 'forbidden');
    sink.want('f/#');
    attempt.revise('f/#');
    await turn(dialed);
    expect(said()).toEqual(['subscribe 7 f/# as 1']);
  });

  test('keep their number over refusals for now', async () => {
    const dialed = reading('a/#', 'b/#');
    dialed.socket.receive(push('unsubscribed', { channel: 'a/#', as: 1, code: 'slow' }));
    dialed.platform.clock.advance(50);
    expect(dialed.said()).toEqual(['subscribe 3 a/# as 1']);
  });

  test('end where the server says so [WS-14]', () => {
    const dialed = reading('a/#', 'b/#');
    dialed.socket.receive(push('unsubscribed', { channel: 'b/#', as: 2, code: 'forbidden' }));
    expect(dialed.sink.told()).toEqual(['refused b/#']);
  });

  test('are not read from a server that knows no numbers', () => {
    const dialed = welcomed(new RecordingSink('a/#'));
    dialed.open('a/#', { mark: '~1', as: undefined });
    const reason = 'the server subscribed to a/# without its number, and is too old';
    expect(dialed.sink.endings).toMatchObject([{ kind: 'lost', reason }]);
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
    platform.clock.advance(5000);
    dialed.attempt.revise('a');
    dialed.attempt.send('"channel":"v"');
    dialed.refuse('a', 'internal');
    said();
    platform.clock.advance(50);
    expect(said()).toHaveLength(1);
  });

  test('as soon as it is read waits longer each time as well [CODE-5]', () => {
    const dialed = welcomed(new RecordingSink('a'));
    const { platform, said, socket } = dialed;
    const waits = Array.from({ length: 8 }, () => {
      said();
      dialed.open('a');
      socket.receive(push('unsubscribed', { code: 'unavailable' }));
      const before = platform.clock.monotonicMs();
      while (said().length === 0) platform.clock.advance(1);
      return platform.clock.monotonicMs() - before;
    });
    expect(waits).toEqual([50, 100, 200, 400, 800, 1600, 2500, 2500]);
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

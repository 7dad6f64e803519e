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
    dialed.open('a/#', { mark: '~9' });
    expect([said(), sink.told()]).toEqual([[], ['open a/# ~9']]);
  });

  test('also where the new one is the pattern, or both are', async () => {
    const dialed = reading('a/1', 'b', '#');
    dialed.sink.want({ filter: 'a/+', after: '~1' });
    dialed.attempt.revise('a/+');
    await turn(dialed);
    expect(dialed.said()).toEqual(['subscribe 4 #', 'subscribe 5 a/1', 'subscribe 6 a/+ ~1']);
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

  test('are told behind all of their openings when a session begins', () => {
    const dialed = welcomed(new RecordingSink('a/1', 'a/#', 'b'));
    const { socket, sink } = dialed;
    dialed.open('b');
    dialed.open('a/#', { mark: '~1' });
    socket.receive(messagePush('b', 1), messagePush('a/2', 1), messagePush('a/1', 6));
    // What comes behind it waits as well, or its mark would hold for what was not told.
    socket.receive(messagePush('a/2', 2, { mark: '~2' }), messagePush('b', 2), push('later'));
    expect(sink.told()).toEqual(['ready', 'open b e:0', 'open a/# ~1', 'b 1', 'a/2 1']);
    dialed.open('a/1', { position: 'e:5' });
    socket.receive(messagePush('a/1', 7));
    expect(sink.told()).toEqual(['open a/1 e:5', 'a/1 6', 'a/2 2', 'b 2', 'a/1 7']);
  });

  test('wait for the first answer, also where another wish is due then', async () => {
    const dialed = welcomed(new RecordingSink('a/#', 'a/1'));
    dialed.open('a/#', { mark: '~1' });
    dialed.attempt.revise('a/1');
    await turn(dialed);
    dialed.socket.receive(messagePush('a/1', 6));
    expect(dialed.sink.told()).toEqual(['ready', 'open a/# ~1']);
    dialed.open('a/1');
    dialed.open('a/1', { position: 'e:6' });
    expect(dialed.sink.told()).toEqual(['a/1 6', 'open a/1 e:6']);
  });

  test.each(['forbidden', 'unavailable'])('wait for none that is refused with %s', (code) => {
    const dialed = welcomed(new RecordingSink('a/#', 'a/1'));
    dialed.open('a/#', { mark: '~1' });
    dialed.socket.receive(messagePush('a/1', 6));
    expect(dialed.sink.told()).toEqual(['ready', 'open a/# ~1']);
    dialed.refuse('a/1', code);
    expect(dialed.sink.told().at(-1)).toBe('a/1 6');
  });

  test('wait no longer than 10,000 of them', () => {
    const dialed = welcomed(new RecordingSink('a/#', 'a/1'));
    dialed.open('a/#', { mark: '~1' });
    for (let offset = 1; offset <= 10_000; offset += 1) {
      dialed.socket.receive(messagePush('a/1', offset));
    }
    expect(dialed.sink.messages).toEqual([]);
    dialed.socket.receive(messagePush('a/1', 10_001));
    expect(dialed.sink.messages.map(({ offset }) => offset)).toEqual(
      Array.from({ length: 10_001 }, (_, index) => index + 1),
    );
  });

  test('are not told when the attempt ends before', () => {
    const dialed = welcomed(new RecordingSink('a/#', 'a/1'));
    dialed.open('a/#', { mark: '~1' });
    dialed.socket.receive(messagePush('a/1', 1));
    dialed.socket.end(1006);
    expect(dialed.sink.told()).toEqual(['ready', 'open a/# ~1', 'lost']);
  });

  test('are told one by one as long as somebody listens', () => {
    const dialed = welcomed(new RecordingSink('a/#', 'a/1'));
    dialed.open('a/#', { mark: '~1' });
    dialed.socket.receive(messagePush('a/1', 1), messagePush('a/1', 2));
    dialed.sink.onTold = (word) => {
      if (word === 'a/1 1') dialed.attempt.close();
    };
    dialed.open('a/1');
    expect(dialed.sink.told().slice(2)).toEqual(['open a/1 e:0', 'a/1 1']);
  });
});

test('[WILD-4] what was refused for now begins behind those that match the same channels', async () => {
  const wishes = [
    { filter: '#', after: '~1' },
    { filter: 'a', after: 'e:3' },
  ];
  const dialed = welcomed(new RecordingSink(...wishes));
  dialed.open('#', { mark: '~1' });
  dialed.refuse('a', 'unavailable');
  dialed.said();
  dialed.platform.clock.advance(50);
  await turn(dialed);
  expect(dialed.said()).toEqual(['subscribe 3 # ~1', 'subscribe 4 a e:3']);
});

test('[WS-13] what comes behind the first answer is of that reading, though another one is due', async () => {
  const dialed = welcomed(new RecordingSink('#', 'a'));
  const { attempt, sink, socket } = dialed;
  dialed.open('#', { mark: '~1' });
  sink.want({ filter: 'a', after: 'e:0' });
  attempt.revise('a');
  dialed.open('a', { position: 'e:8' });
  await turn(dialed);
  socket.receive(messagePush('a', 9));
  expect(sink.told()).toEqual(['ready', 'open # ~1', 'a 9']);
  dialed.open('a', { position: 'e:0' });
  expect(sink.told()).toEqual(['open a e:0']);
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

import { CodedError } from '@trunkline/wire';
import { ManualClock } from '@trunkline/testkit';
import { expect, test } from 'vitest';
import { Climb } from '../../src/connection/climb.ts';
import type { Live } from '../../src/connection/connection.ts';
import { Tokens } from '../../src/connection/tokens.ts';
import { fakePlatform } from '../support/fakes.ts';
import { ended, transport } from '../support/ladders.ts';

/** Climbs to a WebSocket a second after it is planned. */
function setUp(source: () => string = () => 't') {
  const clock = new ManualClock();
  const told: unknown[] = [];
  const tried: Live[] = [];
  let answer = (): void => {};
  let isAsking = false;
  const platform = { ...fakePlatform(), clock };
  const ladder = {
    climb: () => ({ transport: transport('websocket'), inMs: 1000 }),
    climbFailed: (...failure: unknown[]) => told.push(failure),
  };
  const climb = new Climb(ladder, {
    parts: { platform, tokens: new Tokens(source, clock, () => {}) },
    tryBeside: (better, token) => {
      const attempt = {
        ...{ revise() {}, send() {}, renew() {}, probe() {} },
        request: () => expect.unreachable('it asks nothing'),
        close: () => told.push('closed'),
      };
      const none = { readyMs: undefined, welcome: {}, isChosen: false };
      const live: Live = { transport: better, token, attempt, ...none };
      tried.push(live);
      return live;
    },
    hold: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      answer = resolve;
      if (!isAsking) resolve();
      return promise;
    },
    resume: () => told.push('resumed'),
    take: (live) => told.push(live),
  });
  const asking = (): void => void (isAsking = true);
  const answered = async (): Promise<void> => {
    answer();
    await clock.settle();
  };
  const tryOne = async (): Promise<Live> => {
    await clock.pass(1000);
    const live = tried.at(-1);
    if (live === undefined) throw new Error('nothing was tried');
    return live;
  };
  return { climb, clock, told, tried, tryOne, asking, answered };
}

test('hands over what works', async () => {
  const { climb, clock, told, tried, tryOne } = setUp();
  climb.plan();
  expect(tried).toEqual([]);
  const live = await tryOne();
  climb.onReady(live);
  await clock.settle();
  expect(told).toEqual([live]);
});

test('waits for the answers to what was asked before', async () => {
  const { climb, clock, told, tryOne, asking, answered } = setUp();
  climb.plan();
  const live = await tryOne();
  asking();
  climb.onReady(live);
  await clock.pass(1900);
  expect(told).toEqual([]);
  await answered();
  expect(told).toEqual([live]);
});

test('waits for no answer longer than two seconds', async () => {
  const { climb, clock, told, tryOne, asking } = setUp();
  climb.plan();
  const live = await tryOne();
  asking();
  climb.onReady(live);
  await clock.pass(2000);
  expect(told).toEqual([live]);
});

test('lets go on what was held back when the better one ends meanwhile', async () => {
  const { climb, clock, told, tryOne, asking, answered } = setUp();
  climb.plan();
  const live = await tryOne();
  asking();
  climb.onReady(live);
  await clock.settle();
  climb.onEnd(live, ended('gone'));
  await answered();
  expect(told).toEqual(['resumed', ['websocket', ended('gone')]]);
});

test('tries again after a failure, one at a time', async () => {
  const { climb, told, tried, tryOne } = setUp();
  climb.plan();
  const live = await tryOne();
  climb.plan();
  await tryOne();
  expect(tried).toHaveLength(1);
  climb.onEnd(live, ended('gone'));
  expect(told).toEqual(['resumed', ['websocket', ended('gone')]]);
  await tryOne();
  expect(tried).toHaveLength(2);
});

test('[CODE-3] gives no token again that was refused', async () => {
  let count = 0;
  const { climb, tryOne } = setUp(() => `t${(count += 1)}`);
  climb.plan();
  const live = await tryOne();
  climb.onEnd(live, { kind: 'stale', error: new CodedError('unauthenticated', 'no') });
  expect((await tryOne()).token).toBe('t2');
});

test('what is given up is closed, and heard of no more', async () => {
  const { climb, told, tried, clock, tryOne } = setUp();
  climb.plan();
  const live = await tryOne();
  climb.abandon();
  climb.onReady(live);
  climb.onEnd(live, ended('gone'));
  expect(told).toEqual(['closed', 'resumed']);
  climb.plan();
  climb.abandon();
  await clock.pass(10_000);
  expect(tried).toHaveLength(1);
});

test('is planned anew when there is no token', async () => {
  let count = 0;
  const { climb, tried, clock } = setUp(() => {
    count += 1;
    if (count === 1) throw new Error('not now');
    return 't';
  });
  climb.plan();
  await clock.pass(3000);
  expect(tried).toHaveLength(1);
});

import { CodedError } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { Subscription } from '../../src/reading/subscription.ts';
import { setUpConnection } from '../support/connections.ts';

describe('a connection', () => {
  test('is connected when the server was reached', async () => {
    const { connection, begin, states, calls } = setUpConnection();
    const attempt = await begin();
    expect(connection.state).toBe('connecting');
    expect(connection.transport).toBeUndefined();
    attempt.sink.onReady({ session: 's' });
    expect(states).toEqual([
      { state: 'connecting' },
      { state: 'connected', transport: 'websocket' },
    ]);
    expect(connection.welcome).toEqual({ session: 's' });
    expect(calls).toEqual(['ready']);
  });

  test('comes back after a loss, with a wait that grows', async () => {
    const { begin, tried, clock, states } = setUpConnection();
    (await begin()).sink.onReady({});
    tried[0]?.lose();
    expect(states.at(-1)).toEqual({ state: 'connecting', reason: 'gone' });
    await clock.pass(49);
    expect(tried).toHaveLength(1);
    await clock.pass(1);
    expect(tried).toHaveLength(2);
    tried[1]?.lose();
    await clock.pass(99);
    expect(tried).toHaveLength(2);
    await clock.pass(1);
    expect(tried).toHaveLength(3);
  });

  test('waits shortly again after a good connection', async () => {
    const { begin, tried, clock, redial } = setUpConnection();
    (await begin()).lose();
    (await redial()).lose();
    const third = await redial();
    third.sink.onReady({});
    await clock.pass(5000);
    third.lose();
    await clock.pass(50);
    expect(tried).toHaveLength(4);
  });

  test('comes back when the server says', async () => {
    const { begin, tried, clock } = setUpConnection();
    const first = await begin();
    first.sink.onReady({});
    first.lose({ hint: { notBeforeMs: 7000 } });
    await clock.pass(6999);
    expect(tried).toHaveLength(1);
    await clock.pass(200);
    expect(tried).toHaveLength(2);
  });

  test('tries another transport when the first fails and was told nothing of coming back', async () => {
    const { begin, redial } = setUpConnection(['websocket', 'sse']);
    (await begin()).lose({ hint: {} });
    (await redial()).lose({ hint: {} });
    expect((await redial()).name).toBe('sse');
  });

  test('tries the same transport again that was told when to come back', async () => {
    const { begin, redial } = setUpConnection(['websocket', 'sse']);
    (await begin()).lose({ hint: { withinMs: 0 } });
    (await redial()).lose({ hint: { notBeforeMs: 10 } });
    expect((await redial()).name).toBe('websocket');
  });

  test('tries another transport when it is told so again and again, as by a proxy', async () => {
    const { begin, redial, ladder } = setUpConnection(['websocket', 'sse']);
    const hint = { notBeforeMs: 10 };
    (await begin()).lose({ hint });
    const reason = 'it ended before it was ready (gone): it was told when to come back';
    expect(ladder.explain().tried[0]).toMatchObject({ verdict: 'failed', reason });
    for (let count = 0; count < 3; count += 1) (await redial()).lose({ hint });
    expect((await redial()).name).toBe('sse');
  });

  test('reads over the next attempt from where it stands', async () => {
    const { begin, subscriptions, redial } = setUpConnection();
    const told: unknown[] = [];
    subscriptions.add(
      new Subscription('a', {}, { onEvent: (event) => told.push(event.kind), onEnd: () => {} }),
    );
    const first = await begin();
    first.sink.onReady({});
    expect(first.sink.keys()).toEqual(['a']);
    expect(first.sink.wish('a')).toEqual({ filter: 'a' });
    first.sink.onOpen({ kind: 'open', channel: 'a', position: 'e:4' }, 'a');
    first.sink.onMessage({ kind: 'message', channel: 'a', epoch: 'e', offset: 5 }, ['a']);
    first.lose();
    const second = await redial();
    second.sink.onReady({});
    expect(second.sink.wish('a')).toEqual({ filter: 'a', after: 'e:5' });
    expect(told).toEqual(['open', 'message']);
  });

  test('hears nothing of what it gave up', async () => {
    const { begin, connection, states } = setUpConnection();
    const attempt = await begin();
    attempt.sink.onReady({});
    connection.close();
    expect(attempt.isClosed).toBe(true);
    expect(states.at(-1)).toEqual({ state: 'disconnected' });
    connection.close();
    expect(states).toHaveLength(3);
  });

  test('is opened again after it was closed', async () => {
    const { begin, connection, at } = setUpConnection();
    await begin();
    connection.close();
    await begin();
    at(-1).sink.onReady({});
    expect(connection.state).toBe('connected');
  });

  test.each([
    ['it is opened', 1],
    ['the server was reached', 2],
    ['it was lost', 3],
  ])('may be closed by whoever hears that %s', async (_, after) => {
    let count = 0;
    const { clock, tried, connection, calls } = setUpConnection(
      ['websocket', 'sse'],
      undefined,
      () => {
        count += 1;
        if (count === after) connection.close();
      },
    );
    connection.open();
    await clock.settle();
    tried[0]?.sink.onReady({});
    if (count === 2) tried[0]?.lose();
    await clock.pass(600_000);
    expect(connection.state).toBe('disconnected');
    expect(tried).toHaveLength(after === 1 ? 0 : 1);
    expect(tried.every(({ isClosed }) => isClosed || after === 3)).toBe(true);
    expect(calls.filter((call) => call === 'ready')).toHaveLength(after === 3 ? 1 : 0);
    expect(clock.timerCount).toBe(0);
  });

  test('lets requests wait for it, and refuses them when it ends', async () => {
    const { begin, connection } = setUpConnection();
    await expect(connection.request({ kind: 'call', members: '' })).rejects.toThrow('closed');
    const attempt = await begin();
    const answer = connection.request({ kind: 'call', members: '' });
    attempt.sink.onReady({});
    expect(await answer).toEqual({ fields: { by: 'websocket' } });
    attempt.lose();
    const waiting = connection.request({ kind: 'call', members: '' });
    connection.close();
    await expect(waiting).rejects.toThrow('the line was closed');
  });

  test('lets no more than a thousand requests wait for it', async () => {
    const { begin, connection } = setUpConnection();
    await begin();
    const ask = { kind: 'call', members: '' } as const;
    const waiting = Array.from({ length: 1000 }, () => connection.request(ask));
    await expect(connection.request(ask)).rejects.toMatchObject({ code: 'rate_limited' });
    connection.close();
    const settled = await Promise.allSettled(waiting);
    expect(settled.every(({ status }) => status === 'rejected')).toBe(true);
  });
});

describe('a refusal', () => {
  test('ends it, and all that is read over it', async () => {
    const { begin, states, subscriptions, tried, clock } = setUpConnection();
    const ends: unknown[] = [];
    const listener = { onEvent: () => {}, onEnd: (error: unknown) => ends.push(error) };
    subscriptions.add(new Subscription('a', {}, listener));
    const error = new CodedError('forbidden', 'not from there');
    (await begin()).sink.onEnd({ kind: 'refused', error });
    expect(states.at(-1)).toEqual({ state: 'disconnected', reason: 'not from there', error });
    expect(ends).toEqual([error]);
    await clock.pass(600_000);
    expect(tried).toHaveLength(1);
  });

  test('that another transport may not meet is a failure of this one', async () => {
    const { begin, redial, states } = setUpConnection(['websocket', 'sse']);
    const odd = { kind: 'refused', error: new CodedError('bad_request', 'no upgrade') } as const;
    (await begin()).sink.onEnd(odd);
    expect(states.at(-1)).toEqual({
      ...{ state: 'connecting', reason: 'no upgrade', refusal: odd.error },
    });
    (await redial()).sink.onEnd(odd);
    expect((await redial()).name).toBe('sse');
  });

  test('by a close of every transport there is is final [CODE-2]', async () => {
    const { begin, redial, states } = setUpConnection(['websocket', 'sse']);
    const error = new CodedError('bad_request', 'closed with 4400');
    const closed = { kind: 'refused', error, isClose: true } as const;
    (await begin()).sink.onEnd(closed);
    for (let count = 0; count < 2; count += 1) (await redial()).sink.onEnd(closed);
    expect(states.at(-1)).toMatchObject({ state: 'disconnected', error });
  });

  test.each([
    ['without a token', undefined],
    ['of a token that does not change', 'old'],
  ])('%s is final, in the words of the server', async (_, token) => {
    const { begin, states, clock } = setUpConnection(['websocket'], token);
    const error = new CodedError('unauthenticated', 'a valid token is needed');
    (await begin()).sink.onEnd({ kind: 'stale', error });
    expect(states).toEqual([
      { state: 'connecting' },
      { state: 'disconnected', reason: error.message, error },
    ]);
    await clock.pass(1000);
    expect(states).toHaveLength(2);
  });

  test('of a token has a fresh one tried, once', async () => {
    let count = 0;
    const { begin, redial, states, clock, tried } = setUpConnection(
      ['websocket'],
      () => `t${(count += 1)}`,
    );
    const error = new CodedError('unauthenticated', 'expired');
    (await begin()).sink.onEnd({ kind: 'stale', error });
    const second = await redial();
    expect(second.target.token).toBe('t2');
    second.sink.onEnd({ kind: 'stale', error });
    expect(states.at(-1)).toMatchObject({ state: 'disconnected', error });
    await clock.pass(600_000);
    expect(tried).toHaveLength(2);
  });

  test('of a token that was good before has a fresh one tried again', async () => {
    let count = 0;
    const { begin, redial, connection } = setUpConnection(['websocket'], () => `t${(count += 1)}`);
    const error = new CodedError('unauthenticated', 'expired');
    let attempt = await begin();
    for (let round = 0; round < 3; round += 1) {
      attempt.sink.onReady({});
      attempt.sink.onEnd({ kind: 'stale', error });
      attempt = await redial();
    }
    expect(connection.state).toBe('connecting');
    expect(attempt.target.token).toBe('t4');
  });

  test('to give a token, for now, is a loss', async () => {
    let isAway = true;
    const { connection, clock, at } = setUpConnection(['websocket'], () => {
      if (isAway) throw new CodedError('rate_limited', 'too often');
      return 't';
    });
    connection.open();
    await clock.settle();
    expect(connection.state).toBe('connecting');
    isAway = false;
    await clock.pass(5000);
    expect(at(0).target.token).toBe('t');
  });
});

describe('a better transport', () => {
  /** Connected over the second one, because the first one failed. */
  async function steppedDown() {
    const all = setUpConnection(['websocket', 'sse']);
    (await all.begin()).lose();
    (await all.redial()).lose();
    const lower = await all.redial();
    expect(lower.name).toBe('sse');
    lower.sink.onReady({ session: 'low' });
    return { ...all, lower };
  }

  test('is tried beside the one in use, and takes all over', async () => {
    const { lower, redial, connection, clock, subscriptions, states, calls } = await steppedDown();
    const told: unknown[] = [];
    const listener = { onEvent: (event: unknown) => told.push(event), onEnd: () => {} };
    subscriptions.add(new Subscription('a', {}, listener));
    await Promise.resolve();
    lower.sink.wish('a');
    lower.sink.onOpen({ kind: 'open', channel: 'a', position: 'e:4' }, 'a');
    const higher = await redial(700_000);
    expect(higher.name).toBe('websocket');
    expect(higher.sink.keys()).toEqual([]);
    expect(higher.sink.wish('a')).toBeUndefined();
    expect(lower.isClosed).toBe(false);
    lower.sink.onMessage({ kind: 'message', channel: 'a', epoch: 'e', offset: 5 }, ['a']);
    higher.sink.onReady({ session: 'high' });
    await clock.settle();
    expect(lower.isClosed).toBe(true);
    expect(higher.revised).toEqual(['a']);
    expect(higher.sink.wish('a')).toEqual({ filter: 'a', after: 'e:5' });
    expect(connection.transport).toBe('websocket');
    expect(connection.welcome.session).toBe('high');
    expect(calls).toEqual(['ready', 'lost', 'ready']);
    expect(states.at(-1)).toEqual({ state: 'connected', transport: 'websocket' });
  });

  test('takes over when what was asked is answered, and is asked what came meanwhile', async () => {
    const { lower, redial, connection, clock } = await steppedDown();
    const { promise, resolve } = Promise.withResolvers<void>();
    lower.answer = promise;
    const before = connection.request({ kind: 'call', members: '' });
    const higher = await redial(700_000);
    higher.sink.onReady({ session: 'high' });
    await clock.settle();
    const after = connection.request({ kind: 'call', members: '' });
    expect(lower.isClosed).toBe(false);
    resolve();
    expect(await before).toEqual({ fields: { by: 'sse' } });
    expect(await after).toEqual({ fields: { by: 'websocket' } });
    expect(lower.isClosed).toBe(true);
  });

  test('that ends while it waits leaves all where it was', async () => {
    const { lower, redial, connection, clock } = await steppedDown();
    lower.answer = new Promise<void>(() => {});
    const before = connection.request({ kind: 'call', members: '' });
    const higher = await redial(700_000);
    higher.sink.onReady({ session: 'high' });
    await clock.settle();
    lower.answer = undefined;
    const after = connection.request({ kind: 'call', members: '' });
    higher.lose();
    expect(await after).toEqual({ fields: { by: 'sse' } });
    connection.close();
    await expect(Promise.race([before, Promise.resolve('open')])).resolves.toBe('open');
  });

  test('that fails again disturbs nothing', async () => {
    const { lower, redial, connection } = await steppedDown();
    (await redial(700_000)).lose();
    expect(connection.transport).toBe('sse');
    expect(lower.isClosed).toBe(false);
    expect((await redial(2_000_000)).name).toBe('websocket');
  });

  test('is given up with the connection', async () => {
    const { redial, connection } = await steppedDown();
    const higher = await redial(700_000);
    connection.close();
    expect(higher.isClosed).toBe(true);
  });

  test('is tried once, whatever the network tells meanwhile', async () => {
    const { redial, connection, clock, tried } = await steppedDown();
    await redial(700_000);
    const count = tried.length;
    connection.onOnline();
    connection.onOnline();
    await clock.pass(60_000);
    expect(tried).toHaveLength(count);
  });
});

describe('the network', () => {
  test('that is there again ends the wait', async () => {
    const { begin, clock, tried, connection } = setUpConnection();
    (await begin()).lose({ hint: { notBeforeMs: 200_000 } });
    connection.onOnline();
    await clock.pass(1);
    expect(tried).toHaveLength(2);
  });

  test('that went away is not asked for a while', async () => {
    const { begin, clock, tried, connection } = setUpConnection();
    const attempt = await begin();
    attempt.sink.onReady({});
    connection.onOffline();
    expect(attempt.probes).toBe(1);
    attempt.lose();
    await clock.pass(29_999);
    expect(tried).toHaveLength(1);
    await clock.pass(1);
    expect(tried).toHaveLength(2);
  });

  test('after a sleep what is open is asked for a sign of life', async () => {
    const { begin, connection } = setUpConnection();
    const attempt = await begin();
    attempt.sink.onReady({});
    connection.onWake();
    expect(attempt.probes).toBe(1);
  });
});

test('a newer token is handed to what is open', async () => {
  const { begin, connection } = setUpConnection();
  const attempt = await begin();
  attempt.sink.onReady({});
  connection.renew('newer');
  expect(attempt.renewed).toEqual(['newer']);
});

test('1,000 losses leave no timer behind', async () => {
  const { begin, redial, connection, clock } = setUpConnection(['websocket', 'sse']);
  let attempt = await begin();
  for (let round = 0; round < 1000; round += 1) {
    if (round % 3 === 0) attempt.sink.onReady({});
    attempt.lose();
    attempt = await redial();
  }
  connection.close();
  expect(clock.timerCount).toBe(0);
});

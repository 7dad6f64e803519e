import { ManualClock } from '@trunkline/testkit';
import { CodedError } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { Tokens } from '../../src/connection/tokens.ts';
import { errorOf, issued, issuing, Source, tokensOf } from '../support/tokens.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

describe('current', () => {
  test('is nothing without a source', async () => {
    const { tokens, clock } = tokensOf(undefined);
    expect(await tokens.current()).toBeUndefined();
    expect(clock.timerCount).toBe(0);
  });

  test('is a static token', async () => {
    const { tokens, clock } = tokensOf('abc');
    expect(await tokens.current()).toBe('abc');
    expect(await tokens.current()).toBe('abc');
    expect(clock.timerCount).toBe(0);
  });

  test('asks the source once, for all who want it, and keeps what it gave', async () => {
    const source = new Source();
    const { tokens, clock } = tokensOf(source.ask);
    const all = Promise.all([tokens.current(), tokens.current(), tokens.current()]);
    expect(source.count).toBe(1);
    source.answer('abc');
    expect(await all).toEqual(['abc', 'abc', 'abc']);
    await clock.pass(1000 * HOUR);
    expect(await tokens.current()).toBe('abc');
    expect(source.count).toBe(1);
  });

  test('takes a source that answers at once', async () => {
    const { tokens } = tokensOf(() => 'abc');
    expect(await tokens.current()).toBe('abc');
  });

  test('asks again once the life of the token is over', async () => {
    const source = new Source();
    const { tokens, clock } = tokensOf(source.ask);
    const first = tokens.current();
    source.answer(issued(clock, 4 * SECOND));
    await first;
    clock.advance(4 * SECOND - 1);
    expect(await tokens.current()).toBe(await first);
    clock.advance(1);
    const second = tokens.current();
    const token = issued(clock, HOUR);
    source.answer(token);
    expect(await second).toBe(token);
  });

  test.each([
    { thrown: new Error('no route'), message: 'no token: no route' },
    { thrown: 'down', message: 'no token: down' },
    {
      thrown: new TypeError('fetch failed', { cause: new Error('ECONNREFUSED') }),
      message: 'no token: ECONNREFUSED',
    },
  ])('is rejected as unavailable when the source fails: $message', async ({ thrown, message }) => {
    const source = new Source();
    const { tokens, clock } = tokensOf(source.ask);
    const wanted = tokens.current();
    source.fail(thrown);
    const error = await errorOf(wanted);
    expect(error).toMatchObject({ code: 'unavailable', message });
    expect(error.cause).toBe(thrown);
    expect(clock.timerCount).toBe(0);
    // Temporary: the next call asks again.
    const again = tokens.current();
    source.answer('abc');
    expect(await again).toBe('abc');
  });

  test('is rejected as unavailable when the source throws at once', async () => {
    const { tokens } = tokensOf(() => {
      throw new Error('no route');
    });
    expect(await errorOf(tokens.current())).toMatchObject({ code: 'unavailable' });
  });

  test('hands on the error that the source chose', async () => {
    const chosen = new CodedError('forbidden', 'signed out');
    const { tokens } = tokensOf(() => Promise.reject(chosen));
    expect(await errorOf(tokens.current())).toBe(chosen);
  });

  test('gives up a source that never answers, and hears a late answer no more', async () => {
    const source = new Source();
    const { tokens, clock } = tokensOf(source.ask);
    const wanted = errorOf(tokens.current());
    await clock.pass(30 * SECOND - 1);
    expect(clock.timerCount).toBe(1);
    await clock.pass(1);
    expect(await wanted).toMatchObject({ code: 'unavailable' });
    const again = tokens.current();
    expect(source.count).toBe(2);
    source.answer('late');
    source.answer('abc');
    expect(await again).toBe('abc');
    expect(await tokens.current()).toBe('abc');
    expect(clock.timerCount).toBe(0);
  });

  test.each([undefined, null, 7, { token: 'abc' }])(
    'refuses what is no text: %j',
    async (value) => {
      const source = new Source();
      const { tokens } = tokensOf(source.ask);
      const wanted = errorOf(tokens.current());
      source.answer(value);
      const { code, message } = await wanted;
      expect({ code, message }).toEqual({
        code: 'bad_request',
        message: `a token must be a text, got ${typeof value}`,
      });
    },
  );
});

describe('[CODE-3] a token that the server refused', () => {
  test('is followed by a fresh one', async () => {
    const given = ['a', 'b'];
    const { tokens } = tokensOf(() => given.shift() ?? 'none');
    expect(tokens.refused((await tokens.current()) ?? '')).toBe(true);
    expect(await tokens.current()).toBe('b');
  });

  test('is not given again, by a static token or by a source that has no other', async () => {
    for (const source of ['expired', () => 'expired']) {
      const { tokens } = tokensOf(source);
      expect(await tokens.current()).toBe('expired');
      tokens.refused('expired');
      for (let count = 0; count < 3; count += 1) {
        expect(await errorOf(tokens.current())).toMatchObject({
          code: 'unauthenticated',
          message: 'the server asks for another token, and there is none',
        });
      }
    }
  });

  test('ends it where there is no source', async () => {
    const { tokens } = tokensOf(undefined);
    expect(tokens.refused(await tokens.current())).toBe(false);
    expect(await errorOf(tokens.current())).toMatchObject({ code: 'unauthenticated' });
  });

  test('does not touch the one that came after it', async () => {
    const given = ['a', 'b', 'c'];
    const { tokens } = tokensOf(() => given.shift() ?? 'none');
    await tokens.current();
    tokens.refused('a');
    expect(await tokens.current()).toBe('b');
    tokens.refused('a');
    expect(await tokens.current()).toBe('b');
  });

  test('is not renewed', async () => {
    const { tokens, clock, source } = issuing(HOUR);
    tokens.refused(await tokens.current());
    expect(clock.timerCount).toBe(0);
    await clock.pass(HOUR);
    expect(source.count).toBe(1);
  });
});

describe('stop', () => {
  test('leaves no timer behind, and nobody waiting, whatever is under way', async () => {
    const source = new Source();
    const { tokens, clock, renewed } = tokensOf(source.ask);
    const first = errorOf(tokens.current());
    expect(clock.timerCount).toBe(1);
    tokens.stop();
    tokens.stop();
    expect(clock.timerCount).toBe(0);
    expect(await first).toMatchObject({ code: 'unavailable' });
    source.answer(issued(clock, HOUR));
    await clock.settle();
    expect(clock.timerCount).toBe(0);
    expect(renewed).toEqual([]);
  });

  test('forgets a token that comes too late', async () => {
    const source = new Source();
    const { tokens, clock } = tokensOf(source.ask);
    const first = tokens.current();
    source.answer('late');
    tokens.stop();
    await first.catch(() => {});
    expect(clock.timerCount).toBe(0);
    const second = tokens.current();
    source.answer('abc');
    expect(await second).toBe('abc');
  });

  test('does not leave the next one to wait for a source that hangs', async () => {
    const source = new Source();
    const { tokens, clock } = tokensOf(source.ask);
    void tokens.current().catch(() => {});
    tokens.stop();
    await clock.settle();
    const second = tokens.current();
    expect(source.count).toBe(2);
    source.asked.shift();
    source.answer('abc');
    expect(await second).toBe('abc');
  });

  test('keeps a renewal under way to itself', async () => {
    const source = new Source();
    const { tokens, clock, renewed } = tokensOf(source.ask);
    const first = tokens.current();
    source.answer(issued(clock, HOUR));
    await first;
    await clock.pass(54 * MINUTE);
    tokens.stop();
    source.answer(issued(clock, HOUR, 2));
    await clock.settle();
    expect(renewed).toEqual([]);
    expect(clock.timerCount).toBe(0);
  });

  test('holds wherever an answer is on its way', async () => {
    for (let turns = 0; turns < 20; turns += 1) {
      const source = new Source();
      const { tokens, clock, renewed } = tokensOf(source.ask);
      const first = tokens.current();
      source.answer(issued(clock, HOUR));
      await first;
      clock.advance(54 * MINUTE);
      source.answer(issued(clock, HOUR, 2));
      for (let turn = 0; turn < turns && renewed.length === 0; turn += 1) await Promise.resolve();
      const told = renewed.length;
      tokens.stop();
      await clock.settle();
      expect(renewed).toHaveLength(told);
      expect(clock.timerCount).toBe(0);
    }
  });

  test('ends with the next one that is wanted', async () => {
    const { tokens, clock, source, renewed } = issuing(HOUR);
    const first = await tokens.current();
    tokens.stop();
    expect(await tokens.current()).not.toBe(first);
    expect(source.count).toBe(2);
    await clock.pass(54 * MINUTE);
    expect(renewed).toHaveLength(1);
  });
});

test('[CODE-3] without a renewal a token is good until it is refused', async () => {
  const clock = new ManualClock();
  let count = 0;
  const tokens = new Tokens(
    () => issued(clock, 1000, (count += 1)),
    clock,
    () => expect.unreachable('nothing is renewed'),
  );
  const first = await tokens.current();
  await clock.pass(60_000);
  expect(await tokens.current()).toBe(first);
  expect(tokens.refused(first)).toBe(true);
  expect(await tokens.current()).not.toBe(first);
});

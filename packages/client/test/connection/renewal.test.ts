import { ManualClock } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';
import { issued, issuing, jwt, Source, tokensOf } from '../support/tokens.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

describe('[AUTH-5] a token is renewed before its end', () => {
  test.each([
    { life: '1 h', lifeMs: HOUR, afterMs: 54 * MINUTE },
    { life: '1 min', lifeMs: MINUTE, afterMs: 30 * SECOND },
    { life: '40 s', lifeMs: 40 * SECOND, afterMs: 10 * SECOND },
    { life: '20 s', lifeMs: 20 * SECOND, afterMs: 5 * SECOND },
    { life: '90 days', lifeMs: 90 * 24 * HOUR, afterMs: 81 * 24 * HOUR },
  ])('that lives $life', async ({ lifeMs, afterMs }) => {
    const { tokens, clock, source, renewed } = issuing(lifeMs);
    await tokens.current();
    for (let count = 1; count <= 3; count += 1) {
      await clock.pass(afterMs - 1);
      expect(source.count).toBe(count);
      await clock.pass(1);
      expect(source.count).toBe(count + 1);
      expect(renewed).toHaveLength(count);
      expect(await tokens.current()).toBe(renewed.at(-1));
      expect(clock.timerCount).toBe(1);
    }
    tokens.stop();
    expect(clock.timerCount).toBe(0);
  });

  test('at a moment that chance moves ahead', async () => {
    const { tokens, clock } = tokensOf(() => issued(clock, HOUR), 0);
    await tokens.current();
    expect(clock.nextTimerMs).toBe(0.9 * 54 * MINUTE);
  });

  test('unless it lives too short for that, or was over when it came', async () => {
    for (const lifeMs of [5 * SECOND, 1, 0, -HOUR]) {
      const { tokens, clock } = issuing(lifeMs);
      await tokens.current();
      expect(clock.timerCount).toBe(0);
    }
  });

  test.each([
    ['text', 'abc'],
    ['parts that are no base64', 'a.%%.c'],
    ['parts that are no JSON', `a.${btoa('abc')}.c`],
    ['a list', `a.${btoa('[1]')}.c`],
    ['no end', jwt({ sub: 'ann' })],
    ['an end that is no number', jwt({ exp: '1' })],
    ['an endless end', `a.${btoa('{"exp":1e999}')}.c`],
  ])('unless it does not tell: %s', async (_what, token) => {
    const { tokens, clock } = tokensOf(() => token);
    expect(await tokens.current()).toBe(token);
    expect(clock.timerCount).toBe(0);
    clock.advance(1000 * HOUR);
    expect(await tokens.current()).toBe(token);
  });

  test('unless it is a static one', async () => {
    const { clock } = tokensOf(undefined);
    const token = issued(clock, HOUR);
    const fixed = tokensOf(token);
    await fixed.tokens.current();
    expect(fixed.clock.timerCount).toBe(0);
  });

  test.each(['Zoë ☕', '~~~???>>>', ' ~~~???>>>', '  ~~~???>>>'])('told by %j', async (sub) => {
    const claims = JSON.stringify({ sub, exp: 1_790_003_600.123 });
    const payload = Buffer.from(claims).toString('base64url');
    const { tokens, clock } = tokensOf(() => `e30.${payload}.c2ln`);
    await tokens.current();
    expect(clock.nextTimerMs).toBe(54 * MINUTE);
  });

  test('again and again until its end when the source fails', async () => {
    const source = new Source();
    const { tokens, clock, renewed } = tokensOf(source.ask);
    const first = tokens.current();
    source.answer(issued(clock, HOUR));
    await first;
    const startMs = clock.monotonicMs();
    const moments: number[] = [];
    for (let count = 0; clock.timerCount > 0; count += 1) {
      if (count === 100) throw new Error('it never gives up');
      await clock.pass(clock.nextTimerMs ?? 0);
      if (source.asked.length === 0) continue;
      moments.push((clock.monotonicMs() - startMs) / SECOND);
      source.fail(new Error('down'));
      await clock.settle();
    }
    // At 90 % of its life, 10, 20, 40, 80 and 160 s later, 30 s before the end, and every 5 s.
    expect(moments).toEqual([
      3240, 3250, 3270, 3310, 3390, 3550, 3570, 3575, 3580, 3585, 3590, 3595,
    ]);
    expect(renewed).toEqual([]);
  });

  test('and a renewal that failed once may work later', async () => {
    const source = new Source();
    const { tokens, clock, renewed } = tokensOf(source.ask);
    const first = tokens.current();
    source.answer(issued(clock, HOUR));
    await first;
    await clock.pass(54 * MINUTE);
    source.answer(await first);
    await clock.pass(10 * SECOND);
    expect(source.count).toBe(3);
    const next = issued(clock, HOUR, 2);
    source.answer(next);
    await clock.settle();
    expect(renewed).toEqual([next]);
    expect(clock.nextTimerMs).toBe(54 * MINUTE);
  });

  test('once, when an attempt asks at the same time', async () => {
    const source = new Source();
    const { tokens, clock, renewed } = tokensOf(source.ask);
    const first = tokens.current();
    source.answer(issued(clock, 20 * SECOND));
    await first;
    await clock.pass(5 * SECOND);
    expect(source.count).toBe(2);
    await clock.pass(15 * SECOND);
    const second = tokens.current();
    expect(source.count).toBe(2);
    source.answer('abc');
    expect(await second).toBe('abc');
    expect(renewed).toEqual(['abc']);
  });
});

describe('the time of the machine', () => {
  test('may be wrong by hours, where the token says when it was issued', async () => {
    for (const wrongMs of [-5 * HOUR, 5 * HOUR]) {
      const { tokens, clock, source } = issuing(HOUR);
      const token = issued(clock, HOUR);
      const other = tokensOf(() => token);
      other.clock.stepUnix(wrongMs);
      await other.tokens.current();
      expect(other.clock.nextTimerMs).toBe(54 * MINUTE);
      expect(source.count).toBe(0);
      tokens.stop();
    }
  });

  test('may jump later', async () => {
    const { tokens, clock, source } = issuing(HOUR);
    await tokens.current();
    clock.stepUnix(10 * HOUR);
    await clock.pass(54 * MINUTE - 1);
    expect(source.count).toBe(1);
    await tokens.current();
    expect(source.count).toBe(1);
  });

  test('tells that the first token is old already', async () => {
    const { clock } = tokensOf(undefined);
    const stored = issued(clock, HOUR);
    const { tokens, clock: later, renewed } = tokensOf(() => stored);
    later.stepUnix(50 * MINUTE);
    await tokens.current();
    expect(later.nextTimerMs).toBe(9 * MINUTE);
    expect(renewed).toEqual([]);
  });

  test('does not make it ask all the time when it is ahead', async () => {
    const real = new ManualClock();
    let count = 0;
    const { tokens, clock } = tokensOf(() => issued(real, HOUR, (count += 1)));
    clock.stepUnix(HOUR - 10 * SECOND);
    await tokens.current();
    for (let step = 0; step < 10 * 60; step += 1) {
      real.advance(MINUTE);
      await clock.pass(MINUTE);
    }
    // One that seemed old, and then one for each 54 minutes.
    expect(count).toBeLessThanOrEqual(13);
    tokens.stop();
  });
});

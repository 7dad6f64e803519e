import { ManualClock } from '@trunkline/testkit';
import { CodedError } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { Tokens } from '../../src/connection/tokens.ts';
import type { TokenSource } from '../../src/http.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** A source whose answers the test gives. */
class Source {
  readonly asked: {
    resolve: (token: unknown) => void;
    reject: (error: unknown) => void;
  }[] = [];
  count = 0;

  readonly ask = (): Promise<string> => {
    this.count += 1;
    return new Promise((resolve, reject) => {
      this.asked.push({ resolve: resolve as (token: unknown) => void, reject });
    });
  };

  answer(token: unknown): void {
    this.asked.shift()?.resolve(token);
  }

  fail(error: unknown): void {
    this.asked.shift()?.reject(error);
  }
}

function tokensOf(source: TokenSource | undefined, random = 1) {
  const clock = new ManualClock();
  const renewed: string[] = [];
  const tokens = new Tokens(
    source,
    { clock, random: () => random, unixMs: () => clock.unixMs() },
    (token) => renewed.push(token),
  );
  return { tokens, clock, renewed };
}

/** A token that says these things of itself. */
function jwt(claims: object): string {
  const payload = btoa(JSON.stringify(claims)).replaceAll('+', '-').replaceAll('/', '_');
  return `e30.${payload.replaceAll('=', '')}.c2ln`;
}

/** One issued now for so long; `id` tells it from others. */
function issued(clock: ManualClock, lifeMs: number, id = 0): string {
  const iat = clock.unixMs() / 1000;
  return jwt({ sub: 'ann', iat, exp: iat + lifeMs / 1000, jti: id });
}

/** A source that issues a token with such a life each time. */
function issuing(lifeMs: number) {
  const source: { count: number; ask: () => string; clock: ManualClock | undefined } = {
    ...{ count: 0, clock: undefined },
    ask: () => {
      source.count += 1;
      return source.clock === undefined ? '' : issued(source.clock, lifeMs, source.count);
    },
  };
  const given = tokensOf(source.ask);
  source.clock = given.clock;
  return { source, ...given };
}

async function errorOf(promise: Promise<unknown>): Promise<CodedError> {
  const error: unknown = await promise.then(
    () => expect.unreachable('it should have been rejected'),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(CodedError);
  return error as CodedError;
}

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
    tokens.refused((await tokens.current()) ?? '');
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
    tokens.refused(await tokens.current());
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

  test('reads a name that is not ASCII', async () => {
    const bytes = new TextEncoder().encode(
      JSON.stringify({ sub: 'Zoë ☕', exp: 1_790_003_600.123 }),
    );
    const payload = btoa(String.fromCharCode(...bytes)).replaceAll('=', '');
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

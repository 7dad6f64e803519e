/** Tokens of a source that the test plays, and the JWTs that it gives. */
import { ManualClock } from '@trunkline/testkit';
import { CodedError } from '@trunkline/wire';
import { expect } from 'vitest';
import { Renewal } from '../../src/connection/renewal.ts';
import { Tokens } from '../../src/connection/tokens.ts';
import type { TokenSource } from '../../src/http.ts';

/** A source whose answers the test gives. */
export class Source {
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

/** Tokens on a clock of their own, and what they renewed; random numbers are as high as can be. */
export function tokensOf(source: TokenSource | undefined, random = 1) {
  const clock = new ManualClock();
  const renewed: string[] = [];
  const tokens = new Tokens(
    source,
    clock,
    (token) => renewed.push(token),
    (renew) => new Renewal({ clock, random: () => random, unixMs: () => clock.unixMs() }, renew),
  );
  return { tokens, clock, renewed };
}

/** A token that says these things of itself. */
export function jwt(claims: object): string {
  const payload = btoa(JSON.stringify(claims)).replaceAll('+', '-').replaceAll('/', '_');
  return `e30.${payload.replaceAll('=', '')}.c2ln`;
}

/** One issued now for so long; `id` tells it from others. */
export function issued(clock: ManualClock, lifeMs: number, id = 0): string {
  const iat = clock.unixMs() / 1000;
  return jwt({ sub: 'ann', iat, exp: iat + lifeMs / 1000, jti: id });
}

/** A source that issues a token with such a life each time. */
export function issuing(lifeMs: number) {
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

/** What a promise is rejected with. */
export async function errorOf(promise: Promise<unknown>): Promise<CodedError> {
  const error: unknown = await promise.then(
    () => expect.unreachable('it should have been rejected'),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(CodedError);
  return error as CodedError;
}

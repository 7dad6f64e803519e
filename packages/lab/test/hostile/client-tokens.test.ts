/** The client whose tokens end, fail to come, or are refused. */
import { longPoll, shortPoll, sse, websocket } from '@trunkline/client';
import type { ConnectOptions } from '@trunkline/client';
import { describe, expect, test } from 'vitest';
import type { SkipClock } from '../../src/skip-clock.ts';
import { API_KEY, JWT_SECRET, tokenOf } from '../../src/tokens.ts';
import { TroubledLine } from './troubled-line.ts';

const CONFIG = { auth: { jwtSecret: JWT_SECRET, apiKeys: [API_KEY] } };

/** A token that lives for so many seconds. */
function fresh(clock: SkipClock, seconds: number): string {
  const iat = clock.unixMs() / 1000;
  return tokenOf('alice', { iat, exp: iat + seconds });
}

async function open(options: (clock: SkipClock) => ConnectOptions): Promise<TroubledLine> {
  const troubled = await TroubledLine.open(options, () => {}, true, CONFIG);
  troubled.realMs = 3;
  return troubled;
}

describe.each([websocket, sse, longPoll, shortPoll])('over $name', (transport) => {
  const transports = [transport];

  test('[AUTH-5] tokens of a minute are renewed in time, without a break', async () => {
    let asked = 0;
    await using troubled = await open((clock) => ({
      transports,
      token: () => {
        asked += 1;
        return fresh(clock, 60);
      },
    }));
    for (let round = 0; round < 10; round += 1) {
      await troubled.publish(1);
      await troubled.pass(60_000);
    }
    expect(asked).toBeGreaterThan(9);
    expect(asked).toBeLessThan(30);
    expect(troubled.states).toMatchObject([{ state: 'connected' }]);
    await troubled.expectAll();
  });

  test('a source that fails for minutes is asked now and then, and its word is told', async () => {
    let isIll = false;
    let asked = 0;
    await using troubled = await open((clock) => ({
      transports,
      token: async () => {
        asked += 1;
        if (isIll) throw new Error('the shop is closed');
        return fresh(clock, 60);
      },
    }));
    const { line } = troubled;
    await troubled.until('a connection', () => line.state === 'connected');
    isIll = true;
    asked = 0;
    await troubled.pass(180_000);
    expect(line.state).toBe('connecting');
    expect(troubled.reason).toBe('no token: the shop is closed');
    expect(asked).toBeLessThan(80);
    isIll = false;
    await troubled.expectAll();
  });

  test('a source that never answers is not waited for, and told', async () => {
    let isIll = true;
    let asked = 0;
    await using troubled = await open((clock) => ({
      transports,
      token: () => {
        asked += 1;
        return isIll ? new Promise<string>(() => {}) : Promise.resolve(fresh(clock, 60));
      },
    }));
    const published = troubled.line.publish('other', 1);
    await troubled.pass(120_000);
    expect(troubled.reason).toBe('no token: no answer in time');
    expect(asked).toBeLessThan(6);
    isIll = false;
    await troubled.expectAll();
    expect(await published).toMatchObject({ offset: 1 });
  });

  test('a source that has only the ended one has the last word', async () => {
    let only: string | undefined;
    let asked = 0;
    await using troubled = await open((clock) => ({
      transports,
      token: () => {
        asked += 1;
        only ??= fresh(clock, 30);
        return only;
      },
    }));
    const { line } = troubled;
    await troubled.until('a connection', () => line.state === 'connected');
    const loop = line.channel('room/1')[Symbol.asyncIterator]().next();
    await troubled.pass(120_000);
    expect(line.state).toBe('disconnected');
    const message = 'the server asks for another token, and there is none';
    expect(troubled.states.at(-1)?.error).toMatchObject({ code: 'unauthenticated', message });
    expect(asked).toBeLessThan(12);
    await expect(loop).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(line.publish('x', 1)).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(line.call('x')).rejects.toMatchObject({ code: 'unauthenticated' });
    expect(troubled.ends).toHaveLength(1);
    troubled.asked();
    await troubled.pass(60_000);
    expect(troubled.asked()).toEqual([]);
  });

  test('a token that does not change is refused once', async () => {
    await using troubled = await open((clock) => ({ transports, token: fresh(clock, -5) }));
    await troubled.pass(30_000);
    expect(troubled.line.state).toBe('disconnected');
    expect(troubled.states.at(-1)?.error?.code).toBe('unauthenticated');
    expect(troubled.asked().length).toBeLessThan(3);
  });

  test('tokens that are always refused are asked for twice', async () => {
    let asked = 0;
    const secret = 'of another server, which is as long as it has to be';
    await using troubled = await open(() => ({
      transports,
      token: () => tokenOf('alice', { jti: String((asked += 1)), secret }).slice(0, -4),
    }));
    await troubled.pass(30_000);
    expect(troubled.line.state).toBe('disconnected');
    expect(asked).toBe(2);
  });
});

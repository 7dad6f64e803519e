/** The client on machines whose time jumps, stands still, or comes in pieces of a minute. */
import { longPoll, shortPoll, sse, websocket } from '@trunkline/client';
import type { Clock } from '@trunkline/client';
import { describe, expect, test } from 'vitest';
import { TroubledLine } from './troubled-line.ts';

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

/** Timers of a page in the background: they run once a minute. */
function throttled(clock: Clock): Clock {
  return {
    monotonicMs: () => clock.monotonicMs(),
    after(delayMs, task) {
      const nowMs = clock.monotonicMs();
      const dueMs = Math.ceil((nowMs + delayMs) / MINUTE_MS) * MINUTE_MS;
      return clock.after(dueMs - nowMs, task);
    },
  };
}

describe.each([websocket, sse, longPoll, shortPoll])('over $name', (transport) => {
  const transports = [transport];

  test.each([DAY_MS, -DAY_MS])('Unix time that jumps by %i ms changes nothing', async (jumpMs) => {
    let shiftMs = 0;
    await using troubled = await TroubledLine.open((clock) => ({
      transports,
      unixMs: () => clock.unixMs() + shiftMs,
    }));
    const { line, proxy } = troubled;
    await troubled.publish(2);
    await troubled.until('the messages', () => troubled.offsets.length === 2);
    shiftMs = jumpMs;
    await troubled.publish(2);
    await troubled.pass(60_000);
    expect(troubled.states.map(({ state }) => state)).toEqual(['connected']);
    await line.publish('other', 1);
    // And while it is away.
    proxy.mood = ({ socket }) => void socket.resetAndDestroy();
    proxy.cut();
    await troubled.pass(10_000);
    shiftMs = 0;
    await troubled.pass(30_000);
    troubled.asked();
    await troubled.pass(60_000);
    expect(troubled.asked().length).toBeLessThan(45);
    proxy.mood = ({ pass }) => pass();
    await troubled.expectAll();
  });

  test('a machine that slept looks whether its connection lives', async () => {
    let sleptMs = 0;
    await using troubled = await TroubledLine.open((clock) => ({
      transports,
      unixMs: () => clock.unixMs() + sleptMs,
    }));
    const { proxy, line } = troubled;
    await troubled.publish(2);
    await troubled.until('the messages', () => troubled.offsets.length === 2);
    await troubled.pass(5000);
    proxy.mute();
    sleptMs = 600_000;
    await troubled.publish(3);
    // A tick, and the answer that does not come.
    await troubled.pass(30_000);
    expect([line.state, troubled.offsets.length]).toEqual(['connected', 5]);
    await troubled.expectAll();
  });

  test('timers that run once a minute do not cost the connection', async () => {
    await using troubled = await TroubledLine.open((clock) => ({
      transports,
      clock: throttled(clock),
    }));
    const { line, proxy } = troubled;
    for (let round = 0; round < 10; round += 1) {
      await troubled.publish(2);
      await troubled.pass(MINUTE_MS);
    }
    expect(line.state).toBe('connected');
    expect(troubled.states.map(({ state }) => state)).toEqual(['connected']);
    proxy.cut();
    await troubled.publish(2);
    await troubled.pass(2 * MINUTE_MS);
    await troubled.expectAll();
  });
});

import { ManualClock } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';
import { Conflation } from '../../src/publishing/conflation.ts';
import { toMembers } from '../../src/publishing/outgoing.ts';
import type { Welcome } from '../../src/transports/transport.ts';
import { FakeAttempt } from './fake-attempt.ts';

class World {
  readonly clock = new ManualClock();
  readonly conflation = new Conflation(this.clock);
  attempt = new FakeAttempt();

  ready(welcome: Welcome = {}): void {
    this.attempt = new FakeAttempt();
    this.conflation.onReady(this.attempt, welcome);
  }

  send(data: unknown, slot?: string, channel = 'a'): void {
    this.conflation.send(
      channel,
      toMembers(channel, data, slot === undefined ? {} : { slot }),
      slot,
    );
  }

  /** What was sent since it was last asked. */
  taken(): unknown[] {
    return this.attempt.sent.splice(0).map(({ data }) => data);
  }

  /** What is sent within so many milliseconds. */
  pass(ms: number): unknown[] {
    this.clock.advance(ms);
    return this.taken();
  }
}

describe('sending without an answer', () => {
  test('sends the first of a slot at once, and the newest at the end of the interval', () => {
    const world = new World();
    world.ready();
    world.send(1);
    expect(world.taken()).toEqual([1]);
    world.send(2);
    expect(world.pass(49)).toEqual([]);
    world.send(3);
    expect(world.pass(1)).toEqual([3]);
    world.send(4);
    expect(world.pass(49)).toEqual([]);
    expect(world.pass(1)).toEqual([4]);
    expect(world.pass(50)).toEqual([]);
    expect(world.clock.timerCount).toBe(0);
    world.send(5);
    expect(world.taken()).toEqual([5]);
  });

  test('sends at most one of a slot in an interval, and the last one always', () => {
    const world = new World();
    world.ready();
    for (let ms = 0; ms < 1000; ms += 1) {
      world.send(ms);
      world.clock.advance(1);
    }
    world.clock.advance(50);
    const sent = world.taken();
    expect(sent.length).toBeLessThanOrEqual(21);
    expect(sent.at(-1)).toBe(999);
  });

  test('tells slots and channels apart', () => {
    const world = new World();
    world.ready();
    world.send(1, 'x');
    world.send(2, 'y');
    world.send(3, 'x', 'b');
    world.send(4);
    world.send(5, 'x');
    expect(world.taken()).toEqual([1, 2, 3, 4]);
    expect(world.pass(50)).toEqual([5]);
  });

  test('keeps the newest of each slot for the next connection', () => {
    const world = new World();
    world.send(1, 'x');
    world.send(2, 'y');
    world.send(3, 'x');
    world.clock.advance(4999);
    world.ready();
    expect(world.taken()).toEqual([3, 2]);
    world.send(4, 'x');
    world.conflation.onLost();
    world.clock.advance(1000);
    expect(world.taken()).toEqual([]);
    world.ready();
    expect(world.taken()).toEqual([4]);
    world.clock.advance(50);
    expect(world.clock.timerCount).toBe(0);
  });

  test('drops what waited for a connection for five seconds', () => {
    const world = new World();
    world.send(1, 'x');
    world.clock.advance(4000);
    world.send(2, 'y');
    world.clock.advance(1000);
    world.ready();
    expect(world.taken()).toEqual([2]);
    world.conflation.onLost();
    world.send(3);
    world.clock.advance(5000);
    expect(world.clock.timerCount).toBe(0);
    world.ready();
    expect(world.taken()).toEqual([]);
  });

  test('keeps 256 slots, and drops the oldest', () => {
    const world = new World();
    for (let slot = 0; slot < 300; slot += 1) world.send(slot, String(slot));
    world.ready();
    expect(world.taken()).toEqual(Array.from({ length: 256 }, (_, index) => index + 44));
  });

  test('spends a part of the commands the server lets through, in turn [WS-12]', () => {
    const world = new World();
    world.ready({ commandsPerSecond: 100 });
    const counts = new Map<unknown, number>();
    for (let ms = 0; ms < 10_000; ms += 10) {
      for (let slot = 0; slot < 20; slot += 1) world.send(slot, String(slot));
      for (const slot of world.pass(10)) counts.set(slot, (counts.get(slot) ?? 0) + 1);
    }
    expect([...counts.values()].reduce((sum, count) => sum + count)).toBeLessThanOrEqual(316);
    expect(Math.min(...counts.values())).toBeGreaterThanOrEqual(14);
    expect(counts.size).toBe(20);
  });

  test('drops everything when it is closed', () => {
    const world = new World();
    world.send(1);
    world.conflation.close();
    expect(world.clock.timerCount).toBe(0);
    world.ready();
    expect(world.taken()).toEqual([]);
  });
});

import { ManualClock } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';
import { ladder as feature } from '../../src/connection/ladder-memory.ts';
import { fakePlatform } from '../support/fakes.ts';
import { ended, Kept, ladderOf, transport } from '../support/ladders.ts';

const MINUTE = 60_000;
const DAY = 86_400_000;

describe('the memory', () => {
  test('spares the next page the time, for ten minutes', () => {
    const memory = new Kept();
    const { fallTo, clock } = ladderOf({ memory });
    fallTo('sse');
    clock.advance(10 * MINUTE - 1);
    const later = ladderOf({ memory, clock });
    expect(later.next()).toBe('sse');
    later.ladder.worked('sse');
    expect(later.ladder.climb()).toMatchObject({ inMs: 30_000 });
    expect(later.ladder.explain().tried[0]).toMatchObject({
      ...{ name: 'websocket', verdict: 'failed', agoMs: 10 * MINUTE - 1 },
      reason: 'it failed before this page was loaded',
    });
    clock.advance(1);
    expect(ladderOf({ memory, clock }).next()).toBe('websocket');
  });

  test('doubles up to a day with each time that it failed again', () => {
    const clock = new ManualClock({ monotonicMs: 1 });
    const { ladder, fallTo, next } = ladderOf({ clock });
    fallTo('sse');
    const spans: number[] = [];
    for (let count = 0; count < 10; count += 1) {
      ladder.lost('sse', 1000 * MINUTE, 'closed');
      const startMs = clock.monotonicMs();
      const { againInMs = 0 } = ladder.explain().tried[0] ?? {};
      spans.push(againInMs / MINUTE);
      clock.advance(againInMs);
      expect(next()).toBe('websocket');
      fallTo('sse');
      expect(clock.monotonicMs() - startMs).toBe(againInMs);
    }
    expect(spans).toEqual([10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440]);
  });

  test('does not double with each climb of one long page', () => {
    const memory = new Kept();
    const { ladder, clock, fallTo } = ladderOf({ memory });
    fallTo('sse');
    for (let count = 0; count < 20; count += 1) {
      clock.advance(ladder.climb()?.inMs ?? 0);
      ladder.climbFailed('websocket', ended('refused'));
    }
    // The longest wait between two climbs is about as long as the first span, so one may follow it.
    clock.advance(20 * MINUTE);
    const after = ladderOf({ memory, clock });
    expect(after.next()).toBe('websocket');
  });

  test('is of no more use once it works', () => {
    const memory = new Kept();
    const { ladder, clock, fallTo } = ladderOf({ memory });
    fallTo('sse');
    ladder.worked('websocket');
    expect(memory.text).toBe('{}');
    expect(ladderOf({ memory, clock }).next()).toBe('websocket');
    const { writes } = memory;
    for (let count = 0; count < 5; count += 1) {
      ladder.lost('websocket', MINUTE, 'closed');
      ladder.worked('websocket');
    }
    expect(memory.writes).toBe(writes);
  });

  test('holds nothing of what was only lost', () => {
    const memory = new Kept();
    const { ladder, fallTo } = ladderOf({ memory });
    ladder.worked('websocket');
    ladder.lost('websocket', MINUTE, 'closed');
    fallTo('long-poll');
    ladder.climbFailed('sse', ended('refused'));
    expect(Object.keys(JSON.parse(memory.text ?? '') as object)).toEqual(['sse']);
  });

  test('is not written while all is well', () => {
    const memory = new Kept();
    const { ladder } = ladderOf({ memory });
    ladder.worked('websocket');
    expect(memory.writes).toBe(0);
  });

  test('of a moment to come or of another list is passed over', () => {
    const memory = new Kept();
    const { fallTo, clock } = ladderOf({ memory });
    fallTo('long-poll');
    const less = ladderOf({ memory, clock, names: ['websocket', 'sse'] });
    expect(less.next()).toBe('websocket');
    clock.stepUnix(-1000);
    expect(ladderOf({ memory, clock }).next()).toBe('websocket');
    clock.stepUnix(-DAY);
    expect(ladderOf({ memory, clock }).next()).toBe('websocket');
  });

  const at = new ManualClock({ monotonicMs: 1 }).unixMs();
  test.each([
    '',
    'null',
    '[]',
    '7',
    '{"websocket":',
    '{"websocket":null}',
    '{"websocket":7}',
    '{"websocket":[1,2]}',
    '{"websocket":{"strikes":1}}',
    `{"websocket":{"at":${at}}}`,
    `{"websocket":{"strikes":"x","at":${at}}}`,
    `{"websocket":{"strikes":{},"at":${at}}}`,
    `{"websocket":{"strikes":{"toString":1,"valueOf":1},"at":${at}}}`,
    `{"websocket":{"strikes":0,"at":${at}}}`,
    `{"websocket":{"strikes":-1e308,"at":${at}}}`,
    '{"websocket":{"strikes":9,"at":-1e999}}',
    '{"websocket":{"strikes":9,"at":1e999}}',
    '{"__proto__":{"websocket":1},"constructor":1}',
    `{"websocket":{"strikes":1,"at":${at}},"more":"${'x'.repeat(1000)}"}`,
  ])('that is broken is ignored: %s', (text) => {
    const memory = new Kept();
    memory.text = text;
    const { ladder, next, fallTo } = ladderOf({ memory });
    expect(next()).toBe('websocket');
    expect(ladder.explain().tried[0]?.verdict).toBe('not tried');
    fallTo('sse');
    expect(ladder.climb()?.inMs).toBe(30_000);
    expect(Object.keys(JSON.parse(memory.text) as object)).toEqual(['websocket']);
  });

  test('that someone made endless lasts a day at most', () => {
    const memory = new Kept();
    memory.text = `{"websocket":{"strikes":1e999,"at":${at}},"sse":{"strikes":1e308,"at":${at}}}`;
    const { next, clock } = ladderOf({ memory });
    expect(next()).toBe('long-poll');
    clock.advance(DAY);
    expect(next()).toBe('websocket');
  });

  test('that throws is as good as none', () => {
    const memory = {
      read: () => {
        throw new Error('SecurityError');
      },
      write: () => {
        throw new Error('QuotaExceededError');
      },
    };
    const { next, fallTo, ladder } = ladderOf({ memory });
    expect(next()).toBe('websocket');
    fallTo('sse');
    ladder.lost('sse', MINUTE, 'closed');
    expect(next()).toBe('sse');
  });

  test('that leaves everything aside leaves the top', () => {
    const memory = new Kept();
    const { fallTo, clock } = ladderOf({ memory });
    fallTo('sse');
    expect(ladderOf({ memory, clock, names: ['websocket'] }).next()).toBe('websocket');
  });
});

test('the feature is a ladder with the memory that it is given', () => {
  const memory = new Kept();
  memory.text = JSON.stringify({ websocket: { strikes: 1, at: 0 } });
  const parts = {
    ...fakePlatform(),
    unixMs: () => 0,
    address: 'http://rt.example.com/v1/',
    memory,
  };
  const transports = [transport('websocket'), transport('sse')];
  expect(feature(transports, parts).next().name).toBe('sse');
  // Without a page there is no other one.
  expect(feature(transports, { ...parts, memory: undefined }).next().name).toBe('websocket');
});

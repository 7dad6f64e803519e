import { describe, expect, test } from 'vitest';
import { Stops } from '../src/stops.ts';

function make() {
  const seen = { stops: 0, exits: 0, nowMs: 0 };
  const stops = new Stops(
    () => seen.nowMs,
    () => (seen.exits += 1),
  );
  return { seen, stops };
}

describe('requests to end', () => {
  test('are polite once, then mean at once', () => {
    const { seen, stops } = make();
    stops.onStop(() => (seen.stops += 1));
    stops.ask();
    expect(seen).toMatchObject({ stops: 1, exits: 0 });
    seen.nowMs = 1000;
    stops.ask();
    expect(seen).toMatchObject({ stops: 1, exits: 1 });
  });

  test('count once when a terminal and a wrapper both tell', () => {
    const { seen, stops } = make();
    stops.onStop(() => (seen.stops += 1));
    stops.ask();
    seen.nowMs = 50;
    stops.ask();
    expect(seen).toMatchObject({ stops: 1, exits: 0 });
  });

  test('end at once when nobody ends politely', () => {
    const { seen, stops } = make();
    stops.ask();
    expect(seen.exits).toBe(1);
  });

  test('reach who asks late', () => {
    const { seen, stops } = make();
    stops.onStop(() => {});
    stops.ask();
    stops.onStop(() => (seen.stops += 1));
    expect(seen.stops).toBe(1);
  });
});

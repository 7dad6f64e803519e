import { describe, expect, test } from 'vitest';
import { advance, EMPTY_TRACK, pause, TRACK_MS } from '../src/track.ts';
import type { Track } from '../src/track.ts';

const at = (offset: number, epoch = 'k3f9') => ({ epoch, offset });

describe('a track', () => {
  test('is bounded however fast messages come', () => {
    let track: Track = EMPTY_TRACK;
    for (let offset = 1; offset <= 20_000; offset += 1) track = advance(track, offset, at(offset));
    expect(track.points.length).toBeLessThan(400);
    expect(track.points.at(-1)).toEqual({ at: 20_000, offset: 20_000 });
  });

  test('keeps both ends of a jump', () => {
    let track = advance(EMPTY_TRACK, 0, at(1));
    track = advance(track, 5_000, at(2));
    for (let offset = 3; offset <= 50; offset += 1)
      track = advance(track, 5_000 + offset, at(offset));
    expect(track.points[0]).toEqual({ at: 0, offset: 1 });
    expect(track.points.at(-1)?.offset).toBe(50);
  });

  test('forgets what left the window, save the point the line comes in from', () => {
    let track: Track = EMPTY_TRACK;
    for (let second = 0; second <= 200; second += 1) {
      track = advance(track, second * 1_000, at(second + 1));
    }
    expect(track.points[0]?.at).toBe(200_000 - TRACK_MS - 1_000);
  });

  test('begins anew with another epoch, whose offsets do not compare', () => {
    const track = advance(advance(EMPTY_TRACK, 0, at(90)), 10, at(1, 'new1'));
    expect(track).toMatchObject({ epoch: 'new1', points: [{ at: 10, offset: 1 }] });
  });

  test('remembers when the reader was away', () => {
    let track = pause(EMPTY_TRACK, 100, true);
    track = pause(track, 150, true);
    track = pause(track, 200, false);
    track = pause(track, 250, false);
    track = pause(track, 300, true);
    expect(track.pauses).toEqual([{ from: 100, to: 200 }, { from: 300 }]);
  });
});

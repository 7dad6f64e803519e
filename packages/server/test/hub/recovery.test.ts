import { parseAfter } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { boundedBy, judge, lossOf } from '../../src/hub/recovery.ts';

const stream = { epoch: 'e1', oldest: 4, top: 9 };
const none = { epoch: '0', oldest: 1, top: 0 };
const e1 = (offset: number) => ({ epoch: 'e1', offset });

describe('judge', () => {
  test('begins at the top when nothing was asked', () => {
    expect(judge({}, stream)).toEqual({ position: e1(9) });
    expect(judge({}, none)).toEqual({ position: { epoch: '0', offset: 0 } });
  });

  test.each([
    [0, 9],
    [2, 7],
    [6, 3],
    [100, 3],
  ])('begins with the %i newest after offset %i', (last, offset) => {
    expect(judge({ last }, stream)).toEqual({ position: e1(offset) });
  });

  test('begins at the oldest retained for start, and calls that recovered', () => {
    const after = parseAfter('start');
    expect(judge({ after }, stream)).toEqual({ position: e1(3), recovered: true });
    expect(judge({ after }, none)).toMatchObject({ recovered: true });
  });

  test.each([3, 5, 8, 9])('recovers everything after offset %i', (offset) => {
    const after = parseAfter(`e1:${offset}`);
    expect(judge({ after }, stream)).toEqual({ position: e1(offset), recovered: true });
  });

  test('recovers after 0:0 when the stream has its beginning, or none yet', () => {
    const after = parseAfter('0:0');
    const whole = { epoch: 'e1', oldest: 1, top: 2 };
    expect(judge({ after }, whole)).toEqual({ position: e1(0), recovered: true });
    expect(judge({ after }, none)).toEqual({
      position: { epoch: '0', offset: 0 },
      recovered: true,
    });
  });

  test.each([
    { say: 'garbage', gap: { reason: 'unknown' } },
    { say: 'e2:5', gap: { reason: 'epoch' } },
    { say: 'e1:10', gap: { reason: 'ahead' } },
    { say: 'e1:2', gap: { reason: 'trimmed', from: 3, to: 9 } },
    { say: '0:0', gap: { reason: 'trimmed', from: 1, to: 9 } },
  ])('says why $say can not be resumed, and goes on at the top', ({ say, gap }) => {
    expect(judge({ after: parseAfter(say) }, stream)).toEqual({
      position: e1(9),
      recovered: false,
      gap,
    });
  });

  test('goes on at the oldest retained of a trimmed range when partial', () => {
    expect(judge({ after: parseAfter('e1:1'), partial: true }, stream)).toEqual({
      position: e1(3),
      recovered: false,
      gap: { reason: 'trimmed', from: 2, to: 3 },
    });
  });

  test('a position in a stream that was forgotten is of another life', () => {
    expect(judge({ after: parseAfter('e1:5') }, none)).toMatchObject({
      recovered: false,
      gap: { reason: 'epoch' },
    });
  });

  test('an expired history is told from one in which nothing was published', () => {
    const expired = { epoch: 'e1', oldest: 10, top: 9 };
    expect(judge({ after: parseAfter('e1:9') }, expired)).toMatchObject({ recovered: true });
    expect(judge({ after: parseAfter('e1:8') }, expired)).toMatchObject({
      gap: { reason: 'trimmed', from: 9, to: 9 },
    });
  });

  test('a resume of more than it may carry is a limit gap', () => {
    const after = parseAfter('e1:4');
    expect(judge({ after }, stream, 5)).toMatchObject({ recovered: true });
    expect(judge({ after }, stream, 4)).toEqual({
      position: e1(9),
      recovered: false,
      gap: { reason: 'limit', from: 5, to: 9 },
    });
    expect(judge({ after, partial: true }, stream, 4)).toEqual({
      position: e1(5),
      recovered: false,
      gap: { reason: 'limit', from: 5, to: 5 },
    });
  });

  // The gap and the position must not contradict each other, whatever was asked.
  test('the gap always ends where the cursor goes on', () => {
    for (let offset = 0; offset <= 12; offset += 1) {
      for (const partial of [false, true]) {
        const { gap, position } = judge({ after: parseAfter(`e1:${offset}`), partial }, stream);
        if (gap?.to !== undefined) expect(gap.to).toBe(position.offset);
      }
    }
  });
});

describe('boundedBy', () => {
  test('is what memory has of what the log had, up to where this node stands', () => {
    const bounds = (oldest: number, top: number, epoch = 'e1') => ({
      ...{ epoch, oldest, top },
    });
    expect(boundedBy(bounds(1, 6), bounds(5, 9))).toEqual(bounds(5, 6));
    expect(boundedBy(bounds(1, 6), bounds(8, 9))).toEqual(bounds(7, 6));
    expect(boundedBy(bounds(4, 6), bounds(2, 6))).toEqual(bounds(4, 6));
    expect(boundedBy(bounds(1, 6), bounds(5, 9, 'e2'))).toEqual(bounds(1, 6));
    expect(boundedBy(bounds(1, 6), undefined)).toEqual(bounds(1, 6));
  });
});

describe('lossOf', () => {
  test('nothing is lost while the stream continues after the cursor', () => {
    for (let offset = 3; offset <= 9; offset += 1) {
      expect(lossOf(e1(offset), stream)).toBeUndefined();
    }
  });

  test('a cursor that retention has passed goes on at the oldest retained', () => {
    expect(lossOf(e1(1), stream)).toEqual({
      gap: { reason: 'trimmed', from: 2, to: 3 },
      position: e1(3),
    });
  });

  test('a new life of the stream is delivered from its beginning', () => {
    expect(lossOf({ epoch: 'e0', offset: 7 }, { epoch: 'e1', oldest: 1, top: 2 })).toEqual({
      gap: { reason: 'epoch' },
      position: e1(0),
    });
  });

  test('a stream that lost its end goes on at its end', () => {
    expect(lossOf(e1(12), stream)).toEqual({ gap: { reason: 'ahead' }, position: e1(9) });
  });
});

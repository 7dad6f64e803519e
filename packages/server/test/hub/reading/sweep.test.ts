import { describe, expect, test } from 'vitest';
import type { ChangedChannel } from '../../../src/broker/broker.ts';
import { formatPlaceMark } from '../../../src/hub/place-mark.ts';
import { boundsAt, isLeft, placeAfter, startIn, sweepOf } from '../../../src/hub/reading/sweep.ts';
import type { Sweep } from '../../../src/hub/reading/sweep.ts';

const at = (offset: number, epoch = 'e1') => ({ epoch, offset });
const from = { kind: 'mark', mark: '~1' } as const;
const whole: Sweep = { from, after: '', behind: new Map() };

describe('a sweep', () => {
  test('goes on where a mark says that the one before it ended', () => {
    const place = { mark: '~2', behind: new Map([['k', at(5)]]), rest: { after: 'k', from } };
    const mark = formatPlaceMark(place) ?? '';
    const sweep = sweepOf({ after: { kind: 'mark', mark } }, () => true);
    expect(sweep).toEqual({ from, after: 'k', behind: place.behind, target: '~2' });
    expect(['a', 'k', 'z'].map((name) => isLeft(sweep ?? whole, name))).toEqual([
      false,
      true,
      true,
    ]);
    expect(startIn(sweep ?? whole, 'k', at(1))).toEqual({
      after: { kind: 'position', position: at(5) },
    });
    expect(startIn(sweep ?? whole, 'z', at(1))).toEqual({
      after: { kind: 'position', position: at(1) },
    });
  });

  test('takes nothing from a mark that is of channels which are not read', () => {
    const mark = formatPlaceMark({ mark: '~2', behind: new Map([['secret', at(5)]]) }) ?? '';
    expect(sweepOf({ after: { kind: 'mark', mark } }, () => false)?.behind.size).toBe(0);
  });

  test('is none where nothing of before now is asked for', () => {
    expect(sweepOf({}, () => true)).toBeUndefined();
    expect(sweepOf({ last: 0 }, () => true)).toBeUndefined();
    expect(sweepOf({ after: { kind: 'unknown', text: '' } }, () => true)).toBeUndefined();
    expect(sweepOf({ last: 3 }, () => true)?.from).toEqual({ kind: 'last', count: 3 });
  });

  test('ends at its mark, or at the name it came to', () => {
    expect(placeAfter('~2', new Map(), whole)).toEqual({ mark: '~2', behind: new Map() });
    expect(placeAfter('~2', new Map(), whole, { done: 'b', left: ['c'] })).toEqual({
      mark: '~2',
      behind: new Map(),
      rest: { after: 'b', from },
    });
    const partly = { channel: 'c', position: at(3) };
    expect(placeAfter('~2', new Map(), whole, { done: 'b', partly, left: ['d'] })).toEqual({
      mark: '~2',
      behind: new Map([['c', at(3)]]),
      rest: { after: 'c', from },
    });
    expect(
      placeAfter('~2', new Map(), whole, { done: 'b', partly, left: [] }).rest,
    ).toBeUndefined();
  });

  test('keeps the places that others had behind the one it came to', () => {
    const behind = new Map([
      ['a', at(1)],
      ['b', at(2)],
      ['z', at(3)],
    ]);
    const sweep: Sweep = { ...whole, after: 'b', behind };
    // 'a' was read, 'b' was not; 'z' has nothing to read and still does not stand where others do.
    expect(placeAfter('~2', new Map(), sweep, { done: 'a', left: ['b', 'x'] })).toEqual({
      mark: '~2',
      behind: new Map([
        ['b', at(2)],
        ['z', at(3)],
      ]),
      rest: { after: 'b', from },
    });
  });
});

describe('the bounds of a stream at a mark', () => {
  const stream = { epoch: 'e1', oldest: 3, top: 9 };
  const since = (position: ChangedChannel['position'], now = stream): ChangedChannel => ({
    channel: 'a',
    position,
    stream: now,
  });

  test.each([
    ['nothing came since', undefined, stream],
    ['some came since', since(at(7)), { ...stream, top: 7 }],
    ['retention has taken all of before', since(at(1)), { ...stream, oldest: 2, top: 1 }],
    ['it was born since', since({ epoch: '0', offset: 0 }), { epoch: '0', oldest: 1, top: 0 }],
    ['it began anew since', since(at(7, 'e0')), undefined],
    ['it is purged by now', since(at(7), { epoch: 'e2', oldest: 1, top: 1 }), undefined],
  ])('where %s', (_, change, expected) => {
    expect(boundsAt(stream, change)).toEqual(expected);
  });
});

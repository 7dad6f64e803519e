import type { Position } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import type { ChangedChannel } from '../../../src/broker/broker.ts';
import { formatPlaceMark } from '../../../src/hub/place-mark.ts';
import {
  boundsAt,
  isLeft,
  placeAfter,
  startIn,
  startOfLost,
  sweepOf,
} from '../../../src/hub/reading/sweep.ts';
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

test('a mark names where channels begin that are left, unless another mark tells it [REC-9]', () => {
  const begins = new Map([['c', at(2)]]);
  const cut = { done: 'b', left: ['c'], begins };
  const ofStart: Sweep = { ...whole, from: { kind: 'start' } };
  expect(placeAfter('~2', new Map(), ofStart, cut).behind).toEqual(begins);
  expect(placeAfter('~2', new Map(), whole, cut).behind.size).toBe(0);
});

test('a mark without room for where channels begin names those that it must name', () => {
  const long = (name: string): [string, Position] => [name.repeat(1_400), at(1)];
  const [must, had] = [long('d'), long('c')];
  const sweep: Sweep = { from: { kind: 'start' }, after: 'a', behind: new Map([had]) };
  const cut = { done: 'b', left: [had[0]], begins: new Map([had]), found: [had[0]] };
  expect(placeAfter('~2', new Map(), sweep, cut).behind).toEqual(new Map([had]));
  expect(placeAfter('~2', new Map([must]), sweep, cut).behind).toEqual(new Map([must]));
});

test('what is lost begins at the mark only where nothing else says where it began', () => {
  const asked = { after: { kind: 'start' }, partial: true } as const;
  const stream = { epoch: 'e1', oldest: 9, top: 9 };
  const change: ChangedChannel = { channel: 'c', position: at(4), stream };
  const first: Sweep = { ...whole, from: { kind: 'start' } };
  const later: Sweep = { ...first, target: '~2' };
  const atMark = { after: { kind: 'position', position: at(4) }, partial: true };
  expect(startOfLost(later, asked, change)).toEqual(atMark);
  const named = { ...later, behind: new Map([['c', at(3)]]) };
  for (const sweep of [first, named, { ...whole, target: '~2' }]) {
    expect(startOfLost(sweep, asked, change)).toBe(asked);
  }
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
    ['retention has taken all of before', since(at(2)), { ...stream, top: 2 }],
    ['retention has taken what came after, too', since(at(1)), undefined],
    ['nobody knows any more where it stood', since(at(0)), undefined],
    [
      'retention has taken that meanwhile',
      since(at(7), { ...stream, oldest: 9, top: 12 }),
      undefined,
    ],
    ['it was born since', since({ epoch: '0', offset: 0 }), { epoch: '0', oldest: 1, top: 0 }],
    ['it began anew since', since(at(7, 'e0')), undefined],
    ['it is purged by now', since(at(7), { epoch: 'e2', oldest: 1, top: 1 }), undefined],
  ])('where %s', (_, change, expected) => {
    expect(boundsAt(stream, change)).toEqual(expected);
  });
});

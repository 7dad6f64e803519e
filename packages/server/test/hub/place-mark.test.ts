import type { Position } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import {
  formatPlaceMark,
  moveMark,
  parsePlaceMark,
  placeFor,
  withBeginnings,
} from '../../src/hub/place-mark.ts';
import type { PlaceStart } from '../../src/hub/place-mark.ts';

const position = (offset: number) => ({ epoch: 'k3f9', offset });

describe('a place mark', () => {
  test('is the mark itself when no channel stands before it', () => {
    expect(formatPlaceMark({ mark: '~m.1', behind: new Map() })).toBe('~m.1');
    expect(parsePlaceMark('~m.1')).toEqual({ mark: '~m.1', behind: new Map() });
  });

  test('carries the positions of channels that were read in part', () => {
    const behind = new Map([
      ['room/42', position(7)],
      ['ä=&~+ #', position(0)],
    ]);
    const text = formatPlaceMark({ mark: '~m.1', behind });
    expect(parsePlaceMark(text ?? '')).toEqual({ mark: '~m.1', behind });
  });

  test('is given up rather than cut when there are too many positions', () => {
    const behind = new Map(
      Array.from({ length: 128 }, (_, index) => [`${index}`.repeat(60), position(1)] as const),
    );
    expect(formatPlaceMark({ mark: '~m.1', behind })).toBeUndefined();
  });

  test.each<PlaceStart>([
    { kind: 'mark', mark: '~m.0' },
    { kind: 'start' },
    { kind: 'last', count: 7 },
  ])('says what a read has not come to: behind a name it is at $kind', (from) => {
    const behind = new Map([['room/42', position(7)]]);
    for (const after of ['', 'room/42', 'ä=&~+ #']) {
      const place = { mark: '~m.1', behind, rest: { after, from } };
      expect(parsePlaceMark(formatPlaceMark(place) ?? '')).toEqual(place);
    }
  });

  test('has room for a rest and one position more behind as many positions as it may have', () => {
    const longest = 'ä'.repeat(127);
    const behind = new Map<string, Position>();
    let text: string | undefined;
    for (let index = 0; ; index += 1) {
      behind.set(`room/${index}`, position(index));
      const next = formatPlaceMark({ mark: '~m.1', behind });
      if (next === undefined) break;
      text = next;
    }
    expect(text?.length).toBeGreaterThan(2_000);
    behind.set(longest, { epoch: 'e'.repeat(32), offset: Number.MAX_SAFE_INTEGER });
    const from = { kind: 'mark', mark: `~${'m'.repeat(60)}` } as const;
    const whole = { mark: `~${'m'.repeat(60)}`, behind, rest: { after: longest, from } };
    expect(formatPlaceMark(whole)).toBeDefined();
  });

  test('names where channels begin as far as it keeps room for what must have some', () => {
    const rest = { after: 'a', from: { kind: 'start' } } as const;
    const own = new Map([['room/1', position(9)]]);
    const begins = new Map(
      Array.from({ length: 500 }, (_, index) => [`room/${index + 1}`, position(index)] as const),
    );
    const { behind } = withBeginnings({ mark: '~m.1', behind: own, rest }, begins);
    expect(behind.get('room/1')).toEqual(position(9));
    expect([...behind.keys()]).toEqual([...begins.keys()].slice(0, behind.size));
    expect(behind.size).toBeGreaterThan(30);
    const text = formatPlaceMark({ mark: '~m.1', behind, rest });
    expect(text?.length).toBeLessThan(1_300);
    expect(parsePlaceMark(text ?? '').behind).toEqual(behind);
  });

  test('is none where the next answer would have no room for its own', () => {
    const behind = new Map<string, Position>();
    for (let index = 0; index < 150; index += 1) behind.set(`room/${index}`, position(index));
    const from = { kind: 'start' } as const;
    for (const after of ['', 'room/149']) {
      expect(formatPlaceMark({ mark: '~m.1', behind, rest: { after, from } })).toBeUndefined();
    }
  });

  test.each(['~m~~~', '~m.1~~YQ', '~m.1~~YQ~x', '~m.1~~YQ~l-1', '~m.1~~Y!~s', '~m.1~~YQ~s~s'])(
    'takes no place that was not reached from %s',
    (text) => {
      expect(parsePlaceMark(text)).toEqual({ mark: text, behind: new Map() });
    },
  );

  test('says of channels that are not meant nothing', () => {
    const behind = new Map([
      ['a', position(1)],
      ['b', position(2)],
    ]);
    const place = placeFor({ mark: '~m.1', behind }, (channel) => channel === 'a');
    expect(place).toEqual({ mark: '~m.1', behind: new Map([['a', position(1)]]) });
  });

  test.each(['~m.1~', '~m.1~%%%', '~m.1~AAAA'])('reads no position from %s', (text) => {
    expect(parsePlaceMark(text).behind.size).toBe(0);
  });
});

describe('a mark from which channels have moved on', () => {
  test('is the same where none has', () => {
    expect(moveMark('~m.1~what~ever', new Map())).toBe('~m.1~what~ever');
  });

  test('says where they stand, whatever it said of them before', () => {
    const behind = new Map([
      ['a', position(1)],
      ['b', position(2)],
    ]);
    const before = formatPlaceMark({ mark: '~m.1', behind }) ?? '';
    const moved = new Map([
      ['b', position(7)],
      ['ä=&~+ #', position(3)],
    ]);
    expect(parsePlaceMark(moveMark(before, moved))).toEqual({
      mark: '~m.1',
      behind: new Map([...behind, ...moved]),
    });
  });

  test.each<PlaceStart>([
    { kind: 'mark', mark: '~m.0' },
    { kind: 'start' },
    { kind: 'last', count: 7 },
  ])('still says what a read has not come to, from $kind on', (from) => {
    const place = { mark: '~m.1', behind: new Map(), rest: { after: 'room/42', from } };
    const moved = new Map([['a', position(1)]]);
    expect(parsePlaceMark(moveMark(formatPlaceMark(place) ?? '', moved))).toEqual({
      ...place,
      behind: moved,
    });
  });

  test('is as long as it needs to be', () => {
    const moved = new Map(
      Array.from({ length: 2_000 }, (_, index) => [`${index}`.repeat(20), position(1)] as const),
    );
    const text = moveMark('~m.1', moved);
    expect(text.length).toBeGreaterThan(100_000);
    expect(parsePlaceMark(text).behind).toEqual(moved);
  });
});

import { describe, expect, test } from 'vitest';
import { formatPlaceMark, parsePlaceMark } from '../../src/hub/place-mark.ts';

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

  test.each(['~m.1~', '~m.1~%%%', '~m.1~AAAA', '~m~~~'])('reads no position from %s', (text) => {
    expect(parsePlaceMark(text).behind.size).toBe(0);
  });
});

import { describe, expect, test } from 'vitest';
import {
  formatPosition,
  isMark,
  isOrigin,
  ORIGIN,
  parseAfter,
  parseAfterEach,
  parsePosition,
} from '../src/position.ts';
import type { Position } from '../src/position.ts';
import { readVectors } from './support/vectors.ts';

interface PositionVectors {
  readonly positions: { text: string; position: Position }[];
  readonly notPositions: string[];
  readonly marks: string[];
  readonly notMarks: string[];
  readonly after: { text: string; kind: string }[];
  readonly afterEach: { text: string; channels: string[]; after: Record<string, string> }[];
}

const vectors = readVectors<PositionVectors>('positions');

describe('positions', () => {
  test.each(vectors.positions)('reads and writes $text', ({ text, position }) => {
    expect(parsePosition(text)).toEqual(position);
    expect(formatPosition(position)).toBe(text);
  });

  test.each(vectors.notPositions)('does not guess at %j', (text) => {
    expect(parsePosition(text)).toBeUndefined();
  });

  test('knows the origin, which no other epoch has', () => {
    expect(isOrigin(ORIGIN)).toBe(true);
    expect(formatPosition(ORIGIN)).toBe('0:0');
    expect(isOrigin({ epoch: '0', offset: 1 })).toBe(false);
    expect(isOrigin({ epoch: 'k3f9', offset: 0 })).toBe(false);
  });
});

describe('marks', () => {
  test.each(vectors.marks)('%j has the shape of one', (text) => {
    expect(isMark(text)).toBe(true);
  });

  test.each(vectors.notMarks)('%j has not', (text) => {
    expect(isMark(text)).toBe(false);
  });
});

describe('what a client says it has', () => {
  test.each(vectors.after)('$text is $kind', ({ text, kind }) => {
    expect(parseAfter(text).kind).toBe(kind);
  });

  test.each(vectors.afterEach)('$text for $channels', ({ text, channels, after }) => {
    const kinds = [...parseAfterEach(text, channels)].map(([name, one]) => [name, one.kind]);
    // Pairs, not an object: `__proto__` is a channel name like any other.
    expect(kinds).toEqual(Object.entries(after));
  });
});

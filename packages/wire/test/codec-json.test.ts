import { describe, expect, test } from 'vitest';
import { decodeCommands, decodeServerFrames } from '../src/codec-json.ts';
import { toResult } from './support/requests.ts';
import { readVectors, vectorText } from './support/vectors.ts';
import type { VectorText } from './support/vectors.ts';

interface FrameVectors {
  readonly frames: {
    name: string;
    text: VectorText;
    count?: number;
    results?: { command?: object; error?: string; id?: number }[];
  }[];
}

describe('decodeCommands', () => {
  test.each(readVectors<FrameVectors>('commands').frames)('$name', ({ text, results, count }) => {
    const decoded = decodeCommands(vectorText(text));
    expect(decoded).toHaveLength(count ?? results?.length ?? 0);
    if (results === undefined) {
      expect(decoded.every((one) => one.ok)).toBe(true);
      return;
    }
    expect(decoded.map((one, at) => toResult(one, results[at]?.command ?? {}))).toEqual(results);
  });
});

describe('decodeServerFrames', () => {
  test('reads each line', () => {
    expect(decodeServerFrames('{"type":"pong"}\n{"type":"goaway","within":5}\n')).toEqual([
      { type: 'pong' },
      { type: 'goaway', within: 5 },
    ]);
    expect(decodeServerFrames('')).toEqual([]);
  });

  test('does not divide at what only looks like a line end', () => {
    expect(decodeServerFrames('{"type":"pong","x":"\u2028"}')).toHaveLength(1);
  });

  test('throws at what is not JSON', () => {
    expect(() => decodeServerFrames('{')).toThrow(SyntaxError);
  });
});

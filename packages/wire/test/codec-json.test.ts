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

describe('a frame of very many lines', () => {
  test('is divided at its line feeds, whatever is blank between them', () => {
    const lines = ['  {"type":"ping"}\t', 'x', '\u00a0{"type":"ping"}', '{"type":"ping"}\r'];
    const frame = lines.join('\n \n\n\u2028\n');
    for (const text of [frame, `\n${frame}`, `${frame}\n`, `\n\n${frame}\n \n`]) {
      expect(decodeCommands(text).map(({ ok }) => ok)).toEqual([true, false, false, true]);
    }
  });

  test('is not counted to its end', () => {
    const decoded = decodeCommands('x\n'.repeat(1_001));
    expect(decoded).toMatchObject([{ ok: false, error: { code: 'too_large' } }]);
    expect(decodeCommands('x\n\n'.repeat(1_000))).toHaveLength(1_000);
    // Looked at line by line, with a string for each, this would take a minute.
    const blank = '\n'.repeat(2 ** 20);
    for (let count = 0; count < 100; count += 1) {
      expect(decodeCommands(`x${blank}x${blank}`)).toHaveLength(2);
    }
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

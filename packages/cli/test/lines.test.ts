import { describe, expect, test } from 'vitest';
import { readLines } from '../src/lines.ts';
import { UsageError } from '../src/usage-error.ts';
import { chunks } from './support/io.ts';

async function linesOf(text: string, size: number): Promise<string[]> {
  const lines: string[] = [];
  for await (const { number, text: line } of readLines(chunks(text, size))) {
    lines.push(line);
    expect(number).toBe(lines.length);
  }
  return lines;
}

describe('lines', () => {
  for (const size of [1, 3, 1000]) {
    test.each([
      ['', []],
      ['a', ['a']],
      ['a\n', ['a']],
      ['a\r\nb\n', ['a', 'b']],
      ['a\n\nb', ['a', '', 'b']],
      ['\n', ['']],
      ['a\rb\n', ['a\rb']],
      ['ä€😀\nz', ['ä€😀', 'z']],
    ])(`%j in pieces of ${size}`, async (text, expected) => {
      expect(await linesOf(text, size)).toEqual(expected);
    });
  }

  test('refuses a line without end, and says which', async () => {
    const bytes = async function* () {
      yield new TextEncoder().encode('first\n');
      for (;;) yield new Uint8Array(1024 * 1024).fill(0x61);
    };
    const read = async () => {
      for await (const line of readLines(bytes())) expect(line.number).toBe(1);
    };
    await expect(read()).rejects.toThrow(UsageError);
  });
});

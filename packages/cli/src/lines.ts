/** Lines: text lines out of a stream of bytes, bounded. */
import { UsageError } from './usage-error.ts';

/** Characters of one line; the server takes no message near this size. */
const LINE_LENGTH_MAX = 4 * 1024 * 1024;

/** One line, without its end. */
export interface Line {
  /** From 1. */
  readonly number: number;
  readonly text: string;
}

/**
 * Reads lines that end with LF or CR LF; the last may have no end.
 *
 * @throws {UsageError} for a line over the bound.
 */
export async function* readLines(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Line> {
  const decoder = new TextDecoder('utf-8');
  let rest = '';
  let number = 0;
  for await (const chunk of bytes) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = parts.pop() ?? '';
    for (const text of parts) {
      number += 1;
      yield { number, text: text.endsWith('\r') ? text.slice(0, -1) : text };
    }
    if (rest.length > LINE_LENGTH_MAX) {
      throw new UsageError(`line ${number + 1}: expected at most ${LINE_LENGTH_MAX} characters`);
    }
  }
  rest += decoder.decode();
  if (rest !== '') yield { number: number + 1, text: rest };
}

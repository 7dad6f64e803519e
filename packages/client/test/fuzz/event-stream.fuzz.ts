/**
 * Fuzzing the event stream. Here's how it works:
 *
 * 1. A stream is made of pieces that mean something to the parser, and of random bytes.
 * 2. It is cut at random places and parsed.
 * 3. The items must be those of a second, slow reading of the rules of the whole stream.
 */
import { isDeepStrictEqual } from 'node:util';
import { seededRandom } from '@trunkline/testkit';
import type { SeededRandom } from '@trunkline/testkit';
import { parseInPieces, parseSlowly, utf8 } from '../support/event-streams.ts';

const PIECES = [
  ...['data', 'event', 'id', 'retry', 'Data', ':', ': ', ' ', '\n', '\r', '\r\n', '\n\n', '\r\r'],
  ...['0', '42', '\0', '\ufeff', 'ä', '😀', 'k3f9:7', '{"a":1}', 'data: x\n\n', 'id: 1\n', '\t'],
];
const PIECES_MAX = 40;

/** Parses `rounds` random streams. @throws {Error} that names seed and round when one goes wrong. */
export function fuzzEventStream(seed: number, rounds: number): void {
  const random = seededRandom(seed);
  for (let round = 0; round < rounds; round += 1) {
    const bytes = randomStream(random);
    const sizes = Array.from({ length: random.integer(8) }, () => random.integer(12));
    const parsed = parseInPieces(bytes, sizes);
    const expected = parseSlowly(bytes);
    if (!isDeepStrictEqual(parsed, expected)) {
      const stream = Buffer.from(bytes).toString('hex');
      throw new Error(`seed ${seed}, round ${round}: ${stream} in pieces of ${sizes.join(', ')}`);
    }
  }
}

function randomStream(random: SeededRandom): Uint8Array {
  const parts = Array.from({ length: random.integer(PIECES_MAX) }, () =>
    random.chance(0.05) ? random.bytes(random.integer(4)) : utf8(random.pick(PIECES)),
  );
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

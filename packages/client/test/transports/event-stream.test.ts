import { CodedError } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { EVENT_LENGTH_MAX, EventStreamParser } from '../../src/transports/event-stream.ts';
import { fuzzEventStream } from '../fuzz/event-stream.fuzz.ts';
import { parseInPieces, parseSlowly, readStreamVectors, utf8 } from '../support/event-streams.ts';

describe('the event stream parser', () => {
  for (const { name, bytes, items } of readStreamVectors()) {
    test(`reads: ${name}`, () => {
      expect(parseInPieces(bytes, [])).toEqual(items);
    });

    test(`reads byte by byte: ${name}`, () => {
      expect(
        parseInPieces(
          bytes,
          Array.from(bytes, () => 1),
        ),
      ).toEqual(items);
    });

    test(`agrees with a second reading of the rules: ${name}`, () => {
      expect(parseSlowly(bytes)).toEqual(items);
    });
  }

  test('gives an event as soon as its blank line begins', () => {
    const parser = new EventStreamParser();
    expect(parser.push(utf8('data: a\r\n\r'))).toHaveLength(1);
    expect(parser.push(utf8('\ndata: b\r\n\r\n'))).toHaveLength(1);
  });

  test('[SSE-10] knows the last id, with or without an event, once its blank line came', () => {
    const parser = new EventStreamParser();
    parser.push(utf8('id: e:1\n'));
    expect(parser.id).toBe('');
    expect(parser.push(utf8('\nid: e:2\n'))).toEqual([]);
    expect(parser.id).toBe('e:1');
    expect(parser.push(utf8('data: 2\n\nid: e:3'))).toMatchObject([{ id: 'e:2' }]);
    expect(parser.id).toBe('e:2');
  });

  test('bounds a line that never ends', () => {
    const parser = new EventStreamParser();
    const chunk = new Uint8Array(1024 * 1024).fill(0x61);
    const push = () => {
      for (let size = 0; size <= EVENT_LENGTH_MAX; size += chunk.length) parser.push(chunk);
    };
    expect(push).toThrow(CodedError);
  });

  test('bounds an event that never ends', () => {
    const parser = new EventStreamParser();
    const lines = utf8(
      'data: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n'.repeat(16_384),
    );
    const push = () => {
      for (let size = 0; size <= 2 * EVENT_LENGTH_MAX; size += lines.length) parser.push(lines);
    };
    expect(push).toThrow(/an event is longer/);
  });

  test.each([1, 2, 3])('survives random streams (seed %i)', (seed) => {
    fuzzEventStream(seed, 300);
  });
});

import { describe, expect, test } from 'vitest';
import { EventParser } from '../../src/simulation/event-parser.ts';

const STREAM =
  ': hello\nretry: 10\nid: e:1\nevent: open\ndata: {}\n\nid: e:2\ndata: a\ndata: b\n\n';
const named = { hasId: true, isDispatched: true };
const EVENTS = [
  { id: 'e:1', event: 'open', data: '{}', ...named },
  { id: 'e:2', event: 'message', data: 'a\nb', ...named },
];

describe('EventParser', () => {
  test('reads events, their ids and lines of data', () => {
    expect(new EventParser().parse(STREAM)).toEqual(EVENTS);
  });

  test('reads the same from one character at a time', () => {
    const parser = new EventParser();
    expect(STREAM.split('').flatMap((character) => parser.parse(character))).toEqual(EVENTS);
  });

  test('keeps an id until another one comes, and dispatches nothing without data', () => {
    const parser = new EventParser();
    expect(parser.parse('id: e:1\n\ndata: x\n\n')).toEqual([
      { id: 'e:1', event: 'message', data: '', hasId: true, isDispatched: false },
      { id: 'e:1', event: 'message', data: 'x', hasId: false, isDispatched: true },
    ]);
  });
});

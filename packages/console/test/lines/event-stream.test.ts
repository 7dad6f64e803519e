import { describe, expect, test } from 'vitest';
import { EventStreamReader } from '../../src/lines/event-stream.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

const STREAM = [
  'retry: 1000\nid: k:0\nevent: open\ndata: {}\n\n',
  ': nothing happens\n\n',
  'id: k:1\ndata: line one\ndata: line two\n\n',
  'id: k:4\n\n',
  'event: typed\r\ndata:no space\r\n\r\n',
  'data\n\n',
  'data: é😀\n\n',
].join('');

const EVENTS = [
  { type: 'open', data: '{}', id: 'k:0' },
  { type: 'message', data: 'line one\nline two', id: 'k:1' },
  { type: 'message', id: 'k:4' },
  { type: 'typed', data: 'no space' },
  { type: 'message', data: '' },
  { type: 'message', data: 'é😀' },
];

describe('an event stream', () => {
  test('is read as the HTML standard says, ids without data included', () => {
    expect(new EventStreamReader().push(bytes(STREAM))).toEqual(EVENTS);
  });

  test.each([1, 2, 3, 7])('gives the same in pieces of %i bytes', (size) => {
    const reader = new EventStreamReader();
    const all = bytes(STREAM);
    const events = [];
    for (let start = 0; start < all.length; start += size) {
      events.push(...reader.push(all.slice(start, start + size)));
    }
    expect(events).toEqual(EVENTS);
  });

  test('keeps what has not ended', () => {
    const reader = new EventStreamReader();
    expect(reader.push(bytes('data: 1\n'))).toEqual([]);
    expect(reader.push(bytes('\n'))).toEqual([{ type: 'message', data: '1' }]);
  });
});

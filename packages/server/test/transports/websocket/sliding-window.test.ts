import { SlidingWindow } from '@trunkline/server/internal/transports/websocket/sliding-window.ts';
import { describe, expect, test } from 'vitest';

describe('SlidingWindow', () => {
  test('keeps the newest bytes, whatever the pieces', () => {
    for (const size of [1, 2, 3, 5, 7, 8, 9, 20]) {
      const window = new SlidingWindow(8);
      let all = '';
      for (let at = 0; at < 40; at += size) {
        const piece = Array.from({ length: size }, (_, index) =>
          String.fromCharCode(48 + at + index),
        ).join('');
        all += piece;
        window.push(Buffer.from(piece, 'latin1'));
        expect(Buffer.from(window.bytes).toString('latin1')).toBe(all.slice(-8));
      }
    }
  });

  test('keeps a copy', () => {
    const window = new SlidingWindow(4);
    const bytes = Buffer.from('abcd');
    window.push(bytes);
    bytes.fill('x');
    expect(Buffer.from(window.bytes).toString()).toBe('abcd');
  });

  test('takes no memory before the first byte, and none after it was cleared', () => {
    const window = new SlidingWindow(4096);
    expect(window.bytes.buffer.byteLength).toBe(0);
    window.push(Buffer.from('a'));
    expect(window.bytes.buffer.byteLength).toBe(4096);
    window.clear();
    expect(window.bytes.buffer.byteLength).toBe(0);
    window.push(Buffer.from('b'));
    expect(Buffer.from(window.bytes).toString()).toBe('b');
  });
});

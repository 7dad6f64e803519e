import { describe, expect, test } from 'vitest';
import type { ReceivedMessage, OpenEvent } from '../src/events.ts';
import { Progress } from '../src/progress.ts';

const message = (offset: number, epoch = 'e'): ReceivedMessage => ({
  kind: 'message',
  channel: 'a',
  offset,
  epoch,
});
const open = (position: string, recovered?: boolean): OpenEvent => ({
  kind: 'open',
  position,
  ...(recovered === undefined ? {} : { recovered }),
});

describe('progress', () => {
  test('takes each offset once, however often it comes', () => {
    const progress = new Progress();
    progress.open(open('e:4'));
    const taken = [4, 5, 5, 6, 5, 7].filter((offset) => progress.take(message(offset)));
    expect(taken).toEqual([5, 6, 7]);
    expect(progress.position).toBe('e:7');
  });

  test('does not go back when a resume without loss says an older position', () => {
    const progress = new Progress();
    progress.open(open('e:4'));
    progress.take(message(9));
    progress.open(open('e:7', true));
    expect(progress.take(message(8))).toBe(false);
    expect(progress.take(message(10))).toBe(true);
  });

  test('goes where the server says after a loss', () => {
    const progress = new Progress();
    progress.open(open('e:9'));
    progress.open(open('e:3', false));
    expect(progress.take(message(4))).toBe(true);
    progress.skipTo('f:20');
    expect(progress.position).toBe('f:20');
    expect(progress.take(message(20, 'f'))).toBe(false);
  });

  test('follows a channel from before its first message', () => {
    const progress = new Progress();
    progress.open(open('0:0'));
    expect(progress.take(message(1))).toBe(true);
    expect(progress.position).toBe('e:1');
  });

  test('keeps its position when told what is none', () => {
    const progress = new Progress();
    progress.open(open('e:1'));
    progress.skipTo('nonsense');
    expect(progress.position).toBe('e:1');
  });
});

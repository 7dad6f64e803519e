import { describe, expect, test } from 'vitest';
import type { ReceivedMessage, OpenEvent } from '../../src/events.ts';
import { Progress } from '../../src/single/progress.ts';

const message = (offset: number, epoch = 'e'): ReceivedMessage => ({
  kind: 'message',
  channel: 'a',
  offset,
  epoch,
});
const open = (position: string, recovered?: boolean): OpenEvent => ({
  kind: 'open',
  channel: 'a',
  position,
  ...(recovered === undefined ? {} : { recovered }),
});

describe('progress', () => {
  test('takes each offset once, however often it comes', () => {
    const progress = new Progress(['a']);
    progress.open(open('e:4'));
    const taken = [4, 5, 5, 6, 5, 7].filter((offset) => progress.take(message(offset)));
    expect(taken).toEqual([5, 6, 7]);
    expect(progress.position).toBe('e:7');
  });

  test('does not go back when a resume without loss says an older position', () => {
    const progress = new Progress(['a']);
    progress.open(open('e:4'));
    progress.take(message(9));
    progress.open(open('e:7', true));
    expect(progress.take(message(8))).toBe(false);
    expect(progress.take(message(10))).toBe(true);
  });

  test('goes where the server says after a loss', () => {
    const progress = new Progress(['a']);
    progress.open(open('e:9'));
    progress.open(open('e:3', false));
    expect(progress.take(message(4))).toBe(true);
    progress.skipTo('a', 'f:20');
    expect(progress.position).toBe('f:20');
    expect(progress.take(message(20, 'f'))).toBe(false);
  });

  test('follows a channel from before its first message', () => {
    const progress = new Progress(['a']);
    progress.open(open('0:0'));
    expect(progress.take(message(1))).toBe(true);
    expect(progress.position).toBe('e:1');
  });

  test('keeps its position when told what is none', () => {
    const progress = new Progress(['a']);
    progress.open(open('e:1'));
    progress.skipTo('a', 'nonsense');
    expect(progress.position).toBe('e:1');
  });
});

describe('progress in several channels', () => {
  const of = (channel: string, offset: number, mark?: string): ReceivedMessage => ({
    ...message(offset),
    channel,
    ...(mark === undefined ? {} : { mark }),
  });

  test('is a place for each, which a server reads as one', () => {
    const progress = new Progress(['a', 'b/+']);
    expect(progress.position).toBeUndefined();
    progress.open(open('e:4'));
    progress.open({ kind: 'open', channel: 'b/+', mark: '~m1' });
    expect(progress.position).toBe('a=e%3A4&b%2F%2B=%7Em1');
    expect(progress.take(of('b/x', 1))).toBe(true);
    expect(progress.take(of('b/x', 2, '~m2'))).toBe(true);
    expect(progress.take(of('b/x', 2, '~m2'))).toBe(false);
    progress.take(of('a', 5));
    expect(progress.placeOf('b/+')).toBe('~m2');
    expect(progress.placeOf('a')).toBe('e:5');
  });

  test('is one mark where a stream tells one for all', () => {
    const progress = new Progress(['a', 'b/+']);
    progress.marked(['a', 'b/+'], '~m1');
    expect(progress.position).toBe('~m1');
    progress.take(of('a', 5));
    expect(progress.placeOf('a')).toBe('e:5');
    progress.marked(['a', 'b/+'], '~m2');
    expect(progress.position).toBe('~m2');
  });

  test('lets every message of a volatile channel through', () => {
    const progress = new Progress(['live']);
    const volatile: ReceivedMessage = { kind: 'message', channel: 'live', data: 1 };
    expect([progress.take(volatile), progress.take(volatile)]).toEqual([true, true]);
    expect(progress.position).toBeUndefined();
  });

  test('forgets the channels it heard of longest ago, but none that was named', () => {
    const progress = new Progress(['a', '#']);
    progress.take(of('a', 1));
    for (let index = 0; index < 10_001; index += 1) progress.take(of(`c/${index}`, 1));
    expect(progress.take(of('c/0', 1))).toBe(true);
    expect(progress.take(of('c/9999', 1))).toBe(false);
    expect(progress.take(of('a', 1))).toBe(false);
  });
});

import type { Message } from '@trunkline/client';
import { describe, expect, test } from 'vitest';
import { Progress } from '../src/progress.ts';

function message(channel: string, offset?: number, epoch = 'e'): Message {
  const place = offset === undefined ? {} : { offset, epoch };
  return { kind: 'message', channel, data: 0, ...place };
}

const opened = (channel: string, place: object) => ({ kind: 'open', channel, ...place }) as const;

describe('where to go on', () => {
  test('is nowhere before the first opening, and then where it was printed', () => {
    const progress = new Progress(['a']);
    expect(progress.position).toBeUndefined();
    progress.follow('a', opened('a', { position: 'e:4' }));
    expect(progress.position).toBe('e:4');
    progress.follow('a', message('a', 5));
    expect(progress.position).toBe('e:5');
    progress.follow('a', {
      kind: 'gap',
      channel: 'a',
      gap: { reason: 'trimmed' },
      position: 'e:9',
    });
    expect(progress.position).toBe('e:9');
  });

  test('is not moved by what says nothing of places', () => {
    const progress = new Progress(['a'], 'e:4');
    progress.follow('a', { kind: 'state', state: 'connected' });
    progress.follow('a', opened('a', { volatile: true }));
    progress.follow('a', message('a'));
    expect(progress.position).toBe('e:4');
  });

  test('is where it was to begin until more is known', () => {
    expect(new Progress(['a'], 'start').position).toBe('start');
    expect(new Progress(['a', 'b/#'], '~m').position).toBe('~m');
  });

  test('has a place for each of several, which can be handed back', () => {
    const progress = new Progress(['a', 'b', 'c/+']);
    progress.follow('a', opened('a', { position: 'e:1' }));
    progress.follow('b', opened('b', { position: 'e:1' }));
    progress.follow('c/+', opened('c/+', { mark: '~1' }));
    progress.follow('b', message('b', 2));
    progress.follow('c/+', message('c/x', 7));
    progress.reach('c/+', '~2');
    const place = 'a=e%3A1&b=e%3A2&c%2F%2B=%7E2';
    expect(progress.position).toBe(place);
    const next = new Progress(['a', 'b', 'c/+', 'd'], place);
    expect(['a', 'b', 'c/+', 'd'].map((one) => next.placeOf(one))).toEqual([
      ...['e:1', 'e:2', '~2', undefined],
    ]);
    expect(next.position).toBe(place);
  });

  test('is a place for each also where positions are the same by chance', () => {
    expect(new Progress(['a', 'b'], 'e:1').position).toBe('a=e%3A1&b=e%3A1');
  });

  test('never goes back by a resume without loss, and follows the server after a loss', () => {
    const progress = new Progress(['a'], 'e:8');
    progress.follow('a', opened('a', { position: 'e:6', recovered: true }));
    expect(progress.position).toBe('e:8');
    progress.follow('a', opened('a', { position: 'e:6', recovered: false }));
    expect(progress.position).toBe('e:6');
    progress.follow('a', opened('a', { position: 'f:0', recovered: true }));
    expect(progress.position).toBe('f:0');
  });
});

describe('a message', () => {
  test('is new where one filter brings it', () => {
    const progress = new Progress(['a', 'b/+']);
    expect(progress.isNew(message('a', 1))).toBe(true);
    expect(progress.isNew(message('a', 1))).toBe(true);
  });

  test('that two filters bring is printed once, in the order of its channel', () => {
    const progress = new Progress(['b/x', 'b/+']);
    const offsets = [1, 2, 1, 2, 3, 3, 4];
    expect(offsets.filter((one) => progress.isNew(message('b/x', one)))).toEqual([1, 2, 3, 4]);
    expect(progress.isNew(message('b/y', 1))).toBe(true);
    expect(progress.isNew(message('b/x', 1, 'f'))).toBe(true);
  });

  test('was printed where its name begins after it', () => {
    const progress = new Progress(['b/x', 'b/+'], 'b%2Fx=e%3A2&b%2F%2B=~1');
    expect([1, 2, 3].map((offset) => progress.isNew(message('b/x', offset)))).toEqual([
      ...[false, false, true],
    ]);
  });

  test('without an offset is known by itself', () => {
    const progress = new Progress(['b/x', 'b/+']);
    const one = message('b/x');
    expect([one, one, message('b/x')].map((each) => progress.isNew(each))).toEqual([
      ...[true, false, true],
    ]);
  });

  test('is remembered of so many channels at most', () => {
    const progress = new Progress(['b/+', 'b/#']);
    for (let channel = 0; channel <= 10_000; channel += 1) {
      progress.isNew(message(`b/${channel}`, 1));
    }
    expect(progress.isNew(message('b/1', 1))).toBe(false);
    expect(progress.isNew(message('b/0', 1))).toBe(true);
  });
});

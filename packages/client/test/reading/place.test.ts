import { describe, expect, test } from 'vitest';
import { Place } from '../../src/reading/place.ts';

function at(filter: string, after?: string): Place {
  return new Place(filter, after);
}

/** A pattern's place that was told by the server. */
function marked(mark: string): Place {
  const place = at('room/+');
  place.reach(mark);
  return place;
}

describe('the place of a name', () => {
  test('is nowhere before anything was told', () => {
    expect(at('a').after).toBeUndefined();
  });

  test.each(['e:7', 'start', '~mark', '0:0'])('begins at %s where it is told to', (after) => {
    expect(at('a', after).after).toBe(after);
  });

  test('takes a message once', () => {
    const place = at('a', 'e:7');
    expect(place.take('a', { epoch: 'e', offset: 8 })).toBe(true);
    expect(place.take('a', { epoch: 'e', offset: 8 })).toBe(false);
    expect(place.take('a', { epoch: 'e', offset: 3 })).toBe(false);
    expect(place.after).toBe('e:8');
  });

  test('takes another life from anywhere', () => {
    const place = at('a', 'e:7');
    expect(place.isOtherLife('a', { epoch: 'f', offset: 1 })).toBe(true);
    expect(place.take('a', { epoch: 'f', offset: 1 })).toBe(true);
    expect(place.after).toBe('f:1');
  });

  test.each([
    ['e:7', 'e', 8, false],
    ['e:7', 'e', 7, false],
    ['e:7', 'e', 9, true],
    ['e:7', 'f', 1, true],
    ['0:0', 'f', 1, false],
    ['0:0', 'f', 9, true],
    ['start', 'f', 9, false],
  ])('being at %s, %s:%i skips: %s', (after, epoch, offset, skips) => {
    expect(at('a', after).skips('a', { epoch, offset })).toBe(skips);
  });

  test.each([
    ['e:7', 'e:7', true],
    ['e:7', 'e:6', true],
    ['e:7', 'e:8', false],
    ['e:7', 'f:1', false],
    ['e:7', '0:0', true],
    ['e:7', 'start', true],
    ['e:7', '~mark', false],
    ['~mark', '~mark', true],
  ])('%s is after %s: %s', (own, earlier, isAfter) => {
    expect(at('a', own).isAfter(at('a', earlier))).toBe(isAfter);
  });

  test('is told by the server only where it is not known', () => {
    const begun = at('a', 'start');
    begun.settle({ position: 'e:4' });
    expect(begun.after).toBe('e:4');
    begun.settle({ position: 'e:2' });
    expect(begun.after).toBe('e:4');
  });

  test('is told by the server which life began since it had none', () => {
    const begun = at('a', '0:0');
    begun.settle({ position: 'e:0' });
    expect(begun.after).toBe('e:0');
    expect(at('a', 'f:3').isAfter(begun)).toBe(false);
  });

  test('does not move by a mark', () => {
    const place = at('a', 'e:7');
    place.reach('~mark');
    expect(place.after).toBe('e:7');
  });
});

describe('the place of a pattern', () => {
  test('is the last mark, and drops what was delivered since', () => {
    const place = marked('~1');
    expect(place.take('room/1', { epoch: 'e', offset: 5 })).toBe(true);
    expect(place.after).toBe('~1');
    place.reach('~2');
    expect(place.after).toBe('~2');
    expect(place.take('room/1', { epoch: 'e', offset: 5 })).toBe(false);
    expect(place.take('room/2', { epoch: 'e', offset: 5 })).toBe(true);
  });

  test('is after another one only at the same mark, or where that begins with the oldest', () => {
    expect(marked('~1').isAfter(marked('~1'))).toBe(true);
    expect(marked('~2').isAfter(marked('~1'))).toBe(false);
    expect(marked('~1').isAfter(marked('~2'))).toBe(false);
    expect(marked('~1').isAfter(at('room/+', 'start'))).toBe(true);
  });

  test('takes only the mark of another one: what that one was given says nothing here', () => {
    const other = marked('~2');
    other.take('room/1', { epoch: 'e', offset: 5 });
    const place = at('room/+');
    place.skipTo(other);
    expect(place.after).toBe('~2');
    expect(place.take('room/1', { epoch: 'e', offset: 5 })).toBe(true);
  });

  test('remembers the newest offsets of 10,000 channels', () => {
    const place = marked('~1');
    for (let n = 0; n <= 10_000; n += 1) place.take(`room/${n}`, { epoch: 'e', offset: 1 });
    expect(place.take('room/0', { epoch: 'e', offset: 1 })).toBe(true);
    expect(place.take('room/10000', { epoch: 'e', offset: 1 })).toBe(false);
  });

  test('is copied with all that it knows', () => {
    const place = marked('~2');
    place.take('room/1', { epoch: 'e', offset: 5 });
    const copy = place.copy();
    place.take('room/1', { epoch: 'e', offset: 6 });
    expect(copy.take('room/1', { epoch: 'e', offset: 5 })).toBe(false);
    expect(copy.take('room/1', { epoch: 'e', offset: 6 })).toBe(true);
    expect(copy.after).toBe('~2');
  });
});

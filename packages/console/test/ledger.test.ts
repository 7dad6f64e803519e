import { describe, expect, test } from 'vitest';
import { beginAt, countGap, countMessage, EMPTY_LEDGER } from '../src/ledger.ts';
import type { Ledger } from '../src/ledger.ts';

const at = (offset: number, epoch = 'k3f9') => ({ epoch, offset });

function count(ledger: Ledger, offsets: readonly number[], epoch = 'k3f9'): Ledger {
  return offsets.reduce((sum, offset) => countMessage(sum, at(offset, epoch)), ledger);
}

const begun = beginAt(EMPTY_LEDGER, at(40));

describe('a ledger', () => {
  test('finds nothing wrong while offsets rise by one', () => {
    expect(count(begun, [41, 42, 43])).toMatchObject({ received: 3, missed: 0, doubled: 0 });
  });

  test('counts every message of a hole', () => {
    expect(count(begun, [41, 45])).toMatchObject({ received: 2, missed: 3, doubled: 0 });
  });

  test('counts a hole before the first message after the start', () => {
    expect(count(begun, [42])).toMatchObject({ missed: 1 });
  });

  test('counts a message whose offset does not rise, and does not go back for it', () => {
    const ledger = count(begun, [41, 42, 42, 41, 43]);
    expect(ledger).toMatchObject({ received: 5, missed: 0, doubled: 2, at: at(43) });
  });

  test('has no opinion on the first message when no place is known', () => {
    expect(count(EMPTY_LEDGER, [500])).toMatchObject({ received: 1, missed: 0, doubled: 0 });
  });

  test('takes the first message of a channel that had none, whatever its epoch', () => {
    const origin = beginAt(EMPTY_LEDGER, at(0, '0'));
    expect(count(origin, [1, 2])).toMatchObject({ missed: 0, doubled: 0 });
    expect(count(origin, [3])).toMatchObject({ missed: 2 });
  });

  test('counts a new epoch that nobody announced as loss', () => {
    expect(count(begun, [1], 'new1')).toMatchObject({ missed: 1, doubled: 0 });
  });

  test('keeps an announced gap apart from silent loss', () => {
    const ledger = count(countGap(begun, at(60)), [61]);
    expect(ledger).toMatchObject({ gaps: 1, missed: 0, doubled: 0 });
    expect(count(countGap(begun, at(0, 'new1')), [1], 'new1')).toMatchObject({ missed: 0 });
  });

  test('begins once: a resume does not hide a hole', () => {
    expect(beginAt(count(begun, [41]), at(50)).at).toEqual(at(41));
  });
});

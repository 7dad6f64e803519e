import { describe, expect, test } from 'vitest';
import { Ledger } from '../src/ledger.ts';

const at = (offset: number, epoch = 'k3f9') => ({ epoch, offset });

/** A ledger of `a` that stands at 40, or at another place. */
function begun(place = at(40)): Ledger {
  const ledger = new Ledger();
  ledger.begin('a', place);
  return ledger;
}

/** Counts messages of `a`; every hole is a loss. */
function count(ledger: Ledger, offsets: readonly number[], epoch = 'k3f9'): Ledger {
  for (const offset of offsets) {
    const hole = ledger.message('a', at(offset, epoch));
    if (hole !== undefined) ledger.miss(hole);
  }
  return ledger;
}

describe('a ledger', () => {
  test('finds nothing wrong while offsets rise by one', () => {
    expect(count(begun(), [41, 42, 43])).toMatchObject({ received: 3, missed: 0, doubled: 0 });
  });

  test('counts every message of a hole', () => {
    expect(count(begun(), [41, 45])).toMatchObject({ received: 2, missed: 3, doubled: 0 });
  });

  test('counts a hole before the first message after the start', () => {
    expect(count(begun(), [42])).toMatchObject({ missed: 1 });
  });

  test('counts a message whose offset does not rise, and does not go back for it', () => {
    const ledger = count(begun(), [41, 42, 42, 41, 43]);
    expect(ledger).toMatchObject({ received: 5, missed: 0, doubled: 2 });
    expect(ledger.at('a')).toEqual(at(43));
  });

  test('has no opinion on the first message when no place is known', () => {
    const ledger = count(new Ledger(), [500]);
    expect(ledger).toMatchObject({ received: 1, missed: 0, doubled: 0 });
  });

  test('takes the first message of a channel that had none, whatever its epoch', () => {
    expect(count(begun(at(0, '0')), [1, 2])).toMatchObject({ missed: 0, doubled: 0 });
    expect(count(begun(at(0, '0')), [3])).toMatchObject({ missed: 2 });
  });

  test('counts a new epoch that nobody announced as loss', () => {
    expect(count(begun(), [1], 'new1')).toMatchObject({ missed: 1, doubled: 0 });
  });

  test('keeps an announced gap apart from silent loss', () => {
    const ledger = begun();
    ledger.gap('a', at(60));
    expect(count(ledger, [61])).toMatchObject({ gaps: 1, missed: 0, doubled: 0 });
    ledger.gap('a', at(0, 'new1'));
    expect(count(ledger, [1], 'new1')).toMatchObject({ gaps: 2, missed: 0 });
    ledger.gap('a', undefined);
    expect(count(ledger, [70], 'new1')).toMatchObject({ gaps: 3, missed: 0 });
  });

  test('begins once: a resume does not hide a hole', () => {
    const ledger = count(begun(), [41]);
    ledger.begin('a', at(50));
    expect(ledger.at('a')).toEqual(at(41));
  });

  test('counts each channel by itself', () => {
    const ledger = begun();
    for (const offset of [7, 8]) ledger.message('b', at(offset));
    expect(count(ledger, [41])).toMatchObject({ received: 3, missed: 0, doubled: 0 });
    expect(ledger.channels).toEqual(['b', 'a']);
    expect(ledger.message('b', at(10))).toEqual({ channel: 'b', epoch: 'k3f9', from: 9, to: 9 });
  });

  test('[VOL-1] proves nothing of volatile channels', () => {
    const ledger = new Ledger();
    expect(ledger.message('v', undefined)).toBeUndefined();
    expect(ledger).toMatchObject({ received: 1, missed: 0, doubled: 0 });
    expect(ledger.channels).toEqual([]);
  });

  test('[MSG-6] takes what expired for no loss, and finds a hole before it', () => {
    const ledger = begun();
    expect(ledger.expire('a', 'k3f9', 41, 43)).toBeUndefined();
    expect(count(ledger, [44])).toMatchObject({ expired: 3, missed: 0 });
    expect(ledger.expire('a', 'k3f9', 47, 48)).toMatchObject({ from: 45, to: 46 });
    // Told again after a resume.
    expect(ledger.expire('a', 'k3f9', 47, 48)).toBeUndefined();
    expect(ledger.expired).toBe(5);
  });

  test('counts what the log has of a hole as missed, and the rest as expired', () => {
    const ledger = begun();
    ledger.miss({ channel: 'a', epoch: 'k3f9', from: 41, to: 45 }, 2);
    expect(ledger).toMatchObject({ missed: 2, expired: 3 });
  });

  test('knows nothing any more of channels that a gap without names has lost', () => {
    const ledger = begun();
    ledger.message('b', at(7));
    ledger.lose((channel) => channel === 'a');
    expect(count(ledger, [99])).toMatchObject({ gaps: 1, missed: 0 });
    expect(ledger.message('b', at(9))).toBeDefined();
  });

  test('is copied, so that two readers count by themselves', () => {
    const ledger = count(begun(), [41, 41]);
    const copy = count(new Ledger(ledger), [43]);
    expect(copy).toMatchObject({ received: 3, missed: 1, doubled: 1 });
    expect(ledger).toMatchObject({ received: 2, missed: 0 });
  });
});

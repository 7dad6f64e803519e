import { describe, expect, test } from 'vitest';
import { anewFrom, eitherOf, startOf } from '../../src/checks/whereabouts.ts';

const head = (from: number, to: number, before = 'e') => ({
  asked: { epoch: before, oldest: from, top: 9 },
  answered: { epoch: 'e', oldest: to, top: 9 },
  known: { epoch: 'e', offset: 9 },
  comparable: true,
});

describe('where one stands', () => {
  test('is before what was the oldest between question and answer, whichever way time went', () => {
    expect(startOf(head(3, 6))).toEqual({ epoch: 'e', from: 2, to: 5 });
    expect(startOf(head(6, 3))).toEqual({ epoch: 'e', from: 2, to: 5 });
    expect(startOf(head(6, 3, '0'))).toEqual({ epoch: 'e', from: 0, to: 2 });
    expect(startOf(head(6, 3, 'd'))).toBeUndefined();
  });

  test('is either of two places, the one before any message being in every life', () => {
    const at = (from: number, to = from, epoch = 'e') => ({ epoch, from, to });
    expect(eitherOf(at(3), at(1, 2))).toEqual(at(1, 3));
    expect(eitherOf(at(0, 0, '0'), at(4))).toEqual(at(0, 4));
    expect(eitherOf(at(3), at(4, 4, 'd'))).toEqual(at(3));
    expect(eitherOf(undefined, at(4))).toBeUndefined();
  });

  test('is at the earliest before all of a life, for who begins anew there and stood in another', () => {
    const at = (from: number, to = from, epoch = 'e') => ({ epoch, from, to });
    expect(anewFrom(at(3), at(4, 4, 'd'))).toEqual(at(0, 3));
    expect(anewFrom(at(3), at(1, 2))).toEqual(at(1, 3));
    expect(anewFrom(at(3), undefined)).toEqual(at(3));
    expect(anewFrom(undefined, at(4))).toBeUndefined();
  });
});

import { describe, expect, test } from 'vitest';
import { allowTold, goesBack } from '../../src/checks/allowances.ts';
import type { Allowance, View } from '../../src/checks/session-state.ts';

/** One who asked to begin at one of these offsets. */
function asked(subscription: string, from: number, to: number, owedTo?: number): Allowance {
  return { subscription, place: { epoch: 'e', from, to }, owedTo, mutes: [] };
}

/** A session that began at an offset. */
function begunAt(offset: number, ...allowances: Allowance[]): View {
  const place = { epoch: 'e', from: offset, to: offset };
  const memory = { given: new Set<string>(), used: new Set<string>() };
  return { cursor: place, begin: place, mutes: [], allowances, ...memory };
}

describe('a session that is given something again', () => {
  test('is given it for the one that may have asked closest to it from before', () => {
    const view = begunAt(9, asked('far', 1, 2), asked('near', 4, 6), asked('ahead', 8, 8));
    expect(goesBack(view, { epoch: 'e', offset: 7 })).toEqual({ epoch: 'e', from: 4, to: 6 });
    expect([...view.used]).toEqual(['near']);
    expect(view.allowances.map(({ subscription }) => subscription)).toEqual(['far']);
  });

  test('owes nobody what comes again after that, but what is before', () => {
    const view = begunAt(9, asked('near', 0, 9), asked('far', 0, 5, 9));
    goesBack(view, { epoch: 'e', offset: 7 });
    expect(view.allowances).toEqual([asked('far', 0, 5, 7)]);
  });

  test('is given all of a life again of which one was told after it was in another one', () => {
    const view = begunAt(0, asked('late', 0, 0));
    view.cursor = { epoch: 'e', from: 2, to: 2 };
    expect(goesBack(view, { epoch: 'e', offset: 0 })).toBeUndefined();
    allowTold(view, 'late', { epoch: 'e', from: 0, to: 0 });
    expect(goesBack(view, { epoch: 'e', offset: 0 })).toEqual({ epoch: 'e', from: 0, to: 0 });
    expect(goesBack(view, { epoch: 'e', offset: 0 })).toBeUndefined();
  });

  test('is not given it where nobody asked for it from before', () => {
    const view = begunAt(9, asked('ahead', 8, 8));
    expect(goesBack(view, { epoch: 'e', offset: 7 })).toBeUndefined();
  });
});

import { describe, expect, test } from 'vitest';
import { BodyGate } from '@trunkline/server/internal/http/body-gate.ts';

describe('BodyGate', () => {
  test('gives so many turns at a time, and the others in their order', () => {
    const gate = new BodyGate(2);
    const begun: number[] = [];
    for (const id of [1, 2, 3, 4]) gate.enter(() => begun.push(id));
    expect(begun).toEqual([1, 2]);
    gate.leave();
    expect(begun).toEqual([1, 2, 3]);
    gate.leave();
    gate.leave();
    gate.leave();
    gate.enter(() => begun.push(5));
    expect(begun).toEqual([1, 2, 3, 4, 5]);
  });

  test('passes over those who gave up, and keeps nothing of them', () => {
    const gate = new BodyGate(1);
    const begun: string[] = [];
    const first = (): void => void begun.push('first');
    gate.enter(first);
    const gone = Array.from({ length: 20_000 }, (_, id) => () => void begun.push(`${id}`));
    for (const begin of gone) gate.enter(begin);
    gate.enter(() => begun.push('last'));
    for (const begin of gone) gate.forget(begin);
    // It has its turn already.
    gate.forget(first);
    gate.leave();
    expect(begun).toEqual(['first', 'last']);
  });
});

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

  test('lets one that has no use for its turn give it back at once', () => {
    const gate = new BodyGate(1);
    const begun: string[] = [];
    gate.enter(() => begun.push('first'));
    gate.enter(() => gate.leave());
    gate.enter(() => begun.push('last'));
    gate.leave();
    expect(begun).toEqual(['first', 'last']);
  });
});

import { expect, test, vi } from 'vitest';
import { Pull } from '../../src/reading/pull.ts';

function pullOf() {
  const stop = vi.fn<() => void>();
  return { pull: new Pull<number>(() => stop), stop };
}

test('gives what was asked for before it came', async () => {
  const { pull } = pullOf();
  const asked = pull.next();
  void pull.give(1);
  expect(await asked).toEqual({ done: false, value: 1 });
});

test('lets the giver wait until the value is taken', async () => {
  const { pull } = pullOf();
  const told: string[] = [];
  const given = Promise.resolve(pull.give(1)).then(() => told.push('taken'));
  await Promise.resolve();
  expect(told).toEqual([]);
  expect(await pull.next()).toEqual({ done: false, value: 1 });
  await given;
  expect(told).toEqual(['taken']);
});

test('answers those who ask at once in their order', async () => {
  const { pull } = pullOf();
  const asked = [pull.next(), pull.next()];
  void pull.give(1);
  void pull.give(2);
  expect(await Promise.all(asked)).toEqual([
    { done: false, value: 1 },
    { done: false, value: 2 },
  ]);
});

test('tells a failure once, and then that it is over', async () => {
  const { pull } = pullOf();
  const asked = [pull.next(), pull.next()];
  pull.fail(new Error('gone'));
  await expect(asked[0]).rejects.toThrow('gone');
  expect(await asked[1]).toEqual({ done: true, value: undefined });
  expect(await pull.next()).toEqual({ done: true, value: undefined });
});

test('gives what is held before it tells of a failure', async () => {
  const { pull } = pullOf();
  void pull.give(1);
  pull.fail(new Error('gone'));
  expect(await pull.next()).toEqual({ done: false, value: 1 });
  await expect(pull.next()).rejects.toThrow('gone');
});

test('stops when the loop is left, also while it waits', async () => {
  const { pull, stop } = pullOf();
  const asked = pull.next();
  await pull.return();
  expect(await asked).toEqual({ done: true, value: undefined });
  expect(stop).toHaveBeenCalledOnce();
  expect(await pull.next()).toEqual({ done: true, value: undefined });
});

test('stops at the end of its scope', async () => {
  const { pull, stop } = pullOf();
  {
    await using scoped = pull;
    expect(scoped[Symbol.asyncIterator]()).toBe(pull);
  }
  expect(stop).toHaveBeenCalledOnce();
});

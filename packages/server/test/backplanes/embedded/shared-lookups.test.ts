import { expect, test } from 'vitest';
import { SharedLookups } from '../../../src/backplanes/embedded/shared-lookups.ts';

/** Lookups that the test answers, in the order in which they began. */
function setUp() {
  const lookups = new SharedLookups<string>();
  const begun: { readonly key: string; readonly answer: PromiseWithResolvers<string> }[] = [];
  const look = (key: string): Promise<string> => {
    return lookups.look(key, () => {
      const answer = Promise.withResolvers<string>();
      begun.push({ key, answer });
      return answer.promise;
    });
  };
  return { look, begun, keys: () => begun.map(({ key }) => key) };
}

test('answers who asks during a lookup with the next one, all of them with the same', async () => {
  const { look, begun } = setUp();
  const first = look('a');
  const later = [look('a'), look('a'), look('a')];
  expect(begun).toHaveLength(1);
  begun[0]?.answer.resolve('old');
  expect(await first).toBe('old');
  expect(begun).toHaveLength(2);
  const last = look('a');
  begun[1]?.answer.resolve('new');
  expect(await Promise.all(later)).toEqual(['new', 'new', 'new']);
  begun[2]?.answer.resolve('newest');
  expect(await last).toBe('newest');
});

test('begins few at once, the others in their order, whatever becomes of those before', async () => {
  const { look, begun, keys } = setUp();
  const asked = ['a', 'b', 'c', 'd', 'e', 'a', 'f'].map(look);
  expect(keys()).toEqual(['a', 'b', 'c', 'd']);
  begun[1]?.answer.reject(new Error('no'));
  await expect(asked[1]).rejects.toThrow('no');
  expect(keys()).toEqual(['a', 'b', 'c', 'd', 'e']);
  begun[2]?.answer.resolve('');
  await asked[2];
  // The second `a` waits for the first one; who came after it does not.
  expect(keys().slice(5)).toEqual(['f']);
  begun[0]?.answer.resolve('');
  await asked[0];
  expect(keys().slice(6)).toEqual(['a']);
  for (const { answer } of begun) answer.resolve('');
  await Promise.allSettled(asked);
});

test('refuses when too many different ones wait', async () => {
  const { look, begun } = setUp();
  const asked = Array.from({ length: 10_004 }, (_, index) => look(`${index}`));
  await expect(look('more')).rejects.toMatchObject({ kind: 'unavailable' });
  void look('10003');
  for (let index = 0; index < asked.length; index += 1) {
    begun[index]?.answer.resolve('');
    await asked[index];
  }
  expect(begun).toHaveLength(asked.length);
});

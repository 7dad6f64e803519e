import { expect, test } from 'vitest';
import { TokenDesk } from '../../src/tabs/token-desk.ts';

test('gives what a tab brought, once, and then asks the tabs that live, the newest first', async () => {
  const desk = new TokenDesk();
  const asked: string[] = [];
  const add = (name: string, token: string | undefined) =>
    desk.add(() => {
      asked.push(name);
      return Promise.resolve(token);
    });
  add('old', 'c');
  const leave = add('asleep', undefined);
  desk.offer('a');
  expect(await desk.take()).toBe('a');
  expect(asked).toEqual([]);
  expect(await desk.take()).toBe('c');
  expect(asked.splice(0)).toEqual(['asleep', 'old']);
  leave();
  desk.offer('d');
  expect(await desk.take()).toBe('d');
  expect(await desk.take()).toBe('c');
  expect(asked).toEqual(['old']);
});

test('gives the newest it has when no tab has another, and asks only so many', async () => {
  const desk = new TokenDesk();
  let count = 0;
  for (let tab = 0; tab < 10; tab += 1) {
    desk.add(() => {
      count += 1;
      return Promise.resolve(undefined);
    });
  }
  desk.offer('a');
  expect([await desk.take(), await desk.take()]).toEqual(['a', 'a']);
  expect(count).toBe(3);
});

test('the same token told again is not fresh', async () => {
  const desk = new TokenDesk();
  desk.offer('a');
  await desk.take();
  desk.offer('a');
  desk.add(() => Promise.resolve('b'));
  expect(await desk.take()).toBe('b');
});

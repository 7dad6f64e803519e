import { expect, test } from 'vitest';
import { Listeners } from '../../src/reading/listeners.ts';

test('changes of one turn are told once', async () => {
  const listeners = new Listeners();
  let told = 0;
  listeners.add(() => (told += 1));
  listeners.tell();
  listeners.tell();
  expect(told).toBe(0);
  await Promise.resolve();
  expect(told).toBe(1);
  listeners.tell();
  await Promise.resolve();
  expect(told).toBe(2);
});

test('the same function listens as often as it was added, and each goes by itself', async () => {
  const listeners = new Listeners();
  let told = 0;
  const listener = () => (told += 1);
  const first = listeners.add(listener);
  listeners.add(listener);
  first();
  first();
  listeners.tell();
  await Promise.resolve();
  expect(told).toBe(1);
});

test('who is taken away while others are told hears nothing', async () => {
  const listeners = new Listeners();
  const heard: string[] = [];
  listeners.add(() => {
    heard.push('first');
    takeAway();
  });
  const takeAway = listeners.add(() => heard.push('second'));
  listeners.tell();
  await Promise.resolve();
  expect(heard).toEqual(['first']);
});

test('what a listener throws is reported and stops nobody else', async () => {
  const listeners = new Listeners();
  const reported = new Promise((resolve) => process.once('uncaughtException', resolve));
  const others = process.listeners('uncaughtException').slice(0, -1);
  for (const one of others) process.off('uncaughtException', one);
  let told = 0;
  listeners.add(() => {
    throw new Error('mine');
  });
  listeners.add(() => (told += 1));
  try {
    listeners.tell();
    expect(await reported).toMatchObject({ message: 'mine' });
  } finally {
    for (const one of others) process.on('uncaughtException', one);
  }
  expect(told).toBe(1);
});

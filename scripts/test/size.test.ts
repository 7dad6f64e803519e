import { expect, test } from 'vitest';
import { checkUse, sizeOf, USES } from '../size.ts';

test('counts what an application uses, and nothing else', async () => {
  const all = await sizeOf(`export { connect } from '@trunkline/client';`);
  const error = await sizeOf(`export { CodedError } from '@trunkline/client';`);
  const nothing = await sizeOf(`import '@trunkline/client'; export const a = 1;`);
  expect(all).toBeGreaterThan(8000);
  expect(error).toBeGreaterThan(100);
  expect(error).toBeLessThan(all / 4);
  expect(nothing).toBeLessThan(100);
});

test('takes what every application has for nothing', async () => {
  const code = `import { useState } from 'react'; export const use = () => useState(1);`;
  expect(await sizeOf(code)).toBeLessThan(200);
});

test('says how much of its budget a use has, and when it is over', async () => {
  const use = { name: 'a constant', code: 'export const a = 1;' };
  expect(await checkUse({ ...use, budget: 1 })).toEqual({
    line: 'a constant: 0.0 KB of 1.0 KB',
    isOver: false,
  });
  expect(await checkUse({ ...use, budget: 0.01 })).toEqual({
    line: 'a constant: 0.0 KB of 0.0 KB: OVER',
    isOver: true,
  });
});

test('every use is there under its own name, and uses something', async () => {
  expect(new Set(USES.map(({ name }) => name)).size).toBe(USES.length);
  for (const { name, code } of USES) expect(await sizeOf(code), name).toBeGreaterThan(8000);
});

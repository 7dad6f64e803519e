import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const SRC = new URL('../src/', import.meta.url);

test('imports nothing from outside, so that it runs in every browser', () => {
  for (const file of readdirSync(SRC)) {
    const source = readFileSync(new URL(file, SRC), 'utf8');
    const outside = [...source.matchAll(/(?:from|import) '([^']+)'/g)]
      .map(([, specifier]) => specifier)
      .filter((specifier) => !specifier?.startsWith('./'));
    expect(outside, file).toEqual([]);
  }
});

/** The documentation: what its pages tell a reader to do works, and prints what they say. */
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { PageRun } from '../../src/page-run.ts';
import { parseBlocks, readBlocks } from '../../src/pages.ts';

const ROOT = join(import.meta.dirname, '../../../..');
const PAGES = ['README.md', 'examples/README.md', ...globSync('docs/guide/**/*.md', { cwd: ROOT })];

describe.concurrent('a page', () => {
  test.for(PAGES.toSorted())('%s works as it says', async (page, context) => {
    await using run = new PageRun();
    for (const block of readBlocks(join(ROOT, page))) {
      try {
        await run.step(block);
      } catch (error) {
        throw new Error(`${page}:${block.line}`, { cause: error });
      }
    }
    context.expect(page).toMatch(/\.md$/);
  });
});

describe('the blocks of a page', () => {
  test('say what becomes of them', () => {
    const fence = '```';
    const text = `${fence}sh run\nls\n${fence}\n\n${fence}yaml a.yaml\nx: 1\n${fence}\n`;
    expect(
      parseBlocks(`${text}${fence}js watch.mjs follow\n${fence}\n${fence}\n${fence}\n`),
    ).toEqual([
      { kind: 'run', language: 'sh', text: 'ls\n', line: 1 },
      { kind: 'file', language: 'yaml', file: 'a.yaml', text: 'x: 1\n', line: 5 },
      { kind: 'follow', language: 'js', file: 'watch.mjs', text: '\n', line: 8 },
      { kind: 'shown', language: '', text: '\n', line: 10 },
    ]);
    expect(() => parseBlocks(`${fence}sh runs\n${fence}\n`)).toThrow(/^line 1: expected one of/);
    expect(() => parseBlocks(`${fence}sh\n`)).toThrow('line 1: the block does not end');
  });
});

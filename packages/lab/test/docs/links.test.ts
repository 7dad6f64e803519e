/** Links between the pages of this repository: each leads to a file, and to a heading in it. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../../../..');
const PAGES = ['*.md', '{docs,spec,examples}/**/*.md', 'packages/*/{*,src/**/*}.md']
  .flatMap((pattern) => globSync(pattern, { cwd: ROOT }))
  .filter((path) => !/node_modules|\bdist\b/.test(path));

/** The words between the parentheses of a link. Code shows links and makes none. */
function linksOf(text: string): string[] {
  const prose = text.replace(/^```[\s\S]*?^```$/gm, '').replace(/`[^`\n]*`/g, '``');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
}

/** The anchors of a page's headings, as GitHub makes them. */
function anchorsOf(text: string): Set<string> {
  const headings = text.replace(/^```[\s\S]*?^```$/gm, '').matchAll(/^#+ (.+)$/gm);
  return new Set(
    [...headings].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

test('every link of a page leads somewhere', () => {
  const faults: string[] = [];
  for (const page of PAGES) {
    const text = readFileSync(join(ROOT, page), 'utf8');
    for (const link of linksOf(text)) {
      if (/^[a-z]+:/.test(link)) continue;
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? page : relative(ROOT, join(ROOT, dirname(page), path));
      if (!existsSync(join(ROOT, target))) faults.push(`${page}: ${link}: no such file`);
      else if (anchor !== undefined && target.endsWith('.md')) {
        const anchors = anchorsOf(readFileSync(join(ROOT, target), 'utf8'));
        if (!anchors.has(anchor)) faults.push(`${page}: ${link}: no such heading`);
      }
    }
  }
  expect(faults).toEqual([]);
});

test.each(['docs/guide', 'docs/guide/client'])(
  'every page of %s is named in its index',
  (folder) => {
    const index = readFileSync(join(ROOT, folder, 'README.md'), 'utf8');
    const names = globSync('*.md', { cwd: join(ROOT, folder) }).filter(
      (name) => name !== 'README.md',
    );
    for (const name of names) expect(index).toContain(`](${name})`);
  },
);

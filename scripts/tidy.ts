/** Tidy: style that matters is checked, not remembered. Run by itself or as a test. */
import { globSync } from 'node:fs';
import { readSources, readText, report, ROOT } from './source.ts';
import { callFaults } from './tidy/calls.ts';
import { clauseFaults } from './tidy/clauses.ts';
import { dependencyFaults } from './tidy/dependencies.ts';
import { sizeFaults } from './tidy/size.ts';
import { testFaults } from './tidy/tests.ts';
import { foreignWords, leftovers, undocumented } from './tidy/words.ts';

const CODE = [
  'packages/*/*.ts',
  'packages/*/{src,test,bench}/**/*.{ts,tsx}',
  'scripts/**/*.ts',
  '*.ts',
];
const TEXTS = [
  ...CODE,
  '*.{md,json,mjs}',
  '.ci/*',
  '{docs,spec,examples,scripts}/**/*.{md,json,mjs,js,html,ts,yaml}',
  'packages/*/{*,src/**/*}.{md,json,html,css}',
];
/** The check's own test shows it what it must find. */
const SHOWN = 'scripts/test/tidy.test.ts';

/** Every fault in the tree at `root`, one line each: where, what, and what to do. */
export function checkTidy(root: string): string[] {
  const files = readSources(root, ...CODE);
  const paths = textPaths(root);
  const exporting = files.filter(({ path }) => /^packages\/[^/]+\/src\/|^scripts\//.test(path));
  return [
    ...files.flatMap((file) => [...callFaults(file), ...sizeFaults(file), ...leftovers(file)]),
    ...exporting.flatMap(undocumented),
    ...testFaults(root, files),
    ...dependencyFaults(root),
    ...clauseFaults(root, paths),
    ...paths.flatMap((path) => foreignWords(path, readText(root, path) ?? '')),
  ];
}

function textPaths(root: string): string[] {
  const paths = TEXTS.flatMap((pattern) => globSync(pattern, { cwd: root }));
  return [...new Set(paths)].filter(
    (path) => !/node_modules|\bdist\b/.test(path) && path !== SHOWN,
  );
}

if (import.meta.main) report('tidy', checkTidy(ROOT));

import { describe, expect, test } from 'vitest';
import { checkLayers } from '../layers.ts';
import { ROOT } from '../source.ts';
import { Tree } from './tree.ts';

const MANIFEST = '{"name":"@trunkline/server","dependencies":{"jose":"1"}}';

/** The faults of a server that has these files, by their paths in its `src`. */
function faultsOf(files: Readonly<Record<string, string>>): string[] {
  using tree = new Tree({ 'packages/server/package.json': MANIFEST });
  for (const [path, text] of Object.entries(files)) {
    tree.write(path.startsWith('packages/') ? path : `packages/server/src/${path}`, text);
  }
  return checkLayers(tree.root);
}

test('the repository keeps its layers', () => {
  expect(checkLayers(ROOT)).toEqual([]);
});

describe('a wrong import between layers fails', () => {
  test.each([
    `import { Hub } from '../hub/hub.ts';`,
    `import type { Hub } from '../hub/hub.ts';`,
    `import { type Hub } from '../hub/hub.ts';`,
    `import '../hub/hub.ts';`,
    `import * as hub from '../hub/hub.ts';`,
    `export { Hub } from '../hub/hub.ts';`,
    `export * from '../hub/hub.ts';`,
    `export type { Hub } from '../hub/hub.ts';`,
    `export const hub = await import('../hub/hub.ts');`,
    `export type Hub = import('../hub/hub.ts').Hub;`,
    `export const worker = new URL('../hub/hub.ts', import.meta.url);`,
    `import { Hub } from "../transports/../hub/hub.ts";`,
  ])('%s', (text) => {
    expect(faultsOf({ 'transports/a.ts': `\n${text}` })).toEqual([
      expect.stringMatching(
        /^packages\/server\/src\/transports\/a\.ts:2: transports may not import hub/,
      ),
    ]);
  });

  test('but a comment or a text that looks like one does not', () => {
    const text = `// import '../hub/hub.ts';\nexport const text = "import '../hub/hub.ts'";`;
    expect(faultsOf({ 'transports/a.ts': text })).toEqual([]);
  });

  test('and what the layer may know passes', () => {
    const text = `import '../link/link.ts'; import '../clock.ts'; import './b.ts'; import '@trunkline/wire';`;
    expect(faultsOf({ 'transports/a.ts': text, 'transports/b.ts': '' })).toEqual([]);
  });

  test('only the configuration knows the config.ts of every layer', () => {
    expect(
      faultsOf({
        'config/schema.ts': `import '../hub/config.ts';`,
        'hub/config.ts': `import '../config/field.ts';`,
      }),
    ).toEqual([]);
    expect(faultsOf({ 'config/schema.ts': `import '../hub/hub.ts';` })).toHaveLength(1);
    expect(faultsOf({ 'link/link.ts': `import '../config/field.ts';` })).toHaveLength(1);
  });
});

test('what an application brings itself may be imported', () => {
  const manifest = '{"name":"@trunkline/react","peerDependencies":{"react":">=18"}}';
  const files = { 'packages/react/package.json': manifest };
  const faults = faultsOf({
    ...files,
    'packages/react/src/a.ts': `import 'react'; import '@trunkline/client'; import 'react-dom';`,
  });
  expect(faults).toEqual([
    'packages/react/src/a.ts:1: react-dom is no dependency of packages/react',
  ]);
});

test('a folder without a rule fails', () => {
  expect(faultsOf({ 'shortcuts/a.ts': '' })).toEqual([
    'packages/server/src/shortcuts has no rule in layers.ts',
  ]);
  expect(faultsOf({ 'helpers.ts': '' })).toEqual([
    'packages/server/src/helpers.ts has no rule in layers.ts',
  ]);
  expect(faultsOf({ 'packages/extra/src/a.ts': '' })).toEqual([
    'packages/extra has no rule in layers.ts',
  ]);
});

describe('packages', () => {
  test.each([
    { text: `import 'left-pad';`, why: 'left-pad is no dependency of packages/server' },
    { text: `import '@scope/x/y';`, why: '@scope/x is no dependency of packages/server' },
    {
      text: `import '@trunkline/client';`,
      why: 'packages/server may not import @trunkline/client',
    },
    { text: `import '../../../wire/src/index.ts';`, why: 'reaches into another package by path' },
    { text: `import 'fs';`, why: 'write node:fs' },
    { text: `const x = 'y'; export const y = import(x);`, why: 'import(…) takes a literal' },
  ])('$text', ({ text, why }) => {
    expect(faultsOf({ 'server.ts': text })).toEqual([expect.stringContaining(why)]);
  });

  test('declared dependencies and builtins pass', () => {
    expect(faultsOf({ 'server.ts': `import 'jose'; import 'jose/x'; import 'node:fs';` })).toEqual(
      [],
    );
  });

  test('what runs in browsers imports nothing of Node', () => {
    expect(
      faultsOf({
        'packages/client/package.json': '{"name":"@trunkline/client"}',
        'packages/client/src/a.ts': `import 'node:fs';`,
      }),
    ).toEqual(['packages/client/src/a.ts:1: node:fs is not in browsers']);
  });
});

describe('circles', () => {
  test('files that import each other in a circle fail', () => {
    expect(
      faultsOf({
        'hub/a.ts': `import './b.ts';`,
        'hub/b.ts': `export * from './c.ts';`,
        'hub/c.ts': `import './a.ts';`,
        'hub/d.ts': `import './a.ts';`,
      }),
    ).toEqual([
      'packages/server/src/: imports in a circle: hub/a.ts → hub/b.ts → hub/c.ts → hub/a.ts',
    ]);
  });

  test('files that know each other by type pass', () => {
    expect(
      faultsOf({ 'hub/a.ts': `import './b.ts';`, 'hub/b.ts': `import type { A } from './a.ts';` }),
    ).toEqual([]);
  });
});

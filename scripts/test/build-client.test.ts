import { spawnSync } from 'node:child_process';
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BUILT, buildPackage, entriesOf } from '../build-client.ts';
import { stagedManifest, stagePackage } from '../pack.ts';
import { parseSource, referencesOf, ROOT } from '../source.ts';

/** What the types are held to: in this repository by the sources, here by what is packed. */
const TYPE_TESTS = ['client', 'react'];
/** What applications that compile it have beside the client. */
const INSTALLED = ['@types/node', '@types/react', 'csstype', 'expect-type', 'react', 'zod'];

const folder = mkdtempSync(join(tmpdir(), 'trunkline-build-'));
const stagedOf = (name: string): string => join(folder, 'node_modules/@trunkline', name);

beforeAll(async () => {
  for (const name of BUILT) {
    const dist = join(folder, name);
    await buildPackage(name, dist);
    stagePackage(name, dist, stagedOf(name));
  }
}, 60_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function read(name: string, path: string): string {
  return readFileSync(join(stagedOf(name), path), 'utf8');
}

test('each entry has its code and its types, and the entry of a page is at the top', () => {
  const entries = entriesOf('client');
  expect(entries[0]).toEqual({
    key: '.',
    source: 'src/index.ts',
    code: 'dist/client.js',
    types: 'dist/types/client/index.d.ts',
  });
  for (const name of BUILT) {
    for (const { code, types } of entriesOf(name)) {
      expect(existsSync(join(stagedOf(name), code)), code).toBe(true);
      expect(existsSync(join(stagedOf(name), types)), types).toBe(true);
    }
  }
});

test('the client imports nothing from outside, and React only what applications have', () => {
  const imported = (name: string): string[] =>
    globSync('dist/**/*.{js,d.ts}', { cwd: stagedOf(name) })
      .flatMap((path) => referencesOf(parseSource(path, read(name, path))))
      .map(({ specifier }) => specifier)
      .filter((specifier) => !specifier.startsWith('.'));
  expect(imported('client')).toEqual([]);
  for (const specifier of imported('react')) {
    expect(specifier).toMatch(/^react$|^@trunkline\/client(?:\/|$)/);
  }
});

test('every script has its source map', () => {
  const scripts = globSync('dist/**/*.js', { cwd: stagedOf('client') });
  expect(scripts.length).toBeGreaterThan(8);
  for (const path of scripts) {
    const [, map] = /\/\/# sourceMappingURL=(.+)/.exec(read('client', path)) ?? [];
    if (map !== undefined) expect(existsSync(join(stagedOf('client'), path, '..', map))).toBe(true);
  }
});

test('the components stay those of a client', () => {
  expect(read('react', 'dist/react.js')).toMatch(/^["']use client["']/);
});

test('the staged manifest points at the build and has no dependency', () => {
  const manifest = stagedManifest('client');
  expect(manifest).toMatchObject({
    name: '@trunkline/client',
    sideEffects: ['./dist/client/worker.js'],
    exports: {
      '.': { types: './dist/types/client/index.d.ts', default: './dist/client.js' },
      './core': { default: './dist/client/core.js' },
      './tabs': { types: './dist/types/client/tabs/shared.d.ts' },
    },
  });
  expect(manifest).not.toHaveProperty('private');
  expect(manifest).not.toHaveProperty('dependencies');
  expect(stagedManifest('react')).toMatchObject({
    dependencies: { '@trunkline/client': manifest['version'] },
    peerDependencies: { react: '>=18' },
  });
});

test('npm packs the build, the README and the licence, and nothing else', () => {
  for (const name of BUILT) {
    const { stdout } = spawnSync('npm', ['pack', '--dry-run', '--json'], {
      cwd: stagedOf(name),
      encoding: 'utf8',
    });
    const [packed] = Object.values(
      JSON.parse(stdout) as Record<string, { files: { path: string }[] }>,
    );
    const tops = new Set(packed?.files.map(({ path }) => path.split('/')[0]));
    expect(tops).toEqual(new Set(['LICENSE', 'README.md', 'dist', 'package.json']));
  }
});

test('what was built runs', async () => {
  const { connect, CodedError } = (await import(
    pathToFileURL(join(stagedOf('client'), 'dist/client.js')).href
  )) as { connect: (url: string) => unknown; CodedError: new () => Error };
  expect(() => connect('no address')).toThrow(CodedError);
});

test.each([
  { where: 'in a page', lib: ['es2022', 'dom'], types: [], without: '' },
  // The overlay is put into a page.
  { where: 'in Node', lib: ['es2022'], types: ['node'], without: /^.*devtools.*\n/gim },
])(
  'an application compiles, strictly and its libraries too, $where',
  ({ lib, types, without }) => {
    for (const name of INSTALLED) {
      const path = join(folder, 'node_modules', name);
      mkdirSync(dirname(path), { recursive: true });
      if (!existsSync(path)) symlinkSync(join(ROOT, 'node_modules', name), path);
    }
    const files = TYPE_TESTS.map((name) => {
      const text = readFileSync(join(ROOT, 'packages', name, 'test/types.test-d.ts'), 'utf8');
      const said = text.replace("'vitest'", "'expect-type'").replace(without, '');
      writeFileSync(join(folder, `${name}.ts`), said);
      return `${name}.ts`;
    });
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    const compilerOptions = {
      ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true },
      ...{ skipLibCheck: false, noEmit: true, target: 'es2022', module: 'nodenext', lib, types },
    };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
    const tsc = join(ROOT, 'node_modules/.bin/tsc');
    const { status, stdout } = spawnSync(tsc, ['-p', folder], { encoding: 'utf8' });
    expect(stdout).toBe('');
    expect(status).toBe(0);
  },
  60_000,
);

test('no declaration says any', () => {
  for (const name of BUILT) {
    for (const path of globSync('dist/**/*.d.ts', { cwd: stagedOf(name) })) {
      const code = read(name, path).replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
      expect(code, path).not.toMatch(/[:<|(,=] ?any\b/);
    }
  }
});

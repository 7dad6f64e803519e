import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BUILT, buildPackage, entriesOf } from '../build-client.ts';
import { stagedManifest, stagePackage } from '../pack.ts';
import { parseSource, referencesOf, ROOT } from '../source.ts';

const APPLICATION = `
  import { connect } from '@trunkline/client';
  import type { Line, Message, Transport } from '@trunkline/client';
  import { Line as Core } from '@trunkline/client/core';
  import { sharedTransport } from '@trunkline/client/tabs';
  import { channelStore } from '@trunkline/client/store';
  import { attachDevtools } from '@trunkline/client/devtools';

  const line: Line = connect('https://rt.example.com', { token: async () => 'token' });
  const room = line.channel<{ text: string }>('room/42', { last: 50 });
  const end: () => void = room.subscribe((message) => {
    const text: string = message.data.text;
    console.log(text);
  });
  const transports: readonly Transport[] = [sharedTransport({ transports: [] })];
  console.log(end, new Core('https://rt.example.com', { transports }));
  attachDevtools(line).detach();
  console.log(channelStore(room).get().messages[0]?.data.text);
  // @ts-expect-error A channel holds what its type says.
  room.subscribe((message: Message<{ text: number }>) => console.log(message));
`;

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

test('an application compiles against the types, in strict mode and without Node', () => {
  writeFileSync(join(folder, 'application.ts'), APPLICATION);
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  const compilerOptions = {
    ...{ strict: true, exactOptionalPropertyTypes: true, noEmit: true, types: [] },
    ...{ target: 'es2022', lib: ['es2022', 'dom'], module: 'nodenext' },
  };
  const tsconfig = { compilerOptions, files: ['application.ts'] };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(tsconfig));
  const tsc = join(ROOT, 'node_modules/.bin/tsc');
  const { status, stdout } = spawnSync(tsc, ['-p', folder], { encoding: 'utf8' });
  expect(stdout).toBe('');
  expect(status).toBe(0);
}, 30_000);

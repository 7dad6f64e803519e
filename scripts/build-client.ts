/**
 * Build of the client: what browsers load and what `scripts/pack.ts` packs, in `dist` of the
 * packages `client` and `react`. In this repository everything runs from `src`; the build is only
 * for those who are outside, and is never committed.
 *
 * One file for each entry of `exports`, and chunks for what entries share. The entry `.` is
 * `dist/client.js` and the others are `dist/client/….js`: so a server that serves `dist` as it is
 * has `/client.js`, and what that imports is found beside it. Types are those of the compiler, file
 * by file; those of `@trunkline/wire` come along, as its code does, since nobody installs it.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, posix, relative } from 'node:path';
import { build } from 'vite';
import type { Rolldown } from 'vite';
import { readManifests, ROOT } from './source.ts';

/** What is built: folders of `packages/`. */
export const BUILT = ['client', 'react'] as const;

/** The oldest JavaScript that the build may need. */
const TARGET = 'es2022';
/** The package whose code and types are taken in. */
const WIRE = '@trunkline/wire';
/** What an application has already. */
const EXTERNAL: Readonly<Record<string, readonly RegExp[]>> = {
  react: [/^react(?:\/|$)/, /^@trunkline\/client(?:\/|$)/],
};
/** What declares `Symbol.asyncDispose`; applications need not have chosen it. */
const DISPOSABLE = '/// <reference lib="esnext.disposable" />\n';
/** A specifier in a declaration, wherever it stands. */
const SPECIFIER = /((?:\bfrom |\bimport\(|\bimport )['"])([^'"]+)(['"])/g;

/** One way into a package. */
export interface Entry {
  /** As `exports` names it: `.` or `./core`. */
  readonly key: string;
  /** The source, relative to the package: `src/core.ts`. */
  readonly source: string;
  /** The code, relative to the package: `dist/client/core.js`. */
  readonly code: string;
  /** The types, relative to the package: `dist/types/client/core.d.ts`. */
  readonly types: string;
}

/** The entries of a package, as its manifest has them. @throws {Error} when there is none. */
export function entriesOf(folder: string): Entry[] {
  const exported = readManifests(ROOT).get(folder)?.exports;
  if (exported === undefined) throw new Error(`packages/${folder} has no exports`);
  return Object.entries(exported).map(([key, path]) => {
    const source = posix.normalize(path);
    const name = key === '.' ? folder : `${folder}/${key.slice('./'.length)}`;
    const types = source.replace(/^src\//, `${folder}/`).replace(/\.tsx?$/, '.d.ts');
    return { key, source, code: `dist/${name}.js`, types: `dist/types/${types}` };
  });
}

/** Builds a package into its `dist`, or into another folder. */
export async function buildPackage(folder: string, dist = distOf(folder)): Promise<void> {
  // Everything is made before anything is thrown away.
  const code = await bundle(folder);
  const types = declare(folder);
  rmSync(dist, { recursive: true, force: true });
  for (const [path, text] of [...code, ...types]) {
    const full = join(dist, path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, text);
  }
}

/** Code and source maps, by path in `dist`. */
async function bundle(folder: string): Promise<Map<string, string | Uint8Array>> {
  const inputs = entriesOf(folder).map(({ source, code }) => {
    const name = relative('dist', code).replace(/\.js$/, '');
    return [name, join(ROOT, 'packages', folder, source)] as const;
  });
  const built = await build({
    root: join(ROOT, 'packages', folder),
    configFile: false,
    publicDir: false,
    logLevel: 'error',
    build: {
      write: false,
      target: TARGET,
      minify: true,
      sourcemap: true,
      modulePreload: false,
      rolldownOptions: {
        input: Object.fromEntries(inputs),
        preserveEntrySignatures: 'strict',
        external: [...(EXTERNAL[folder] ?? [])],
        output: {
          entryFileNames: '[name].js',
          chunkFileNames: `${folder}/[name]-[hash].js`,
        },
      },
    },
  });
  const { output } = built as Rolldown.RolldownOutput;
  return new Map(
    output.map((file) => [file.fileName, file.type === 'chunk' ? file.code : file.source]),
  );
}

/** Declarations that the entries reach, by path in `dist`. */
function declare(folder: string): Map<string, string> {
  const out = mkdtempSync(join(tmpdir(), 'trunkline-types-'));
  try {
    compile(folder, out);
    const wanted = new Set(entriesOf(folder).map(({ types }) => relative('dist/types', types)));
    const found = new Map<string, string>();
    // A set hands out what is added to it while it is gone through.
    for (const path of wanted) {
      const source = path.replace('/', '/src/');
      const text = readFileSync(join(out, source), 'utf8').replaceAll(
        SPECIFIER,
        (_, before: string, specifier: string, after: string) =>
          `${before}${rewritten(specifier, path, wanted)}${after}`,
      );
      found.set(`types/${path}`, /[dD]ispos(?:e|able)\b/.test(text) ? DISPOSABLE + text : text);
    }
    return found;
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

/** The specifier as a published declaration has it. What it leads to is wanted as well. */
function rewritten(specifier: string, path: string, wanted: Set<string>): string {
  let target: string;
  if (specifier === WIRE) target = 'wire/index.d.ts';
  else if (!specifier.startsWith('.')) return specifier;
  else target = posix.join(posix.dirname(path), specifier).replace(/\.tsx?$/, '.d.ts');
  wanted.add(target);
  const way = posix.relative(posix.dirname(path), target).replace(/\.d\.ts$/, '.js');
  return way.startsWith('.') ? way : `./${way}`;
}

/** Writes the declarations of a package, and of the one that it takes in, to a folder. */
function compile(folder: string, out: string): void {
  const config = join(out, 'tsconfig.json');
  const options = {
    extends: join(ROOT, 'tsconfig.base.json'),
    compilerOptions: {
      // Whether the types are right is found out by `npm run check`.
      ...{ noEmit: false, noCheck: true, declaration: true, emitDeclarationOnly: true },
      ...{ outDir: out, rootDir: join(ROOT, 'packages'), types: [] },
      // Declarations of what is found through `node_modules` are not written.
      paths: { [WIRE]: [join(ROOT, 'packages/wire/src/index.ts')] },
    },
    files: entriesOf(folder).map(({ source }) => join(ROOT, 'packages', folder, source)),
  };
  writeFileSync(config, JSON.stringify(options));
  const tsc = join(ROOT, 'node_modules/.bin/tsc');
  const { status, error, stdout } = spawnSync(tsc, ['-p', config], { encoding: 'utf8' });
  if (status === 0) return;
  const why = error?.message ?? stdout;
  throw new Error(`the types of packages/${folder} could not be written: ${why}`);
}

/** Where the build of a package stands. */
export function distOf(folder: string): string {
  return join(ROOT, 'packages', folder, 'dist');
}

if (import.meta.main) for (const folder of BUILT) await buildPackage(folder);

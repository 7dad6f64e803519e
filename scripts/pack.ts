/**
 * Pack: the packages as applications install them, each in a folder of `dist/` at the root, ready
 * for `npm pack` or `npm publish`: built code, types, README and licence, nothing else.
 *
 * In this repository `exports` point at the sources, so that nothing has to be built to run or to
 * test. What is packed must point at the build. npm packs a manifest as it stands: of
 * `publishConfig` it reads settings like `access` and `tag`, and `exports` in it are a habit of
 * other package managers. A condition in `exports` would do, if every tool that runs a source here
 * were told of it, and one that is not would run an old build unnoticed. So the manifest that is
 * packed is another one, and it is made here.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { BUILT, buildPackage, distOf, entriesOf } from './build-client.ts';
import { ROOT } from './source.ts';

/** What is staged of a manifest beside the entries. */
const KEPT = ['name', 'version', 'description', 'license', 'type', 'files'] as const;
/** Taken in by the build, so it is no dependency any more. */
const BUNDLED = '@trunkline/wire';

/** A manifest as it is written. */
type Json = Readonly<Record<string, unknown>>;

/** The manifest of a package as it is published. */
export function stagedManifest(folder: string): Json {
  const manifest = JSON.parse(
    readFileSync(join(ROOT, 'packages', folder, 'package.json'), 'utf8'),
  ) as Json & { readonly dependencies?: Json };
  const entries = entriesOf(folder);
  const built = new Map(entries.map((entry) => [`./${entry.source}`, `./${entry.code}`]));
  const { sideEffects } = manifest;
  const needed = Object.entries(manifest.dependencies ?? {}).filter(([name]) => name !== BUNDLED);
  return {
    ...Object.fromEntries(KEPT.map((name) => [name, manifest[name]])),
    sideEffects: Array.isArray(sideEffects)
      ? sideEffects.map((path: string) => built.get(path) ?? path)
      : sideEffects,
    exports: Object.fromEntries(
      // A tool takes the first condition that it knows, so the types come first.
      entries.map(({ key, code, types }) => [key, { types: `./${types}`, default: `./${code}` }]),
    ),
    ...(needed.length > 0 && { dependencies: Object.fromEntries(needed) }),
    ...(manifest['peerDependencies'] !== undefined && {
      peerDependencies: manifest['peerDependencies'],
    }),
  };
}

/** Puts a package together in a folder, from what was built in `dist`. */
export function stagePackage(folder: string, dist: string, staged: string): void {
  rmSync(staged, { recursive: true, force: true });
  mkdirSync(staged, { recursive: true });
  cpSync(dist, join(staged, 'dist'), { recursive: true });
  copyFileSync(join(ROOT, 'packages', folder, 'README.md'), join(staged, 'README.md'));
  copyFileSync(join(ROOT, 'LICENSE'), join(staged, 'LICENSE'));
  const manifest = JSON.stringify(stagedManifest(folder), undefined, 2);
  writeFileSync(join(staged, 'package.json'), `${manifest}\n`);
}

/** Builds and stages every package, and lets npm pack it: `--dry-run` shows what it would. */
async function pack(args: readonly string[]): Promise<void> {
  for (const folder of BUILT) {
    const staged = join(ROOT, 'dist', folder);
    await buildPackage(folder);
    stagePackage(folder, distOf(folder), staged);
    const { status } = spawnSync('npm', ['pack', ...args], { cwd: staged, stdio: 'inherit' });
    if (status === 0) console.log(`in ${relative(ROOT, staged)}`);
    else process.exitCode = 1;
  }
}

if (import.meta.main) await pack(process.argv.slice(2));

/**
 * Every source file has its test: `src/a/b.ts` in `test/a/b.test.ts`, or a test in `test/a/` that
 * reaches it through its imports, or a reason for having none.
 */
import { dirname } from 'node:path';
import { isNode, readManifests, referencesOf, resolvePath } from '../source.ts';
import type { SourceFile, SyntaxNode } from '../source.ts';

/** Files without a test of their own, and why. Files that hold only types need no entry. */
export const UNTESTED: readonly { readonly files: RegExp; readonly why: string }[] = [
  { files: /^packages\/[^/]+\/src\/index\.ts$/, why: 'names what others may use, nothing more' },
  { files: /\/config\.ts$/, why: 'fields as data; config/schema.test.ts reads them all' },
  { files: /^packages\/console\/src\/.+\.tsx$/, why: 'the lab looks at the page in a browser' },
  {
    files: /^packages\/client\/src\/devtools\/(?:devtools|panel|styles)\.ts$/,
    why: 'the lab looks at the overlay in a browser',
  },
  { files: /^packages\/lab\//, why: 'it is tests' },
  {
    files: /^packages\/testkit\/src\/contracts\//,
    why: 'suites; those who keep a contract run them',
  },
];

/** Source files with neither a test nor a reason. */
export function testFaults(root: string, files: readonly SourceFile[]): string[] {
  const tested = testedPaths(root, files);
  return files.flatMap((file) => {
    if (!/^packages\/[^/]+\/src\//.test(file.path)) return [];
    if (UNTESTED.some((entry) => entry.files.test(file.path))) return [];
    if (tested.has(file.path) || !hasCode(file)) return [];
    const test = file.path.replace('/src/', '/test/').replace(/\.tsx?$/, '.test.ts');
    return [`${file.path}: no test: expected ${test}, or a reason in scripts/tidy/tests.ts`];
  });
}

/** The source files that a test of the same folder imports, or that those import, and so on. */
function testedPaths(root: string, files: readonly SourceFile[]): Set<string> {
  const names = new Map([...readManifests(root)].map(([folder, { name }]) => [name, folder]));
  const imports = new Map(files.map((file) => [file.path, importedPaths(file, names)]));
  const tested = new Set<string>();
  for (const { path } of files) {
    if (!/^packages\/[^/]+\/test\/.+\.test\.tsx?$/.test(path)) continue;
    const folder = dirname(path).replace(/\/test(?=\/|$)/, '/src');
    const reached = new Set([path]);
    // A set hands out what is added to it while it is gone through.
    for (const one of reached) for (const next of imports.get(one) ?? []) reached.add(next);
    for (const one of reached) if (one.startsWith(`${folder}/`)) tested.add(one);
  }
  return tested;
}

function importedPaths(file: SourceFile, names: ReadonlyMap<string, string>): string[] {
  return referencesOf(file).flatMap(({ specifier, kind }) => {
    if (kind === 'type') return [];
    if (specifier.startsWith('.')) return [resolvePath(file, specifier)];
    const [scope, name, internal, ...inner] = specifier.split('/');
    const folder = names.get(`${scope}/${name}`);
    if (folder === undefined) return [];
    const path = internal === 'internal' ? inner.join('/') : 'index.ts';
    return [`packages/${folder}/src/${path}`];
  });
}

/** False for a file of types, re-exports and plain constants: there is nothing to run. */
function hasCode(file: SourceFile): boolean {
  return (file.program['body'] as SyntaxNode[]).some((node) => {
    const declaration = isNode(node['declaration']) ? node['declaration'] : node;
    switch (declaration.type) {
      case 'ImportDeclaration':
      case 'ExportNamedDeclaration':
      case 'ExportAllDeclaration':
      case 'TSInterfaceDeclaration':
      case 'TSTypeAliasDeclaration':
        return false;
      case 'VariableDeclaration':
        return (declaration['declarations'] as SyntaxNode[]).some(({ init }) => !isPlain(init));
      default:
        return true;
    }
  });
}

/** A number or a text, also with a sign or summed up. */
function isPlain(node: unknown): boolean {
  if (!isNode(node)) return node === null;
  if (node.type === 'BinaryExpression') return isPlain(node['left']) && isPlain(node['right']);
  if (node.type === 'UnaryExpression') return isPlain(node['argument']);
  return node.type === 'Literal';
}

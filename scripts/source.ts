/** Source: TypeScript files of a tree, parsed, for the checks in this folder. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseSync } from 'vite';

/** The root of the repository. */
export const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** A node of the syntax tree, in the ESTree shape with TypeScript's own nodes beside it. */
export interface SyntaxNode {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [member: string]: unknown;
}

/** A comment; `start` and `end` include its delimiters. */
export interface Comment {
  readonly type: 'Line' | 'Block';
  readonly value: string;
  readonly start: number;
  readonly end: number;
}

/** One parsed file. */
export interface SourceFile {
  /** Relative to the root of the tree, with slashes. */
  readonly path: string;
  readonly text: string;
  readonly program: SyntaxNode;
  readonly comments: readonly Comment[];
}

/** What one file takes from another. */
export interface Reference {
  /** As written. */
  readonly specifier: string;
  readonly line: number;
  /**
   * `type`: gone at run time. `url`: names a file of code with `new URL`, e.g. for a worker, and
   * does not load it itself.
   */
  readonly kind: 'value' | 'type' | 'url';
}

/** Reads and parses every file that the patterns match. @throws when one is no TypeScript. */
export function readSources(root: string, ...patterns: readonly string[]): SourceFile[] {
  const paths = patterns.flatMap((pattern) => globSync(pattern, { cwd: root })).toSorted();
  return [...new Set(paths)]
    .filter((path) => !/(?:^|\/)(?:node_modules|dist)\//.test(path))
    .map((path) => parseSource(path, readFileSync(join(root, path), 'utf8')));
}

/** Parses one file. @throws {Error} when the text is no TypeScript. */
export function parseSource(path: string, text: string): SourceFile {
  const { program, comments, errors } = parseSync(path, text);
  const [error] = errors;
  if (error !== undefined) throw new Error(`${path}: ${error.message}`);
  if (!isNode(program)) throw new Error(`${path}: the parser gave no tree`);
  return { path, text, program, comments };
}

/** Visits every node below and including `node`, parents first. */
export function walk(
  node: SyntaxNode,
  visit: (node: SyntaxNode, parent: SyntaxNode | undefined) => void,
  parent?: SyntaxNode,
): void {
  visit(node, parent);
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? (value as unknown[]) : [value]) {
      if (isNode(child)) walk(child, visit, node);
    }
  }
}

/** True for a node of the tree; members of a node hold other things too. */
export function isNode(value: unknown): value is SyntaxNode {
  return typeof value === 'object' && value !== null && 'type' in value && 'start' in value;
}

/** The line of a place in the text, counted from 1. */
export function lineAt(text: string, at: number): number {
  return text.slice(0, at).split('\n').length;
}

/**
 * Everything that a file names: imports of every kind, types too, `export … from`, `import(…)`,
 * and code given as `new URL('….ts', import.meta.url)`. A specifier that is no literal is `''`.
 */
export function referencesOf(file: SourceFile): Reference[] {
  const references: Reference[] = [];
  const add = (source: unknown, node: SyntaxNode, kind: Reference['kind']): void => {
    const literal = isNode(source) ? source['value'] : undefined;
    const specifier = typeof literal === 'string' ? literal : '';
    references.push({ specifier, line: lineAt(file.text, node.start), kind });
  };
  walk(file.program, (node) => {
    switch (node.type) {
      case 'ImportDeclaration':
        add(node['source'], node, node['importKind'] === 'type' ? 'type' : 'value');
        break;
      case 'ExportAllDeclaration':
      case 'ExportNamedDeclaration':
        if (!isNode(node['source'])) break;
        add(node['source'], node, node['exportKind'] === 'type' ? 'type' : 'value');
        break;
      case 'ImportExpression':
        add(node['source'], node, 'value');
        break;
      case 'TSImportType':
        add(node['source'], node, 'type');
        break;
      case 'NewExpression':
        if (isOwnCode(node)) add((node['arguments'] as unknown[])[0], node, 'url');
        break;
      default:
    }
  });
  return references;
}

/** The path a relative specifier means, as TypeScript's own endings have it. */
export function resolvePath(file: SourceFile, specifier: string): string {
  return relative('.', join(dirname(file.path), specifier));
}

/** The packages of a tree, by folder name, with their manifests. */
export function readManifests(root: string): Map<string, Manifest> {
  const manifests = new Map<string, Manifest>();
  for (const path of globSync('packages/*/package.json', { cwd: root }).toSorted()) {
    const manifest = JSON.parse(readFileSync(join(root, path), 'utf8')) as Manifest;
    manifests.set(path.split('/')[1] ?? '', manifest);
  }
  return manifests;
}

/** What the checks read of a `package.json`. */
export interface Manifest {
  readonly name: string;
  /** A package of this repository maps each entry to one file. */
  readonly exports?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

/** Prints what a check found and sets the exit code; for checks run by themselves. */
export function report(check: string, faults: readonly string[]): void {
  for (const fault of faults) console.error(fault);
  console.log(`${check}: ${faults.length === 0 ? 'no faults' : `${faults.length} faults`}`);
  if (faults.length > 0) process.exitCode = 1;
}

/** The text of a file of the tree, or `undefined` when there is none. */
export function readText(root: string, path: string): string | undefined {
  const full = join(root, path);
  return existsSync(full) ? readFileSync(full, 'utf8') : undefined;
}

/** True for `new URL('….ts', import.meta.url)`. */
function isOwnCode(node: SyntaxNode): boolean {
  const callee = node['callee'];
  const [first, base] = node['arguments'] as unknown[];
  if (!isNode(callee) || callee['name'] !== 'URL' || !isNode(first) || !isNode(base)) return false;
  const specifier = first['value'];
  if (typeof specifier !== 'string' || !/\.tsx?$/.test(specifier)) return false;
  return isNode(base['object']) && base['object'].type === 'MetaProperty';
}

/** How long files and functions may be. */
import { isNode, lineAt, walk } from '../source.ts';
import type { SourceFile, SyntaxNode } from '../source.ts';

/** A file holds one idea. */
export const FILE_LINES_MAX = 500;
/** A function can be seen at once. */
export const FUNCTION_LINES_MAX = 70;
/** A component of the page is mostly its markup. */
export const COMPONENT_LINES_MAX = 110;

const FUNCTIONS = new Set(['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression']);
const SUITES = new Set(['describe', 'test', 'it', 'suite']);

/** Files and functions that are too long. Tests in a suite are measured each by itself. */
export function sizeFaults(file: SourceFile): string[] {
  const faults: string[] = [];
  const lines = file.text.trimEnd().split('\n').length;
  if (lines > FILE_LINES_MAX) {
    faults.push(
      `${file.path}: ${lines} lines, at most ${FILE_LINES_MAX}: give a part its own file`,
    );
  }
  const linesMax = file.path.endsWith('.tsx') ? COMPONENT_LINES_MAX : FUNCTION_LINES_MAX;
  walk(file.program, (node) => {
    if (!FUNCTIONS.has(node.type)) return;
    const length = linesOf(file, node) - suiteLines(file, node);
    if (length <= linesMax) return;
    const line = lineAt(file.text, node.start);
    faults.push(`${file.path}:${line}: function of ${length} lines, at most ${linesMax}`);
  });
  return faults;
}

/** Lines of the functions inside `outer` that are given to `describe` or `test`. */
function suiteLines(file: SourceFile, outer: SyntaxNode): number {
  let lines = 0;
  const visit = (node: SyntaxNode): void => {
    if (node.type === 'CallExpression' && SUITES.has(rootName(node))) {
      for (const argument of node['arguments'] as unknown[]) {
        if (isNode(argument) && FUNCTIONS.has(argument.type)) lines += linesOf(file, argument);
      }
      return;
    }
    for (const value of Object.values(node)) {
      for (const child of Array.isArray(value) ? (value as unknown[]) : [value]) {
        if (isNode(child)) visit(child);
      }
    }
  };
  if (isNode(outer['body'])) visit(outer['body']);
  return lines;
}

/** `describe` of `describe.each(…)(…)`. */
function rootName(node: SyntaxNode): string {
  for (let at: unknown = node; isNode(at); at = at['callee'] ?? at['object'] ?? at['tag']) {
    if (at.type === 'Identifier') return String(at['name']);
  }
  return '';
}

function linesOf(file: SourceFile, node: SyntaxNode): number {
  return file.text.slice(node.start, node.end).split('\n').length;
}
